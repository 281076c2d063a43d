//! `quorate freeze` and `quorate unfreeze`: orders that people sign and every node obeys by itself.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, Subcommand};
use quorate_freeze::{Action, Order, Scope};
use quorate_intent::{AssetId, chain_by_name, token_by_symbol};
use quorate_manifest::Namespace;
use quorate_proto::v1;
use quorate_types::WalletId;
use serde_json::json;

use crate::cli::Globals;
use crate::client::{Client, ORDINARY, refused, within};
use crate::files::{self, Mode};
use crate::output::Answer;
use crate::profile::{Caller, Profile};
use crate::refusal::{OrRefuse, Refusal};
use crate::ssh;
use crate::views::FreezeView;

/// What to freeze.
#[derive(Subcommand)]
pub(crate) enum Freeze {
    /// One wallet
    Wallet(Targeted),
    /// Every wallet of an agent
    Agent(Targeted),
    /// Whatever moves an asset or calls its contract: USDC@base-sepolia, native@8453, 0x...@8453
    Asset(Targeted),
    /// Whatever can be used on a chain: base-sepolia, 8453
    Chain(Targeted),
    /// Everything
    All(How),
    /// Add a signature to an order: writes FILE.sig, as `ssh-keygen -Y sign -n freeze@quorate FILE` does
    Sign {
        /// The order
        file: PathBuf,
        /// An operator's or approver's ssh private key [default: the dev cluster's]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Have a signed order obeyed
    Apply {
        /// The order
        file: PathBuf,
        /// Its signatures; repeat for more files [default: FILE.sig]
        #[arg(long, value_name = "FILE")]
        sig: Vec<PathBuf>,
    },
    /// List the order that counts for each scope, and the nodes that obey it
    List,
}

/// What to lift the freeze of. It takes the operators' quorum.
#[derive(Subcommand)]
pub(crate) enum Unfreeze {
    /// One wallet
    Wallet(Targeted),
    /// Every wallet of an agent
    Agent(Targeted),
    /// An asset
    Asset(Targeted),
    /// A chain
    Chain(Targeted),
    /// What was frozen by `freeze all`; other orders stay
    All(How),
}

/// An order about one thing.
#[derive(Args)]
pub(crate) struct Targeted {
    /// Its name
    target: String,
    #[command(flatten)]
    how: How,
}

/// How an order is made.
#[derive(Args)]
pub(crate) struct How {
    /// Why, for whoever reads a denial
    #[arg(long)]
    reason: String,
    /// An ssh private key to sign with [default: the dev cluster's]
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    key: Option<PathBuf>,
    /// Write the order to this file instead, to be signed by several people or on a token
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The order's sequence number [default: the next one the coordinator knows of]
    #[arg(long)]
    sequence: Option<u64>,
}

pub(crate) async fn freeze(command: Freeze, globals: &Globals) -> Result<Answer, Refusal> {
    let (kind, Targeted { target, how }) = match command {
        Freeze::Wallet(targeted) => ("wallet", targeted),
        Freeze::Agent(targeted) => ("agent", targeted),
        Freeze::Asset(targeted) => ("asset", targeted),
        Freeze::Chain(targeted) => ("chain", targeted),
        Freeze::All(how) => return order(globals, (Scope::All, Action::Freeze), how).await,
        Freeze::Sign { file, key } => return sign(globals, &file, key.as_deref()),
        Freeze::Apply { file, sig } => return apply(globals, &file, &sig).await,
        Freeze::List => return list(globals).await,
    };
    order(globals, (scope(kind, &target)?, Action::Freeze), how).await
}

pub(crate) async fn unfreeze(command: Unfreeze, globals: &Globals) -> Result<Answer, Refusal> {
    let (kind, Targeted { target, how }) = match command {
        Unfreeze::Wallet(targeted) => ("wallet", targeted),
        Unfreeze::Agent(targeted) => ("agent", targeted),
        Unfreeze::Asset(targeted) => ("asset", targeted),
        Unfreeze::Chain(targeted) => ("chain", targeted),
        Unfreeze::All(how) => return order(globals, (Scope::All, Action::Unfreeze), how).await,
    };
    order(globals, (scope(kind, &target)?, Action::Unfreeze), how).await
}

fn scope(kind: &str, target: &str) -> Result<Scope, Refusal> {
    if kind == "asset"
        && let Some(asset) = asset(target)
    {
        return Ok(Scope::Asset(asset));
    }
    Scope::of(kind, Some(target)).map_err(|error| Refusal::invalid(error.to_string()).field("target"))
}

/// An asset by its symbol and its chain's name, where both are known.
fn asset(text: &str) -> Option<AssetId> {
    let (symbol, chain) = text.split_once('@')?;
    let chain = chain_by_name(chain).or_else(|| chain.parse().ok())?;
    if symbol == "native" {
        return Some(AssetId::native(chain));
    }
    token_by_symbol(chain, symbol).map(|token| AssetId::token(chain, token.address))
}

/// Retires a wallet, for ever.
pub(super) async fn retire(globals: &Globals, wallet: WalletId, how: How) -> Result<Answer, Refusal> {
    order(globals, (Scope::Wallet(wallet), Action::Retire), how).await
}

async fn order(globals: &Globals, (scope, action): (Scope, Action), how: How) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    let known = client.freezes().list_freezes(within(v1::ListFreezesRequest {}, ORDINARY)).await;
    let known = known.map_err(refused)?.into_inner();
    let order = Order {
        cluster: known.cluster.parse().or_internal("the coordinator's cluster")?,
        sequence: how.sequence.unwrap_or(known.next_sequence),
        scope,
        action,
        reason: how.reason,
    };
    let body = order.to_yaml().map_err(|error| Refusal::invalid(error.to_string()))?;
    if let Some(out) = &how.out {
        files::create(out, body.as_bytes(), Mode::Public)?;
        let words = format!(
            "{0} is written. Next: ssh-keygen -Y sign -n {1} -f KEY {0}, then quorate freeze apply {0}",
            out.display(),
            Namespace::Freeze,
        );
        return Answer::new(&json!({ "file": out, "sequence": order.sequence }), words);
    }
    let key = ssh::signing_key(globals, how.key.as_deref())?;
    let signature = ssh::sign_body(body.as_bytes(), Namespace::Freeze, &key)?;
    let order = v1::SignedDocument { body: body.into_bytes(), signatures: vec![signature] };
    send(&client, order).await
}

fn sign(globals: &Globals, file: &Path, key: Option<&Path>) -> Result<Answer, Refusal> {
    let order = Order::parse(&files::read(file)?).or_invalid(file.display())?;
    let key = ssh::signing_key(globals, key)?;
    let signed = ssh::sign_file(file, Namespace::Freeze, &key)?;
    let text = format!(
        "{} {} signed with {}. Next: quorate freeze apply {}",
        order.action.as_str(),
        order.scope,
        signed.signer,
        file.display()
    );
    Answer::new(&json!({ "file": file, "signer": signed.signer, "signatures": signed.count }), text)
}

async fn apply(globals: &Globals, file: &Path, sig: &[PathBuf]) -> Result<Answer, Refusal> {
    let document = ssh::document(file, sig)?;
    Order::parse(&document.body).or_invalid(file.display())?;
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    send(&client, ssh::to_pb(document)).await
}

async fn send(client: &Client, order: v1::SignedDocument) -> Result<Answer, Refusal> {
    let began = Instant::now();
    let request = v1::ApplyFreezeRequest { order: Some(order) };
    let answer =
        client.freezes().apply_freeze(within(request, ORDINARY)).await.map_err(refused)?.into_inner();
    let took_ms = began.elapsed().as_secs_f64() * 1000.0;
    let order = answer.order.ok_or_else(|| Refusal::internal("the coordinator answered without an order"))?;
    let view = FreezeView::from(order);
    let mut words = format!(
        "{} by order {}: obeyed by the coordinator and {}, {took_ms:.1} ms after it was sent",
        view.state(),
        view.sequence,
        if view.nodes.is_empty() { "no node yet".to_owned() } else { view.nodes.join(", ") },
    );
    if !answer.waiting.is_empty() {
        words.push_str(&format!("\nno word yet from {}", answer.waiting.join(", ")));
    }
    let object = json!({ "order": view, "waiting": answer.waiting, "took_ms": took_ms, "cluster_took_us": answer.took_us });
    Answer::new(&object, words)
}

async fn list(globals: &Globals) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    let answer = client.freezes().list_freezes(within(v1::ListFreezesRequest {}, ORDINARY)).await;
    let answer = answer.map_err(refused)?.into_inner();
    let orders: Vec<FreezeView> = answer.orders.into_iter().map(FreezeView::from).collect();
    let words =
        if orders.is_empty() { "Nothing was ever frozen.".to_owned() } else { FreezeView::table(&orders) };
    Answer::new(&json!({ "orders": orders, "next_sequence": answer.next_sequence }), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_and_chains_may_be_called_by_name() {
        let usdc = "asset/0x036CbD53842c5426634e7929541eC2318f3dCF7e@84532";
        for (kind, target, is) in [
            ("asset", "USDC@base-sepolia", usdc),
            ("asset", "usdc@84532", usdc),
            ("asset", "native@base", "asset/native@8453"),
            ("asset", "0x036CbD53842c5426634e7929541eC2318f3dCF7e@84532", usdc),
            ("chain", "base", "chain/8453"),
            ("chain", "31337", "chain/31337"),
            ("wallet", "shopper", "wallet/shopper"),
        ] {
            assert_eq!(scope(kind, target).unwrap().to_string(), is);
        }
        for (kind, target) in
            [("asset", "USDC"), ("asset", "MOON@base"), ("chain", "moon"), ("wallet", "A b")]
        {
            assert_eq!(scope(kind, target).unwrap_err().kind.exit_code(), 4, "{kind} {target}");
        }
    }
}

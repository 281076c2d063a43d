//! `quorate wallet rotate`: a new key for an agent, and the policies that move everything from the old one to it.
//!
//! The cluster has no way to change a key: shares cannot be refreshed. So the agent gets another wallet in the same group,
//! the old one may pay nobody but the new one, and once it is empty it is retired.

use std::path::{Path, PathBuf};

use clap::Args;
use quorate_policy::{Severity, lint};
use quorate_proto::v1;
use quorate_types::WalletId;
use serde_json::json;
use serde_norway::Value;

use super::wallet::{New, create};
use crate::client::{Client, ORDINARY, refused, within};
use crate::files::{self, Mode};
use crate::output::Answer;
use crate::refusal::{Kind, OrRefuse, Refusal};
use crate::views::WalletView;

/// See [`Wallet::Rotate`](super::wallet::Wallet::Rotate).
#[derive(Args)]
pub(crate) struct Rotate {
    /// The wallet to be replaced
    #[arg(long)]
    wallet: WalletId,
    /// The new wallet's name
    #[arg(long)]
    new: WalletId,
    /// Directory for the two policies to be signed
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Creates the new wallet and drafts both policies. Asking again gives the same wallet.
pub(super) async fn run(client: &Client, command: &Rotate) -> Result<Answer, Refusal> {
    if command.wallet == command.new {
        return Err(
            Refusal::usage("is the old wallet's name; a wallet keeps its key for life").field("--new")
        );
    }
    let old = attested(client.wallet(command.wallet.as_str()).await?, command.wallet.as_str())?;
    if old.raw_digest {
        let reason = "signs raw digests and holds nothing that could be moved";
        return Err(Refusal::conflict(reason)
            .field("--wallet")
            .next("create another with --raw-digest and a policy of its own, then retire this one"));
    }
    let request = v1::GetPolicyRequest { wallet: old.wallet.clone() };
    let policy = client.policies().get_policy(within(request, ORDINARY)).await.map_err(refused)?;
    let body = policy.into_inner().document.map(|document| document.body).unwrap_or_default();
    let new = New { wallet: command.new.as_str(), agent: &old.agent, group: &old.group, terms: old.terms()? };
    // Its address becomes the only one that is paid: the coordinator's word is not enough for that.
    let new = attested(create(client, new).await?, command.new.as_str())?;
    files::private_dir(&command.out)?;
    let keep = draft(&body, &new, None)?;
    let empty = draft(&body, &old, Some(&new))?;
    let written = [write(&command.out, &new, &keep)?, write(&command.out, &old, &empty)?];
    let [keep, empty] = written.each_ref().map(|path| path.display().to_string());
    let words = format!(
        "{} has the new wallet {}, {}\n  1  read, sign and apply {keep}: what {} may sign\n  2  read, sign and apply \
         {empty}: from then on {} pays {} only, within its old limits\n  3  move everything: quorate sign transfer \
         --wallet {} --to {} ...\n  4  when it is empty: quorate wallet retire {} --reason \"rotated to {}\"",
        old.agent,
        new.wallet,
        new.address,
        new.wallet,
        old.wallet,
        new.wallet,
        old.wallet,
        new.address,
        old.wallet,
        new.wallet
    );
    Answer::new(&json!({ "old": old, "new": new, "policies": [keep, empty] }), words)
}

/// A wallet whose three nodes' attestations were checked here, and no other.
fn attested(view: WalletView, name: &str) -> Result<WalletView, Refusal> {
    if view.attestations_checked && view.state == "active" && view.wallet == name {
        return Ok(view);
    }
    Err(Refusal::new(
        Kind::PeerFault,
        format!("wallet {name}: its address is not attested by its three nodes"),
    )
    .next("give the profile the manifest that is in force, so that attestations can be checked"))
}

/// The old wallet's policy in force, for `wallet`: as it is, or with `payee` as its only recipient.
fn draft(body: &[u8], wallet: &WalletView, payee: Option<&WalletView>) -> Result<String, Refusal> {
    let mut policy: Value = serde_norway::from_slice(body).or_internal("reading the policy in force")?;
    let shape = || Refusal::internal("the policy in force has another shape than this program knows");
    let fields = policy.as_mapping_mut().ok_or_else(shape)?;
    let version = if payee.is_some() { wallet.policy_version + 1 } else { 1 };
    fields.insert("wallet".into(), wallet.wallet.as_str().into());
    fields.insert("version".into(), version.into());
    if let Some(payee) = payee {
        let rules = fields.get_mut("rules").and_then(Value::as_mapping_mut).ok_or_else(shape)?;
        let only = json!([{ "address": payee.address, "label": format!("rotation to {}", payee.wallet) }]);
        rules.insert("recipients".into(), serde_norway::to_value(only).or_internal("writing the policy")?);
    }
    let text = files::yaml(&policy)?;
    let wrong = lint(text.as_bytes()).into_iter().find(|finding| finding.severity == Severity::Error);
    match wrong {
        Some(finding) => Err(Refusal::internal(format!("the drafted policy is refused: {finding}"))),
        None => Ok(text),
    }
}

fn write(out: &Path, wallet: &WalletView, text: &str) -> Result<PathBuf, Refusal> {
    let path = out.join(format!("{}.policy.yaml", wallet.wallet));
    files::create(&path, text.as_bytes(), Mode::Public)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "policy: quorate/v1\ncluster: dev\nwallet: old\nversion: 4\nrules:\n  chains: [base-sepolia]\n  \
        per_transaction: [{asset: USDC, chain: base-sepolia, max: \"25.00\"}]\n  max_fee: [{chain: base-sepolia, max: \
        \"0.002\"}]\n  recipients: [{address: \"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\", label: shop}]\n";

    fn view(wallet: &str, policy_version: u64) -> WalletView {
        let address = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf".to_owned();
        WalletView::from(v1::Wallet {
            wallet: wallet.to_owned(),
            address,
            policy_version,
            ..Default::default()
        })
    }

    #[test]
    fn the_new_wallet_keeps_the_rules_and_the_old_one_may_pay_the_new_one_only() {
        let (old, new) = (view("old", 4), view("new", 0));
        let keep = draft(POLICY.as_bytes(), &new, None).unwrap();
        assert!(keep.contains("wallet: new") && keep.contains("version: 1") && keep.contains("label: shop"));
        let empty = draft(POLICY.as_bytes(), &old, Some(&new)).unwrap();
        assert!(empty.contains("wallet: old") && empty.contains("version: 5"), "{empty}");
        assert!(
            empty.contains(&new.address) && !empty.contains("shop") && empty.contains("25.00"),
            "{empty}"
        );
    }
}

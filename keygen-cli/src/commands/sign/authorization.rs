//! `quorate sign authorization`: the payment of an x402 request.

use clap::Args;
use quorate_intent::ChainId;
use quorate_types::{Address, B256, Clock, SystemClock};
use serde_json::json;

use super::{Request, dry_run, order, random};
use crate::cli::Globals;
use crate::client::Client;
use crate::output::{Answer, DENIED, Output, WAITING};
use crate::payload::amount;
use crate::payload::authorization::{Authorization, Kind, Payment};
use crate::profile::{Caller, Profile};
use crate::refusal::{OrRefuse, Refusal};
use crate::signing::{Outcome, ask_and_wait};

/// Seconds an authorization is already valid, for chains whose clock is behind: what x402's own client takes.
const BACKDATE_S: u64 = 600;

/// An authorization.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Its chain, such as base-sepolia, or an EIP-155 chain id
    #[arg(long, value_parser = amount::chain)]
    chain: ChainId,
    /// A token with EIP-3009
    #[arg(long, default_value = "USDC")]
    asset: String,
    /// Who is paid
    #[arg(long, value_name = "ADDRESS")]
    to: Address,
    /// Whole units as a decimal number, such as 1.50
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
    /// Seconds from now it can be used
    #[arg(long, value_name = "S", default_value_t = 300, conflicts_with = "valid_before")]
    valid_for: u64,
    /// Usable after this Unix second [default: ten minutes ago]
    #[arg(long, value_name = "UNIX")]
    valid_after: Option<u64>,
    /// Usable before this Unix second
    #[arg(long, value_name = "UNIX")]
    valid_before: Option<u64>,
    /// 32 bytes that make it unique [default: random]
    #[arg(long, value_name = "HEX")]
    nonce: Option<B256>,
    /// Only the recipient may submit it (ReceiveWithAuthorization)
    #[arg(long)]
    receive: bool,
}

impl Arguments {
    fn payment(&self) -> Payment {
        let kind = if self.receive { Kind::Receive } else { Kind::Transfer };
        Payment { chain: self.chain, asset: self.asset.clone(), amount: self.amount.clone(), kind }
    }

    fn authorization(&self, from: Address, value: String, now_s: u64) -> Authorization {
        let valid_after = self.valid_after.unwrap_or_else(|| now_s.saturating_sub(BACKDATE_S));
        let valid_before = self.valid_before.unwrap_or_else(|| now_s.saturating_add(self.valid_for));
        Authorization {
            from,
            to: self.to,
            value,
            valid_after: valid_after.to_string(),
            valid_before: valid_before.to_string(),
            nonce: self.nonce.unwrap_or_else(|| B256::from(random::<32>())),
        }
    }
}

pub(super) async fn run(
    globals: &Globals,
    output: Output,
    request: Request,
    arguments: Arguments,
) -> Result<Answer, Refusal> {
    let payment = arguments.payment();
    // A wrong amount is told before anyone is asked.
    let value = payment.units()?;
    let client = Client::connect(&Profile::find(globals, Caller::Gateway)?).await?;
    let wallet = client.wallet(request.wallet.as_str()).await?;
    let from = wallet.address.parse().or_invalid("the wallet has no address yet")?;
    let authorization = arguments.authorization(from, value, SystemClock.now() / 1000);
    output.note(&format!(
        "to ask for the same again: --valid-after {} --valid-before {} --nonce {}",
        authorization.valid_after, authorization.valid_before, authorization.nonce
    ));
    let payload = payment.payload(&authorization)?;
    if request.dry_run {
        return dry_run(&client, request, payload).await;
    }
    let wait = request.wait.then_some(output);
    match ask_and_wait(&client, order(output, request, payload)?, wait).await? {
        Outcome::Signed(signed) => {
            let x402 = json!({ "signature": signed.signature, "authorization": authorization });
            let words = format!("{}\n  x402 payload {x402}", signed.words());
            Answer::new(&json!({ "signed": signed, "x402_payload": x402 }), words)
        }
        Outcome::Denied(denied) => Ok(Answer::new(&denied, denied.words())?.code(DENIED)),
        Outcome::Waiting(held) => Ok(Answer::new(&held, held.words())?.code(WAITING)),
    }
}

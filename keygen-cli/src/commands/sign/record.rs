//! `quorate sign record-transaction`: the transaction that used an authorization, told to the audit log.

use clap::Args;
use quorate_intent::ChainId;
use quorate_proto::v1;
use quorate_types::{B256, WalletId};
use serde_json::json;

use crate::cli::Globals;
use crate::client::{Client, ORDINARY, refused, within};
use crate::output::Answer;
use crate::payload::amount;
use crate::profile::{Caller, Profile};
use crate::refusal::{OrRefuse, Refusal};
use crate::signing::ReceiptView;

/// A transaction, and the request whose signature is in it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The wallet that signed
    #[arg(long)]
    wallet: WalletId,
    /// The key it was asked for with
    #[arg(long, value_name = "KEY")]
    idempotency_key: String,
    /// The transaction's hash on its chain
    #[arg(long, value_name = "HASH")]
    transaction_hash: B256,
    /// Its chain, such as base-sepolia, or an EIP-155 chain id [default: the one the request moves money on]
    #[arg(long, value_parser = amount::chain)]
    chain: Option<ChainId>,
}

pub(super) async fn run(globals: &Globals, told: Arguments) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Gateway)?).await?;
    let request = v1::RecordTransactionRequest {
        wallet: told.wallet.to_string(),
        idempotency_key: told.idempotency_key.clone(),
        transaction_hash: told.transaction_hash.to_vec(),
        chain_id: told.chain,
    };
    let answer = client.signing().record_transaction(within(request, ORDINARY)).await.map_err(refused)?;
    let v1::RecordTransactionResponse { chain_id, receipt, .. } = answer.into_inner();
    let receipt = receipt.ok_or("no receipt").or_internal("the coordinator's answer")?;
    let receipt = ReceiptView::from(receipt);
    let words = format!(
        "{} is on record for {} of {}, in entry {} of the audit log.",
        told.transaction_hash, told.idempotency_key, told.wallet, receipt.sequence
    );
    let object = json!({
        "wallet": told.wallet,
        "idempotency_key": told.idempotency_key,
        "transaction_hash": told.transaction_hash,
        "chain_id": chain_id,
        "receipt": receipt,
    });
    Answer::new(&object, words)
}

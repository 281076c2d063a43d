//! Asking for a signature, and believing nothing the answer says that can be checked here.

use std::collections::HashMap;
use std::time::Duration;

use quorate_intent::{Decoded, decode};
use quorate_proto::v1::sign_batch_answer::Answer;
use quorate_proto::v1::sign_response::Outcome as Verdict;
use quorate_proto::v1::signing_event::State;
use quorate_proto::{agent_to_pb, payload_to_pb, v1};
use quorate_session::AgentRequest;
use quorate_types::{Address, Clock, Payload, SystemClock};
use serde::Serialize;

use crate::agent_word::{self, Word};
use crate::check;
use crate::client::{Client, ORDINARY, SESSION, from_failure, refused, within};
use crate::output::Output;
use crate::refusal::{Kind, OrRefuse, Refusal};
use crate::views::{DenialView, EvaluationView, WaitingView, WalletView, hex};

/// Before a stream that ended is opened again, and how often in a row that may fail.
const WATCH_PAUSE: Duration = Duration::from_secs(1);
const WATCH_FAILURES: u32 = 30;

/// What to have signed.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) wallet: String,
    pub(crate) payload: Payload,
    pub(crate) idempotency_key: String,
    pub(crate) metadata: HashMap<String, String>,
    /// Whose word it is.
    pub(crate) word: Word,
}

/// Where an entry stands in the audit log.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReceiptView {
    pub(crate) sequence: u64,
    pub(crate) hash: String,
}

/// The agent node's statement that its agent asked for this.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct IntentView {
    pub(crate) node: String,
    pub(crate) statement: String,
    pub(crate) signature: String,
}

/// A signature that was checked here.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignedView {
    pub(crate) wallet: String,
    pub(crate) signature: String,
    pub(crate) digest: String,
    /// Recovered here from the signature.
    pub(crate) signer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) signed_transaction: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) transaction_hash: String,
    pub(crate) summary: String,
    pub(crate) policy_hash: String,
    pub(crate) session_eid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intent: Option<IntentView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<ReceiptView>,
    pub(crate) idempotency_key: String,
    pub(crate) repeated_answer: bool,
}

/// A denial of a request.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DeniedView {
    pub(crate) wallet: String,
    pub(crate) denied: DenialView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<ReceiptView>,
    pub(crate) idempotency_key: String,
    pub(crate) repeated_answer: bool,
}

/// A request that waits for time or people.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HeldView {
    pub(crate) wallet: String,
    pub(crate) waiting: WaitingView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<ReceiptView>,
    pub(crate) idempotency_key: String,
}

impl HeldView {
    pub(crate) fn words(&self) -> String {
        self.waiting.words(&self.wallet, &self.idempotency_key)
    }
}

/// What the cluster decided.
pub(crate) enum Outcome {
    /// Two nodes signed.
    Signed(Box<SignedView>),
    /// Policy said no.
    Denied(DeniedView),
    /// Neither yet.
    Waiting(HeldView),
}

/// An order that was read here, and whose signature it must be.
struct Ready {
    order: Order,
    decoded: Decoded,
    wallet: WalletView,
    request: v1::SignRequest,
}

/// Asks for a signature. What cannot be read here is not even sent.
pub(crate) async fn ask(client: &Client, order: Order) -> Result<Outcome, Refusal> {
    let mut ready = ready(client, order).await?;
    let answer = client.signing().sign(within(std::mem::take(&mut ready.request), SESSION)).await;
    let response = answer.map_err(|status| explain(refused(status), &ready.order))?.into_inner();
    ready.outcome(response)
}

/// Asks, and where it waits for time or people, follows it and asks again once that is over. With `None` it does not wait.
pub(crate) async fn ask_and_wait(
    client: &Client,
    order: Order,
    wait: Option<Output>,
) -> Result<Outcome, Refusal> {
    loop {
        let outcome = ask(client, order.clone()).await?;
        match (outcome, wait) {
            (Outcome::Waiting(held), Some(output)) => {
                output.note(&held.words());
                until_asked_again(client, &order).await?;
                // Where that was wrong, nobody is asked without a pause.
                tokio::time::sleep(WATCH_PAUSE).await;
            }
            (outcome, _) => return Ok(outcome),
        }
    }
}

/// Follows a request until it is worth asking again. A stream that ends is opened again.
async fn until_asked_again(client: &Client, order: &Order) -> Result<(), Refusal> {
    let mut failures = 0_u32;
    loop {
        let request = v1::WatchSigningRequest {
            wallet: order.wallet.clone(),
            idempotency_key: order.idempotency_key.clone(),
        };
        let ended = async {
            let mut stream = client.signing().watch_signing(request).await?.into_inner();
            while let Some(event) = stream.message().await? {
                failures = 0;
                if !matches!(event.state(), State::Waiting | State::Running) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        match ended.await.map_err(refused) {
            Ok(true) => return Ok(()),
            Err(refusal) if refusal.kind != Kind::Unavailable || failures >= WATCH_FAILURES => {
                return Err(explain(refusal, order));
            }
            Ok(false) | Err(_) => failures = failures.saturating_add(1),
        }
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}

/// Asks what would be decided. Nothing is signed, reserved or written down.
pub(crate) async fn foretell(client: &Client, order: Order) -> Result<EvaluationView, Refusal> {
    let Ready { order, decoded, request, .. } = ready(client, order).await?;
    let evaluation = client.signing().evaluate(within(request, ORDINARY)).await.map_err(refused)?;
    EvaluationView::of(order.wallet, decoded.intent.summary(), evaluation.into_inner())
}

/// Asks for several at once. Each has its own outcome, in their order; where one cannot be read here, none is sent.
pub(crate) async fn ask_all(
    client: &Client,
    orders: Vec<Order>,
) -> Result<Vec<Result<Outcome, Refusal>>, Refusal> {
    let mut all = Vec::new();
    for order in orders {
        all.push(ready(client, order).await?);
    }
    let requests = all.iter_mut().map(|ready| std::mem::take(&mut ready.request)).collect();
    let answer = client.signing().sign_batch(within(v1::SignBatchRequest { requests }, SESSION)).await;
    let answers = answer.map_err(refused)?.into_inner().answers;
    if answers.len() != all.len() {
        return Err(Refusal::internal("the coordinator did not answer each request"));
    }
    let one = |(ready, answer): (Ready, v1::SignBatchAnswer)| match answer.answer {
        Some(Answer::Response(response)) => ready.outcome(response),
        Some(Answer::Failure(failure)) => Err(explain(from_failure(failure), &ready.order)),
        None => Err(Refusal::internal("the coordinator did not answer")),
    };
    Ok(all.into_iter().zip(answers).map(one).collect())
}

async fn ready(client: &Client, order: Order) -> Result<Ready, Refusal> {
    let decoded = decode(&order.payload).or_invalid("the payload cannot be signed")?;
    // Before anything is spent: whose signature it must be.
    let wallet = client.wallet(&order.wallet).await?;
    let request = v1::SignRequest {
        wallet: order.wallet.clone(),
        payload: Some(payload_to_pb(&order.payload)),
        idempotency_key: order.idempotency_key.clone(),
        metadata: order.metadata.clone(),
        agent: asked(client, &order)?,
    };
    Ok(Ready { order, decoded, wallet, request })
}

impl Ready {
    fn outcome(self, response: v1::SignResponse) -> Result<Outcome, Refusal> {
        let Self { order, decoded, wallet, .. } = self;
        let receipt = response
            .receipt
            .map(|receipt| ReceiptView { sequence: receipt.sequence, hash: hex(&receipt.hash) });
        let (idempotency_key, repeated_answer) = (order.idempotency_key, response.repeated_answer);
        match response.outcome {
            Some(Verdict::Signed(signed)) => {
                let view = checked(order.wallet, &decoded, signed)?;
                by_wallet(&view.signer, &wallet, &decoded)?;
                Ok(Outcome::Signed(Box::new(SignedView {
                    receipt,
                    idempotency_key,
                    repeated_answer,
                    ..view
                })))
            }
            Some(Verdict::Denied(denial)) => {
                let (wallet, denied) = (order.wallet, denial.into());
                Ok(Outcome::Denied(DeniedView { wallet, denied, receipt, idempotency_key, repeated_answer }))
            }
            Some(Verdict::Waiting(waiting)) => {
                let (wallet, waiting) = (order.wallet, waiting.into());
                Ok(Outcome::Waiting(HeldView { wallet, waiting, receipt, idempotency_key }))
            }
            None => Err(Refusal::internal("the coordinator's answer is neither a signature nor a denial")),
        }
    }
}

/// How long a request stays the agent's, in milliseconds: as long as anybody may wait for an answer, and try again.
const ASKED_FOR_MS: u64 = 600_000;

/// The agent's signature over the order.
fn asked(client: &Client, order: &Order) -> Result<Option<v1::AgentSignature>, Refusal> {
    let key = match &order.word {
        Word::Gateway => return Ok(None),
        Word::Socket(socket) => {
            let asked = (&order.payload, order.idempotency_key.as_str());
            return agent_word::ask(socket, &order.wallet, asked).map(Some);
        }
        Word::Key(key) => key,
    };
    let wallet = order.wallet.parse().or_invalid("--wallet")?;
    let request = AgentRequest {
        cluster: client.cluster_id()?,
        wallet: &wallet,
        payload_hash: order.payload.hash(),
        idempotency_key: &order.idempotency_key,
    };
    Ok(Some(agent_to_pb(&key.ask(&request, SystemClock.now() + ASKED_FOR_MS))))
}

/// A missing answer is not a missing signature: only the same key asks about the same spend.
fn explain(refusal: Refusal, order: &Order) -> Refusal {
    match refusal.kind.exit_code() {
        5 => refusal.next(format!(
            "ask again with the same payload and --idempotency-key {}: what was signed is not signed twice",
            order.idempotency_key
        )),
        _ => refusal,
    }
}

fn checked(wallet: String, decoded: &Decoded, signed: v1::Signed) -> Result<SignedView, Refusal> {
    let digest = decoded.digest.digest();
    if signed.digest != digest.as_slice() {
        return Err(Refusal::internal(
            "the coordinator's digest is not the payload's: the answer is not to be used",
        ));
    }
    let signer = check::recover(digest, &signed.signature)?;
    let transaction_hash = match signed.signed_transaction.as_slice() {
        [] => String::new(),
        raw => transaction_hash(raw, signer, decoded)?,
    };
    let intent = signed.intent.map(|intent| IntentView {
        node: intent.node,
        statement: hex(&intent.statement),
        signature: hex(&intent.signature),
    });
    Ok(SignedView {
        wallet,
        signature: hex(&signed.signature),
        digest: digest.to_string(),
        signer: signer.to_string(),
        signed_transaction: hex(&signed.signed_transaction),
        transaction_hash,
        // Our own words for our own decoding, whatever the answer says.
        summary: decoded.intent.summary(),
        policy_hash: hex(&signed.policy_hash),
        session_eid: hex(&signed.session_eid),
        intent,
        receipt: None,
        idempotency_key: String::new(),
        repeated_answer: false,
    })
}

/// By the wallet's key, and by whom the payload itself names, or it is worthless.
fn by_wallet(signer: &str, wallet: &WalletView, decoded: &Decoded) -> Result<(), Refusal> {
    if signer != wallet.address {
        let reason =
            format!("signed by {signer}, but the wallet is {}: do not use the answer", wallet.address);
        return Err(Refusal::internal(reason));
    }
    match decoded.intent.signer {
        Some(named) if named.to_string() != signer => Err(Refusal::internal(format!(
            "the payload names {named} as its signer: this signature is worthless"
        ))),
        _ => Ok(()),
    }
}

fn transaction_hash(raw: &[u8], signer: Address, decoded: &Decoded) -> Result<String, Refusal> {
    let transaction = check::signed_transaction(raw)?;
    if transaction.signer != signer || transaction.digest != decoded.digest.digest() {
        return Err(Refusal::internal(
            "the signed transaction is another one than was asked for: do not send it",
        ));
    }
    Ok(transaction.hash.to_string())
}

impl SignedView {
    pub(crate) fn words(&self) -> String {
        let receipt = self.receipt.as_ref().map(|receipt| format!("#{} {}", receipt.sequence, receipt.hash));
        let agent = self.intent.as_ref().map(|intent| intent.node.clone());
        let lines = [
            ("signature", Some(self.signature.clone())),
            ("digest", Some(self.digest.clone())),
            ("signer", Some(format!("{} (recovered here)", self.signer))),
            ("transaction", (!self.signed_transaction.is_empty()).then(|| self.signed_transaction.clone())),
            ("tx hash", (!self.transaction_hash.is_empty()).then(|| self.transaction_hash.clone())),
            ("policy", Some(self.policy_hash.clone())),
            ("asked by", agent),
            ("receipt", receipt),
            ("idempotency", Some(self.idempotency_key.clone())),
        ];
        let repeated = if self.repeated_answer { " (the answer given before)" } else { "" };
        let mut words = format!("SIGNED by {}: {}{repeated}", self.wallet, self.summary);
        for (name, value) in lines {
            if let Some(value) = value {
                words.push_str(&format!("\n  {name:<12} {value}"));
            }
        }
        words
    }
}

impl DeniedView {
    pub(crate) fn words(&self) -> String {
        let mut words = self.denied.words();
        if let Some(receipt) = &self.receipt {
            words.push_str(&format!("\n  receipt #{} {}", receipt.sequence, receipt.hash));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &str = "2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c";

    fn message() -> Decoded {
        decode(&Payload::Message(b"hello".as_slice().into())).unwrap()
    }

    #[test]
    fn an_answer_about_another_digest_is_not_passed_on() {
        let signed = v1::Signed {
            signature: hex::decode(SIGNATURE).unwrap(),
            digest: vec![7; 32],
            ..Default::default()
        };
        let refusal = checked("w".to_owned(), &message(), signed).unwrap_err();
        assert_eq!(refusal.kind.exit_code(), 70);
    }

    #[test]
    fn a_signature_by_another_key_than_the_wallets_is_not_passed_on() {
        let other = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";
        let address = "0x857b06519E91e3A54538791bDbb0E22373e36b66".to_owned();
        let wallet = WalletView::from(v1::Wallet { address: address.clone(), ..Default::default() });
        assert!(by_wallet(&address, &wallet, &message()).is_ok());
        assert!(by_wallet(other, &wallet, &message()).is_err());
    }

    #[test]
    fn a_signed_transaction_that_was_not_asked_for_is_not_passed_on() {
        let raw = hex::decode("f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83").unwrap();
        let signer = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F".parse().unwrap();
        assert!(transaction_hash(&raw, signer, &message()).is_err());
    }
}

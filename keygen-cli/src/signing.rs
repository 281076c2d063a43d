//! Asking for a signature, and believing nothing the answer says that can be checked here.

mod answer;

use std::collections::HashMap;
use std::time::Duration;

use quorate_intent::{Decoded, decode};
use quorate_proto::v1::sign_batch_answer::Answer;
use quorate_proto::v1::sign_response::Outcome as Verdict;
use quorate_proto::v1::signing_event::State;
use quorate_proto::{agent_to_pb, payload_to_pb, v1};
use quorate_session::AgentRequest;
use quorate_types::{Clock, Payload, SystemClock};

pub(crate) use answer::{DeniedView, HeldView, ReceiptView, SignedView};
use answer::{by_wallet, checked};

use crate::agent_word::{self, Word};
use crate::client::{Client, ORDINARY, SESSION, from_failure, refused, within};
use crate::output::Output;
use crate::refusal::{Kind, OrRefuse, Refusal};
use crate::views::{EvaluationView, WalletView};

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
        let receipt = response.receipt.map(ReceiptView::from);
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

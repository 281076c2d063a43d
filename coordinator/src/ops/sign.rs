//! A signature, from a request to an answer that will be the same for ever.
//!
//! Order matters. The spend is marked durably before any node hears of the request, and stays marked unless every node
//! says that nothing left it. A request whose end nobody knows may be asked again with the same key: it is judged anew
//! and run in a new session under the spend already held. The service node charges a payload once per hash, so the same
//! payload signed twice spends no more.

use std::sync::Arc;
use std::time::Duration;

use quorate_failpoint::Point;
use quorate_manifest::{Group, SignedDocument};
use quorate_policy::codes;
use quorate_proto::v1::relay_frame::Frame;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::v1::sign_response::Outcome as Answered;
use quorate_proto::{agent_to_pb, payload_to_pb, v1};
use quorate_types::{B256, Role};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::gate::{Admitted, Held, Request, Verdict};
use crate::ops::sign_online::sign_online;
use crate::ops::signed::checked;
use crate::records::WalletRecord;
use crate::session_run::{Ended, Plan, run};
use crate::signings::{Answer, Place};
use crate::why::{Why, why};
use crate::wire::{self, document_to_pb};

/// Who signs. The cold node has no part in it.
pub(crate) const SIGNERS: [Role; 2] = [Role::Agent, Role::Service];

/// Signs, or says why not. Of several requests under one key at once, one is worked on and all get its answer. A caller
/// who hangs up does not stop it.
pub(crate) async fn sign(core: &Arc<Coordinator>, caller: Caller, request: Request) -> Answer {
    match core.signings.join(&request)? {
        Place::Behind(waiting) => Ok(v1::SignResponse { repeated_answer: true, ..waiting.answer().await? }),
        Place::First(ticket, waiting) => {
            let work = core.clone();
            core.tasks.spawn(async move {
                let began = Instant::now();
                let (wallet, key) = (request.wallet.clone(), request.key.clone());
                let answer = pass_the_gate(&work, &caller, request).await;
                let (outcome, took) = (outcome(&answer), began.elapsed());
                tracing::info!(%wallet, %key, caller = %caller.0, outcome, took_ms = took.as_millis(), "sign");
                measure(outcome, took);
                work.signings.answer(ticket, answer);
            });
            waiting.answer().await
        }
    }
}

async fn pass_the_gate(core: &Arc<Coordinator>, caller: &Caller, request: Request) -> Answer {
    let at_hand = {
        let core = Arc::clone(core);
        move |wallet: &WalletRecord| core.seats(&core.group(&wallet.group)?, &SIGNERS).map(drop)
    };
    match core.gate.admit(caller, request, at_hand).await? {
        Verdict::Admitted(admitted) => {
            quorate_failpoint::pass(Point::CoordinatorReserved);
            ask_the_nodes(core, *admitted).await
        }
        Verdict::Denied(denied) => Ok(*denied),
        Verdict::Waiting(held) => {
            tell_the_service_node(core, &held);
            Ok(held.answer)
        }
        Verdict::Answered(answer) => repeat(&answer),
    }
}

/// A hold runs by the service node's own clock, from when it hears of it. A node that is away begins it when it is asked to
/// sign.
fn tell_the_service_node(core: &Coordinator, held: &Held) {
    let Ok(group) = core.group(&held.wallet.group) else { return };
    let Some(link) = core.nodes.link(&group.service).filter(|_| held.begins) else { return };
    if let Err(error) = link.offer(Frame::Hold(shown(&held.request, held.policy_hash, None))) {
        tracing::warn!(wallet = %held.request.wallet, ?error, "the service node was not told of a hold");
    }
}

async fn ask_the_nodes(core: &Coordinator, admitted: Admitted) -> Answer {
    let deadline = Instant::now() + core.deadlines.sign();
    let group = core.group(&admitted.case().wallet().group)?;
    let (_places, mut ended, mut path) = match asked(core, &admitted, &group, deadline).await {
        Ok(asked) => asked,
        Err(error) => {
            // Nobody was asked, but for a presignature that somebody did not hold.
            let nobody = SIGNERS.iter().map(|role| group.of(*role).clone()).collect();
            admitted.failed(core, &error, Some(nobody)).await?;
            return Err(error);
        }
    };
    if may_try_again(&ended, &group)
        && let Ok(again) = session(core, &admitted, &group, deadline).await
    {
        tracing::info!(wallet = %admitted.case().request().wallet, "the network failed, tried once more");
        (ended, path) = (again, Path::Session);
    }
    core.pools.nudge();
    metrics::counter!("quorate_sign_path_total", "path" => path.as_str()).increment(1);
    conclude(core, admitted, (ended, group), path).await
}

/// Asks them by the pool, or in a session of its own, and keeps their places meanwhile.
async fn asked(
    core: &Coordinator,
    admitted: &Admitted,
    group: &Group,
    deadline: Instant,
) -> Result<(Vec<OwnedSemaphorePermit>, Ended, Path), OpError> {
    // Whoever waits longer would be asked when there is no time left to answer, and what is asked stays spent.
    let patience = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
    let places = core.signing_places(group, &SIGNERS, patience).await?;
    match through_the_pool(core, admitted, group, deadline).await {
        Some(ended) => Ok((places, ended, Path::Presignature)),
        None => Ok((places, session(core, admitted, group, deadline).await?, Path::Session)),
    }
}

/// `None` where no presignature is at hand. A wallet that signs raw digests never has any: each digest must be fixed before
/// there is one, and the nodes refuse both to make and to use it.
async fn through_the_pool(
    core: &Coordinator,
    admitted: &Admitted,
    group: &Group,
    deadline: Instant,
) -> Option<Ended> {
    let case = admitted.case();
    if case.wallet().terms.raw_digest {
        return None;
    }
    core.demand.used(&case.request().wallet, &group.id, Instant::now());
    sign_online(core, admitted, group, deadline).await
}

/// The interactive protocol, where both nodes are there and there is room for one more session.
async fn session(
    core: &Coordinator,
    admitted: &Admitted,
    group: &Group,
    deadline: Instant,
) -> Result<Ended, OpError> {
    let convened = core.relay.convene(core.seats(group, &SIGNERS)?, None)?;
    let (protocol, decisive) = (Protocol::Sign(start(admitted)), Some(Role::Service.index()));
    Ok(run(convened, Plan { protocol, decisive, deadline }).await)
}

/// How a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// With a presignature from the pool.
    Presignature,
    /// In a session of its own.
    Session,
}

impl Path {
    /// Its name in the log and in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Presignature => "presignature",
            Self::Session => "session",
        }
    }
}

/// What the nodes are asked. It takes the proof that the request was admitted, and its spend is on record.
pub(crate) fn start(admitted: &Admitted) -> v1::StartSign {
    let case = admitted.case();
    shown(case.request(), case.policy_hash(), case.approval())
}

fn shown(request: &Request, policy_hash: B256, approval: Option<&SignedDocument>) -> v1::StartSign {
    v1::StartSign {
        wallet: request.wallet.to_string(),
        payload: Some(payload_to_pb(&request.payload)),
        policy_hash: policy_hash.to_vec(),
        idempotency_key: request.key.to_string(),
        agent: request.agent.as_ref().map(agent_to_pb),
        approval: approval.map(document_to_pb),
    }
}

/// Only where the network failed and nothing had left either node.
fn may_try_again(ended: &Ended, group: &Group) -> bool {
    !matches!(ended.outcome_of(&group.service), Some(Outcome::Signed(_)))
        && ended.nothing_released().is_some()
        && matches!(why(ended), Why::Failed { again: true, .. })
}

async fn conclude(
    core: &Coordinator,
    admitted: Admitted,
    (ended, group): (Ended, Group),
    path: Path,
) -> Answer {
    if let Some(Outcome::Signed(signed)) = ended.outcome_of(&group.service) {
        let pinned = core.pinned.load_full();
        return match checked(admitted.case(), signed, (&group, pinned.manifest())) {
            Ok(signed) => admitted.finish(core, signed, path).await,
            Err(error) => {
                admitted.failed(core, &error, None).await?;
                Err(error)
            }
        };
    }
    let nothing_released = ended.nothing_released();
    match why(&ended) {
        Why::Denied(node, denial) => {
            let denial = wire::denial_of(&node, denial);
            let on_hold = denial.failures.iter().all(|failure| failure.rule == codes::DELAY);
            let until = denial.failures.iter().filter_map(|failure| failure.resets_at_ms).max();
            let answer = admitted.denied(core, denial, nothing_released).await?;
            // Its clock is its own: a hold that is over here may not be over there.
            Ok(match until.filter(|_| on_hold) {
                Some(until) => wire::wait_instead(answer, until),
                None => answer,
            })
        }
        Why::Failed { error, .. } => {
            admitted.failed(core, &error, nothing_released).await?;
            Err(error)
        }
    }
}

/// An answer given before.
pub(crate) fn repeat(answer: &[u8]) -> Answer {
    let answer: v1::SignResponse =
        prost::Message::decode(answer).map_err(|_| OpError::defect("a recorded answer cannot be read"))?;
    Ok(v1::SignResponse { repeated_answer: true, ..answer })
}

fn outcome(answer: &Answer) -> &'static str {
    match answer {
        Ok(answer) => match &answer.outcome {
            Some(Answered::Signed(_)) if answer.repeated_answer => "repeated",
            Some(Answered::Signed(_)) => "signed",
            Some(Answered::Waiting(_)) => "waiting",
            Some(Answered::Denied(_)) | None => "denied",
        },
        Err(error) => error.kind(),
    }
}

fn measure(outcome: &'static str, took: Duration) {
    metrics::counter!("quorate_sign_total", "outcome" => outcome).increment(1);
    metrics::histogram!("quorate_sign_seconds", "outcome" => outcome).record(took.as_secs_f64());
}

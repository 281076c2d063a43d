//! A signature with a presignature both nodes hold: one question to the agent node, one to the service node.
//!
//! The agent node's answer alone signs nothing, and this coordinator is who has it: until the service node is asked,
//! nothing can come of it. So it is the service node's word that says whether the spend may be given back.

use quorate_failpoint::Point;
use quorate_manifest::Group;
use quorate_proto::v1;
use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_types::{B256, Role};
use tokio::time::Instant;

use crate::coordinator::Coordinator;
use crate::gate::Admitted;
use crate::ops::sign::start;
use crate::relay::Heard;
use crate::session_run::{Ended, ask};

/// Presignatures tried for one request before it gets a session of its own: more than one the nodes do not agree on is
/// no accident.
const TRIES: usize = 2;

/// Signs with a presignature, where there is one. `None` where there is none that both nodes know: nothing was signed,
/// nothing will be, and the interactive protocol is to be run.
pub(crate) async fn sign_online(
    core: &Coordinator,
    admitted: &Admitted,
    group: &Group,
    deadline: Instant,
) -> Option<Ended> {
    for _ in 0..TRIES {
        let wallet = &admitted.case().request().wallet;
        let id = core.pools.take(wallet, group)?;
        let ended = both(core, admitted, (group, id), deadline).await;
        if core.pools.ended(group, is_at_fault(&ended), Instant::now()) {
            metrics::counter!("quorate_pairs_quarantined_total").increment(1);
            tracing::error!(group = %group.id, "this pair's presignatures are left alone: one of its nodes is at fault");
        }
        if !is_unknown(&ended) {
            return Some(ended);
        }
        metrics::counter!("quorate_presignatures_unknown_total").increment(1);
        tracing::warn!(%wallet, presignature = %id, "a node does not know a presignature it reported");
    }
    None
}

async fn both(
    core: &Coordinator,
    admitted: &Admitted,
    (group, id): (&Group, B256),
    deadline: Instant,
) -> Ended {
    let question = |contribution: Vec<u8>| {
        let (presignature, request) = (id.to_vec(), Some(start(admitted)));
        Protocol::Online(v1::StartOnline { presignature, request, contribution })
    };
    let agent = one(core, (group, Role::Agent), question(Vec::new()), deadline).await;
    let contribution = match &agent.outcome {
        Some(Outcome::Contributed(sealed)) => Some(sealed.clone()),
        _ => None,
    };
    // Only the service node's answer can hold a signature.
    let asked = contribution.is_some();
    if asked {
        quorate_failpoint::pass(Point::CoordinatorContributed);
    }
    let service = match contribution {
        Some(sealed) => one(core, (group, Role::Service), question(sealed), deadline).await,
        None => Heard::default(),
    };
    let waiting = |role: Role, heard: &Heard, asked: bool| {
        (asked && heard.outcome.is_none() && heard.lost.is_none()).then(|| group.of(role).clone())
    };
    let waited_for = [waiting(Role::Agent, &agent, true), waiting(Role::Service, &service, asked)];
    let heard = vec![(group.of(Role::Agent).clone(), agent), (group.of(Role::Service).clone(), service)];
    Ended { heard, opened: asked, waited_for: waited_for.into_iter().flatten().collect() }
}

async fn one(
    core: &Coordinator,
    (group, role): (&Group, Role),
    protocol: Protocol,
    deadline: Instant,
) -> Heard {
    let lost = || Heard { lost: Some(crate::relay::Lost::Detached), ..Heard::default() };
    let Ok(seats) = core.seats(group, &[role]) else { return lost() };
    match core.relay.convene(seats, None) {
        Ok(convened) => ask(convened, protocol, deadline).await,
        Err(_) => lost(),
    }
}

/// Whether a node made what no honest one makes.
fn is_at_fault(ended: &Ended) -> bool {
    ended.heard.iter().any(|(_, heard)| match &heard.outcome {
        Some(Outcome::Failed(failure)) => failure.fault() == Fault::Peer,
        _ => false,
    })
}

/// Whether a node does not hold the presignature, and said that nothing had left it.
fn is_unknown(ended: &Ended) -> bool {
    ended.heard.iter().any(|(_, heard)| match &heard.outcome {
        Some(Outcome::Failed(failure)) => {
            failure.fault() == Fault::Caller && failure.field == "presignature" && !failure.released
        }
        _ => false,
    })
}

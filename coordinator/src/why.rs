//! Why a session failed: the nodes' last words, weighed. The most telling one is what the caller hears.

use quorate_proto::v1;
use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_types::NodeId;

use crate::error::{Internal, OpError, names};
use crate::link::quoted;
use crate::relay::Lost;
use crate::session_run::Ended;

/// Why a session did not succeed.
#[derive(Debug)]
pub(crate) enum Why {
    /// A node's own policy says no.
    Denied(NodeId, v1::Denial),
    /// Something failed. `again`: of a kind that a new session may well not meet.
    Failed { error: OpError, again: bool },
}

impl Why {
    /// As an error, for sessions in which a denial is no answer.
    pub(crate) fn into_error(self) -> OpError {
        match self {
            Self::Denied(node, _) => {
                let reason = format!("node {node} denies it, where nothing is there to be denied");
                OpError::PeerFault { reason, nodes: vec![node] }
            }
            Self::Failed { error, .. } => error,
        }
    }
}

/// Weighs a session that did not succeed. A denial comes first; then what blames a node, a defect, the request; then
/// who was lost or waited for; a failed network last, since every other failure shows to some node as one.
pub(crate) fn why(ended: &Ended) -> Why {
    for (node, heard) in &ended.heard {
        if let Some(Outcome::Denied(denial)) = &heard.outcome {
            return Why::Denied(node.clone(), denial.clone());
        }
    }
    for fault in [Fault::Peer, Fault::Bug, Fault::Caller] {
        if let Some((node, failure)) = failures(ended).find(|(_, failure)| failure.fault() == fault) {
            return Why::Failed { error: blame(ended, node, failure), again: false };
        }
    }
    if let Some((node, lost)) = ended.lost().next() {
        return Why::Failed { error: gone(node, lost), again: false };
    }
    if !ended.waited_for.is_empty() {
        let reason = format!("the deadline passed waiting for {}", names(&ended.waited_for));
        let error = OpError::Timeout { reason, nodes: ended.waited_for.clone() };
        return Why::Failed { error, again: false };
    }
    // Being told to stop is no reason: it is for somebody else's.
    let first = failures(ended).find(|(node, _)| !ended.was_stopped(node));
    match first.or_else(|| failures(ended).next()) {
        Some((node, failure)) => Why::Failed { error: blame(ended, node, failure), again: true },
        None => Why::Failed { error: OpError::defect("a session failed without a reason"), again: false },
    }
}

fn failures(ended: &Ended) -> impl Iterator<Item = (&NodeId, &v1::SessionFailure)> {
    ended.heard.iter().filter_map(|(node, heard)| match &heard.outcome {
        Some(Outcome::Failed(failure)) => Some((node, failure)),
        _ => None,
    })
}

/// A node's words are repeated with its name: they are its claim.
fn blame(ended: &Ended, node: &NodeId, failure: &v1::SessionFailure) -> OpError {
    let reason = format!("node {node}: {}", quoted(&failure.reason));
    // Itself, where it names nobody of this session.
    let named = |name: &str| {
        let other = ended.heard.iter().map(|(other, _)| other).find(|other| other.as_str() == name);
        vec![other.unwrap_or(node).clone()]
    };
    match failure.fault() {
        Fault::Caller => OpError::invalid(quoted(&failure.field), reason),
        Fault::Peer => OpError::PeerFault { reason, nodes: named(&failure.blamed) },
        Fault::Bug => Internal::NodeDefect { node: node.clone(), reason }.into(),
        Fault::Network | Fault::Unspecified => {
            OpError::Unavailable { reason, nodes: named(&failure.waited_for) }
        }
    }
}

fn gone(node: &NodeId, lost: Lost) -> OpError {
    let nodes = vec![node.clone()];
    match lost {
        Lost::Detached => {
            OpError::Unavailable { reason: format!("node {node} detached during the session"), nodes }
        }
        Lost::Slow => OpError::Unavailable { reason: format!("node {node} does not keep up"), nodes },
        Lost::Broke(what) => OpError::PeerFault { reason: format!("node {node} sent {what}"), nodes },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Heard;

    fn failure(fault: Fault, released: bool) -> Outcome {
        let (blamed, field) = ("service-1".to_owned(), "payload".to_owned());
        let (fault, reason) = (fault.into(), "because".to_owned());
        Outcome::Failed(v1::SessionFailure { fault, blamed, field, reason, released, ..Default::default() })
    }

    fn ended(agent: Option<Outcome>, service: Option<Outcome>) -> Ended {
        let heard = |outcome: Option<Outcome>| Heard {
            lost: outcome.is_none().then_some(Lost::Detached),
            outcome,
            ..Heard::default()
        };
        Ended {
            heard: vec![
                ("agent-1".parse().unwrap(), heard(agent)),
                ("service-1".parse().unwrap(), heard(service)),
            ],
            opened: true,
            waited_for: vec![],
        }
    }

    fn error(ended: &Ended) -> (OpError, bool) {
        match why(ended) {
            Why::Failed { error, again } => (error, again),
            Why::Denied(..) => panic!("denied"),
        }
    }

    #[test]
    fn the_most_telling_word_wins() {
        let network = || Some(failure(Fault::Network, false));
        let denial = || Some(Outcome::Denied(v1::Denial::default()));
        assert!(
            matches!(why(&ended(network(), denial())), Why::Denied(node, _) if node.as_str() == "service-1")
        );
        let peer = error(&ended(network(), Some(failure(Fault::Peer, true))));
        assert!(
            matches!(peer, (OpError::PeerFault { nodes, .. }, false) if nodes[0].as_str() == "service-1")
        );
        let caller = error(&ended(Some(failure(Fault::Caller, false)), network()));
        assert!(matches!(caller, (OpError::Invalid { field, .. }, false) if field == "payload"));
        let bug = error(&ended(network(), Some(failure(Fault::Bug, false))));
        assert!(matches!(bug, (OpError::Internal(_), false)));
        let lost = error(&ended(None, network()));
        assert!(
            matches!(lost, (OpError::Unavailable { nodes, .. }, false) if nodes[0].as_str() == "agent-1")
        );
        let (error, again) = error(&ended(network(), network()));
        assert!(
            matches!(error, OpError::Unavailable { .. }) && again,
            "only a network failure is tried again"
        );
    }

    #[test]
    fn who_was_told_to_stop_is_not_the_reason() {
        let mut both = ended(Some(failure(Fault::Network, false)), Some(failure(Fault::Network, false)));
        both.heard[0].1.stopped = true;
        let (error, again) = error(&both);
        assert!(matches!(error, OpError::Unavailable { nodes, .. } if nodes[0].as_str() == "service-1"));
        assert!(again);
    }

    #[test]
    fn of_a_session_that_ran_out_of_time_the_awaited_node_is_named() {
        let waiting = |waited_for: &str| {
            let (fault, waited_for) = (Fault::Network.into(), waited_for.to_owned());
            Some(Outcome::Failed(v1::SessionFailure { fault, waited_for, ..Default::default() }))
        };
        for (waited_for, named) in [("agent-1", "agent-1"), ("", "service-1"), ("stranger", "service-1")] {
            let mut both = ended(Some(failure(Fault::Network, false)), waiting(waited_for));
            both.heard[0].1.stopped = true;
            let (error, again) = error(&both);
            assert!(matches!(error, OpError::Unavailable { nodes, .. } if nodes[0].as_str() == named));
            assert!(again);
        }
    }

    #[test]
    fn nothing_is_released_only_where_every_node_says_so() {
        let no = || Some(failure(Fault::Network, false));
        let denial = Some(Outcome::Denied(v1::Denial::default()));
        assert_eq!(ended(no(), denial.clone()).nothing_released().map(|nodes| nodes.len()), Some(2));
        for other in [None, Some(failure(Fault::Network, true)), Some(Outcome::Released(true))] {
            assert_eq!(ended(other.clone(), denial.clone()).nothing_released(), None, "{other:?}");
            assert_eq!(ended(no(), other.clone()).nothing_released(), None, "{other:?}");
        }
        let mut unopened = ended(None, no());
        unopened.opened = false;
        assert!(unopened.nothing_released().is_some(), "without opens no node can have made anything");
    }
}

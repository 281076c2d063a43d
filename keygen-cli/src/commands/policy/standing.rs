//! The policy in force, and the one that waits to take its place, in words.

use quorate_proto::v1;
use serde::Serialize;

use crate::views::hex;

/// A policy in force.
#[derive(Debug, Serialize)]
pub(crate) struct InForce {
    pub(crate) wallet: String,
    /// 0 where there is none.
    pub(crate) version: u64,
    pub(crate) hash: String,
    pub(crate) nodes: Vec<String>,
    pub(crate) body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<Waiting>,
}

/// A policy that waits.
#[derive(Debug, Serialize)]
pub(crate) struct Waiting {
    version: u64,
    hash: String,
    until_ms: u64,
    loosens: Vec<String>,
    nodes: Vec<String>,
    cancelled: bool,
}

impl From<v1::PolicyInForce> for InForce {
    fn from(policy: v1::PolicyInForce) -> Self {
        let body = policy.document.map(|document| document.body).unwrap_or_default();
        Self {
            wallet: policy.wallet,
            version: policy.version,
            hash: hex(&policy.hash),
            nodes: policy.nodes,
            body: String::from_utf8_lossy(&body).into_owned(),
            waiting: policy.waiting.map(|waiting| Waiting {
                version: waiting.version,
                hash: hex(&waiting.hash),
                until_ms: waiting.until_ms,
                loosens: waiting.loosens,
                nodes: waiting.nodes,
                cancelled: waiting.cancelled,
            }),
        }
    }
}

impl InForce {
    pub(super) fn words(&self) -> String {
        let mut words = match self.version {
            0 => format!("No policy of {} is in force: everything is denied\n", self.wallet),
            version => format!(
                "Policy version {version} of {} is in force, {}\non: {}\n",
                self.wallet,
                self.hash,
                self.nodes.join(", ")
            ),
        };
        if let Some(waiting) = &self.waiting {
            words.push_str(&waiting.words());
        }
        words
    }
}

impl Waiting {
    pub(super) fn words(&self) -> String {
        let Self { version, hash, until_ms, loosens, nodes, cancelled } = self;
        let loosens = loosens.join(", ");
        if *cancelled {
            return format!(
                "Version {version} waited, {hash}, and never comes into force: a freeze order came meanwhile; sign a higher \
                 version\n"
            );
        }
        let nodes = if nodes.is_empty() { "no node yet".to_owned() } else { nodes.join(", ") };
        format!(
            "Version {version} waits, {hash}\nit may allow something new: {loosens}\nin force from {}; noted by {nodes}\nA \
             freeze order for this wallet cancels it, and a tighter version takes its place at once\n",
            instant(*until_ms)
        )
    }
}

/// A moment as people read it.
pub(crate) fn instant(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| format!("{at_ms} ms"), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_is_told_in_words() {
        let waiting = v1::PolicyWaiting {
            version: 2,
            hash: vec![0xab],
            until_ms: 1_700_000_000_000,
            loosens: vec!["recipients".to_owned(), "chains".to_owned()],
            nodes: vec!["agent-1".to_owned()],
            ..Default::default()
        };
        let told = |version, waiting: &v1::PolicyWaiting| {
            let waiting = Some(waiting.clone());
            InForce::from(v1::PolicyInForce {
                wallet: "w".to_owned(),
                version,
                waiting,
                ..Default::default()
            })
            .words()
        };
        let words = told(1, &waiting);
        assert!(words.starts_with("Policy version 1 of w is in force"), "{words}");
        assert!(
            words.contains("Version 2 waits, 0xab\nit may allow something new: recipients, chains"),
            "{words}"
        );
        assert!(words.contains("in force from 2023-11-14T22:13:20Z; noted by agent-1"), "{words}");
        assert!(told(0, &waiting).starts_with("No policy of w is in force: everything is denied"));
        let cancelled = v1::PolicyWaiting { cancelled: true, ..waiting };
        assert!(told(1, &cancelled).contains("never comes into force: a freeze order came"));
    }
}

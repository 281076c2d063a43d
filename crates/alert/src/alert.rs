//! What is told.

use quorate_types::{ClusterId, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

/// The version of an alert's JSON.
const FORMAT: &str = "quorate/alert/v1";

/// Something people asked to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The same however often it is sent: what it is told apart by.
    pub id: String,
    /// What sort of thing happened.
    pub kind: Kind,
    /// Whose it is.
    pub cluster: ClusterId,
    /// Who tells it.
    pub coordinator: String,
    /// When it happened, in Unix milliseconds.
    pub at_ms: UnixMillis,
    /// Where the coordinator's audit log has it.
    pub sequence: u64,
    /// The wallet it happened to, where there is one.
    pub wallet: Option<WalletId>,
    /// In words, on one line.
    pub text: String,
    /// The rules that said no, where any did.
    pub rules: Vec<Rule>,
    /// How many more of the kind there were for this wallet, and were not told each.
    pub suppressed: u64,
    /// The request it is about, where each is to be told: told apart by it, and never sent.
    #[serde(skip)]
    pub request: Option<String>,
}

/// A rule that said no, with its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its code.
    pub rule: String,
    /// What it would allow.
    pub limit: String,
    /// What counts against the limit already.
    pub used: String,
    /// What was asked.
    pub requested: String,
    /// When the same request would pass, in Unix milliseconds, where anybody can say.
    pub resets_at_ms: Option<UnixMillis>,
}

/// The sorts of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request was denied by a limit on amounts: of a transaction, over time, or of fees.
    Limit,
    /// A request was denied by a limit on the number of signatures.
    Velocity,
    /// A request was denied by another rule.
    Denied,
    /// A freeze order was obeyed, or lifted, or a wallet retired.
    Freeze,
    /// A request was stopped by a freeze order.
    Frozen,
    /// A node has not been attached for a while.
    NodeUnavailable,
    /// It is back.
    NodeBack,
    /// A node found that its data directory was put back to an older state.
    Rollback,
    /// A request waits for approvers.
    ApprovalWaiting,
    /// A request is on hold, and can be stopped until it is over.
    Hold,
    /// A request was signed of which policy says that people are told.
    Signed,
    /// A policy that loosens the one in force waits, and can still be stopped.
    PolicyWaiting,
    /// The spend of an authorization that operators say ended unused comes back, or waits to and can still be stopped.
    Lapse,
    /// A manifest is in force: who the operators are may have changed.
    Manifest,
}

impl Kind {
    /// Its name in configurations, messages and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Velocity => "velocity",
            Self::Denied => "denied",
            Self::Freeze => "freeze",
            Self::Frozen => "frozen",
            Self::NodeUnavailable => "node_unavailable",
            Self::NodeBack => "node_back",
            Self::Rollback => "rollback",
            Self::ApprovalWaiting => "approval_waiting",
            Self::Hold => "hold",
            Self::Signed => "signed",
            Self::PolicyWaiting => "policy_waiting",
            Self::Lapse => "lapse",
            Self::Manifest => "manifest",
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    format: &'static str,
    #[serde(flatten)]
    alert: &'a Alert,
}

impl Alert {
    /// As JSON, for programs.
    ///
    /// # Errors
    /// None that is known: what it holds can be written as JSON.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Body { format: FORMAT, alert: self })
    }

    /// One line that says whose it is and what it is about.
    pub fn subject(&self) -> String {
        let wallet = self.wallet.as_ref().map(|wallet| format!(" {wallet}")).unwrap_or_default();
        format!("[quorate {}] {}{wallet}", self.cluster, self.kind.as_str())
    }

    /// For people.
    pub fn words(&self) -> String {
        let mut words = format!("{}\n", self.text);
        for rule in &self.rules {
            words.push_str(&format!("\n  {}", rule.rule));
            let numbers = [("limit", &rule.limit), ("used", &rule.used), ("requested", &rule.requested)];
            for (name, text) in numbers.into_iter().filter(|(_, text)| !text.is_empty()) {
                words.push_str(&format!("\n    {name:<9}  {text}"));
            }
        }
        if self.suppressed > 0 {
            words.push_str(&format!("\n  and {} more like it, not told each", self.suppressed));
        }
        words.push_str(&format!(
            "\n\ncluster      {}\ncoordinator  {}\naudit entry  {}\nid           {}\n",
            self.cluster, self.coordinator, self.sequence, self.id
        ));
        words
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn alert() -> Alert {
        Alert {
            id: "dev/coordinator-1/7".to_owned(),
            kind: Kind::Velocity,
            cluster: "dev".parse().unwrap(),
            coordinator: "coordinator-1".to_owned(),
            at_ms: 1_800_000_000_000,
            sequence: 7,
            wallet: Some("shopper".parse().unwrap()),
            text: "shopper was denied a signature".to_owned(),
            rules: vec![Rule {
                rule: "velocity".to_owned(),
                limit: "100 signatures in any 3600 s".to_owned(),
                used: "100 signatures".to_owned(),
                requested: "1 signature".to_owned(),
                resets_at_ms: Some(1_800_000_060_000),
            }],
            suppressed: 3,
            request: None,
        }
    }

    #[test]
    fn every_kind_has_one_name_in_files_and_messages() {
        let kinds = [
            Kind::Limit,
            Kind::Velocity,
            Kind::Denied,
            Kind::Freeze,
            Kind::Frozen,
            Kind::NodeUnavailable,
            Kind::NodeBack,
            Kind::Rollback,
            Kind::ApprovalWaiting,
            Kind::Hold,
            Kind::Signed,
            Kind::PolicyWaiting,
            Kind::Lapse,
            Kind::Manifest,
        ];
        for kind in kinds {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn it_says_the_numbers_and_what_was_not_told() {
        let alert = alert();
        assert_eq!(alert.subject(), "[quorate dev] velocity shopper");
        let words = alert.words();
        assert!(words.contains("\n    used       100 signatures"), "{words}");
        assert!(words.contains("and 3 more like it"), "{words}");
        let json: serde_json::Value = serde_json::from_str(&alert.json().unwrap()).unwrap();
        assert_eq!(json["format"], "quorate/alert/v1");
        assert_eq!(json["rules"][0]["resets_at_ms"], 1_800_000_060_000_u64);
        assert_eq!(serde_json::from_value::<Alert>(json).unwrap(), alert, "what is not known is left out");
    }
}

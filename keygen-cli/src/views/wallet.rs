//! Wallets.

use quorate_proto::v1;
use quorate_session::WalletTerms;
use quorate_types::{Clock, SystemClock, UnixMillis};
use serde::Serialize;

use super::hex;
use crate::output::table;
use crate::refusal::{OrRefuse, Refusal};

/// A wallet.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WalletView {
    pub(crate) wallet: String,
    pub(crate) agent: String,
    /// 64 hex digits; empty where the gateway's word is taken.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) agent_key: String,
    /// Seconds; none where loosening its policy takes neither time nor a second operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) loosening_delay_s: Option<u32>,
    /// Whether it signs raw digests, and nothing else.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) raw_digest: bool,
    pub(crate) group: String,
    pub(crate) state: &'static str,
    pub(crate) address: String,
    pub(crate) public_key: String,
    pub(crate) epoch: u32,
    pub(crate) created_at_ms: UnixMillis,
    pub(crate) policy_version: u64,
    pub(crate) policy_hash: String,
    pub(crate) attested_by: Vec<String>,
    /// When a drill's certificate says that two of its shares can sign; 0 where none is on record.
    pub(crate) drilled_at_ms: UnixMillis,
    /// Whether the attestations were verified here.
    pub(crate) attestations_checked: bool,
}

impl From<v1::Wallet> for WalletView {
    fn from(wallet: v1::Wallet) -> Self {
        let state = match wallet.state() {
            v1::wallet::State::Active => "active",
            v1::wallet::State::Creating => "creating",
            v1::wallet::State::Unspecified => "unknown",
        };
        Self {
            state,
            public_key: hex(&wallet.public_key),
            policy_hash: hex(&wallet.policy_hash),
            attested_by: wallet.attestations.into_iter().map(|attestation| attestation.node).collect(),
            attestations_checked: false,
            wallet: wallet.wallet,
            agent: wallet.agent,
            agent_key: ::hex::encode(&wallet.agent_key),
            loosening_delay_s: wallet.loosening_delay_s,
            raw_digest: wallet.raw_digest,
            group: wallet.group,
            address: wallet.address,
            epoch: wallet.epoch,
            created_at_ms: wallet.created_at_ms,
            policy_version: wallet.policy_version,
            drilled_at_ms: wallet.drilled_at_ms,
        }
    }
}

impl WalletView {
    /// What it was created with.
    pub(crate) fn terms(&self) -> Result<WalletTerms, Refusal> {
        let agent_key = match self.agent_key.as_str() {
            "" => None,
            key => Some(key.parse().or_invalid("the coordinator's answer")?),
        };
        let Self { loosening_delay_s, raw_digest, .. } = *self;
        Ok(WalletTerms { agent_key, loosening_delay_s, raw_digest })
    }

    pub(crate) fn words(&self) -> String {
        let policy = match self.policy_version {
            0 => "none: everything is denied".to_owned(),
            version => format!("version {version}, {}", self.policy_hash),
        };
        let checked = match (self.attested_by.is_empty(), self.attestations_checked) {
            (true, _) => "",
            (false, true) => " (checked here)",
            (false, false) => " (not checked: the profile names no manifest)",
        };
        let asks = match self.agent_key.as_str() {
            "" => "the gateway, in the agent's name".to_owned(),
            key => format!("only the agent itself, with {key}"),
        };
        let loosening = match self.loosening_delay_s {
            None => "at once".to_owned(),
            Some(seconds) => format!("a second operator, and {seconds} s"),
        };
        let signs = if self.raw_digest { "raw digests, which nobody can read, and nothing else" } else { "" };
        let lines = [
            ("wallet", self.wallet.clone()),
            ("agent", self.agent.clone()),
            ("asks", asks),
            ("signs", signs.to_owned()),
            ("group", self.group.clone()),
            ("state", self.state.to_owned()),
            ("address", self.address.clone()),
            ("public key", self.public_key.clone()),
            ("policy", policy),
            ("loosening", loosening),
            ("last drill", last_drill(self.drilled_at_ms, SystemClock.now())),
            ("attested by", format!("{}{checked}", self.attested_by.join(", "))),
        ];
        // Of an ordinary wallet there is nothing to say about what it signs.
        let told = lines.iter().filter(|(name, value)| *name != "signs" || !value.is_empty());
        let lines: Vec<_> =
            told.map(|(name, value)| format!("{name:<12} {value}").trim_end().to_owned()).collect();
        lines.join("\n")
    }

    pub(crate) fn table(wallets: &[Self]) -> String {
        let rows: Vec<_> = wallets
            .iter()
            .map(|wallet| {
                let policy = match wallet.policy_version {
                    0 => "none".to_owned(),
                    version => format!("v{version}"),
                };
                vec![
                    wallet.wallet.clone(),
                    wallet.agent.clone(),
                    wallet.group.clone(),
                    wallet.state.to_owned(),
                    policy,
                    wallet.address.clone(),
                ]
            })
            .collect();
        table(&["WALLET", "AGENT", "GROUP", "STATE", "POLICY", "ADDRESS"], &rows)
    }
}

/// How long ago, in the largest unit that says it.
fn last_drill(at: UnixMillis, now: UnixMillis) -> String {
    const HOUR: UnixMillis = 60 * 60 * 1_000;
    match (at, now.saturating_sub(at) / HOUR) {
        (0, _) => "none on record".to_owned(),
        (_, hours @ ..48) => format!("{hours} hours ago"),
        (_, hours) => format!("{} days ago", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_drill_is_told_as_people_say_it() {
        let day = 24 * 60 * 60 * 1_000;
        for (ago, words) in
            [(0, "0 hours ago"), (day, "24 hours ago"), (2 * day, "2 days ago"), (70 * day, "70 days ago")]
        {
            assert_eq!(last_drill(1_800_000_000_000 - ago, 1_800_000_000_000), words);
        }
        assert_eq!(last_drill(0, 1_800_000_000_000), "none on record");
    }

    #[test]
    fn a_wallet_without_a_policy_says_that_everything_is_denied() {
        let view = WalletView::from(v1::Wallet { wallet: "w".to_owned(), ..Default::default() });
        assert!(view.words().contains("policy       none: everything is denied"), "{}", view.words());
    }
}

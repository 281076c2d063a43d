//! The demo's policy.

use crate::dev::layout::CLUSTER;

/// Who may be paid: the payee of the x402 specification's examples.
pub(super) const RECIPIENT: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

/// Nobody the policy knows.
pub(super) const STRANGER: &str = "0x000000000000000000000000000000000000dEaD";

/// Most USDC per payment.
pub(super) const CAP: &str = "25.00";

/// Most USDC in a day.
const BUDGET: &str = "100.00";

/// A policy of one chain, one asset, one recipient.
pub(super) fn text(wallet: &str, agent: &str) -> String {
    format!(
        "# What the wallet of agent {agent} may sign. Everything else is denied.\n\
         policy: quorate/v1\n\
         cluster: {CLUSTER}\n\
         wallet: {wallet}\n\
         version: 1\n\
         rules:\n\
         \x20 chains: [base-sepolia]\n\
         \x20 per_transaction:\n\
         \x20   - {{asset: USDC, chain: base-sepolia, max: \"{CAP}\"}}\n\
         \x20 cumulative:\n\
         \x20   - {{asset: USDC, chain: base-sepolia, max: \"{BUDGET}\", window: {{rolling_s: 86400}}}}\n\
         \x20 max_fee:\n\
         \x20   - {{chain: base-sepolia, max: \"0.002\"}}\n\
         \x20 recipients:\n\
         \x20   - {{address: \"{RECIPIENT}\", label: api.example.com, chains: [base-sepolia]}}\n\
         \x20 max_authorization_lifetime_s: 3600\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_policy::{Severity, lint};

    #[test]
    fn has_nothing_to_complain_about() {
        let findings = lint(text("shopper-1", "shopper").as_bytes());
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

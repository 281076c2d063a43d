//! Merchants and their categories.

use super::few;
use crate::Merchants;
use crate::draft::MerchantsDraft;
use crate::finding::Findings;
use crate::merchant::is_host;

const MAX_LINES: usize = 256;
const MAX_CATEGORY: usize = 64;

/// Hosts that may be named, and categories that must not.
pub(super) fn merchants(draft: &MerchantsDraft, findings: &mut Findings) -> Merchants {
    let mut read = Merchants::default();
    if few("rules.merchants.domains", draft.domains.len(), MAX_LINES, findings) {
        for (at, domain) in draft.domains.iter().enumerate() {
            if is_host(domain.strip_prefix("*.").unwrap_or(domain)) {
                read.domains.push(domain.clone());
            } else {
                let expected = "expected a host in small letters, with *. before it for all below it";
                findings.error(format!("rules.merchants.domains[{at}]"), expected);
            }
        }
    }
    if few("rules.merchants.blocked_categories", draft.blocked_categories.len(), MAX_LINES, findings) {
        for (at, category) in draft.blocked_categories.iter().enumerate() {
            let plain = !category.is_empty()
                && category.len() <= MAX_CATEGORY
                && category.bytes().all(|b| (b' '..=b'~').contains(&b) && !b.is_ascii_uppercase());
            if plain {
                read.blocked_categories.push(category.clone());
            } else {
                let expected = "expected 1 to 64 printable characters without capitals";
                findings.error(format!("rules.merchants.blocked_categories[{at}]"), expected);
            }
        }
    }
    read
}

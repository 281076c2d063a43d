//! Addresses, and what people call them.

use std::collections::BTreeMap;

use quorate_types::Address;

use super::{chains, few};
use crate::Recipient;
use crate::draft::RecipientDraft;
use crate::finding::Findings;

const MAX_RECIPIENTS: usize = 4096;
const MAX_LABEL: usize = 64;

/// Addresses with their labels and chains, each once.
pub(super) fn read(
    field: &str,
    drafts: &[RecipientDraft],
    findings: &mut Findings,
) -> BTreeMap<Address, Recipient> {
    let mut recipients = BTreeMap::new();
    if !few(field, drafts.len(), MAX_RECIPIENTS, findings) {
        return recipients;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = |part: &str| format!("{field}[{at}]{part}");
        if let Err(reason) = check_label(&draft.label) {
            findings.error(path(".label"), reason);
        }
        let only = draft.chains.as_ref().map(|names| chains(&path(".chains"), names, findings));
        let address = match address(&draft.address) {
            Ok(address) => address,
            Err(reason) => {
                findings.error(path(".address"), reason);
                continue;
            }
        };
        let recipient = Recipient { label: draft.label.clone(), chains: only };
        if recipients.insert(address, recipient).is_some() {
            findings.error(path(".address"), "listed twice");
        }
    }
    recipients
}

/// In capitals and small letters mixed, the checksum must be right: one wrong letter pays a stranger, for ever.
pub(crate) fn address(text: &str) -> Result<Address, &'static str> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("expected 0x and 40 hex digits");
    }
    let address: Address = text.parse().map_err(|_| "expected 0x and 40 hex digits")?;
    if address.is_zero() {
        return Err("the zero address is nobody's");
    }
    if is_checksummed(digits) && address.to_string() != text {
        return Err("its EIP-55 checksum is wrong: a letter was changed");
    }
    Ok(address)
}

/// Whether the digits carry a checksum at all.
pub(crate) fn is_checksummed(digits: &str) -> bool {
    digits.bytes().any(|b| b.is_ascii_lowercase()) && digits.bytes().any(|b| b.is_ascii_uppercase())
}

/// A label is printed beside its address: it must not be able to hide or reorder what stands there.
pub(super) fn check_label(label: &str) -> Result<(), &'static str> {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let length = label.chars().count();
    if length == 0 || length > MAX_LABEL || label.trim().is_empty() {
        return Err("must be 1 to 64 characters");
    }
    if label.chars().any(unseen) {
        return Err("control and invisible characters are not allowed");
    }
    Ok(())
}

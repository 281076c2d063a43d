//! Whom cold shares are sealed to.
//!
//! Whether a plugin's program is installed is for the node that seals to find out.

use std::collections::BTreeMap;

use age::{plugin, x25519};

use crate::ManifestError;
use crate::validate::{check_count, unique};

const MAX_RECIPIENTS: usize = 16;

pub(crate) fn read(recipients: &[String], needed: bool) -> Result<Vec<String>, ManifestError> {
    check_count("recovery", recipients.len(), MAX_RECIPIENTS)?;
    if needed && recipients.is_empty() {
        let reason = "a group's cold shares need at least one age recipient";
        return Err(ManifestError::invalid("recovery", reason));
    }
    let mut seen = BTreeMap::new();
    for (at, text) in recipients.iter().enumerate() {
        let path = format!("recovery[{at}]");
        if !is_recipient(text) {
            let reason = "expected an age recipient: X25519 (age1...) or an age plugin's (age1NAME1...)";
            return Err(ManifestError::invalid(path, reason));
        }
        unique(&mut seen, text.as_str(), path)?;
    }
    Ok(recipients.to_vec())
}

/// In the one spelling it has: bech32 may also be all capitals.
fn is_recipient(text: &str) -> bool {
    let x25519 = text.parse::<x25519::Recipient>().is_ok_and(|recipient| recipient.to_string() == text);
    x25519 || text == text.to_ascii_lowercase() && text.parse::<plugin::Recipient>().is_ok()
}

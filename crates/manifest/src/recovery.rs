//! Whom cold shares are sealed to.

use std::collections::BTreeMap;

use age::x25519::Recipient;

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
        let recipient: Option<Recipient> = text.parse().ok();
        if recipient.is_none_or(|recipient| recipient.to_string() != *text) {
            return Err(ManifestError::invalid(path, "expected an age X25519 recipient, age1..."));
        }
        unique(&mut seen, text.as_str(), path)?;
    }
    Ok(recipients.to_vec())
}

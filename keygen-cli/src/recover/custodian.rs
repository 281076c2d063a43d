//! A piece for its custodian alone: sealed to a key they have already.

use age::ssh::{ParseRecipientKeyError, Recipient as SshRecipient};
use age::x25519::Recipient;

use crate::refusal::{OrRefuse, Refusal};

/// A text sealed to a custodian's own key, as an armored age file.
///
/// # Errors
/// Where `key` is neither an age recipient nor an ssh-ed25519 public key.
pub(crate) fn seal(text: &str, key: &str) -> Result<String, Refusal> {
    let key = key.trim();
    let refuse = |reason: &str| Refusal::usage(format!("{key}: {reason}")).field("--custodian-key");
    let armored = if key.starts_with("age1") {
        age::encrypt_and_armor(&key.parse::<Recipient>().map_err(refuse)?, text.as_bytes())
    } else {
        let recipient: SshRecipient = key.parse().map_err(|error| {
            refuse(match error {
                ParseRecipientKeyError::Invalid(reason) => reason,
                _ => "neither an age recipient nor an ssh-ed25519 public key",
            })
        })?;
        // RSA as age does it is no worse, but the library for it has an open advisory; nobody needs it here.
        if let SshRecipient::SshRsa(..) = recipient {
            return Err(refuse("an RSA key: take an ssh-ed25519 one (ssh-keygen -t ed25519)"));
        }
        age::encrypt_and_armor(&recipient, text.as_bytes())
    };
    armored.or_internal("sealing a piece")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_no_known_kind_is_refused() {
        let age = age::x25519::Identity::generate().to_public().to_string();
        assert!(seal("piece", &format!(" {age}\n")).unwrap().starts_with("-----BEGIN AGE ENCRYPTED FILE"));
        for key in ["age1nonsense", "ssh-ed25519 nonsense", "nonsense", ""] {
            let refused = seal("piece", key).unwrap_err();
            assert_eq!(
                (refused.kind.exit_code(), refused.field.as_deref()),
                (2, Some("--custodian-key")),
                "{key}"
            );
        }
    }
}

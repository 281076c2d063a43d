//! Names and random labels. A name that parses is safe to print, to use as a key and to put in a SPIFFE path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// Empty, or longer than 63 bytes.
    #[error("{field}: must be 1 to 63 characters, got {len}")]
    Length {
        /// which kind of name
        field: &'static str,
        /// its length in bytes
        len: usize,
    },
    /// A character outside `a-z 0-9 -`, or a dash at either end.
    #[error("{field}: only a-z, 0-9 and inner '-' are allowed")]
    Alphabet {
        /// which kind of name
        field: &'static str,
    },
    /// Not the right number of hex digits.
    #[error("{field}: expected {expected} hex digits")]
    Hex {
        /// which kind of label
        field: &'static str,
        /// digits expected
        expected: usize,
    },
}

fn check_name(field: &'static str, name: &str) -> Result<(), IdError> {
    if name.is_empty() || name.len() > 63 {
        return Err(IdError::Length { field, len: name.len() });
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.bytes().all(allowed) || name.starts_with('-') || name.ends_with('-') {
        return Err(IdError::Alphabet { field });
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                check_name($field, s)?;
                Ok(Self(s.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(s: String) -> Result<Self, IdError> {
                check_name($field, &s)?;
                Ok(Self(s))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// The cluster: the trust domain every other name lives in.
    ClusterId, "cluster"
);
name_type!(
    /// A signer node.
    NodeId, "node"
);
name_type!(
    /// A wallet: one secp256k1 key in three shares.
    WalletId, "wallet"
);
name_type!(
    /// The agent a wallet belongs to.
    AgentId, "agent"
);
name_type!(
    /// A fixed set of three nodes that share auxiliary information.
    GroupId, "group"
);

macro_rules! label_type {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// A label from 16 bytes the caller drew at random.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;
            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError::Hex { field: $field, expected: 32 })
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(s, &mut bytes)
                    .map_err(|_| IdError::Hex { field: $field, expected: 32 })?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(s: String) -> Result<Self, IdError> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                hex::encode(id.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }
    };
}

label_type!(
    /// Drawn afresh each time a node process starts; what lived in its memory is bound to it.
    BootId, "boot"
);
label_type!(
    /// The coordinator's routing label for a session. It names nothing the nodes rely on: their identity for a
    /// session is the execution id they derive from each other's signed opens.
    SessionRef, "session"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowercase_dashed_and_short() {
        for good in ["a", "agent-1", "0x", &"a".repeat(63)] {
            assert!(good.parse::<WalletId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a/b", "a b", "a.b", "é", "a\n", &"a".repeat(64)] {
            assert!(bad.parse::<WalletId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn refusal_names_the_field() {
        assert_eq!(
            "A".parse::<NodeId>().unwrap_err().to_string(),
            "node: only a-z, 0-9 and inner '-' are allowed"
        );
    }

    #[test]
    fn labels_round_trip_as_hex() {
        let label = SessionRef::from_bytes([7; 16]);
        assert_eq!(label.to_string().parse::<SessionRef>(), Ok(label));
        assert!("07".parse::<SessionRef>().is_err());
    }
}

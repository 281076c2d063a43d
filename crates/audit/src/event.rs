//! What is to be recorded.

use quorate_types::WalletId;
use serde_json::{Map, Value};

use crate::EventError;

/// Something that happened. Fields are for readers and machines; never put a secret in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened, for example `sign.allowed`: 1 to 64 characters of `a-z 0-9 . _ -`.
    pub kind: &'static str,
    /// The wallet it happened to, where there is one.
    pub wallet: Option<WalletId>,
    /// The rest, by name. Numbers are integers of at most 64 bits; amounts go in as strings.
    pub fields: Map<String, Value>,
}

impl Event {
    /// An event of this kind, with no wallet and no fields.
    pub fn new(kind: &'static str) -> Self {
        Self { kind, wallet: None, fields: Map::new() }
    }

    /// Names the wallet it happened to.
    #[must_use]
    pub fn wallet(mut self, wallet: &WalletId) -> Self {
        self.wallet = Some(wallet.clone());
        self
    }

    /// Sets a field, over one of the same name.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }
}

pub(crate) fn check_kind(kind: &str) -> Result<(), EventError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let good = (1..=64).contains(&kind.len()) && kind.bytes().all(allowed);
    if good { Ok(()) } else { Err(EventError::Kind) }
}

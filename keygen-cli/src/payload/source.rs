//! Payloads from arguments and files.

use std::path::PathBuf;

use clap::Args;
use quorate_types::{B256, Bytes, Payload};

use crate::files;
use crate::refusal::Refusal;

/// An unsigned transaction, as hex.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct TransactionSource {
    /// The unsigned transaction as hex, encoded as it is hashed for signing
    #[arg(long, value_name = "HEX")]
    pub(crate) raw: Option<String>,
    /// A file with that hex
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

impl TransactionSource {
    pub(crate) fn payload(&self) -> Result<Payload, Refusal> {
        let (field, text) = match (&self.raw, &self.file) {
            (Some(raw), _) => ("--raw", raw.clone()),
            (None, Some(file)) => ("--file", files::read_text(file)?),
            (None, None) => return Err(Refusal::usage("give --raw or --file")),
        };
        hex_bytes(field, text.trim()).map(|bytes| Payload::Transaction(bytes.into()))
    }
}

/// A personal message.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct MessageSource {
    /// The message as text
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// The message as hex
    #[arg(long, value_name = "HEX")]
    pub(crate) hex: Option<String>,
    /// A file with the message, taken byte for byte
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

impl MessageSource {
    pub(crate) fn payload(&self) -> Result<Payload, Refusal> {
        let bytes = match (&self.text, &self.hex, &self.file) {
            (Some(text), ..) => text.clone().into_bytes(),
            (None, Some(hex), _) => hex_bytes("--hex", hex)?,
            (None, None, Some(file)) => files::read(file)?,
            (None, None, None) => return Err(Refusal::usage("give --text, --hex or --file")),
        };
        Ok(Payload::Message(Bytes::from(bytes)))
    }
}

/// Any payload, for checking a signature over it.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct AnySource {
    /// An unsigned transaction as hex
    #[arg(long, value_name = "HEX")]
    pub(crate) payload_tx: Option<String>,
    /// A file with EIP-712 typed data as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) payload_typed_data: Option<PathBuf>,
    /// A personal message as text
    #[arg(long, value_name = "TEXT")]
    pub(crate) payload_message: Option<String>,
    /// A personal message as hex
    #[arg(long, value_name = "HEX")]
    pub(crate) payload_message_hex: Option<String>,
    /// A raw digest: 32 bytes as hex
    #[arg(long, value_name = "HEX")]
    pub(crate) payload_raw_digest: Option<String>,
}

impl AnySource {
    pub(crate) fn payload(&self) -> Result<Payload, Refusal> {
        if let Some(raw) = &self.payload_tx {
            return Ok(Payload::Transaction(hex_bytes("--payload-tx", raw)?.into()));
        }
        if let Some(file) = &self.payload_typed_data {
            return files::read_text(file).map(Payload::TypedData);
        }
        if let Some(text) = &self.payload_message {
            return Ok(Payload::Message(text.clone().into_bytes().into()));
        }
        if let Some(hex) = &self.payload_raw_digest {
            return raw_digest("--payload-raw-digest", hex);
        }
        let hex =
            self.payload_message_hex.as_deref().ok_or_else(|| Refusal::usage("give one --payload-..."))?;
        Ok(Payload::Message(hex_bytes("--payload-message-hex", hex)?.into()))
    }
}

/// A raw digest from hex, with or without `0x`.
pub(crate) fn raw_digest(field: &str, text: &str) -> Result<Payload, Refusal> {
    let bytes = hex_bytes(field, text)?;
    let refuse = |_| Refusal::invalid(format!("a raw digest is 32 bytes, got {}", bytes.len())).field(field);
    B256::try_from(bytes.as_slice()).map(Payload::RawDigest).map_err(refuse)
}

/// Bytes from hex, with or without `0x`.
pub(crate) fn hex_bytes(field: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text))
        .map_err(|error| Refusal::invalid(format!("not hex: {error}")).field(field))
}

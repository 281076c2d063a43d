//! A document as the store keeps it.

use quorate_manifest::SignedDocument;
use quorate_types::B256;
use serde::{Deserialize, Serialize};

use super::DocumentsError;

/// A document that was in force, with what it was known by then.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    format: u8,
    pub(super) version: u64,
    pub(super) hash: B256,
    pub(super) document: SignedDocument,
}

impl Record {
    pub(super) fn new(version: u64, hash: B256, document: &SignedDocument) -> Self {
        Self { format: 1, version, hash, document: document.clone() }
    }

    pub(super) fn encode(&self, kind: &'static str) -> Result<Vec<u8>, DocumentsError> {
        postcard::to_allocvec(self).map_err(|_| DocumentsError::Malformed(kind))
    }

    pub(super) fn decode(bytes: &[u8], kind: &'static str) -> Result<Self, DocumentsError> {
        match postcard::take_from_bytes::<Self>(bytes) {
            Ok((record, [])) if record.format == 1 => Ok(record),
            _ => Err(DocumentsError::Malformed(kind)),
        }
    }
}

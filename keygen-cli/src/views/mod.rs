//! Answers of the cluster as JSON for programs and words for people.

mod cluster;
mod denial;
mod evaluation;
mod freeze;
mod waiting;
mod wallet;

pub(crate) use cluster::{GroupView, NodeView};
#[cfg(test)]
pub(crate) use denial::FailureView;
pub(crate) use denial::{DenialView, instant};
pub(crate) use evaluation::EvaluationView;
pub(crate) use freeze::FreezeView;
pub(crate) use waiting::{CaseView, WaitingView, plain, word};
pub(crate) use wallet::WalletView;

/// Bytes as programs for Ethereum write them; empty stays empty.
pub(crate) fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() { String::new() } else { format!("0x{}", hex::encode(bytes)) }
}

/// The first eight digits of a hash, for tables.
pub(crate) fn short(hash: &str) -> String {
    hash.get(..10).map_or_else(|| "-".to_owned(), |start| format!("{start}…"))
}

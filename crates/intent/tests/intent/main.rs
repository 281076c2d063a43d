//! The decoder as its callers see it: published vectors, an independent encoder, and everything it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod encoder;
mod hostile;
mod message;
mod once;
mod raw_digest;
mod sign_in;
mod signed;
mod tokens;
mod transactions;
mod typed_data;
mod typed_data_refused;
mod vectors;
mod words;

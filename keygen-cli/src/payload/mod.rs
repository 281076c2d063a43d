//! What is asked to be signed: read from arguments and files, or built here.

pub(crate) mod amount;
pub(crate) mod authorization;
pub(crate) mod source;
pub(crate) mod transfer;

//! A cluster on one machine: separate processes, separate directories, real TLS and real signatures.

pub(crate) mod configs;
pub(crate) mod health;
pub(crate) mod identities;
pub(crate) mod init;
pub(crate) mod layout;
pub(crate) mod manifest;
pub(crate) mod process;
pub(crate) mod up;

pub(crate) use layout::Layout;

/// Said loudly wherever a dev cluster is made or started.
pub(crate) const WARNING: &str = "\
!! DEV CLUSTER: the nodes use built-in primes that everybody knows. Their Paillier keys protect nothing.
!! Never send money to a wallet made here. Production nodes refuse this mode.";

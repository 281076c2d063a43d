//! One file per operation.

pub(crate) mod apply_freeze;
pub(crate) mod apply_lapse;
pub(crate) mod apply_manifest;
pub(crate) mod apply_policy;
pub(crate) mod approvals;
pub(crate) mod create_wallet;
pub(crate) mod dead_letters;
pub(crate) mod enrol_group;
pub(crate) mod evaluate;
pub(crate) mod get_policy;
pub(crate) mod get_signing;
pub(crate) mod list_groups;
pub(crate) mod list_nodes;
pub(crate) mod read_audit;
pub(crate) mod record_drill;
pub(crate) mod record_transaction;
pub(crate) mod record_transcript;
pub(crate) mod refuse;
pub(crate) mod settle;
pub(crate) mod sign;
pub(crate) mod sign_online;
pub(crate) mod signed;
pub(crate) mod wallets;
pub(crate) mod watch_events;
pub(crate) mod watch_signing;

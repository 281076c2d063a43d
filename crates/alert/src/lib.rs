//! What people are told while it happens: an [`Alert`], and the ways it goes out, a signed [`Webhook`] or [`Mail`].
//!
//! An alert says what happened to which wallet, by which rule and with which numbers, and where the audit log has the rest.
//! It holds no payload, no key and nothing a caller wrote. Whoever sends one decides when to try again: a [`SendError`]
//! says whether that can help.

mod alert;
mod error;
mod files;
mod mail;
mod receiver;
mod tls;
mod webhook;

pub use alert::{Alert, Kind, Rule};
pub use error::{ReceiverError, SendError};
pub use mail::{Mail, MailConfig, MailTls};
pub use receiver::Receiver;
pub use webhook::{SIGNATURE_HEADER, Webhook, WebhookConfig};

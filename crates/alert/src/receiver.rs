//! Whoever is told.

use crate::{Alert, Mail, SendError, Webhook};

/// One of the ways an alert goes out.
pub enum Receiver {
    /// By HTTP.
    Webhook(Webhook),
    /// By mail.
    Mail(Mail),
}

impl Receiver {
    /// Sends it, at `now_s` Unix seconds. It ends in time, whatever the receiver does.
    ///
    /// # Errors
    /// [`SendError`]: whether to try again.
    pub async fn send(&self, alert: &Alert, now_s: u64) -> Result<(), SendError> {
        match self {
            Self::Webhook(webhook) => webhook.send(alert, now_s).await,
            Self::Mail(mail) => mail.send(alert).await,
        }
    }
}

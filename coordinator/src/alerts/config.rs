//! Who is told, and how often.

use std::path::{Path, PathBuf};

use quorate_alert::{Kind, Mail, MailConfig, Receiver, ReceiverError, Webhook, WebhookConfig};
use quorate_types::NodeId;
use serde::Deserialize;

/// Who is told what happens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// After an alert, how long further ones of its kind for its wallet are only counted, in seconds; at most a day.
    pub throttle_s: u64,
    /// How long an alert is tried before it is put aside, in seconds: a minute to 30 days.
    pub give_up_s: u64,
    /// By HTTP.
    pub webhooks: Vec<WebhookConfig>,
    /// By mail.
    pub mail: Vec<MailConfig>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self { throttle_s: 300, give_up_s: 86_400, webhooks: Vec::new(), mail: Vec::new() }
    }
}

impl AlertsConfig {
    /// Takes relative paths from `base`.
    pub(crate) fn resolve(&mut self, base: &Path) {
        let webhooks = self.webhooks.iter_mut().flat_map(WebhookConfig::files);
        let mail = self.mail.iter_mut().flat_map(MailConfig::files);
        webhooks.chain(mail).for_each(|path: &mut PathBuf| *path = base.join(&*path));
    }

    /// The field that is wrong, and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.throttle_s > 86_400 {
            return Err(("alerts.throttle_s", "must be at most a day"));
        }
        if !(60..=30 * 86_400).contains(&self.give_up_s) {
            return Err(("alerts.give_up_s", "must be a minute to 30 days"));
        }
        let mut names: Vec<&str> = self.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
        names.extend(self.mail.iter().map(|mail| mail.name.as_str()));
        // The alphabet of every name here.
        if names.iter().any(|name| name.parse::<NodeId>().is_err()) {
            return Err(("alerts", "a receiver's name must be 1 to 63 characters of a-z, 0-9 and inner '-'"));
        }
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(("alerts", "two receivers have one name"));
        }
        Ok(())
    }
}

/// A receiver with its name, and what it wants to hear.
pub(crate) struct Addressee {
    pub(super) name: String,
    pub(super) receiver: Receiver,
    kinds: Option<Vec<Kind>>,
}

/// A receiver's name, and what it wants to hear: everything without a list.
#[derive(Clone)]
pub(super) struct Wants {
    pub(super) name: String,
    kinds: Option<Vec<Kind>>,
}

impl Wants {
    pub(super) fn hears(&self, kind: Kind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }
}

impl Addressee {
    pub(super) fn wants(&self) -> Wants {
        Wants { name: self.name.clone(), kinds: self.kinds.clone() }
    }
}

/// Reads secrets and authorities of every receiver.
///
/// # Errors
/// The receiver's name, and what is wrong with it.
pub(crate) fn open(config: &AlertsConfig) -> Result<Vec<Addressee>, (String, ReceiverError)> {
    let mut receivers = Vec::new();
    for webhook in &config.webhooks {
        let receiver = Webhook::open(webhook).map_err(|error| (webhook.name.clone(), error))?;
        let (name, kinds) = (webhook.name.clone(), webhook.kinds.clone());
        receivers.push(Addressee { name, receiver: Receiver::Webhook(receiver), kinds });
    }
    for mail in &config.mail {
        let receiver = Mail::open(mail).map_err(|error| (mail.name.clone(), error))?;
        let (name, kinds) = (mail.name.clone(), mail.kinds.clone());
        receivers.push(Addressee { name, receiver: Receiver::Mail(receiver), kinds });
    }
    Ok(receivers)
}

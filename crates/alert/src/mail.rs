//! An alert as mail.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters, TlsVersion};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde::Deserialize;
use tokio::time::timeout;

use crate::{Alert, Kind, ReceiverError, SendError, files, tls};

/// One command of the conversation.
const COMMAND: Duration = Duration::from_secs(10);
/// All of it.
const DEADLINE: Duration = Duration::from_secs(30);

/// Mail, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// What logs, metrics and the list of dead letters call it.
    pub name: String,
    /// The SMTP server that takes it.
    pub host: String,
    /// Its port: usually 465 for `implicit`, 587 for `starttls`.
    pub port: u16,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: MailTls,
    /// Authorities of its server's certificate, in PEM; without it the machine's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Who logs in, if anybody does.
    #[serde(default)]
    pub user: Option<String>,
    /// Their password, readable by its owner only.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Who it is from.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// What it is about; without it everything.
    #[serde(default)]
    pub kinds: Option<Vec<Kind>>,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// TLS from the first byte.
    #[default]
    Implicit,
    /// TLS before anything is said; without it nothing is.
    Starttls,
    /// None: only to a loopback address.
    None,
}

/// A mail server that can be sent to.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    /// Reads its password and authorities.
    ///
    /// # Errors
    /// [`ReceiverError`] naming the field.
    pub fn open(config: &MailConfig) -> Result<Self, ReceiverError> {
        let mailbox = |field, text: &String| {
            text.parse::<Mailbox>().map_err(|error| ReceiverError::field(field, error))
        };
        let from = mailbox("from", &config.from)?;
        let to = config.to.iter().map(|to| mailbox("to", to)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(ReceiverError::field("to", "name at least one address"));
        }
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.as_str())
            .port(config.port)
            .tls(config.protection()?)
            .timeout(Some(COMMAND));
        transport = match (&config.user, &config.password_file) {
            (Some(user), Some(file)) => {
                let password = files::secret("password_file", file, 1)?;
                let password = std::str::from_utf8(&password)
                    .map_err(|_| ReceiverError::field("password_file", "not text"))?;
                transport.credentials(Credentials::new(user.clone(), password.to_owned()))
            }
            (None, None) => transport,
            _ => return Err(ReceiverError::field("user", "user and password_file go together")),
        };
        Ok(Self { transport: transport.build(), from, to })
    }

    /// Sends it.
    ///
    /// # Errors
    /// [`SendError`]: whether to try again.
    pub async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        let message = self.message(alert)?;
        let sent = timeout(DEADLINE, self.transport.send(message)).await;
        match sent.map_err(|_| SendError::failed("the mail server did not take it in time"))? {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(SendError::Refused(error.to_string())),
            Err(error) => Err(SendError::failed(error)),
        }
    }

    fn message(&self, alert: &Alert) -> Result<Message, SendError> {
        // The same for each try, so that what arrives twice is known by it.
        let id = alert.id.replace('/', ".");
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(alert.subject())
            .message_id(Some(format!("<{id}@{}.quorate>", alert.cluster)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            message = message.to(to.clone());
        }
        message.body(alert.words()).map_err(SendError::failed)
    }
}

impl MailConfig {
    /// The files it names.
    pub fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.ca.iter_mut().chain(&mut self.password_file)
    }

    fn protection(&self) -> Result<Tls, ReceiverError> {
        match self.tls {
            MailTls::Implicit => Ok(Tls::Wrapper(self.parameters()?)),
            MailTls::Starttls => Ok(Tls::Required(self.parameters()?)),
            MailTls::None if self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) => Ok(Tls::None),
            MailTls::None => Err(ReceiverError::field("tls", "none is for a loopback address only")),
        }
    }

    fn parameters(&self) -> Result<TlsParameters, ReceiverError> {
        let mut parameters = TlsParameters::builder(self.host.clone())
            .set_min_tls_version(TlsVersion::Tlsv13)
            .certificate_store(CertificateStore::None);
        for authority in tls::authorities(self.ca.as_deref())? {
            let authority = Certificate::from_der(authority.to_vec());
            let authority = authority.map_err(|error| ReceiverError::field("ca", error))?;
            parameters = parameters.add_root_certificate(authority);
        }
        parameters.build().map_err(|error| ReceiverError::field("tls", error))
    }
}

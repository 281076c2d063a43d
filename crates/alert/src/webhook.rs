//! An alert as an HTTP POST, signed with the receiver's secret.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use hmac::{Hmac, Mac};
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

use crate::{Alert, Kind, ReceiverError, SendError, files, tls};

/// Where the signature is: `t=UNIX_SECONDS,v1=HEX`, with HEX the HMAC-SHA256 of `UNIX_SECONDS.BODY` under the secret.
pub const SIGNATURE_HEADER: &str = "quorate-signature";

/// One message, from the first packet to the answer's status.
const DEADLINE: Duration = Duration::from_secs(10);
/// Shortest secret, in bytes.
const SECRET: usize = 16;

/// A webhook, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// What logs, metrics and the list of dead letters call it.
    pub name: String,
    /// `https://`, or `http://` to this machine. Never logged: some services put a token in it.
    pub url: String,
    /// The secret that signs, at least 16 bytes, readable by its owner only.
    pub secret_file: PathBuf,
    /// Authorities of its server's certificate, in PEM; without it the machine's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// What it is told; without it everything.
    #[serde(default)]
    pub kinds: Option<Vec<Kind>>,
}

/// A webhook that can be sent to.
pub struct Webhook {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    secret: Zeroizing<Vec<u8>>,
}

impl Webhook {
    /// Reads its secret and authorities.
    ///
    /// # Errors
    /// [`ReceiverError`] naming the field.
    pub fn open(config: &WebhookConfig) -> Result<Self, ReceiverError> {
        let refused = |reason: &str| ReceiverError::field("url", reason);
        let uri: Uri = config.url.parse().map_err(|_| refused("not a URL"))?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refused("names no host"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refused("holds a user's name: put what is secret into secret_file"));
        }
        // As it is written in an address: without the brackets of IPv6.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| refused("not a host's name"))?;
                Some((TlsConnector::from(tls::client(config.ca.as_deref())?), name))
            }
            Some("http") if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) => None,
            _ => return Err(refused("must be https://, or http:// to a loopback address")),
        };
        let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        let secret = files::secret("secret_file", &config.secret_file, SECRET)?;
        Ok(Self { uri, host, port, tls, secret })
    }

    /// Sends it, signed at `now_s`. Redirects are not followed, and of the answer only the status is read.
    ///
    /// # Errors
    /// [`SendError`]: whether to try again.
    pub async fn send(&self, alert: &Alert, now_s: u64) -> Result<(), SendError> {
        let body = alert.json().map_err(SendError::failed)?;
        let status = timeout(DEADLINE, self.post(alert, body, now_s)).await;
        let status = status.map_err(|_| SendError::failed("no answer in time"))??;
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Err(SendError::Failed(format!("answered {status}")))
            }
            status if status.is_server_error() => Err(SendError::Failed(format!("answered {status}"))),
            status => Err(SendError::Refused(format!("answered {status}"))),
        }
    }

    async fn post(&self, alert: &Alert, body: String, now_s: u64) -> Result<StatusCode, SendError> {
        let request = self.request(alert, body, now_s)?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(SendError::failed)?;
        match &self.tls {
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(SendError::failed)?;
                exchange(stream, request).await
            }
            None => exchange(stream, request).await,
        }
    }

    fn request(&self, alert: &Alert, body: String, now_s: u64) -> Result<Request<Full<Bytes>>, SendError> {
        let authority = self.uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let path = self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let signature = signature(&self.secret, now_s, &body)?;
        Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "quorate")
            .header(header::CONNECTION, "close")
            .header("quorate-alert-id", &alert.id)
            .header(SIGNATURE_HEADER, signature)
            .body(Full::from(body))
            .map_err(SendError::failed)
    }
}

/// The header's value.
fn signature(secret: &[u8], now_s: u64, body: &str) -> Result<String, SendError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(SendError::failed)?;
    mac.update(format!("{now_s}.{body}").as_bytes());
    Ok(format!("t={now_s},v1={}", hex::encode(mac.finalize().into_bytes())))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, SendError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(SendError::failed)?;
    let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(SendError::failed)?;
    Ok(response.status())
}

impl WebhookConfig {
    /// The files it names.
    pub fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        std::iter::once(&mut self.secret_file).chain(&mut self.ca)
    }
}

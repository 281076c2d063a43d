//! Webhooks and mail against servers on this machine, and receivers that are refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, Mac};
use quorate_alert::{Alert, Kind, Mail, MailConfig, MailTls, Receiver, SendError, Webhook, WebhookConfig};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const SECRET: &str = "a secret of the receiver's";
const NOW_S: u64 = 1_800_000_000;

fn alert() -> Alert {
    Alert {
        id: "dev/coordinator-1/7".to_owned(),
        kind: Kind::Freeze,
        cluster: "dev".parse().unwrap(),
        coordinator: "coordinator-1".to_owned(),
        at_ms: NOW_S * 1000,
        sequence: 7,
        wallet: None,
        text: "order 1 for all: freeze (é)".to_owned(),
        rules: Vec::new(),
        suppressed: 0,
        request: None,
    }
}

/// One file of secrets and authorities a test.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("secret", SECRET.as_bytes());
        files
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn webhook(&self, url: &str, ca: Option<&Path>) -> WebhookConfig {
        WebhookConfig {
            name: "hook".to_owned(),
            url: url.to_owned(),
            secret_file: self.0.path().join("secret"),
            ca: ca.map(Path::to_owned),
            kinds: None,
        }
    }
}

/// Takes one POST, answers `status`, and gives it back: its head and its body.
async fn post(stream: impl AsyncRead + AsyncWrite + Unpin, status: &str) -> (String, String) {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).await.unwrap() > 0);
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let answer = format!("HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// A server with a certificate for 127.0.0.1 that takes one POST.
async fn over_tls(files: &Files) -> (String, PathBuf, JoinHandle<(String, String)>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let ca = files.write("ca.pem", made.cert.pem().as_bytes());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/hooks/quorate?team=1", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = TlsAcceptor::from(Arc::new(config.clone())).accept(stream).await {
                return post(stream, "204 No Content").await;
            }
        }
    });
    (url, ca, served)
}

#[tokio::test]
async fn a_webhook_is_signed_over_its_time_and_its_bytes() {
    let files = Files::new();
    let (url, ca, served) = over_tls(&files).await;
    // Another authority's word is nobody's.
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let other = files.write("other.pem", stranger.cert.pem().as_bytes());
    let doubted = Webhook::open(&files.webhook(&url, Some(&other))).unwrap();
    assert!(matches!(doubted.send(&alert(), NOW_S).await, Err(SendError::Failed(_))));

    let webhook = Receiver::Webhook(Webhook::open(&files.webhook(&url, Some(&ca))).unwrap());
    webhook.send(&alert(), NOW_S).await.unwrap();
    let (head, body) = served.await.unwrap();
    assert!(head.starts_with("POST /hooks/quorate?team=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("quorate-alert-id: dev/coordinator-1/7\r\n"), "{head}");
    let signature = head.lines().find_map(|line| line.strip_prefix("quorate-signature: ")).unwrap();
    let signed = signature.strip_prefix(&format!("t={NOW_S},v1=")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{NOW_S}.{body}").as_bytes());
    mac.verify_slice(&hex::decode(signed).unwrap()).unwrap();
    assert!(!head.contains(SECRET) && !body.contains(SECRET));
}

#[tokio::test]
async fn an_answer_says_whether_to_try_again_and_no_redirect_is_followed() {
    let files = Files::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let webhook =
        Webhook::open(&files.webhook(&format!("http://{}", listener.local_addr().unwrap()), None)).unwrap();
    for (status, again) in [("302 Found", false), ("404 No", false), ("429 Slow", true), ("500 Oh", true)] {
        let serve = async { post(listener.accept().await.unwrap().0, status).await };
        let alert = alert();
        let (sent, _) = tokio::join!(webhook.send(&alert, NOW_S), serve);
        let error = sent.unwrap_err();
        assert_eq!(matches!(error, SendError::Failed(_)), again, "{status}: {error}");
    }
    drop(listener);
    assert!(matches!(webhook.send(&alert(), NOW_S).await, Err(SendError::Failed(_))), "nobody listens");
}

#[test]
fn receivers_that_would_tell_a_secret_are_refused_by_field() {
    let files = Files::new();
    let refused = |config: &WebhookConfig| Webhook::open(config).err().unwrap().to_string();
    for url in ["http://example.com/", "http://localhost/", "ftp://127.0.0.1/", "example.com", ""] {
        let reason = refused(&files.webhook(url, None));
        assert!(reason.starts_with("url: "), "{url}: {reason}");
    }
    assert!(refused(&files.webhook("https://me:canary@example.com/", None)).contains("secret_file"));
    let short = WebhookConfig { secret_file: files.write("short", b"short"), ..files.webhook("", None) };
    let short = WebhookConfig { url: "http://127.0.0.1/".to_owned(), ..short };
    assert!(refused(&short).starts_with("secret_file: "));
    let mail = MailConfig {
        name: "mail".to_owned(),
        host: "smtp.example.com".to_owned(),
        port: 25,
        tls: MailTls::None,
        ca: None,
        user: None,
        password_file: None,
        from: "quorate@example.com".to_owned(),
        to: vec!["ops@example.com".to_owned()],
        kinds: None,
    };
    let refused = |config: &MailConfig| Mail::open(config).err().unwrap().to_string();
    assert!(refused(&mail).starts_with("tls: "), "{}", refused(&mail));
    let local = MailConfig { host: "127.0.0.1".to_owned(), ..mail };
    assert!(Mail::open(&local).is_ok());
    assert!(refused(&MailConfig { to: vec![], ..local.clone() }).starts_with("to: "));
    let header = "a@example.com\r\nBcc: b@example.com".to_owned();
    assert!(refused(&MailConfig { to: vec![header], ..local.clone() }).starts_with("to: "));
    assert!(refused(&MailConfig { from: "nobody".to_owned(), ..local.clone() }).starts_with("from: "));
    assert!(refused(&MailConfig { user: Some("me".to_owned()), ..local }).starts_with("user: "));
}

/// Takes one mail as an SMTP server does, answering `verdict` to its data, and gives it back.
async fn take_mail(listener: &TcpListener, verdict: &str) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test\r\n").await.unwrap();
    let (mut mail, mut data) = (String::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return mail;
        }
        mail.push_str(&line);
        let answer = match line.trim_end() {
            "." if data => {
                data = false;
                verdict
            }
            _ if data => continue,
            "DATA" => {
                data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn mail_says_the_same_under_the_same_id_each_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = MailConfig {
        name: "mail".to_owned(),
        host: address.ip().to_string(),
        port: address.port(),
        tls: MailTls::None,
        ca: None,
        user: None,
        password_file: None,
        from: "Quorate <quorate@example.com>".to_owned(),
        to: vec!["ops@example.com".to_owned(), "treasury@example.com".to_owned()],
        kinds: None,
    };
    let mail = Receiver::Mail(Mail::open(&config).unwrap());
    let alert = alert();
    for (verdict, expected) in [("451 later", Some(true)), ("554 never", Some(false)), ("250 taken", None)] {
        let (sent, text) = tokio::join!(mail.send(&alert, NOW_S), take_mail(&listener, verdict));
        assert_eq!(sent.err().map(|error| matches!(error, SendError::Failed(_))), expected, "{verdict}");
        for part in [
            "RCPT TO:<ops@example.com>",
            "RCPT TO:<treasury@example.com>",
            "Subject: [quorate dev] freeze",
            "Message-ID: <dev.coordinator-1.7@dev.quorate>",
            "order 1 for all: freeze",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

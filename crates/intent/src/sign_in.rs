//! Sign-In with Ethereum messages (EIP-4361), read by the letter: a site that reads them more kindly must not see another
//! site's name in what was signed.

use jiff::Timestamp;
use quorate_types::Address;
use serde::Serialize;

use crate::ChainId;

const ASKS: &str = " wants you to sign in with your Ethereum account";

/// A message that lets somebody sign in to a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignIn {
    /// The scheme before the domain, where one is given.
    pub scheme: Option<String>,
    /// The site that asks, with its port where it has one. Small letters.
    pub domain: String,
    /// The account that signs in.
    pub address: Address,
    /// What the site says.
    pub statement: Option<String>,
    /// What is signed in to.
    pub uri: String,
    /// The chain the session is bound to.
    pub chain: ChainId,
    /// The site's random token.
    pub nonce: String,
    /// When the message was made, in Unix seconds.
    pub issued_at_s: u64,
    /// The first second at which it is no longer valid.
    pub expires_at_s: Option<u64>,
    /// The first second at which it is.
    pub not_before_s: Option<u64>,
    /// The site's name for the request.
    pub request_id: Option<String>,
    /// What else is meant; such a list can delegate rights.
    pub resources: Vec<String>,
}

/// Whether a reader more lenient than this one may take `text` for a sign-in.
pub fn resembles_sign_in(text: &str) -> bool {
    let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    squeezed.contains(ASKS.trim_start().to_lowercase().as_str())
}

impl SignIn {
    /// Reads the whole of `text`; `None` where it is not exactly such a message.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = Lines(text.split('\n').peekable());
        let (site, end) = lines.0.next()?.split_once(ASKS)?;
        let (scheme, domain) = match site.split_once("://") {
            Some((scheme, domain)) => (Some(scheme.to_owned()), domain),
            None => (None, site),
        };
        let address: Address = lines.0.next()?.parse().ok()?;
        let shown = text.contains(&format!("\n{address}\n"));
        let statement = lines.statement()?;
        let uri = lines.field("URI: ")?;
        let version = lines.field("Version: ")?;
        let chain = lines.field("Chain ID: ")?;
        let nonce = lines.field("Nonce: ")?;
        let sign_in = Self {
            scheme,
            domain: domain.to_owned(),
            address,
            statement,
            uri: uri.to_owned(),
            chain: chain.parse().ok().filter(|id: &ChainId| *id > 0 && id.to_string() == chain)?,
            nonce: nonce.to_owned(),
            issued_at_s: seconds(lines.field("Issued At: ")?)?,
            expires_at_s: lines
                .optional("Expiration Time: ")
                .map(seconds)
                .map_or(Some(None), |at| at.map(Some))?,
            not_before_s: lines
                .optional("Not Before: ")
                .map(seconds)
                .map_or(Some(None), |at| at.map(Some))?,
            request_id: lines.optional("Request ID: ").map(str::to_owned),
            resources: lines.resources()?,
        };
        let plain = end == ":" && version == "1" && shown && sign_in.is_plain();
        (plain && lines.0.next().is_none()).then_some(sign_in)
    }

    fn is_plain(&self) -> bool {
        let scheme = self.scheme.as_deref().is_none_or(is_scheme);
        let nonce = self.nonce.len() >= 8 && self.nonce.bytes().all(|b| b.is_ascii_alphanumeric());
        let words = |text: &String| !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        let id = |text: &String| text.bytes().all(|b| b.is_ascii_graphic());
        scheme
            && is_authority(&self.domain)
            && nonce
            && is_uri(&self.uri)
            && self.statement.as_ref().is_none_or(words)
            && self.request_id.as_ref().is_none_or(id)
            && self.resources.iter().all(|uri| is_uri(uri))
    }
}

struct Lines<'a>(std::iter::Peekable<std::str::Split<'a, char>>);

impl<'a> Lines<'a> {
    /// An empty line, then either the statement and an empty line, or another empty line.
    fn statement(&mut self) -> Option<Option<String>> {
        let empty = |line: &str| line.is_empty().then_some(());
        empty(self.0.next()?)?;
        let line = self.0.next()?;
        if line.is_empty() {
            return Some(None);
        }
        empty(self.0.next()?)?;
        Some(Some(line.to_owned()))
    }

    fn field(&mut self, name: &str) -> Option<&'a str> {
        self.0.next()?.strip_prefix(name)
    }

    fn optional(&mut self, name: &str) -> Option<&'a str> {
        self.0.next_if(|line| line.starts_with(name))?.strip_prefix(name)
    }

    fn resources(&mut self) -> Option<Vec<String>> {
        if self.0.next_if(|line| *line == "Resources:").is_none() {
            return Some(Vec::new());
        }
        let mut found = Vec::new();
        for line in self.0.by_ref() {
            found.push(line.strip_prefix("- ")?.to_owned());
        }
        Some(found)
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
}

/// A host of small letters, digits, points and hyphens, and a port where there is one. No user, which some show and others
/// do not.
fn is_authority(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port));
    host.split('.').all(label) && port
}

fn is_uri(text: &str) -> bool {
    let scheme = text.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty());
    scheme && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&b))
}

/// An RFC 3339 time, in the one shape of it that every reader takes; a fraction of a second is cut off.
fn seconds(text: &str) -> Option<u64> {
    let shape = text.len() >= 20
        && text.as_bytes().get(10) == Some(&b'T')
        && text.bytes().all(|b| b.is_ascii_digit() || b"-:.TZ+".contains(&b));
    let at: Timestamp = if shape { text.parse().ok()? } else { return None };
    u64::try_from(at.as_second()).ok()
}

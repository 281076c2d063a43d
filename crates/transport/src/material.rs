//! One consistent reading of the three files, turned into TLS settings for both directions.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, Error, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::certificate::{IdentityError, read_leaf};
use crate::connect::Expect;
use crate::error::TlsError;
use crate::files::{Stamp, TlsFiles};
use crate::spiffe::SpiffeId;
use crate::verify::{ClientCheck, ServerCheck};

const ALPN: &[u8] = b"h2";

/// Everything a new connection needs. Never changed: a reload makes another one.
pub(crate) struct Material {
    pub(crate) id: SpiffeId,
    pub(crate) not_after: SystemTime,
    /// taken before reading: a write during the reading shows as a later change
    pub(crate) stamp: Stamp,
    pub(crate) server: Arc<ServerConfig>,
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    key: Arc<SingleCertAndKey>,
}

impl Material {
    /// Reads and checks the files: readable, consistent with each other, valid now, and naming a cluster member.
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let stamp = files.stamp();
        let provider = Arc::new(ring::default_provider());
        let chain = files.read_certificate()?;
        let roots = Arc::new(files.read_ca()?);
        let (id, not_after) = check_leaf(files, &chain)?;
        let key = pair(files, chain, &provider)?;
        let client_chain = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|e| TlsError::Settings(e.to_string()))?;
        check_vouched(files, &key, &*client_chain)?;
        let check = Arc::new(ClientCheck { chain: client_chain, cluster: id.cluster().clone() });
        let key = Arc::new(SingleCertAndKey::from(key));
        let server = server_config(&provider, check, key.clone())?;
        Ok(Self { id, not_after, stamp, server, provider, roots, key })
    }

    /// Settings for dialling one kind of peer.
    pub(crate) fn client(&self, expect: &Expect) -> Result<ClientConfig, Error> {
        let check = ServerCheck {
            roots: self.roots.clone(),
            algorithms: self.provider.signature_verification_algorithms,
            cluster: self.id.cluster().clone(),
            expect: expect.clone(),
        };
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(check))
            .with_client_cert_resolver(self.key.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would skip the certificate checks above.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    check: Arc<ClientCheck>,
    key: Arc<SingleCertAndKey>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| TlsError::Settings(e.to_string()))?
        .with_client_cert_verifier(check)
        .with_cert_resolver(key);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// The leaf is well-formed, names one member of a cluster, and is valid now.
fn check_leaf(
    files: &TlsFiles,
    chain: &[CertificateDer<'static>],
) -> Result<(SpiffeId, SystemTime), TlsError> {
    let file = || files.certificate.clone();
    let leaf = chain.first().ok_or(IdentityError::Malformed).and_then(|der| read_leaf(der));
    let leaf = leaf.map_err(|e| TlsError::Name { file: file(), source: Box::new(e) })?;
    let now = SystemTime::now();
    if now > leaf.not_after {
        return Err(TlsError::Expired { file: file(), not_after: unix_seconds(leaf.not_after) });
    }
    if now < leaf.not_before {
        return Err(TlsError::NotYetValid { file: file(), not_before: unix_seconds(leaf.not_before) });
    }
    Ok((leaf.id, leaf.not_after))
}

/// The chain with its private key, where they belong together.
fn pair(
    files: &TlsFiles,
    chain: Vec<CertificateDer<'static>>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    // The library's own words could quote the key; the kind of failure is all that is told.
    let unusable = |_| TlsError::Malformed {
        field: "key",
        file: files.key.clone(),
        reason: "is not a private key that TLS 1.3 can use".to_owned(),
    };
    let private = provider.key_provider.load_private_key(files.read_key()?).map_err(unusable)?;
    let pair = CertifiedKey::new(chain, private);
    pair.keys_match().map_err(|e| match e {
        Error::InconsistentKeys(_) => {
            TlsError::KeyMismatch { key: files.key.clone(), certificate: files.certificate.clone() }
        }
        other => TlsError::Malformed {
            field: "certificate",
            file: files.certificate.clone(),
            reason: other.to_string(),
        },
    })?;
    Ok(pair)
}

/// Every member checks its peers against the same CA bundle: a certificate our own bundle refuses is useless, and
/// it is better to learn that now than from each peer.
fn check_vouched(
    files: &TlsFiles,
    key: &CertifiedKey,
    chain: &dyn ClientCertVerifier,
) -> Result<(), TlsError> {
    let [leaf, intermediates @ ..] = key.cert.as_slice() else {
        return Err(TlsError::Settings("empty certificate chain".to_owned()));
    };
    chain.verify_client_cert(leaf, intermediates, UnixTime::now()).map(drop).map_err(|e| {
        let (certificate, ca) = (files.certificate.clone(), files.ca.clone());
        TlsError::Untrusted { certificate, ca, reason: e.to_string() }
    })
}

pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

//! TLS 1.3 to the receivers' servers, by the machine's authorities or by those of a file.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::{ReceiverError, files};

/// A client that believes the authorities of `ca`, or without one the machine's.
pub(crate) fn client(ca: Option<&Path>) -> Result<Arc<ClientConfig>, ReceiverError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities(ca)? {
        roots.add(authority).map_err(|error| ReceiverError::field("ca", error))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| ReceiverError::field("tls", error))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Who may vouch for a receiver's server. Never nobody.
pub(crate) fn authorities(ca: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, ReceiverError> {
    let Some(path) = ca else { return of_machine() };
    let refused =
        |reason: &str| ReceiverError::File { field: "ca", path: path.to_owned(), reason: reason.to_owned() };
    let pem = files::read("ca", path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|_| refused("is not PEM"))?;
    if found.is_empty() { Err(refused("holds no certificate")) } else { Ok(found) }
}

fn of_machine() -> Result<Vec<CertificateDer<'static>>, ReceiverError> {
    // What of them cannot be read or used is no reason to trust nobody.
    let mut found = rustls_native_certs::load_native_certs().certs;
    found.retain(|authority| RootCertStore::empty().add(authority.clone()).is_ok());
    if found.is_empty() {
        return Err(ReceiverError::field("ca", "this machine has no certificate authorities: name a file"));
    }
    Ok(found)
}

//! Reading a peer's name out of its certificate. The chain is validated elsewhere; this only answers "who".

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::spiffe::{SpiffeError, SpiffeId};

/// Why a certificate does not name the peer it should.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// Not one well-formed X.509 certificate, or its subject alternative names are malformed.
    #[error("certificate: malformed")]
    Malformed,
    /// No URI subject alternative name.
    #[error("certificate: no URI subject alternative name, exactly one SPIFFE id is required")]
    NoUri,
    /// More than one URI subject alternative name: ambiguous, so refused.
    #[error("certificate: {count} URI subject alternative names, exactly one SPIFFE id is required")]
    SeveralUris {
        /// how many there are
        count: usize,
    },
    /// The one URI is not a SPIFFE id of ours.
    #[error("certificate: {0}")]
    Spiffe(#[from] SpiffeError),
    /// A SPIFFE id of another cluster.
    #[error("certificate: {got} is not of cluster {ours}")]
    OtherCluster {
        /// the peer's name
        got: SpiffeId,
        /// our cluster
        ours: quorate_types::ClusterId,
    },
    /// A member of our cluster, but not the one that was dialled.
    #[error("certificate: {got} is not the {expected} that was dialled")]
    Unexpected {
        /// the peer's name
        got: SpiffeId,
        /// what was expected, as role or role/id
        expected: String,
    },
}

/// What one end-entity certificate says.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) id: SpiffeId,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

/// Reads the name and validity of a DER certificate.
pub(crate) fn read_leaf(der: &[u8]) -> Result<Leaf, IdentityError> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Malformed)?;
    if !rest.is_empty() {
        return Err(IdentityError::Malformed);
    }
    Ok(Leaf {
        id: only_uri(&certificate)?.parse()?,
        not_before: system_time(certificate.validity().not_before),
        not_after: system_time(certificate.validity().not_after),
    })
}

/// The one URI. Other kinds of names may stand beside it (a DNS name for other tools): they mean nothing here.
fn only_uri<'a>(certificate: &'a X509Certificate<'_>) -> Result<&'a str, IdentityError> {
    // Fails on a repeated or unreadable extension, which must not be mistaken for an absent one.
    let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Malformed)?;
    let mut uris = Vec::new();
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::URI(uri) => uris.push(*uri),
            GeneralName::Invalid(..) => return Err(IdentityError::Malformed),
            _ => {}
        }
    }
    match uris.as_slice() {
        [] => Err(IdentityError::NoUri),
        [uri] => Ok(uri),
        several => Err(IdentityError::SeveralUris { count: several.len() }),
    }
}

/// Whether a DER certificate says it may vouch for others.
pub(crate) fn is_authority(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| certificate.is_ca())
}

fn system_time(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
}

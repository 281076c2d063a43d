//! A certificate authority for development clusters and tests. Production brings its own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use quorate_types::ClusterId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use crate::files::TlsFiles;
use crate::material::unix_seconds;
use crate::spiffe::SpiffeId;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Clocks of one cluster may differ this much.
const SKEW: Duration = Duration::from_secs(3600);
const CA_DAYS: u32 = 3650;
const MAX_DAYS: u32 = 36_500;

/// Why the authority refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The certificate asked for is of another cluster.
    #[error("{id} is not of this authority's cluster {ours}")]
    OtherCluster {
        /// the name asked for
        id: SpiffeId,
        /// the authority's cluster
        ours: ClusterId,
    },
    /// The PEM is not an authority made by [`Ca::generate`].
    #[error("ca: {reason}")]
    NotOurs {
        /// what is wrong with it
        reason: &'static str,
    },
    /// A time outside the years 1970 to 9999.
    #[error("validity: out of range")]
    Validity,
    /// The certificate library failed.
    #[error("ca: {0}")]
    Make(#[from] rcgen::Error),
}

/// From when to when a certificate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// first moment
    pub not_before: SystemTime,
    /// last moment
    pub not_after: SystemTime,
}

impl Validity {
    /// From an hour ago, against clock differences, until `days` days from now (at most 100 years).
    pub fn days(days: u32) -> Self {
        let now = SystemTime::now();
        let end = now.checked_add(DAY.saturating_mul(days.min(MAX_DAYS))).unwrap_or(now);
        Self { not_before: now.checked_sub(SKEW).unwrap_or(now), not_after: end }
    }
}

/// An authority for one cluster.
pub struct Ca {
    cluster: ClusterId,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A new certificate with its private key.
pub struct Issued {
    /// the certificate, PEM
    pub certificate_pem: String,
    /// its private key, PKCS#8 PEM
    pub key_pem: Zeroizing<String>,
}

impl Ca {
    /// A fresh authority with a P-256 key, good for ten years.
    ///
    /// # Errors
    /// [`PkiError::Make`] if the system gives no randomness.
    pub fn generate(cluster: &ClusterId) -> Result<Self, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = params(&format!("quorate {cluster} CA"), Validity::days(CA_DAYS))?;
        // The trust domain alone names the authority, as the SPIFFE X.509 profile has it.
        params.subject_alt_names = vec![uri(&format!("spiffe://{cluster}"))?];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self { cluster: cluster.clone(), certificate_pem, issuer: Issuer::new(params, key) })
    }

    /// The authority saved earlier as [`Ca::certificate_pem`] and [`Ca::key_pem`].
    ///
    /// # Errors
    /// [`PkiError`] where the PEM is not such a pair.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let not_ours = |reason| PkiError::NotOurs { reason };
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|_| not_ours("holds no PEM certificate"))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| not_ours("malformed certificate"))?;
        let cluster =
            trust_domain(&parsed).ok_or_else(|| not_ours("names no cluster (spiffe://<cluster>)"))?;
        let key = KeyPair::from_pem(key_pem)?;
        if rcgen::PublicKeyData::subject_public_key_info(&key) != parsed.public_key().raw {
            return Err(not_ours("the key does not belong to the certificate"));
        }
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Self { cluster, certificate_pem: certificate_pem.to_owned(), issuer })
    }

    /// The cluster this authority vouches for.
    pub fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// The authority's certificate, for every member's CA file.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's private key. Whoever has it can be anyone in the cluster's transport.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// A certificate for one member, for both directions of TLS.
    ///
    /// # Errors
    /// [`PkiError::OtherCluster`] for a name of another cluster.
    pub fn issue(&self, id: &SpiffeId, validity: Validity) -> Result<Issued, PkiError> {
        if id.cluster() != &self.cluster {
            return Err(PkiError::OtherCluster { id: id.clone(), ours: self.cluster.clone() });
        }
        self.issue_uris(&[&id.to_string()], validity)
    }

    /// A certificate with any URI names at all: none, several, malformed, foreign. No peer accepts what is not
    /// exactly one SPIFFE id of its cluster; this is how tests show it.
    ///
    /// # Errors
    /// [`PkiError::Make`] for a name that is not ASCII.
    pub fn issue_uris(&self, uris: &[&str], validity: Validity) -> Result<Issued, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = params(uris.first().unwrap_or(&"nobody"), validity)?;
        params.subject_alt_names = uris.iter().map(|name| uri(name)).collect::<Result<_, _>>()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate_pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate_pem, key_pem: Zeroizing::new(key.serialize_pem()) })
    }
}

impl Issued {
    /// Writes `certificate.pem`, `key.pem` (mode 0600) and the authority's `ca.pem` into a directory, each replaced
    /// in one step, and returns their paths.
    ///
    /// # Errors
    /// The system's reason.
    pub fn save(&self, ca: &Ca, directory: &Path) -> io::Result<TlsFiles> {
        let files = TlsFiles {
            certificate: directory.join("certificate.pem"),
            key: directory.join("key.pem"),
            ca: directory.join("ca.pem"),
        };
        replace(&files.ca, ca.certificate_pem().as_bytes(), 0o644)?;
        replace(&files.key, self.key_pem.as_bytes(), 0o600)?;
        replace(&files.certificate, self.certificate_pem.as_bytes(), 0o644)?;
        Ok(files)
    }
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let next = path.with_extension("next");
    let _ = fs::remove_file(&next);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&next, path)
}

fn params(name: &str, validity: Validity) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    Ok(params)
}

fn moment(time: SystemTime) -> Result<OffsetDateTime, PkiError> {
    let seconds = i64::try_from(unix_seconds(time)).map_err(|_| PkiError::Validity)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| PkiError::Validity)
}

fn uri(name: &str) -> Result<SanType, rcgen::Error> {
    Ok(SanType::URI(name.try_into()?))
}

fn trust_domain(certificate: &X509Certificate<'_>) -> Option<ClusterId> {
    let names = certificate.subject_alternative_name().ok()??;
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else { return None };
    uri.strip_prefix("spiffe://")?.parse().ok()
}

//! The three PEM files a process is identified by, and how each is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::certificate::is_authority;
use crate::error::TlsError;

/// Far above any honest chain or CA bundle of one cluster.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Paths of the PEM files: our certificate chain (leaf first), its private key, and the CA bundle of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// our certificate, followed by intermediates if there are any
    pub certificate: PathBuf,
    /// our private key (PKCS#8, SEC1 or PKCS#1), readable by its owner only
    pub key: PathBuf,
    /// every CA that may vouch for a member of the cluster
    pub ca: PathBuf,
}

impl TlsFiles {
    /// The same files with relative paths taken from `base`, usually the configuration file's directory.
    pub fn relative_to(self, base: &Path) -> Self {
        Self { certificate: base.join(self.certificate), key: base.join(self.key), ca: base.join(self.ca) }
    }

    pub(crate) fn read_certificate(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        read_certificates("certificate", &self.certificate)
    }

    pub(crate) fn read_ca(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for der in read_certificates("ca", &self.ca)? {
            // Chain validation takes an anchor on trust, whatever it is: a member's certificate that strayed into
            // this file would let that member vouch for anyone.
            if !is_authority(&der) {
                return Err(malformed("ca", &self.ca, "holds a certificate that is not a CA's".to_owned()));
            }
            roots.add(der).map_err(|e| malformed("ca", &self.ca, e.to_string()))?;
        }
        Ok(roots)
    }

    pub(crate) fn read_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let bytes = read("key", &self.key)?;
        PrivateKeyDer::from_pem_slice(&bytes)
            .map_err(|_| malformed("key", &self.key, "holds no PEM private key".to_owned()))
    }

    /// Changes whenever one of the files is written or replaced; `None` stands for a file that is not there.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp([&self.certificate, &self.key, &self.ca].map(|path| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.mtime(), meta.mtime_nsec(), meta.size(), meta.ino()))
        }))
    }
}

/// What the file system says about the three files: modification time, size and inode of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp([Option<(i64, i64, u64, u64)>; 3]);

fn malformed(field: &'static str, file: &Path, reason: String) -> TlsError {
    TlsError::Malformed { field, file: file.to_owned(), reason }
}

fn read_certificates(field: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(field, path)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        // The parser's error quotes the line; a wrong path could make that a key's.
        .map_err(|_| malformed(field, path, "is not well-formed PEM".to_owned()))?;
    if certificates.is_empty() {
        return Err(malformed(field, path, "holds no PEM certificate".to_owned()));
    }
    Ok(certificates)
}

/// Reads one file, after checking on the open handle that a key is its owner's alone.
fn read(field: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => TlsError::Missing { field, file: path.to_owned() },
        _ => TlsError::Unreadable { field, file: path.to_owned(), source },
    };
    let file = File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(malformed(field, path, "is not a regular file".to_owned()));
    }
    let mode = meta.mode() & 0o7777;
    if field == "key" && mode & 0o077 != 0 {
        return Err(TlsError::KeyExposed { file: path.to_owned(), mode });
    }
    if meta.size() > MAX_FILE_BYTES {
        return Err(malformed(field, path, format!("is larger than {MAX_FILE_BYTES} bytes")));
    }
    // Reserved up front: a growing buffer would leave unwiped copies of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(meta.size()).unwrap_or(0) + 1));
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

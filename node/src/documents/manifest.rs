//! The manifest: pinned at enrolment, and from then on only ever replaced by a later one its operators signed.

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use arc_swap::ArcSwap;
use quorate_audit::Event;
use quorate_manifest::{
    MAX_BODY_BYTES, MAX_SIGNATURE_FILE_BYTES, Manifest, PersonKey, Pinned, SignedDocument, split_signatures,
};
use quorate_store::{Store, update};
use quorate_types::Clock;

use super::record::Record;
use super::{Documents, DocumentsError, Expected, freezes, policies};
use crate::config::ManifestFiles;

/// Holds one record.
const TABLE: &str = "documents.manifest";
const KEY: &[u8] = b"pinned";
const KIND: &str = "manifest";

/// What the configuration offers at start.
pub(crate) struct Offered {
    /// The manifest on disk, or why it cannot be read.
    pub(crate) document: Result<SignedDocument, String>,
    /// The keys a first manifest must be signed by.
    pub(crate) roots: Vec<PersonKey>,
}

impl Offered {
    /// Reads the files. One that is missing is an error only where nothing is pinned yet.
    ///
    /// # Errors
    /// [`DocumentsError::Root`].
    pub(crate) fn read(files: &ManifestFiles, roots: &[String]) -> Result<Self, DocumentsError> {
        let parse = |(i, text): (usize, &String)| text.parse().map_err(|why| DocumentsError::Root(i, why));
        let roots = roots.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { document: read_document(files), roots })
    }
}

/// A document and its signatures from the disk, or why they cannot be read.
pub(crate) fn read_document(files: &ManifestFiles) -> Result<SignedDocument, String> {
    let body = read_bounded(&files.document, MAX_BODY_BYTES)?;
    let mut signatures = Vec::new();
    for path in &files.signatures {
        let bytes = read_bounded(path, MAX_SIGNATURE_FILE_BYTES)?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{}: not text", path.display()))?;
        signatures.extend(split_signatures(&text).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    Ok(SignedDocument { body, signatures })
}

fn read_bounded(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if bytes.len() > most {
        return Err(format!("{}: {} bytes, at most {most} allowed", path.display(), bytes.len()));
    }
    Ok(bytes)
}

impl Documents {
    /// Opens the documents at start. What is pinned in the store wins over the file, unless the file's is later and
    /// signed by the operators of the pinned one.
    ///
    /// # Errors
    /// Where there is no manifest, none that `roots` signed, or one that does not fit this node.
    pub(crate) fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        expected: Expected,
        offered: Offered,
    ) -> Result<Self, DocumentsError> {
        let (pinned, stored) = match store.get(TABLE, KEY)? {
            Some(bytes) => {
                let record = Record::decode(&bytes, KIND)?;
                (Pinned::restore(&record.document, record.hash)?, true)
            }
            None => {
                let document =
                    offered.document.as_ref().map_err(|why| DocumentsError::NoManifest(why.clone()))?;
                (Pinned::enrol(document, &offered.roots)?, false)
            }
        };
        expected.check(pinned.manifest())?;
        let policies = policies::load(&*store)?;
        let frozen = freezes::load(&*store)?;
        let documents = Self {
            store,
            clock,
            expected,
            pinned: ArcSwap::from_pointee(pinned.clone()),
            policies: RwLock::new(policies),
            frozen: ArcSwap::from_pointee(frozen),
            changing: Mutex::new(()),
        };
        if stored {
            documents.consider(&offered);
        } else {
            documents.pin(pinned)?;
        }
        Ok(documents)
    }

    /// Advances to the file's manifest where it may; says so where it may not.
    fn consider(&self, offered: &Offered) {
        let pinned = self.manifest();
        let refused = match &offered.document {
            Ok(document) if document.body == pinned.document().body => return,
            Ok(document) => self.put_manifest(document).err().map(|error| error.to_string()),
            Err(why) => Some(why.clone()),
        };
        if let Some(reason) = refused {
            let version = pinned.manifest().version();
            tracing::warn!(
                reason,
                version,
                "the manifest on disk is not used; the pinned one stays in force"
            );
        }
    }

    /// Puts a later manifest in force: synced first. The one in force again is no change.
    ///
    /// # Errors
    /// Where it is not later, not signed by this one's operators, does not fit this node, or cannot be synced.
    pub(crate) fn put_manifest(&self, document: &SignedDocument) -> Result<Arc<Pinned>, DocumentsError> {
        let _changing = self.change();
        let present = self.manifest();
        let next = present.advance(document)?;
        if next.hash() == present.hash() {
            return Ok(present);
        }
        self.expected.check(next.manifest())?;
        self.pin(next)
    }

    fn pin(&self, pinned: Pinned) -> Result<Arc<Pinned>, DocumentsError> {
        let manifest: &Manifest = pinned.manifest();
        let record = Record::new(manifest.version(), pinned.hash(), pinned.document()).encode(KIND)?;
        let event = Event::new("manifest.pinned")
            .field("version", manifest.version())
            .field("hash", pinned.hash().to_string());
        let (receipt, durable) = update(&*self.store, |txn| {
            txn.put(TABLE, KEY, &record)?;
            Ok::<_, DocumentsError>(quorate_audit::append(txn, self.clock.now(), &event)?)
        })?;
        receipt.confirm(&durable);
        let pinned = Arc::new(pinned);
        self.pinned.store(Arc::clone(&pinned));
        Ok(pinned)
    }
}

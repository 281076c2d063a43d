//! The manifest a node or coordinator believes.

use quorate_types::B256;

use crate::{MAX_LEAP, Manifest, ManifestError, Namespace, PersonKey, SignedDocument, advance, verify};

/// A manifest whose signatures were checked against what was believed before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    manifest: Manifest,
    hash: B256,
    document: SignedDocument,
}

impl Pinned {
    /// The first manifest. It names its own operators, so those alone prove nothing: enough of them to meet its quorum
    /// must be among `roots`, the keys whoever installs this machine was given by another way.
    ///
    /// The quorum is the manifest's own, and its operators' ordinary one, since what it says of later manifests binds only
    /// those: a single root that turns against the others can enrol a machine into a cluster
    /// of quorum 1. Give only roots that may speak for the cluster alone, or compare the hash by hand.
    ///
    /// # Errors
    /// [`ManifestError`] where it is not consistent, a signature does not hold or too few roots signed.
    pub fn enrol(document: &SignedDocument, roots: &[PersonKey]) -> Result<Self, ManifestError> {
        document.check_bounds()?;
        let manifest = Manifest::parse(&document.body)?;
        let need = manifest.operator_quorum();
        let names = verify(document, Namespace::Manifest, manifest.operators(), need)?;
        let rooted = |name: &&String| {
            manifest.operators().iter().any(|person| person.name == **name && roots.contains(&person.key))
        };
        let got = names.iter().filter(rooted).count();
        if got < need {
            return Err(ManifestError::Roots { got, need });
        }
        Ok(Self::of(manifest, document))
    }

    /// The manifest this machine pinned before, as its own sealed store kept it, with the hash kept beside it. The
    /// operators of a later version need not be those who signed it, so its signatures are not checked again.
    ///
    /// # Errors
    /// [`ManifestError`] where it is another document, or one that this version of the software refuses.
    pub fn restore(document: &SignedDocument, hash: B256) -> Result<Self, ManifestError> {
        document.check_bounds()?;
        if document.hash(Namespace::Manifest) != hash {
            return Err(ManifestError::NotPinned);
        }
        Ok(Self::of(Manifest::parse(&document.body)?, document))
    }

    /// The next manifest, signed by a quorum of the operators of this one. The same body again is no change and needs
    /// no signatures.
    ///
    /// # Errors
    /// [`ManifestError`] where a signature does not hold, the version is not higher or far too high, or it changes what is fixed:
    /// the cluster, `dev`, a node's key or role, or a group.
    pub fn advance(&self, document: &SignedDocument) -> Result<Self, ManifestError> {
        if document.body == self.document.body {
            return Ok(self.clone());
        }
        let present = &self.manifest;
        verify(document, Namespace::Manifest, present.operators(), present.manifest_quorum())?;
        let manifest = Manifest::parse(&document.body)?;
        let (pinned, offered) = (present.version(), manifest.version());
        if offered < pinned {
            return Err(ManifestError::Rollback { pinned, offered });
        }
        if offered == pinned {
            return Err(ManifestError::Fork { version: pinned });
        }
        if offered > pinned.saturating_add(MAX_LEAP) {
            return Err(ManifestError::Leap { pinned, offered });
        }
        advance::check(present, &manifest)?;
        Ok(Self::of(manifest, document))
    }

    fn of(manifest: Manifest, document: &SignedDocument) -> Self {
        let hash = document.hash(Namespace::Manifest);
        Self { manifest, hash, document: document.clone() }
    }

    /// What it says.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Names it in opens, heartbeats and records.
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// The document itself, to keep and to pass on.
    pub const fn document(&self) -> &SignedDocument {
        &self.document
    }
}

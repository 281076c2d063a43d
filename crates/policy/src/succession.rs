//! How a later policy takes the place of the one in force: tightening at once, loosening late.

use quorate_manifest::{DocumentError, Manifest, Namespace, SignedDocument, verify};
use quorate_session::WalletTerms;
use quorate_types::UnixMillis;

use crate::{PolicyError, SignedPolicy, loosened};

/// Operators who must have signed what loosens, where the wallet was created with a delay.
pub const LOOSENING_SIGNATURES: usize = 2;

/// What loosening a wallet's policy needs besides the operators' quorum: a second operator, and time. Decided when the
/// wallet is created and attested by its nodes with its key, so that no later document can do away with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loosening {
    /// Seconds from when a machine first saw the signed policy, by its own clock.
    pub delay_s: u32,
}

impl Loosening {
    /// Why no wallet is made with a delay in this cluster, where none is: whoever may replace the operators alone is not held
    /// up by a second of them.
    pub fn undercut(manifest: &Manifest) -> Option<String> {
        let (need, quorum) = (LOOSENING_SIGNATURES, manifest.manifest_quorum());
        (quorum < need).then(|| {
            format!(
                "the manifest may be replaced by {quorum} operator: `quorum.manifests` must be {need} or more"
            )
        })
    }

    /// What loosening the policy of a wallet created with these terms needs; none where nothing.
    pub fn of(terms: &WalletTerms) -> Option<Self> {
        terms.loosening_delay_s.map(|delay_s| Self { delay_s })
    }

    /// When what was first seen at `seen` may come into force.
    pub fn until(self, seen: UnixMillis) -> UnixMillis {
        seen.saturating_add(u64::from(self.delay_s).saturating_mul(1000))
    }
}

/// How a policy comes into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Succession {
    /// Now.
    AtOnce,
    /// After the wallet's delay: it may allow something new in these fields.
    Late(Vec<&'static str>),
}

/// How `next` takes the place of `present`, whose signatures hold: a quorum's. None of `loosening`: the wallet was created
/// without.
///
/// The first policy a machine sees needs the second operator too, and the delay where it is not version 1: whoever holds
/// earlier ones back gains nothing by it.
///
/// # Errors
/// [`PolicyError::SecondOperator`] where it loosens and too few operators signed.
pub fn succession(
    loosening: Option<Loosening>,
    present: Option<&SignedPolicy>,
    (next, manifest): (&SignedPolicy, &Manifest),
) -> Result<Succession, PolicyError> {
    if loosening.is_none() {
        return Ok(Succession::AtOnce);
    }
    let fields = match present {
        Some(present) => loosened(present.policy(), next.policy()),
        None => vec!["the first policy"],
    };
    if fields.is_empty() {
        return Ok(Succession::AtOnce);
    }
    second_operator(next.document(), manifest, &fields)?;
    let first = present.is_none() && next.version() == 1;
    Ok(if first { Succession::AtOnce } else { Succession::Late(fields) })
}

fn second_operator(
    document: &SignedDocument,
    manifest: &Manifest,
    fields: &[&'static str],
) -> Result<(), PolicyError> {
    let need = LOOSENING_SIGNATURES.max(manifest.operator_quorum());
    match verify(document, Namespace::Policy, manifest.operators(), need) {
        Ok(_) => Ok(()),
        Err(DocumentError::Quorum { got, need }) => {
            let signed = verify(document, Namespace::Policy, manifest.operators(), 1).unwrap_or_default();
            let names = manifest.operators().iter().map(|person| person.name.as_str());
            let others: Vec<_> = names.filter(|name| !signed.iter().any(|by| by == name)).collect();
            let fields = fields.join(", ");
            Err(PolicyError::SecondOperator { fields, got, need, others: others.join(", ") })
        }
        Err(error) => Err(error.into()),
    }
}

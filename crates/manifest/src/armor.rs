//! Signature files: what `ssh-keygen -Y sign` writes, once or several times in one file.

use crate::{DocumentError, MAX_SIGNATURE_BYTES, MAX_SIGNATURES, SignatureFault};

/// Most bytes a signature file may have: every signature at its largest.
pub const MAX_SIGNATURE_FILE_BYTES: usize = MAX_SIGNATURES * MAX_SIGNATURE_BYTES;

/// First line of an armored signature.
pub(crate) const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// The armored signatures of one file, one after the other, each as [`verify`](crate::verify) takes it. Only white
/// space may stand around them. Whether any of them holds is not asked here.
///
/// # Errors
/// [`DocumentError::Signature`] with the index of the block that does not begin or does not end, 0 where the file holds
/// none; [`DocumentError::TooManySignatures`].
pub fn split_signatures(text: &str) -> Result<Vec<String>, DocumentError> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() || found.is_empty() {
        let malformed = DocumentError::Signature { index: found.len(), fault: SignatureFault::Malformed };
        let (body, after) =
            rest.strip_prefix(BEGIN).and_then(|after| after.split_once(END)).ok_or(malformed)?;
        found.push(format!("{BEGIN}{body}{END}\n"));
        rest = after.trim_start();
    }
    if found.len() > MAX_SIGNATURES {
        return Err(DocumentError::TooManySignatures { count: found.len() });
    }
    Ok(found)
}

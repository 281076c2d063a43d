//! A document's body as YAML: bounded, UTF-8, and of the shape asked for.

use serde::de::DeserializeOwned;

use crate::MAX_BODY_BYTES;

/// Reads the body of a document that people write.
///
/// # Errors
/// What is wrong with it, in words: longer than [`MAX_BODY_BYTES`], not UTF-8, or not of this shape.
pub fn read_yaml<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    if body.len() > MAX_BODY_BYTES {
        return Err(format!("at most {MAX_BODY_BYTES} bytes are accepted"));
    }
    let text = std::str::from_utf8(body).map_err(|_| "not UTF-8".to_owned())?;
    serde_norway::from_str(text).map_err(|error| error.to_string())
}

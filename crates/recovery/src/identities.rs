//! Who opens sealed files: age X25519 identities, and identities of age plugins, whose secret stays in a token.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use age::plugin::{self, IdentityPluginV1};
use age::secrecy::SecretString;
use age::{Callbacks, x25519};
use zeroize::Zeroizing;

/// How a plugin's identity begins.
const PLUGIN: &str = "AGE-PLUGIN-";

/// Longest file of a secret, in bytes.
const MAX_SECRET: usize = 64 * 1024;

/// Reads a secret in a file: identities, or a token's PIN. Its text never grows, so that no copy is left behind.
///
/// # Errors
/// Where the file cannot be read, is no text, or is longer than 64 KiB.
pub fn read_secret(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_SECRET + 2));
    // One more tells that there is more, of a pipe too.
    File::open(path)?.take(MAX_SECRET as u64 + 1).read_to_string(&mut text)?;
    if text.len() > MAX_SECRET {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {MAX_SECRET} bytes")));
    }
    Ok(text)
}

/// Why there is no identity. Holds nothing of the file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentitiesError {
    /// Nothing but comments.
    #[error("holds no age identity")]
    Empty,
    /// A line that is none.
    #[error("line {0} is no age identity")]
    Malformed(usize),
    /// A plugin's program is not installed on this machine.
    #[error("needs the age plugin {0}, and that program is not on this machine's PATH")]
    NoPlugin(String),
}

/// What a plugin is told where it asks: the PIN of its token, and nothing else, and once for each file: a token locks itself
/// after a few wrong ones. Nobody is prompted.
#[derive(Clone)]
pub struct Answers {
    pin: Option<Arc<Zeroizing<String>>>,
    told: Arc<AtomicBool>,
    show: fn(&str),
}

impl Answers {
    /// `pin` is the token's, where it asks for one. `show` is given what a plugin wants a person to read, such as that
    /// the token waits for a touch.
    pub fn new(pin: Option<Zeroizing<String>>, show: fn(&str)) -> Self {
        Self { pin: pin.map(Arc::new), told: Arc::default(), show }
    }
}

impl Callbacks for Answers {
    fn display_message(&self, message: &str) {
        (self.show)(message);
    }

    fn confirm(&self, message: &str, _yes: &str, _no: Option<&str>) -> Option<bool> {
        (self.show)(message);
        None
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        (self.show)(description);
        None
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        match &self.pin {
            Some(pin) if !self.told.swap(true, Ordering::Relaxed) => {
                Some(SecretString::from(pin.as_str().to_owned()))
            }
            _ => {
                (self.show)(description);
                None
            }
        }
    }
}

/// Identities, any of which may open a file.
pub struct Identities {
    any: Vec<Box<dyn age::Identity>>,
    told: Arc<AtomicBool>,
}

impl Identities {
    /// Reads the text of a file as `age-keygen`, a plugin, or `quorate recovery combine` writes it.
    ///
    /// # Errors
    /// [`IdentitiesError`].
    pub fn read(text: &str, answers: &Answers) -> Result<Self, IdentitiesError> {
        let mut found: Vec<Box<dyn age::Identity>> = Vec::new();
        let mut tokens = Vec::<plugin::Identity>::new();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            let malformed = |_| IdentitiesError::Malformed(line);
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if text.starts_with(PLUGIN) {
                tokens.push(text.parse().map_err(malformed)?);
            } else {
                found.push(Box::new(text.parse::<x25519::Identity>().map_err(malformed)?));
            }
        }
        let names: BTreeSet<&str> = tokens.iter().map(plugin::Identity::plugin).collect();
        for name in names {
            let plugin = IdentityPluginV1::new(name, &tokens, answers.clone())
                .map_err(|_| IdentitiesError::NoPlugin(format!("age-plugin-{name}")))?;
            found.push(Box::new(plugin));
        }
        if found.is_empty() {
            return Err(IdentitiesError::Empty);
        }
        Ok(Self { any: found, told: Arc::clone(&answers.told) })
    }

    /// To open one file with.
    pub(crate) fn for_file(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.told.store(false, Ordering::Relaxed);
        self.any.iter().map(AsRef::as_ref)
    }
}

impl From<x25519::Identity> for Identities {
    fn from(identity: x25519::Identity) -> Self {
        Self { any: vec![Box::new(identity)], told: Arc::default() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<usize, IdentitiesError> {
        Identities::read(text, &Answers::new(None, |_| ())).map(|identities| identities.any.len())
    }

    #[test]
    fn comments_are_skipped_and_a_line_that_is_no_identity_is_named() {
        use age::secrecy::ExposeSecret;
        let one = x25519::Identity::generate().to_string();
        let one = one.expose_secret();
        assert_eq!(read(&format!("# made today\n\n  {one}\n{one}\n")), Ok(2));
        assert_eq!(read("# nothing\n"), Err(IdentitiesError::Empty));
        assert_eq!(read(&format!("{one}\nage1notone\n")), Err(IdentitiesError::Malformed(2)));
        assert_eq!(read("AGE-PLUGIN-\n"), Err(IdentitiesError::Malformed(1)));
    }

    #[test]
    fn a_secret_is_text_of_a_file_and_not_too_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        assert_eq!(read_secret(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, "1234\n").unwrap();
        assert_eq!(*read_secret(&path).unwrap(), "1234\n");
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_secret(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        std::fs::write(&path, vec![b'1'; 64 * 1024]).unwrap();
        assert_eq!(read_secret(&path).unwrap().len(), 64 * 1024);
        std::fs::write(&path, vec![b'1'; 64 * 1024 + 1]).unwrap();
        assert_eq!(read_secret(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn the_pin_is_told_once_for_a_file() {
        let answers = Answers::new(Some(Zeroizing::new("271828".to_owned())), |_| ());
        assert!(answers.request_passphrase("PIN").is_some());
        assert!(answers.clone().request_passphrase("wrong PIN, again").is_none());
        let identities = Identities { any: Vec::new(), told: Arc::clone(&answers.told) };
        assert_eq!(identities.for_file().count(), 0);
        assert!(answers.request_passphrase("PIN").is_some());
    }

    #[test]
    fn a_plugin_that_is_not_installed_is_named() {
        let token = plugin::Identity::default_for_plugin("nosuchtoken").to_string();
        let refused = read(&token).unwrap_err();
        assert_eq!(refused, IdentitiesError::NoPlugin("age-plugin-nosuchtoken".to_owned()));
    }
}

//! An age plugin for tests: stands in for a hardware token. Its "token" opens files only for who knows its PIN.
//!
//! Run without arguments it makes a new one and prints identity and recipient, as plugins of real tokens do.

use std::collections::{HashMap, HashSet};
use std::io;

use age::secrecy::{ExposeSecret, SecretString};
use age::{Identity, Recipient, x25519};
use age_core::format::{FileKey, Stanza};
use age_plugin::identity::{self, IdentityPluginV1};
use age_plugin::recipient::{self, RecipientPluginV1};
use age_plugin::{Callbacks, PluginHandler, print_new_identity, run_state_machine};

const NAME: &str = "tape";
const PIN: &str = "271828";
/// What the stanza of the X25519 key inside is called.
const INNER: &str = "X25519";

struct Tape;

impl PluginHandler for Tape {
    type RecipientV1 = Wrap;
    type IdentityV1 = Unwrap;

    fn recipient_v1(self) -> io::Result<Wrap> {
        Ok(Wrap::default())
    }

    fn identity_v1(self) -> io::Result<Unwrap> {
        Ok(Unwrap::default())
    }
}

fn parse<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[derive(Default)]
struct Wrap(Vec<x25519::Recipient>);

impl RecipientPluginV1 for Wrap {
    fn add_recipient(&mut self, index: usize, _: &str, bytes: &[u8]) -> Result<(), recipient::Error> {
        let message = "not of a tape".to_owned();
        self.0.push(parse(bytes).ok_or(recipient::Error::Recipient { index, message })?);
        Ok(())
    }

    fn add_identity(&mut self, index: usize, _: &str, _: &[u8]) -> Result<(), recipient::Error> {
        Err(recipient::Error::Identity { index, message: "seal to its recipient".to_owned() })
    }

    fn labels(&mut self) -> HashSet<String> {
        HashSet::new()
    }

    fn wrap_file_keys(
        &mut self,
        keys: Vec<FileKey>,
        _: impl Callbacks<recipient::Error>,
    ) -> io::Result<Result<Vec<Vec<Stanza>>, Vec<recipient::Error>>> {
        let wrap = |key: &FileKey, recipient: &x25519::Recipient| -> io::Result<Vec<Stanza>> {
            let (stanzas, _) = recipient.wrap_file_key(key).map_err(io::Error::other)?;
            Ok(stanzas.into_iter().map(|stanza| Stanza { tag: NAME.to_owned(), ..stanza }).collect())
        };
        let of_file = |key: &FileKey| -> io::Result<Vec<Stanza>> {
            let stanzas: io::Result<Vec<_>> = self.0.iter().map(|recipient| wrap(key, recipient)).collect();
            Ok(stanzas?.into_iter().flatten().collect())
        };
        let all: io::Result<Vec<_>> = keys.iter().map(of_file).collect();
        Ok(Ok(all?))
    }
}

#[derive(Default)]
struct Unwrap(Vec<x25519::Identity>);

impl Unwrap {
    fn open(&self, stanza: Stanza) -> Option<FileKey> {
        let inner = Stanza { tag: INNER.to_owned(), ..stanza };
        self.0.iter().find_map(|identity| identity.unwrap_stanza(&inner)?.ok())
    }
}

impl IdentityPluginV1 for Unwrap {
    fn add_identity(&mut self, index: usize, _: &str, bytes: &[u8]) -> Result<(), identity::Error> {
        let message = "not of a tape".to_owned();
        self.0.push(parse(bytes).ok_or(identity::Error::Identity { index, message })?);
        Ok(())
    }

    fn unwrap_file_keys(
        &mut self,
        files: Vec<Vec<Stanza>>,
        mut callbacks: impl Callbacks<identity::Error>,
    ) -> io::Result<HashMap<usize, Result<FileKey, Vec<identity::Error>>>> {
        let mut found = HashMap::new();
        for (file, stanzas) in files.into_iter().enumerate() {
            let mine: Vec<_> = stanzas.into_iter().filter(|stanza| stanza.tag == NAME).collect();
            if mine.is_empty() {
                continue;
            }
            let pin: Option<SecretString> = callbacks.request_secret("the PIN of this tape")?.ok();
            let answer = match pin {
                Some(pin) if pin.expose_secret() == PIN => mine.into_iter().find_map(|one| self.open(one)),
                _ => {
                    let message = "the PIN is wrong or was not given".to_owned();
                    found.insert(file, Err(vec![identity::Error::Identity { index: 0, message }]));
                    continue;
                }
            };
            if let Some(key) = answer {
                found.insert(file, Ok(key));
            }
        }
        Ok(found)
    }
}

fn main() -> io::Result<()> {
    let asked = std::env::args().nth(1);
    match asked.as_deref().and_then(|argument| argument.strip_prefix("--age-plugin=")) {
        Some(machine) => run_state_machine(machine, Tape),
        None => {
            let identity = x25519::Identity::generate();
            let recipient = identity.to_public().to_string();
            print_new_identity(NAME, identity.to_string().expose_secret().as_bytes(), recipient.as_bytes());
            Ok(())
        }
    }
}

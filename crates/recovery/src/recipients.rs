//! To whom sealed files are sealed: [age](https://age-encryption.org/v1) X25519 recipients, and those of age plugins,
//! which is how age speaks to hardware tokens.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::plugin::RecipientPluginV1;
use age::{Encryptor, NoCallbacks, plugin, x25519};

/// How long a plugin may take to wrap one file's key. It needs public keys only, so nobody is waited for.
const PLUGIN_DEADLINE: Duration = Duration::from_secs(30);

/// Why there is nobody to seal to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecipientsError {
    /// The list is empty.
    #[error("recovery: the manifest names no recipient to seal the recovery share to")]
    Empty,
    /// Neither an X25519 recipient nor a plugin's.
    #[error("recovery[{0}]: {1}")]
    Malformed(usize, &'static str),
    /// A plugin's program is not installed on this machine.
    #[error(
        "recovery: the manifest has a recipient of the age plugin {0}, and that program is not on this machine's PATH"
    )]
    NoPlugin(String),
}

/// Everyone a file is sealed to. Any one of them opens it.
pub struct Recipients {
    x25519: Vec<x25519::Recipient>,
    plugins: Vec<RecipientPluginV1<NoCallbacks>>,
}

impl Recipients {
    /// Reads a manifest's `recovery` list, and looks for the plugins it needs.
    ///
    /// # Errors
    /// [`RecipientsError`].
    pub fn read(texts: &[String]) -> Result<Self, RecipientsError> {
        if texts.is_empty() {
            return Err(RecipientsError::Empty);
        }
        let (mut x25519, mut tokens) = (Vec::new(), Vec::<plugin::Recipient>::new());
        for (at, text) in texts.iter().enumerate() {
            match text.parse() {
                Ok(recipient) => x25519.push(recipient),
                Err(why) => tokens.push(text.parse().map_err(|_| RecipientsError::Malformed(at, why))?),
            }
        }
        let names: BTreeSet<&str> = tokens.iter().map(plugin::Recipient::plugin).collect();
        let find = |name: &str| {
            RecipientPluginV1::new(name, &tokens, &[], NoCallbacks)
                .map_err(|_| RecipientsError::NoPlugin(format!("age-plugin-{name}")))
        };
        let plugins = names.into_iter().map(find).collect::<Result<_, _>>()?;
        Ok(Self { x25519, plugins })
    }

    /// Seals `plaintext` as an armored age file.
    ///
    /// # Errors
    /// What age or a plugin says, and a plugin that says nothing for 30 seconds.
    pub fn seal(self, plaintext: &[u8]) -> io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = self.encryptor()?.wrap_output(armor)?;
        writer.write_all(plaintext)?;
        writer.finish()?.finish()
    }

    /// The plaintext is not needed for this, so a plugin that hangs holds none of it.
    fn encryptor(self) -> io::Result<Encryptor> {
        if self.plugins.is_empty() {
            return self.wrap();
        }
        let (answer, wrapped) = mpsc::sync_channel(1);
        let _ends_with_the_plugin = thread::Builder::new().spawn(move || {
            // Nobody waits for what comes too late.
            let _late = answer.send(self.wrap());
        })?;
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "an age plugin did not answer within 30 s");
        wrapped.recv_timeout(PLUGIN_DEADLINE).map_err(late)?
    }

    fn wrap(&self) -> io::Result<Encryptor> {
        let plain = self.x25519.iter().map(|recipient| recipient as &dyn age::Recipient);
        let tokens = self.plugins.iter().map(|recipient| recipient as &dyn age::Recipient);
        Encryptor::with_recipients(plain.chain(tokens)).map_err(|error| io::Error::other(error.to_string()))
    }
}

/// To how many recipients an armored age file is sealed. Lines of grease, which age adds so that readers stay tolerant,
/// do not count.
///
/// # Errors
/// Where it is no age file.
pub fn count_recipients(sealed: &[u8]) -> io::Result<usize> {
    let mut file = Vec::with_capacity(sealed.len());
    ArmoredReader::new(sealed).read_to_end(&mut file)?;
    age::Decryptor::new(&*file).map_err(io::Error::other)?;
    let header = file.split(|byte| *byte == b'\n').take_while(|line| !line.starts_with(b"--- "));
    let tags = header.filter_map(|line| line.strip_prefix(b"-> ")?.split(|byte| *byte == b' ').next());
    Ok(tags.filter(|tag| !tag.ends_with(b"-grease")).count())
}

//! The two processes: each opens one share and no more; this one only passes their messages on.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use clap::Args;
use quorate_manifest::Manifest;
use quorate_recovery::{
    Answers, AuxPackage, Ceremony, CeremonyError, Frame, Hello, Identities, Pipe, SharePackage, read_secret,
    write_frame,
};
use quorate_types::{Payload, Signature, WalletId};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use zeroize::Zeroizing;

use super::source::{Chosen, Files};
use crate::check;
use crate::files as disk;
use crate::output::Output;
use crate::refusal::{OrRefuse, Refusal};

/// One party's process. `quorate recover` starts two of them itself.
#[derive(Args)]
pub(crate) struct Party {
    #[arg(long)]
    manifest: PathBuf,
    #[arg(long)]
    share: PathBuf,
    #[arg(long)]
    aux: PathBuf,
    #[command(flatten)]
    opener: Opener,
}

/// What opens sealed files.
#[derive(Args, Clone)]
pub(crate) struct Opener {
    /// The age identity that opens the files; of a hardware token, what its age plugin wrote
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// A file with the token's PIN, where it asks for one
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

/// Before any secret is read: no core dump, and no other process of this user reads its memory.
pub(crate) fn harden() -> Result<(), Refusal> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).or_internal("hardening")?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).or_internal("hardening")
}

/// Opens one share and serves one ceremony on the standard streams.
pub(crate) fn serve(party: &Party) -> Result<(), Refusal> {
    harden()?;
    let (package, aux) = match open(party) {
        Ok(opened) => opened,
        Err(refusal) => {
            let mut words = refusal.reason.clone();
            if let Some(next) = &refusal.next {
                words.push_str(&format!("; next: {next}"));
            }
            let _gone = write_frame(&mut io::stdout().lock(), &Frame::Failed(words));
            return Err(refusal);
        }
    };
    quorate_recovery::serve(package, aux, io::stdin(), io::stdout().lock()).or_invalid("ceremony")
}

fn open(party: &Party) -> Result<(SharePackage, AuxPackage), Refusal> {
    let manifest = Manifest::parse(&disk::read(&party.manifest)?).or_invalid(party.manifest.display())?;
    let identities = party.opener.identities()?;
    let share = SharePackage::open(&disk::read(&party.share)?, &identities, &manifest)
        .or_invalid(party.share.display())?;
    let aux =
        AuxPackage::open(&disk::read(&party.aux)?, &identities, &manifest).or_invalid(party.aux.display())?;
    Ok((share, aux))
}

impl Opener {
    /// The identities in the file.
    pub(crate) fn identities(&self) -> Result<Identities, Refusal> {
        let path = &self.identity;
        let pin = self.pin_file.as_deref().map(secret).transpose()?;
        let answers = Answers::new(pin.map(|pin| Zeroizing::new(pin.trim().to_owned())), |words| {
            Output::new(false).note(words)
        });
        Identities::read(&secret(path)?, &answers).map_err(|error| {
            Refusal::invalid(format!("{}: {error}", path.display()))
                .field("--identity")
                .next("one line as age-keygen, an age plugin or `recovery combine` writes it")
        })
    }

    fn arguments(&self, command: &mut Command) {
        command.arg("--identity").arg(&self.identity);
        if let Some(pin) = &self.pin_file {
            command.arg("--pin-file").arg(pin);
        }
    }
}

fn secret(path: &Path) -> Result<Zeroizing<String>, Refusal> {
    read_secret(path).or_invalid(path.display())
}

/// Two running parties whose packages belong together.
pub(crate) struct Parties {
    // Fields drop in order: the pipes close first, which ends the processes.
    ceremony: Ceremony<ChildStdout, ChildStdin>,
    _children: [Waited; 2],
}

/// Waited for when dropped, so that no process is left behind.
struct Waited(Child);

impl Drop for Waited {
    fn drop(&mut self) {
        // It ends with its input; one that does not is of no more use.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

impl Parties {
    /// Starts both processes and has them open their packages.
    pub(crate) fn start(files: &Files, wallet: &WalletId, chosen: &[Chosen; 2]) -> Result<Self, Refusal> {
        let [one, two] = chosen;
        let ((first, one), (second, two)) = (spawn(files, one)?, spawn(files, two)?);
        let ceremony = Ceremony::start([one, two], wallet).map_err(refused)?;
        Ok(Self { ceremony, _children: [first, second] })
    }

    /// What they opened.
    pub(crate) const fn hellos(&self) -> &[Hello; 2] {
        self.ceremony.hellos()
    }

    /// Has them sign, and has a second library say who signed.
    pub(crate) fn sign(&mut self, payload: &Payload) -> Result<Signature, Refusal> {
        let signature = self.ceremony.sign(payload).map_err(refused)?;
        let decoded = quorate_intent::decode(payload).or_invalid("payload")?;
        let signer = check::recover(decoded.digest.digest(), &signature.to_bytes())?;
        let [hello, _] = self.hellos();
        if signer == hello.wallet.address {
            return Ok(signature);
        }
        Err(Refusal::internal(format!(
            "libsecp256k1 recovers {signer}, the wallet is {}: this signature is not to be used",
            hello.wallet.address
        )))
    }
}

fn spawn(files: &Files, chosen: &Chosen) -> Result<(Waited, Pipe<ChildStdout, ChildStdin>), Refusal> {
    let program = std::env::current_exe().or_internal("finding this program")?;
    let mut command = Command::new(program);
    command
        .args(["recover", "party", "--manifest"])
        .arg(&files.trust.manifest)
        .arg("--share")
        .arg(&chosen.share)
        .arg("--aux")
        .arg(&chosen.aux);
    files.opener.arguments(&mut command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // It says what is wrong on the pipe; only a crash speaks here.
        .stderr(Stdio::inherit())
        .spawn()
        .or_internal("starting a party's process")?;
    let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Refusal::internal("a party's process has no streams"));
    };
    Ok((Waited(child), Pipe { name: format!("party {}", chosen.node), from, to }))
}

fn refused(error: CeremonyError) -> Refusal {
    let internal = matches!(error, CeremonyError::Signature(_) | CeremonyError::Unexpected(_));
    if internal { Refusal::internal(error.to_string()) } else { Refusal::invalid(error.to_string()) }
}

//! `quorate recovery`: the identity that opens sealed shares, in custodians' pieces.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use quorate_recovery::{PieceError, combine_pieces, split_identity};
use serde_json::json;
use zeroize::Zeroizing;

use crate::files::{self, Mode};
use crate::output::Answer;
use crate::recover::{QrCode, custodian};
use crate::refusal::{Kind, OrRefuse, Refusal};

/// The identity that opens sealed shares, in custodians' pieces. On a machine without a network.
#[derive(Subcommand)]
pub(crate) enum Recovery {
    /// Make an identity that exists in pieces only
    Init {
        /// How many pieces
        #[arg(long, value_name = "N")]
        custodians: u8,
        /// How many of them make the identity again
        #[arg(long, value_name = "K")]
        threshold: u8,
        /// Seal each piece to its custodian's own key, an age recipient or the line of an ssh-ed25519 public key; give one
        /// for every custodian, in order
        #[arg(long, value_name = "KEY")]
        custodian_key: Vec<String>,
        /// A new directory for the pieces and the recipient
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Show a piece as a QR code, on this terminal or as a picture to print
    Qr {
        /// The piece, sealed or not
        piece: PathBuf,
        /// The picture to write, a PNG [default: the code is shown here]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make the identity again from enough pieces
    Combine {
        /// A custodian's piece; repeat for more
        #[arg(long, value_name = "FILE", required = true)]
        piece: Vec<PathBuf>,
        /// A file with the recipient it must be, as in the manifest's `recovery` list
        #[arg(long, value_name = "FILE")]
        recipient_file: PathBuf,
        /// The identity file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

pub(crate) fn run(command: Recovery) -> Result<Answer, Refusal> {
    match command {
        Recovery::Init { custodians, threshold, custodian_key, out } => {
            init(custodians, threshold, &custodian_key, &out)
        }
        Recovery::Qr { piece, out } => qr(&piece, out.as_deref()),
        Recovery::Combine { piece, recipient_file, out } => {
            let recipient = files::read_text(&recipient_file)?;
            combine(&piece, recipient.trim(), &out)
        }
    }
}

fn init(custodians: u8, threshold: u8, keys: &[String], out: &Path) -> Result<Answer, Refusal> {
    let (recipient, pieces) = split_identity(custodians, threshold).map_err(|error| refused(&error, &[]))?;
    if !keys.is_empty() && keys.len() != pieces.len() {
        let reason = format!("is given {} times, there are {custodians} custodians", keys.len());
        return Err(Refusal::usage(reason).field("--custodian-key"));
    }
    // All of them, before any is written.
    let sealed = keys.iter().zip(&pieces).map(|(key, piece)| custodian::seal(piece, key));
    let sealed = sealed.collect::<Result<Vec<_>, _>>()?;
    files::private_dir(out)?;
    // First: a directory that was used before is refused before any piece is written.
    files::create(&out.join("recipient.txt"), format!("{recipient}\n").as_bytes(), Mode::Public)?;
    let (ending, next) = if sealed.is_empty() {
        for (index, piece) in (1..).zip(&pieces) {
            files::create(&out.join(format!("piece-{index}.txt")), piece.as_bytes(), Mode::Secret)?;
        }
        ("", "print each piece for its custodian")
    } else {
        for (index, piece) in (1..).zip(&sealed) {
            files::create(&out.join(format!("piece-{index}.txt.age")), piece.as_bytes(), Mode::Secret)?;
        }
        (" sealed", "give each custodian theirs; it opens with age -d -i KEY piece-N.txt.age")
    };
    let words = format!(
        "{custodians}{ending} pieces in {}, any {threshold} of them make the identity\n  recipient  {recipient}\n  next  \
         {next}, combine {threshold} of them once, then wipe the directory",
        out.display()
    );
    Answer::new(&json!({ "recipient": recipient, "custodians": custodians, "threshold": threshold }), words)
}

fn qr(piece: &Path, out: Option<&Path>) -> Result<Answer, Refusal> {
    let text = Zeroizing::new(files::read_text(piece)?);
    let code = QrCode::of(text.trim_end().as_bytes())
        .map_err(|reason| Refusal::invalid(format!("{}: {reason}", piece.display())))?;
    let Some(out) = out else {
        return Answer::new(&json!({ "modules": code.modules() }), code.words());
    };
    files::create(out, &code.png().or_internal("the picture")?, Mode::Secret)?;
    let words = format!(
        "{} is in {}\n  next  print it beside the text, then wipe both",
        piece.display(),
        out.display()
    );
    Answer::new(&json!({ "modules": code.modules(), "file": out }), words)
}

fn combine(paths: &[PathBuf], recipient: &str, out: &Path) -> Result<Answer, Refusal> {
    let texts = paths.iter().map(|path| files::read_text(path).map(Zeroizing::new));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let identity = combine_pieces(&texts, recipient).map_err(|error| refused(&error, paths))?;
    let mut file = Zeroizing::new(String::with_capacity(256));
    file.push_str(&identity);
    file.push('\n');
    files::create(out, file.as_bytes(), Mode::Secret)?;
    let words = format!(
        "the identity of {recipient} is in {}\n  next  wipe it when the ceremony is over",
        out.display()
    );
    Answer::new(&json!({ "recipient": recipient, "file": out.display().to_string() }), words)
}

fn refused(error: &PieceError, paths: &[PathBuf]) -> Refusal {
    if *error == PieceError::Numbers {
        return Refusal::usage("must be 2 to --custodians, and --custodians at most 16").field("--threshold");
    }
    let file = error.piece().and_then(|at| paths.get(at));
    let reason = file.map_or_else(|| error.to_string(), |file| format!("{}: {error}", file.display()));
    Refusal::new(Kind::Invalid, reason).field("--piece")
}

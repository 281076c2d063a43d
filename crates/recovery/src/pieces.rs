//! The recovery identity in custodians' pieces: any k of n make it again, fewer tell nothing (Shamir, over GF(256)).
//!
//! A piece is a short text that can be printed and typed in again, with a checksum that finds a typing error.

use std::fmt;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use blahaj::{Share, Sharks};
use quorate_types::{B256, Transcript};
use rand_core::{OsRng, RngCore};
use zeroize::{Zeroize, Zeroizing};

const BEGIN: &str = "-----BEGIN QUORATE RECOVERY PIECE-----";
const END: &str = "-----END QUORATE RECOVERY PIECE-----";
/// Digits in a group, groups in a line.
const GROUP: usize = 4;
const GROUPS: usize = 10;

/// Why pieces were refused. Holds nothing secret. `at` is the piece's place in the list that was given.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PieceError {
    /// Numbers that make no sense.
    #[error("--threshold: must be 2 to --custodians, and --custodians at most 16")]
    Numbers,
    /// Not the text of a piece.
    #[error("is not a whole piece: {reason}; compare it with the printed one line by line")]
    Malformed {
        /// which piece
        at: usize,
        /// what is wrong
        reason: &'static str,
    },
    /// A digit was lost or changed.
    #[error("its checksum is wrong: a character was altered or mistyped; compare it with the printed one")]
    Checksum {
        /// which piece
        at: usize,
    },
    /// Of another split.
    #[error(
        "is a piece of another set ({found}, the first is of {expected}); ask its custodian for the one of this set"
    )]
    OtherSet {
        /// which piece
        at: usize,
        /// its set
        found: String,
        /// the first piece's
        expected: String,
    },
    /// The same one twice.
    #[error("is piece {index} again: each piece counts once; ask another custodian")]
    Twice {
        /// which piece
        at: usize,
        /// its index
        index: u8,
    },
    /// Not enough.
    #[error("{have} different pieces, {need} are needed: ask {} more custodians", need - have)]
    TooFew {
        /// how many there are
        have: usize,
        /// how many there must be
        need: usize,
    },
    /// They make something else.
    #[error(
        "the pieces do not make the identity of {0}: one of them is forged, or they are for another manifest"
    )]
    NotTheIdentity(String),
}

impl PieceError {
    /// The place of the piece that is wrong, where it is one piece.
    pub const fn piece(&self) -> Option<usize> {
        match self {
            Self::Malformed { at, .. }
            | Self::Checksum { at }
            | Self::OtherSet { at, .. }
            | Self::Twice { at, .. } => Some(*at),
            Self::Numbers | Self::TooFew { .. } | Self::NotTheIdentity(_) => None,
        }
    }
}

struct Piece {
    set: String,
    index: u8,
    threshold: u8,
    custodians: u8,
    recipient: String,
    share: Zeroizing<Vec<u8>>,
}

/// A new identity in pieces: its recipient, for the manifest, and the pieces' texts. The identity itself is forgotten.
///
/// # Errors
/// [`PieceError::Numbers`].
pub fn split_identity(custodians: u8, threshold: u8) -> Result<(String, Vec<Zeroizing<String>>), PieceError> {
    if !(2..=16).contains(&custodians) || !(2..=custodians).contains(&threshold) {
        return Err(PieceError::Numbers);
    }
    let identity = Identity::generate();
    let recipient = identity.to_public().to_string();
    let mut set = [0; 8];
    OsRng.fill_bytes(&mut set);
    let secret = identity.to_string();
    let dealer = Sharks(threshold).dealer_rng(secret.expose_secret().as_bytes(), &mut OsRng);
    let pieces = dealer.take(usize::from(custodians)).zip(1..).map(|(share, index)| {
        let share = Zeroizing::new(Vec::from(&share));
        Piece { set: hex::encode(set), index, threshold, custodians, recipient: recipient.clone(), share }
    });
    let texts = pieces.map(|piece| Zeroizing::new(piece.to_string())).collect();
    Ok((recipient, texts))
}

/// The identity, as the text of an age identity file, from any k pieces. Only what derives `recipient` is accepted.
///
/// # Errors
/// [`PieceError`].
pub fn combine_pieces(texts: &[Zeroizing<String>], recipient: &str) -> Result<Zeroizing<String>, PieceError> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let piece = Piece::read(text, at)?;
        if let Some(first) = pieces.first()
            && (&first.set, first.threshold, &first.recipient)
                != (&piece.set, piece.threshold, &piece.recipient)
        {
            return Err(PieceError::OtherSet { at, found: piece.set, expected: first.set.clone() });
        }
        if pieces.iter().any(|known| known.index == piece.index) {
            return Err(PieceError::Twice { at, index: piece.index });
        }
        pieces.push(piece);
    }
    let need = pieces.first().map_or(2, |first| usize::from(first.threshold));
    if pieces.len() < need {
        return Err(PieceError::TooFew { have: pieces.len(), need });
    }
    let wrong = || PieceError::NotTheIdentity(recipient.to_owned());
    let shares: Result<Vec<Share>, _> =
        pieces.iter().map(|piece| Share::try_from(piece.share.as_slice())).collect();
    let dealer = Sharks(u8::try_from(need).unwrap_or(u8::MAX));
    let shares = shares.map_err(|_| wrong())?;
    let secret = dealer.recover(&shares);
    let text = String::from_utf8(secret.map_err(|_| wrong())?).map_err(|error| {
        error.into_bytes().zeroize();
        wrong()
    })?;
    let text = Zeroizing::new(text);
    let identity: Identity = text.parse().map_err(|_| wrong())?;
    if identity.to_public().to_string() == recipient { Ok(text) } else { Err(wrong()) }
}

impl Piece {
    fn checksum(&self) -> String {
        let hash: B256 = Transcript::new("quorate/recovery-piece/v1")
            .field(self.set.as_bytes())
            .field(&[self.index, self.threshold, self.custodians])
            .field(self.recipient.as_bytes())
            .field(&self.share)
            .finish();
        hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(text: &str, at: usize) -> Result<Self, PieceError> {
        let malformed = |reason| PieceError::Malformed { at, reason };
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if lines.next() != Some(BEGIN) {
            return Err(malformed("its first line is missing"));
        }
        let mut field = |name: &'static str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.map(|value| value.trim().to_owned()).ok_or(malformed(name))
        };
        let (set, index, threshold) = (field("set")?, field("piece")?, field("needed")?);
        let (custodians, recipient, checksum) = (field("pieces")?, field("recipient")?, field("checksum")?);
        let number = |text: &str, name| text.parse::<u8>().map_err(|_| malformed(name));
        let mut digits = Zeroizing::new(String::with_capacity(1_024));
        let mut ended = false;
        for line in lines {
            if line == END {
                ended = true;
                break;
            }
            digits.extend(line.chars().filter(|c| !c.is_whitespace()).take(1_024));
        }
        if !ended {
            return Err(malformed("its last line is missing: it was cut short"));
        }
        let share = hex::decode(&*digits).map(Zeroizing::new).map_err(|_| malformed("not hex digits"))?;
        let (index, threshold) = (number(&index, "piece")?, number(&threshold, "needed")?);
        let custodians = number(&custodians, "pieces")?;
        let piece = Self { set, index, threshold, custodians, recipient, share };
        if piece.checksum() != checksum {
            return Err(PieceError::Checksum { at });
        }
        if piece.share.first() != Some(&index) || threshold < 2 {
            return Err(malformed("its numbers contradict each other"));
        }
        Ok(piece)
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{BEGIN}\nset: {}\npiece: {}\nneeded: {}", self.set, self.index, self.threshold)?;
        writeln!(f, "pieces: {}\nrecipient: {}", self.custodians, self.recipient)?;
        writeln!(f, "checksum: {}\n", self.checksum())?;
        let digits = Zeroizing::new(hex::encode(&self.share));
        for (at, digit) in digits.chars().enumerate() {
            match at {
                0 => {}
                at if at % (GROUP * GROUPS) == 0 => writeln!(f)?,
                at if at % GROUP == 0 => write!(f, " ")?,
                _ => {}
            }
            write!(f, "{digit}")?;
        }
        writeln!(f, "\n{END}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn pick(pieces: &[Zeroizing<String>], which: &[usize]) -> Vec<Zeroizing<String>> {
        which.iter().map(|at| pieces[*at].clone()).collect()
    }

    #[test]
    fn any_three_of_five_make_the_identity_and_two_do_not() {
        let (recipient, pieces) = split_identity(5, 3).unwrap();
        for which in [[0, 1, 2], [4, 2, 0], [1, 3, 4]] {
            let text = combine_pieces(&pick(&pieces, &which), &recipient).unwrap();
            let identity: Identity = text.parse().unwrap();
            assert_eq!(identity.to_public().to_string(), recipient);
            assert!(pieces.iter().all(|piece| !piece.contains(&text[16..40])));
        }
        assert!(combine_pieces(&pieces, &recipient).is_ok());
        let few = combine_pieces(&pick(&pieces, &[0, 4]), &recipient);
        assert_eq!(few.unwrap_err(), PieceError::TooFew { have: 2, need: 3 });
        assert!(combine_pieces(&[], &recipient).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_piece_is_said_of_that_piece() {
        let (recipient, pieces) = split_identity(3, 2).unwrap();
        let (other, others) = split_identity(3, 2).unwrap();
        let with = |second: &str| {
            let list = [pieces[0].clone(), Zeroizing::new(second.to_owned())];
            combine_pieces(&list, &recipient).unwrap_err()
        };
        assert_eq!(with(&pieces[0]), PieceError::Twice { at: 1, index: 1 });
        assert!(matches!(with(&others[1]), PieceError::OtherSet { at: 1, .. }));
        let whole = pieces[1].as_str();
        assert!(matches!(with(&whole[..whole.len() - 60]), PieceError::Malformed { at: 1, .. }));
        assert!(matches!(with("nonsense"), PieceError::Malformed { at: 1, .. }));
        assert_eq!(with(&whole.replace("piece: 2", "piece: 3")), PieceError::Checksum { at: 1 });
        // One digit of the last line but one.
        let at = whole.rfind("\n-----END").unwrap() - 1;
        let digit = if &whole[at..=at] == "0" { "1" } else { "0" };
        let typo = format!("{}{digit}{}", &whole[..at], &whole[at + 1..]);
        assert_eq!(with(&typo), PieceError::Checksum { at: 1 });
        // Whole pieces of a whole set, for another manifest.
        let wrong = combine_pieces(&others, &recipient).unwrap_err();
        assert_eq!(wrong, PieceError::NotTheIdentity(recipient.clone()));
        assert!(combine_pieces(&others, &other).is_ok());
    }

    #[test]
    fn numbers_are_checked() {
        for (custodians, threshold) in [(0, 0), (1, 1), (3, 1), (3, 4), (17, 2)] {
            assert_eq!(split_identity(custodians, threshold).err(), Some(PieceError::Numbers));
        }
    }
}

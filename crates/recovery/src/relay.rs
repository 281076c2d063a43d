//! The process between two parties: it passes their messages on, checks the outcome, and sees no secret.
//!
//! The messages of a signing session are ciphertexts and proofs, made for a network that everybody listens to.

use std::io::{Read, Write};
use std::thread;

use quorate_types::{PartyIndex, Payload, Signature, WalletId};

use crate::frame::{Frame, FrameError, Hello, read_frame, write_frame};
use crate::pair::{PairError, belong_together};

/// Why the two did not sign.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// A party says why.
    #[error("{0}: {1}")]
    Party(String, String),
    /// The packages are not of one key.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// A party ended without a word, or said what none says.
    #[error("{0}: {1}")]
    Pipe(String, FrameError),
    /// A party ended.
    #[error("{0}: its process ended before the signature was made")]
    Gone(String),
    /// A party said what no party says.
    #[error("{0}: its process broke the protocol")]
    Unexpected(String),
    /// The payload cannot be read.
    #[error("the payload cannot be signed: {0}")]
    Payload(#[from] quorate_intent::DecodeError),
    /// What came out is no signature of the wallet over the payload.
    #[error("the signature that was made is not the wallet's: {0}")]
    Signature(#[from] quorate_types::SignatureError),
}

/// Both ends of one party's standard streams.
pub struct Pipe<R, W> {
    /// What to call it in errors: the package it opened.
    pub name: String,
    /// Its output.
    pub from: R,
    /// Its input.
    pub to: W,
}

/// Two parties whose packages belong together.
pub struct Ceremony<R, W> {
    pipes: [Pipe<R, W>; 2],
    hellos: [Hello; 2],
    participants: [PartyIndex; 2],
    sequence: u64,
}

impl<R: Read + Send, W: Write + Send> Ceremony<R, W> {
    /// Hears both parties out and checks that their packages belong together, without assembling anything.
    ///
    /// # Errors
    /// [`CeremonyError`] naming the package.
    pub fn start(mut pipes: [Pipe<R, W>; 2], wallet: &WalletId) -> Result<Self, CeremonyError> {
        let [one, two] = &mut pipes;
        let hellos = [hello(one)?, hello(two)?];
        let [first, second] = &hellos;
        let participants = belong_together(first, second, wallet)?;
        Ok(Self { pipes, hellos, participants, sequence: 0 })
    }

    /// What the two said of themselves.
    pub const fn hellos(&self) -> &[Hello; 2] {
        &self.hellos
    }

    /// Has the two sign a payload, and verifies the signature.
    ///
    /// # Errors
    /// [`CeremonyError`]. The ceremony is over then.
    pub fn sign(&mut self, payload: &Payload) -> Result<Signature, CeremonyError> {
        let digest = quorate_intent::decode(payload)?.digest.digest();
        let words = serde_json::to_string(payload)
            .map_err(|_| CeremonyError::Unexpected("the payload cannot be written".to_owned()))?;
        self.sequence += 1;
        let mut order: Vec<_> =
            self.hellos.iter().map(|hello| (hello.facts.role.index(), hello.nonce)).collect();
        order.sort_by_key(|(party, _)| *party);
        let request = Frame::Sign {
            participants: self.participants.to_vec(),
            nonces: order.into_iter().map(|(_, nonce)| nonce).collect(),
            sequence: self.sequence,
            payload: words,
        };
        for pipe in &mut self.pipes {
            tell(pipe, &request)?;
        }
        let [first, second] = self.carry()?;
        let [hello, _] = &self.hellos;
        let key = hello.wallet.public_key;
        let signature = Signature::from_bytes(&first, digest, key)?;
        if first == second {
            return Ok(signature);
        }
        Err(CeremonyError::Unexpected("the two parties' signatures differ".to_owned()))
    }

    /// Passes messages both ways until both have said a signature.
    fn carry(&mut self) -> Result<[Vec<u8>; 2], CeremonyError> {
        let [one, two] = &mut self.pipes;
        thread::scope(|scope| {
            let other = scope.spawn(|| pass(&two.name, &mut two.from, &mut one.to));
            let first = pass(&one.name, &mut one.from, &mut two.to);
            let second =
                other.join().unwrap_or_else(|_| Err(CeremonyError::Unexpected("the relay".to_owned())));
            // The party that fails first tells why; the other one only that it is alone.
            match (first, second) {
                (Ok(first), Ok(second)) => Ok([first, second]),
                (Err(error @ CeremonyError::Party(..)), _) => Err(error),
                (_, Err(error)) | (Err(error), _) => Err(error),
            }
        })
    }
}

fn hello<R: Read, W>(pipe: &mut Pipe<R, W>) -> Result<Hello, CeremonyError> {
    let name = || pipe.name.clone();
    match read_frame(&mut pipe.from) {
        Ok(Some(Frame::Hello(words))) => {
            serde_json::from_str(&words).map_err(|_| CeremonyError::Unexpected(name()))
        }
        Ok(Some(Frame::Failed(reason))) => Err(CeremonyError::Party(name(), reason)),
        Ok(Some(_)) => Err(CeremonyError::Unexpected(name())),
        Ok(None) => Err(CeremonyError::Gone(name())),
        Err(error) => Err(CeremonyError::Pipe(name(), error)),
    }
}

fn tell<R, W: Write>(pipe: &mut Pipe<R, W>, frame: &Frame) -> Result<(), CeremonyError> {
    write_frame(&mut pipe.to, frame).map_err(|error| CeremonyError::Pipe(pipe.name.clone(), error))
}

/// Passes one party's messages to the other, up to its signature. Where there will be none, the other is told.
fn pass<R: Read, W: Write>(name: &str, from: &mut R, to: &mut W) -> Result<Vec<u8>, CeremonyError> {
    let passed = pass_all(name, from, to);
    if passed.is_err() {
        // It may be gone as well; its own thread says so.
        let _gone = write_frame(to, &Frame::Failed("the other party ended".to_owned()));
    }
    passed
}

fn pass_all<R: Read, W: Write>(name: &str, from: &mut R, to: &mut W) -> Result<Vec<u8>, CeremonyError> {
    loop {
        match read_frame(from).map_err(|error| CeremonyError::Pipe(name.to_owned(), error))? {
            Some(frame @ (Frame::Message { .. } | Frame::Partial(_))) => {
                // Where the other party is gone, its own thread says why.
                let _gone = write_frame(to, &frame);
            }
            Some(Frame::Signature(signature)) => return Ok(signature),
            Some(Frame::Failed(reason)) => return Err(CeremonyError::Party(name.to_owned(), reason)),
            Some(Frame::Hello(_) | Frame::Sign { .. }) => {
                return Err(CeremonyError::Unexpected(name.to_owned()));
            }
            None => return Err(CeremonyError::Gone(name.to_owned())),
        }
    }
}

//! What two party processes and the relay between them say: postcard behind a 4-byte big-endian length.

use std::io::{self, Read, Write};

use quorate_types::{B256, PartyIndex};
use serde::{Deserialize, Serialize};

use crate::facts::{Facts, WalletFacts};

/// Largest frame accepted, in bytes: a payload of 128 KiB fits, in hex.
const MAX_FRAME: usize = 512 * 1024;

/// What a party says of itself once it has opened its package. All of it is public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Where its share comes from.
    pub facts: Facts,
    /// Which key it is of.
    pub wallet: WalletFacts,
    /// Drawn by this process: part of every execution id, so that none is ever the same twice.
    pub nonce: B256,
}

/// One frame on a pipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// Party to relay: the package is open and checked. Facts travel as JSON, which reads the same in every version.
    Hello(String),
    /// Relay to party: sign this with that other party.
    Sign {
        /// Both parties' indices, ascending.
        participants: Vec<PartyIndex>,
        /// Both parties' nonces, in the same order.
        nonces: Vec<B256>,
        /// Higher with each signature of these two processes.
        sequence: u64,
        /// What to sign, to be read by the party itself: a [`Payload`](quorate_types::Payload) as JSON.
        payload: String,
    },
    /// A protocol message, on its way to the other party.
    Message {
        /// Its round.
        round: u8,
        /// Whether it is a broadcast.
        broadcast: bool,
        /// Its body.
        body: Vec<u8>,
    },
    /// The last message: one half of the signature.
    Partial(Vec<u8>),
    /// Party to relay: the signature, 65 bytes.
    Signature(Vec<u8>),
    /// Party to relay: what went wrong, in words without secrets.
    Failed(String),
}

/// A pipe broke, or said something that is no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The pipe.
    #[error("pipe: {0}")]
    Io(#[from] io::Error),
    /// Not a frame.
    #[error("pipe: malformed frame")]
    Malformed,
}

/// Reads one frame; none at the end of the pipe.
///
/// # Errors
/// [`FrameError`].
pub fn read_frame(from: &mut impl Read) -> Result<Option<Frame>, FrameError> {
    let mut length = [0; 4];
    let Some((first, rest)) = length.split_first_mut() else { return Err(FrameError::Malformed) };
    if from.read(std::slice::from_mut(first))? == 0 {
        return Ok(None);
    }
    from.read_exact(rest)?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| FrameError::Malformed)?;
    if length > MAX_FRAME {
        return Err(FrameError::Malformed);
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    match postcard::take_from_bytes(&bytes) {
        Ok((frame, [])) => Ok(Some(frame)),
        _ => Err(FrameError::Malformed),
    }
}

/// Writes one frame and flushes.
///
/// # Errors
/// [`FrameError`], also where the frame is too large.
pub fn write_frame(to: &mut impl Write, frame: &Frame) -> Result<(), FrameError> {
    let bytes = postcard::to_allocvec(frame).map_err(|_| FrameError::Malformed)?;
    let length = u32::try_from(bytes.len()).map_err(|_| FrameError::Malformed)?;
    if bytes.len() > MAX_FRAME {
        return Err(FrameError::Malformed);
    }
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&bytes)?;
    Ok(to.flush()?)
}

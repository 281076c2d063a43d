//! Whole sessions, with everything the relay or a peer can do to them.

mod agreement;
mod envelopes;
mod last_word;
mod opens;
mod rig;
mod vectors;

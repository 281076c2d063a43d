//! The session between signer nodes: pure, sans-io. Bytes in, bytes out; time and randomness are passed in.
//!
//! Every node signs an [`Opening`] over the [`Terms`] it was asked to work under, with its own nonce and ephemeral key.
//! [`Opening::agree`] takes one open per participant, refuses the session before any crypto where one of them names
//! other terms, and yields a [`Channel`]: an execution id ([`Eid`]) nobody could choose, and one key per direction.
//!
//! The relay in between is not trusted. It can lose, hold back or spoil messages, and so stop a session; it cannot read
//! one, forge one, or have an honest party blamed. Hence the two outcomes of a bad envelope: what its sender provably
//! made ends the session and names the party; what the relay could have made is [dropped](Opened::Dropped), counted,
//! and after [`MAX_STRAYS`] of them the session ends as a failure of the network. A peer that signs two different opens
//! leaves the others with two execution ids: nothing opens, and that too looks, and is treated, like the network.
//!
//! Sessions are never persisted or resumed. A presigning session leaves one thing behind: the key of one message, the
//! [`LastWord`], with which its presignature is used.
//! Each error says [whose fault](Fault) it is.

mod agent;
mod broadcast;
mod caps;
mod channel;
mod eid;
mod envelope;
mod fault;
mod key;
mod last_word;
mod line;
mod note;
mod open;
mod open_error;
mod standing;
mod statement;
mod terms;
mod wallet_terms;
mod watch;

#[cfg(test)]
mod tests;

pub use agent::{AgentKey, AgentPublicKey, AgentRequest, AgentSignature, AskError, MAX_ASK_MS};
pub use broadcast::Broadcast;
pub use caps::Caps;
pub use channel::{Channel, Message, Opened, Recipient, Sealed};
pub use eid::Eid;
pub use envelope::{EnvelopeError, MAX_MESSAGES, MAX_STRAYS, SealError, Stray};
pub use fault::Fault;
pub use key::{BadSignature, NodeKey, NodePublicKey, NodePublicKeyError};
pub use last_word::LastWord;
pub use note::{Cosignature, LogCheckpoint, MAX_NOTE_BYTES, Note, NoteError, log_origin, node_log_origin};
pub use open::{MAX_OPEN_BYTES, Opening};
pub use open_error::OpenError;
pub use standing::{LogMark, PeerLogs, Standing};
pub use statement::{
    IntentStatement, KeyStatement, MAX_STATEMENT_BYTES, SignedStatement, Statement, StatementError,
};
pub use terms::{PROTOCOL_VERSION, Participant, Protocol, Terms, TermsError};
pub use wallet_terms::{MAX_LOOSENING_DELAY_S, WalletTerms};
pub use watch::{Deadline, Deadlines, Expired, Watch};

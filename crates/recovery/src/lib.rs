//! What offline recovery stands on: sealed packages, their signed index, and a signing ceremony between two processes
//! that each open one share. No disk and no sockets here: bytes come in, bytes go out.

#[cfg(feature = "spof")]
mod export;
mod facts;
mod frame;
mod identities;
mod index;
#[cfg(feature = "spof")]
mod keystore;
mod package;
mod pair;
mod party;
mod pieces;
mod readmission;
mod recipients;
mod relay;
mod sweep_policy;

#[cfg(feature = "spof")]
pub use export::{ExportError, Reconstruction};
pub use facts::{Facts, WalletFacts};
pub use frame::{Frame, FrameError, Hello, read_frame, write_frame};
pub use identities::{Answers, Identities, IdentitiesError, read_secret};
pub use index::{Entry, IndexError, IndexedWallet, Line, last_line, next_entry, read_index};
pub use package::{
    AuxPackage, MAX_SEALED_BYTES, PackageError, SharePackage, open_sealed, seal_aux, seal_share,
};
pub use pair::{PairError, belong_together};
pub use party::{PartyError, serve};
pub use pieces::{PieceError, combine_pieces, split_identity};
pub use readmission::{Readmission, ReadmissionError};
pub use recipients::{Recipients, RecipientsError, count_recipients};
pub use relay::{Ceremony, CeremonyError, Pipe};
pub use sweep_policy::{SweepPolicy, SweepPolicyError};

//! What an offline ceremony leaves behind, and the cluster takes on record when it is back: certificates of drills, and
//! transcripts with every signature that was made.
//!
//! Whoever reads one believes nothing in it that a signature does not prove. Pure: no share comes near it.

mod certificate;
mod challenge;
mod head;
mod made;
mod steps;

pub use certificate::{CertificateError, DrillCertificate};
pub use challenge::{ChallengeError, DrillChallenge};
pub use head::{Head, HeadError};
pub use made::{Made, MadeError, SIGNATURES};
pub use steps::{Step, StepsError, next_step, read_steps};

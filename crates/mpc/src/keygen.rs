//! Distributed key generation: a key that is born as three shares.

use cggmp24::ExecutionId;
use cggmp24::supported_curves::Secp256k1;
use quorate_types::{PARTIES, THRESHOLD};
use rand_core::OsRng;

use crate::blame;
use crate::error::MpcError;
use crate::protocol::{KeygenMsg, ProtocolKind};
use crate::share::CoreShare;
use crate::wire::{Party, Wire, connect};

/// Runs threshold key generation (2 of 3) with the two other parties: about 4 ms of CPU for all three.
///
/// # Errors
/// [`MpcError`], blaming a party that equivocates or whose sub-share does not match its commitment.
pub async fn generate_key(party: Party<'_>, wire: Wire) -> Result<CoreShare, MpcError> {
    let me = party.position(ProtocolKind::Keygen)?;
    let network = connect::<KeygenMsg>(wire, ProtocolKind::Keygen, party.participants, |_, _| Ok(()));
    let share = cggmp24::keygen::<Secp256k1>(ExecutionId::new(party.eid), me, PARTIES)
        .set_threshold(THRESHOLD)
        .enforce_reliable_broadcast(true)
        .start(&mut OsRng, network)
        .await
        .map_err(|error| blame::classify(&error, party.participants, party.me))?;
    CoreShare::new(share).map_err(|error| MpcError::Bug(error.to_string()))
}

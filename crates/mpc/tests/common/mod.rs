//! Short ways to a key, a presignature and a signature, shared by the tests of this crate.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use quorate_intent::{DecodedDigest, RawDigest, SigningDigest};
use quorate_mpc::fixtures::{Transit, group_aux, run};
use quorate_mpc::{
    CoreShare, GroupAux, MpcError, Party, Prehashed, Presignature, generate_key, generate_prehashed,
    generate_presignature,
};
use quorate_types::{B256, Bytes, PartyIndex, Payload, Signature};
use zeroize::Zeroizing;

pub fn digest(message: &'static [u8]) -> SigningDigest {
    let decoded = quorate_intent::decode(&Payload::Message(Bytes::from_static(message))).unwrap();
    decoded.digest.read().unwrap().clone()
}

pub fn raw_digest(digest: B256) -> RawDigest {
    let DecodedDigest::Raw(raw) = quorate_intent::decode(&Payload::RawDigest(digest)).unwrap().digest else {
        panic!()
    };
    raw
}

pub fn group(party: PartyIndex) -> GroupAux {
    group_aux(party).unwrap()
}

pub fn keygen() -> Vec<CoreShare> {
    keygen_over(|message| vec![message])
}

pub fn keygen_over(relay: impl FnMut(Transit) -> Vec<Transit>) -> Vec<CoreShare> {
    try_keygen(relay).into_iter().map(Result::unwrap).collect()
}

pub fn try_keygen(relay: impl FnMut(Transit) -> Vec<Transit>) -> Vec<Result<CoreShare, MpcError>> {
    run(&[0, 1, 2], relay, |me, wire| async move {
        generate_key(Party { eid: &[5; 32], me, participants: &[0, 1, 2] }, wire).await
    })
}

pub type Pair = Vec<(PartyIndex, Presignature)>;

pub fn try_presign(
    pair: [PartyIndex; 2],
    shares: &[Zeroizing<Vec<u8>>],
    relay: impl FnMut(Transit) -> Vec<Transit>,
) -> Vec<Result<Presignature, MpcError>> {
    run(&pair, relay, |me, wire| {
        let share = CoreShare::from_bytes(&shares[usize::from(me)]).unwrap();
        let share = share.with_aux(&group(me)).unwrap();
        async move {
            let party = Party { eid: &[6; 32], me, participants: &pair };
            generate_presignature(party, &share, wire).await
        }
    })
}

pub fn presign(
    pair: [PartyIndex; 2],
    shares: &[Zeroizing<Vec<u8>>],
    relay: impl FnMut(Transit) -> Vec<Transit>,
) -> Pair {
    pair.into_iter().zip(try_presign(pair, shares, relay).into_iter().map(Result::unwrap)).collect()
}

pub fn finish(pair: Pair, digest: &SigningDigest) -> Result<Signature, MpcError> {
    let mut combiner = None;
    let mut partials = Vec::new();
    for (party, presignature) in pair {
        let (partial, rest) = presignature.issue(digest);
        partials.push((party, partial));
        combiner = Some(rest);
    }
    combiner.unwrap().combine(&partials)
}

pub fn sign(
    pair: [PartyIndex; 2],
    shares: &[Zeroizing<Vec<u8>>],
    digest: &SigningDigest,
) -> Result<Signature, MpcError> {
    finish(presign(pair, shares, |message| vec![message]), digest)
}

/// Both halves of the signature over what each of the two takes for the digest.
pub fn prehash(
    pair: [PartyIndex; 2],
    shares: &[Zeroizing<Vec<u8>>],
    digests: [B256; 2],
    relay: impl FnMut(Transit) -> Vec<Transit>,
) -> [Result<Prehashed, MpcError>; 2] {
    let halves = run(&pair, relay, |me, wire| {
        let share = CoreShare::from_bytes(&shares[usize::from(me)]).unwrap();
        let share = Arc::new(share.with_aux(&group(me)).unwrap());
        let digest = raw_digest(digests[usize::from(me == pair[1])]);
        async move {
            let party = Party { eid: &[7; 32], me, participants: &pair };
            generate_prehashed(party, share, digest, wire).await
        }
    });
    halves.try_into().ok().unwrap()
}

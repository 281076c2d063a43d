//! The two range proofs of round 1 of presigning, verified here because the library does not.
//!
//! `cggmp24` 0.7.0-alpha.3 (`signing.rs`, "Verify psi0, psi1 proofs") writes `verify(psi0).err()?; verify(psi1).err()`
//! inside an `Option` closure: a valid psi0 returns early, so psi1 is never looked at, and an invalid psi0 is forgiven
//! if psi1 holds. A peer could thus use a K or G outside its range, which is how shares are extracted from MtA
//! ([CGGMP24] section 1.2.2; CVE-2023-33241 is the same class). The check below runs when the second of the two
//! messages arrives, before the library answers either of them. The rogue-party tests break one proof at a time.

use std::collections::BTreeMap;

use cggmp24::ExecutionId;
use cggmp24::security_level::{SecurityLevel, SecurityLevel128};
use cggmp24::signing::msg::{MsgRound1a, MsgRound1b};
use cggmp24::supported_curves::Secp256k1;
use paillier_zk::fast_paillier::EncryptionKey;
use paillier_zk::paillier_encryption_in_range_with_el_gamal as pi_enc_elg;
use sha2::Sha256;

use crate::protocol::SignMsg;
use crate::share::SigningShare;
use crate::wire::Party;

/// What binds a proof to its session, prover and ciphertext; the library's own private type of the same encoding.
#[derive(udigest::Digestable)]
#[udigest(tag = "dfns.cggmp24.signing.proof_enc")]
struct Binding<'a> {
    sid: ExecutionId<'a>,
    prover: u16,
    num: u8,
}

/// Collects the first-round messages of each peer and verifies their proofs.
pub(crate) struct RangeProofs {
    eid: [u8; 32],
    /// This party's ring-Pedersen parameters, with tables where they are built.
    verifier: pi_enc_elg::Aux,
    /// Paillier keys by position in the session.
    keys: Vec<EncryptionKey>,
    ciphertexts: BTreeMap<u16, MsgRound1a<Secp256k1>>,
    proofs: BTreeMap<u16, MsgRound1b<Secp256k1>>,
}

impl RangeProofs {
    /// Proofs made for `party` in its session; `None` where the share has no auxiliary info for a participant.
    pub(crate) fn of(party: &Party<'_>, share: &SigningShare) -> Option<Self> {
        let aux = &share.key.aux;
        let key = |index: &u16| aux.N.get(usize::from(*index)).cloned().map(EncryptionKey::from_n);
        Some(Self {
            eid: *party.eid,
            verifier: aux.pedersen_params.get(usize::from(party.me))?.into(),
            keys: party.participants.iter().map(key).collect::<Option<_>>()?,
            ciphertexts: BTreeMap::new(),
            proofs: BTreeMap::new(),
        })
    }

    /// Sees each message before the library does.
    pub(crate) fn check(&mut self, sender: u16, message: &SignMsg) -> Result<(), &'static str> {
        match message {
            SignMsg::Round1a(ciphertexts) => self.ciphertexts.insert(sender, ciphertexts.clone()).map(drop),
            SignMsg::Round1b(proofs) => self.proofs.insert(sender, proofs.clone()).map(drop),
            _ => return Ok(()),
        };
        let (Some(ciphertexts), Some(proofs)) = (self.ciphertexts.get(&sender), self.proofs.get(&sender))
        else {
            return Ok(());
        };
        let key = self.keys.get(usize::from(sender)).ok_or("no such party")?;
        let statement = |num: u8| {
            let k = num == 0;
            let data = pi_enc_elg::Data {
                key,
                ciphertext: if k { &ciphertexts.K } else { &ciphertexts.G },
                a: &ciphertexts.Y,
                b: if k { &ciphertexts.A1 } else { &ciphertexts.B1 },
                x: if k { &ciphertexts.A2 } else { &ciphertexts.B2 },
            };
            let proof = if k { &proofs.psi0 } else { &proofs.psi1 };
            let binding = Binding { sid: ExecutionId::new(&self.eid), prover: sender, num };
            let security =
                pi_enc_elg::SecurityParams { l: SecurityLevel128::ELL, epsilon: SecurityLevel128::EPSILON };
            pi_enc_elg::non_interactive::verify::<_, Sha256>(&binding, &self.verifier, data, proof, &security)
        };
        statement(0).map_err(|_| "range proof of K (psi0) is invalid")?;
        statement(1).map_err(|_| "range proof of G (psi1) is invalid")
    }
}

//! Signs what a plan moves, one payload after the other, and reads each back as the network would.

use quorate_intent::signed_transaction;
use quorate_types::{Address, Payload, Signature};

use super::journal::{Job, Journal, Slot, Swept};
use super::plan::Move;
use crate::check;
use crate::refusal::Refusal;

/// Signs every move of a job that the journal does not have signed yet, with `sign`. How many that were.
///
/// # Errors
/// A [`Refusal`]; what was signed before it stays in the journal.
pub(crate) fn sweep(
    journal: &mut Journal,
    job: &Job,
    mut sign: impl FnMut(&Payload) -> Result<Signature, Refusal>,
) -> Result<usize, Refusal> {
    let mut signed = 0;
    for planned in &job.moves {
        if journal.signed(job.from, planned).is_some() {
            continue;
        }
        let swept = Swept::planned(job.from, planned);
        journal.write(&swept)?;
        let signature = sign(&planned.payload)?;
        journal.write(&swept.signed(raw(job.from, planned, &signature)?, &signature))?;
        signed += 1;
    }
    Ok(signed)
}

/// What the network takes: by this wallet, and of what was meant, or nothing.
fn raw(from: Address, planned: &Move, signature: &Signature) -> Result<String, Refusal> {
    let wrong = || Refusal::internal("what was signed reads back as something else; it was not written");
    let bytes = match planned.slot {
        Slot::Transaction(_) => {
            let raw = signed_transaction(&planned.payload, signature).ok_or_else(wrong)?;
            let read = check::signed_transaction(&raw)?;
            if read.signer != from || read.digest != planned.decoded.digest.digest() {
                return Err(wrong());
            }
            raw.to_vec()
        }
        Slot::Authorization { .. } => {
            let signer = check::recover(planned.decoded.digest.digest(), &signature.to_bytes())?;
            if signer != from {
                return Err(wrong());
            }
            planned.authorization.as_ref().ok_or_else(wrong)?.call(signature)?
        }
    };
    Ok(format!("0x{}", hex::encode(bytes)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::path::Path;

    use quorate_types::{B256, PublicKey};
    use secp256k1::{Message, Secp256k1, SecretKey};

    use super::*;
    use crate::recover::Destination;
    use crate::recover::plan::Plan;

    const TO: Address = Address::repeat_byte(2);
    const WALLETS: u16 = 1_000;

    /// A wallet whose key is whole, which only a test's is.
    fn key(at: u16) -> (SecretKey, PublicKey) {
        let mut bytes = [7; 32];
        bytes[..2].copy_from_slice(&at.to_be_bytes());
        let secret = SecretKey::from_byte_array(bytes).unwrap();
        let public = secp256k1::PublicKey::from_secret_key(&Secp256k1::new(), &secret);
        (secret, PublicKey::from_sec1(&public.serialize()).unwrap())
    }

    fn signature(at: u16, payload: &Payload) -> (B256, Signature) {
        let (secret, public) = key(at);
        let digest = quorate_intent::decode(payload).unwrap().digest.digest();
        let made = Secp256k1::new().sign_ecdsa_recoverable(Message::from_digest(digest.0), &secret);
        let (_, rs) = made.serialize_compact();
        let (r, s) = (B256::from_slice(&rs[..32]), B256::from_slice(&rs[32..]));
        (digest, Signature::verified(r, s, digest, public).unwrap())
    }

    fn jobs(balance: &str) -> Vec<Job> {
        let plan = format!(
            "{{chain: base-sepolia, nonce: 7, native_balance: '0.01', max_fee_per_gas: 2gwei, \
             max_priority_fee_per_gas: 1gwei, authorizations: {{valid_before: 2000000000, tokens: {{USDC: '{balance}'}}}}}}"
        );
        let plan: Plan = serde_norway::from_str(&plan).unwrap();
        let job = |at| {
            let from = key(at).1.address();
            Job { from, moves: plan.moves(from, &Destination::Typed(TO)).unwrap() }
        };
        (0..WALLETS).map(job).collect()
    }

    /// Signs until `budget` signatures were made, then ends as a crash would. Whether all is signed.
    fn run(dir: &Path, jobs: &[Job], mut budget: usize, made: &mut Vec<(Address, Slot, B256)>) -> bool {
        let mut journal = Journal::open(dir).unwrap();
        journal.check(jobs).unwrap();
        for (at, job) in (0..).zip(jobs) {
            let slots: BTreeMap<_, _> =
                job.moves.iter().map(|one| (one.payload.as_bytes().to_vec(), one.slot)).collect();
            let swept = sweep(&mut journal, job, |payload| {
                let (digest, signature) = signature(at, payload);
                made.push((job.from, slots[payload.as_bytes()], digest));
                budget = budget.checked_sub(1).ok_or_else(|| Refusal::invalid("killed"))?;
                Ok(signature)
            });
            if swept.is_err() {
                return false;
            }
        }
        journal.broadcast(jobs).unwrap();
        true
    }

    #[test]
    fn a_thousand_wallets_and_a_crash_every_so_often_never_sign_two_payloads_for_one_nonce() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let jobs = jobs("12.5");
        let mut made = Vec::new();
        let mut runs: usize = 0;
        while !run(&out, &jobs, 97 + runs % 7, &mut made) {
            runs += 1;
            // The line that was being written when the power went.
            let mut journal = OpenOptions::new().append(true).open(out.join("journal.jsonl")).unwrap();
            journal.write_all(&b"{\"from\":\"0x00\",\"cha"[..runs % 20]).unwrap();
        }
        assert!(runs > 15, "it was interrupted {runs} times");
        let mut digests: BTreeMap<_, BTreeSet<B256>> = BTreeMap::new();
        for (from, slot, digest) in made {
            digests.entry((from, slot)).or_default().insert(digest);
        }
        assert_eq!(digests.len(), usize::from(WALLETS) * 2);
        assert!(digests.values().all(|signed| signed.len() == 1));
        for name in ["raw-transactions.txt", "authorizations.jsonl"] {
            let text = std::fs::read_to_string(out.join(name)).unwrap();
            assert_eq!(text.lines().collect::<BTreeSet<_>>().len(), usize::from(WALLETS), "{name}");
        }
        // Again: nothing is left to sign. Another balance for the same authorizations: refused.
        assert!(run(&out, &jobs, 0, &mut Vec::new()));
        let refused = Journal::open(&out).unwrap().check(&self::jobs("12")).unwrap_err();
        assert!(refused.reason.contains("is taken by"), "{}", refused.reason);
    }

    #[test]
    fn a_journal_that_gives_a_nonce_twice_is_not_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (jobs("1"), jobs("2"));
        let line =
            |jobs: &[Job]| serde_json::to_string(&Swept::planned(jobs[0].from, &jobs[0].moves[0])).unwrap();
        std::fs::write(dir.path().join("journal.jsonl"), format!("{}\n{}\n", line(&one), line(&other)))
            .unwrap();
        let refused = Journal::open(dir.path()).err().unwrap();
        assert!(
            refused.reason.contains("line 2") && refused.reason.contains("another payload"),
            "{}",
            refused.reason
        );
        std::fs::write(dir.path().join("journal.jsonl"), "nonsense\n").unwrap();
        assert!(Journal::open(dir.path()).err().unwrap().next.unwrap().contains("never delete"));
    }

    #[test]
    fn a_plan_that_uses_a_nonce_twice_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut twice = jobs("1");
        twice.truncate(1);
        twice.extend(jobs("1").into_iter().take(1));
        let refused = Journal::open(dir.path()).unwrap().check(&twice).unwrap_err();
        assert!(refused.reason.contains("used twice"), "{}", refused.reason);
    }
}

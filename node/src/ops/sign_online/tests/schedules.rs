//! The promise of the service node with everything real but the disk and the network: guard, policy, ledger, log, slots,
//! contributions and signatures. Whatever a coordinator shows to whom, in whatever order and at once, and wherever the nodes
//! are killed, what was signed never passes a cap, and no authorization's nonce is signed for twice.
//!
//! Presignatures are made for real and used in many worlds, each by itself. What stands for all worlds is in
//! `crates/ledger/tests/ledger/schedules.rs`, ten thousand times over.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const WORLDS: u64 = 300;
const STEPS: usize = 40;
const PAYLOADS: usize = 6;
/// USDC base units.
const HALF: u64 = 500_000;

/// What a payload does. Two that do the same with the same nonce are one spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Effect {
    authorization: bool,
    nonce: u8,
    /// In halves of a dollar.
    halves: u64,
}

struct Limits {
    /// In halves of a dollar.
    halves: u64,
    signatures: usize,
}

/// What was seen, so that worlds in which nothing happens do not pass.
#[derive(Debug, Default)]
struct Tally {
    signed: usize,
    denied: usize,
    refused: usize,
    killed: usize,
    full: usize,
}

struct World {
    rig: Rig,
    rng: StdRng,
    limits: Limits,
    payloads: Vec<(Effect, v1::Payload)>,
    ids: Vec<B256>,
    /// What the agent node made, for which presignature and payload.
    sealed: Vec<(B256, usize, Vec<u8>)>,
    /// Which payloads have a signature.
    signed: BTreeSet<usize>,
}

fn payload(rig: &Rig, effect: Effect, fee: u8) -> v1::Payload {
    let Effect { authorization, nonce, halves } = effect;
    if authorization {
        return authorized(rig, nonce, halves * HALF);
    }
    let v1::Payload { kind: Some(v1::payload::Kind::Transaction(mut unsigned)) } = payment(nonce) else {
        panic!()
    };
    unsigned[9] = fee;
    let end = unsigned.len() - 1;
    unsigned[end - 8..end].copy_from_slice(&(halves * HALF).to_be_bytes());
    v1::Payload { kind: Some(v1::payload::Kind::Transaction(unsigned)) }
}

/// EIP-3009, as x402 asks for it.
fn authorized(rig: &Rig, nonce: u8, amount: u64) -> v1::Payload {
    let fields = |names: &str| -> serde_json::Value {
        let pairs = names.split(',').map(|pair| pair.split_once(' ').unwrap());
        pairs.map(|(kind, name)| serde_json::json!({ "name": name, "type": kind })).collect()
    };
    let from = rig.nodes[0].vault.wallet(&"w".parse().unwrap()).unwrap().unwrap().public_key.address();
    let json = serde_json::json!({
        "types": {
            "EIP712Domain": fields("string name,string version,uint256 chainId,address verifyingContract"),
            "TransferWithAuthorization": fields(
                "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce",
            ),
        },
        "primaryType": "TransferWithAuthorization",
        "domain": {
            "name": "USDC", "version": "2", "chainId": 84532,
            "verifyingContract": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        },
        "message": {
            "from": from.to_string(), "to": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", "value": amount.to_string(),
            "validAfter": "0", "validBefore": "1000000", "nonce": B256::repeat_byte(nonce).to_string(),
        },
    });
    v1::Payload { kind: Some(v1::payload::Kind::TypedData(json.to_string())) }
}

impl World {
    fn new(base: &Rig, seed: u64) -> Self {
        let (rig, mut rng) = (base.fork(), StdRng::seed_from_u64(seed));
        let limits = Limits { halves: rng.gen_range(0..6), signatures: rng.gen_range(1..5) };
        let lines = format!(
            "  cumulative: [{{asset: USDC, chain: base-sepolia, max: \"{}.{}\", window: {{rolling_s: 86400}}}}]\n  \
             velocity: [{{max: {}, window: {{rolling_s: 86400}}}}]\n  max_authorization_lifetime_s: 10000000\n",
            limits.halves / 2,
            limits.halves % 2 * 5,
            limits.signatures
        );
        let policy = rig.cluster.policy_with(("w", 2), "1.00", &lines);
        for node in &rig.nodes {
            node.documents.put_unguarded(&policy).unwrap();
        }
        let effect = |rng: &mut StdRng| Effect {
            authorization: rng.r#gen(),
            nonce: rng.gen_range(1..4),
            halves: rng.gen_range(1..3),
        };
        let payloads = (0..PAYLOADS).map(|_| {
            let effect = effect(&mut rng);
            (effect, payload(&rig, effect, rng.gen_range(1..4)))
        });
        let payloads = payloads.collect();
        Self { rig, rng, limits, payloads, ids: Vec::new(), sealed: Vec::new(), signed: BTreeSet::new() }
    }

    async fn step(&mut self, halves: &[[Presignature; 2]], tally: &mut Tally) {
        match self.rng.gen_range(0..40) {
            0..=11 => self.stock(halves),
            12..=23 => self.contribute(tally).await,
            24..=30 => {
                let shown = self.shown();
                self.complete(shown, tally).await;
            }
            31..=37 => {
                // At once: several sessions, or one twice.
                let shown = [self.shown(), self.shown(), self.shown()];
                self.complete(shown.into_iter().flatten().collect(), tally).await;
            }
            38 => {
                let (role, aftermath) = (self.role(), self.aftermath());
                self.rig.disks[usize::from(role.index())].fail_commit_after(0, aftermath);
            }
            _ => {
                let role = self.role();
                self.kill(role, tally);
            }
        }
    }

    fn role(&mut self) -> Role {
        if self.rng.r#gen() { Role::Agent } else { Role::Service }
    }

    fn aftermath(&mut self) -> Aftermath {
        if self.rng.r#gen() { Aftermath::Kept } else { Aftermath::Lost }
    }

    fn kill(&mut self, role: Role, tally: &mut Tally) {
        tally.killed += 1;
        self.rig.restart(role);
    }

    /// What a presigning session would leave in both pools.
    fn stock(&mut self, halves: &[[Presignature; 2]]) {
        let twins = &halves[self.rng.gen_range(0..halves.len())];
        let twins = twins.iter().map(fixtures::twin).collect();
        let made = self.rig.last_words(&self.rig.terms());
        self.ids.push(self.rig.stock(made, twins));
    }

    /// The agent node is asked for a contribution to any payload, with one of the last presignatures.
    async fn contribute(&mut self, tally: &mut Tally) {
        let Some(id) = self.recent() else { return };
        let at = self.rng.gen_range(0..PAYLOADS);
        let start = self.rig.start_with(id, self.payloads[at].1.clone(), &[]);
        match self.rig.ask(Role::Agent, start).await.0 {
            Ok(Outcome::Contributed(sealed)) => self.sealed.push((id, at, sealed)),
            Ok(other) => panic!("{other:?}"),
            Err(SessionError::Fatal(_)) => self.kill(Role::Agent, tally),
            Err(_) => tally.refused += 1,
        }
    }

    fn recent(&mut self) -> Option<B256> {
        let back = self.rng.gen_range(0..3);
        self.ids.iter().rev().nth(back).copied()
    }

    /// What the coordinator shows the service node: mostly what the agent node contributed to, and sometimes a lie.
    fn shown(&mut self) -> Vec<(usize, v1::StartOnline)> {
        if self.sealed.is_empty() {
            return Vec::new();
        }
        let back = self.rng.gen_range(0..self.sealed.len().min(4));
        let (mut id, mut at, mut sealed) = self.sealed[self.sealed.len() - 1 - back].clone();
        match self.rng.gen_range(0..12) {
            0 => at = self.rng.gen_range(0..PAYLOADS),
            1 => id = self.recent().unwrap_or(id),
            2 => sealed = self.sealed[self.rng.gen_range(0..self.sealed.len())].2.clone(),
            _ => {}
        }
        vec![(at, self.rig.start_with(id, self.payloads[at].1.clone(), &sealed))]
    }

    async fn complete(&mut self, shown: Vec<(usize, v1::StartOnline)>, tally: &mut Tally) {
        let rig = &self.rig;
        let asked =
            shown.into_iter().map(|(at, start)| async move { (at, rig.ask(Role::Service, start).await.0) });
        let mut died = false;
        for (at, outcome) in futures::future::join_all(asked).await {
            match outcome {
                Ok(Outcome::Signed(_)) => {
                    tally.signed += usize::from(self.signed.insert(at));
                }
                Ok(other) => panic!("{other:?}"),
                Err(SessionError::Fatal(_)) => died = true,
                Err(SessionError::Denied(_)) => tally.denied += 1,
                Err(_) => tally.refused += 1,
            }
        }
        if died {
            self.kill(Role::Service, tally);
        }
    }

    /// No window is shorter than a world, so all that was signed counts.
    fn check(&self) -> bool {
        let effects: BTreeSet<Effect> = self.signed.iter().map(|at| self.payloads[*at].0).collect();
        let spent: u64 = effects.iter().map(|effect| effect.halves).sum();
        let distinct: BTreeSet<_> =
            self.signed.iter().map(|at| format!("{:?}", self.payloads[*at].1)).collect();
        assert!(spent <= self.limits.halves, "{spent} of {} halves: {effects:?}", self.limits.halves);
        assert!(distinct.len() <= self.limits.signatures, "{} signatures", distinct.len());
        let mut nonces: BTreeMap<u8, Effect> = BTreeMap::new();
        for effect in effects.into_iter().filter(|effect| effect.authorization) {
            assert_eq!(nonces.insert(effect.nonce, effect), None, "one nonce, two authorizations");
        }
        spent == self.limits.halves || distinct.len() == self.limits.signatures
    }
}

#[tokio::test]
async fn what_is_signed_for_real_never_passes_a_cap() {
    let (base, mut tally) = (Rig::new(), Tally::default());
    let halves = [[1; 32], [2; 32]].map(|eid| <[Presignature; 2]>::try_from(base.halves(eid)).ok().unwrap());
    for seed in 0..WORLDS {
        let mut world = World::new(&base, seed);
        for _ in 0..STEPS {
            world.step(&halves, &mut tally).await;
            world.check();
        }
        tally.full += usize::from(world.check());
    }
    let Tally { signed, denied, refused, killed, full } = tally;
    let least = usize::try_from(WORLDS).unwrap() / 4;
    for (what, times) in
        [("signed", signed), ("denied", denied), ("refused", refused), ("killed", killed), ("full", full)]
    {
        assert!(times >= least, "{what}: {times} times");
    }
}

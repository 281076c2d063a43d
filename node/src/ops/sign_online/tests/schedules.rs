//! The promise of the service node with everything real but the disk and the network: guard, policy, ledger, log, slots,
//! contributions and signatures. Whatever a coordinator shows to whom, by either way, in whatever order and at once, and
//! wherever the nodes are killed, at a sync or at any of their failpoints: what was signed never passes a cap, no authorization's
//! nonce is signed for twice, no presignature signs two digests, no two signatures share an r, and what left a node once leaves
//! it again word for word.
//!
//! Presignatures are made for real, ahead of time, and used once in each of many worlds. What stands for all worlds is in
//! `crates/ledger/tests/ledger/schedules.rs`, ten thousand times over.

use std::collections::{BTreeMap, BTreeSet};

use quorate_failpoint::Point;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::*;

const WORLDS: u64 = 300;
const STEPS: usize = 48;
/// Presignatures of a world.
const HALVES: u8 = 14;
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
    /// Left a node, and left it again after a restart.
    again: usize,
    /// By failpoint.
    died: BTreeMap<Point, usize>,
}

struct World {
    rig: Rig,
    /// What presignatures are made under.
    terms: Terms,
    rng: StdRng,
    limits: Limits,
    payloads: Vec<(Effect, v1::Payload)>,
    /// How many of its presignatures were used.
    drawn: usize,
    ids: Vec<B256>,
    /// What the agent node made, for which presignature and payload.
    sealed: Vec<(B256, usize, Vec<u8>)>,
    /// Which payloads have a signature.
    signed: BTreeSet<usize>,
    /// What left which node for which presignature, and for which payload it did first.
    left: BTreeMap<(PartyIndex, B256), (usize, Vec<u8>)>,
    /// Every signature, by its r.
    signatures: BTreeMap<Vec<u8>, Vec<u8>>,
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
        let (terms, ids, sealed) = (base.terms(), Vec::new(), Vec::new());
        let (signed, left, signatures) = Default::default();
        Self { rig, terms, rng, limits, payloads, drawn: 0, ids, sealed, signed, left, signatures }
    }

    async fn step(&mut self, halves: &[[Presignature; 2]], tally: &mut Tally) {
        match self.rng.gen_range(0..56) {
            0..=11 => self.stock(halves),
            12..=23 => self.contribute(tally).await,
            24..=30 => {
                let shown = self.shown();
                self.complete(shown, tally).await;
            }
            31..=37 => {
                // At once: several requests, or one twice.
                let shown = [self.shown(), self.shown(), self.shown()];
                self.complete(shown.into_iter().flatten().collect(), tally).await;
            }
            38..=43 => self.sessions(halves, tally).await,
            44..=46 => {
                let (role, aftermath, nth) = (self.role(), self.aftermath(), self.rng.gen_range(0..3));
                self.rig.disks[usize::from(role.index())].fail_commit_after(nth, aftermath);
            }
            47..=53 => {
                let role = self.role();
                let points = Point::ALL.into_iter().filter(|point| point.owner() == role.to_string());
                let point = *points.collect::<Vec<_>>().choose(&mut self.rng).unwrap();
                self.rig.nodes[usize::from(role.index())].failpoints.arm(point);
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
        if let Some(point) = self.rig.nodes[usize::from(role.index())].failpoints.died_at() {
            *tally.died.entry(point).or_default() += 1;
        }
        self.rig.restart(role);
    }

    /// A presignature that was not used in this world, where there is one.
    fn draw(&mut self, halves: &[[Presignature; 2]]) -> Option<[Presignature; 2]> {
        let drawn = halves.get(self.drawn)?;
        self.drawn += 1;
        Some(drawn.each_ref().map(fixtures::twin))
    }

    /// What a presigning session would leave in both pools.
    fn stock(&mut self, halves: &[[Presignature; 2]]) {
        let Some(drawn) = self.draw(halves) else { return };
        let made = self.rig.last_words(&self.terms);
        self.ids.push(self.rig.stock(&self.terms, made, drawn.into()));
    }

    /// One request in a session of its own, or two at once.
    async fn sessions(&mut self, halves: &[[Presignature; 2]], tally: &mut Tally) {
        let mut shown = Vec::new();
        for _ in 0..self.rng.gen_range(1..3) {
            let Some(drawn) = self.draw(halves) else { break };
            let at = self.rng.gen_range(0..PAYLOADS);
            shown.push((at, self.rig.request(self.payloads[at].1.clone()), drawn));
        }
        let rig = &self.rig;
        let asked = shown
            .into_iter()
            .map(|(at, start, drawn)| async move { (at, rig.in_a_session(&start, drawn).await) });
        for (at, said) in futures::future::join_all(asked).await {
            for said in said {
                match said {
                    Ok(Outcome::Released(_)) => {}
                    Ok(Outcome::Signed(signed)) => self.signed(at, &signed, tally),
                    Ok(other) => panic!("{other:?}"),
                    Err(SessionError::Denied(_)) => tally.denied += 1,
                    Err(_) => tally.refused += 1,
                }
            }
        }
    }

    /// A process whose disk failed or that met its failpoint is no more, whatever a session that was given up meanwhile says.
    fn bury(&mut self, tally: &mut Tally) {
        for role in [Role::Agent, Role::Service] {
            let node = &self.rig.nodes[usize::from(role.index())];
            if node.fatal.reason().is_some() || node.failpoints.died_at().is_some() {
                self.kill(role, tally);
            }
        }
    }

    /// The agent node is asked for a contribution to any payload, with one of the last presignatures.
    async fn contribute(&mut self, tally: &mut Tally) {
        let Some(id) = self.recent() else { return };
        let at = self.rng.gen_range(0..PAYLOADS);
        let start = self.rig.start_with(id, self.payloads[at].1.clone(), &[]);
        match self.rig.ask(Role::Agent, start).await.0 {
            Ok(Outcome::Contributed(sealed)) => {
                self.left(Role::Agent, id, (at, sealed.clone()));
                self.sealed.push((id, at, sealed));
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => tally.refused += 1,
        }
    }

    fn recent(&mut self) -> Option<B256> {
        let back = self.rng.gen_range(0..3);
        self.ids.iter().rev().nth(back).copied()
    }

    /// What the coordinator shows the service node: mostly what the agent node contributed to, and sometimes a lie.
    fn shown(&mut self) -> Vec<(usize, B256, v1::StartOnline)> {
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
        vec![(at, id, self.rig.start_with(id, self.payloads[at].1.clone(), &sealed))]
    }

    async fn complete(&mut self, shown: Vec<(usize, B256, v1::StartOnline)>, tally: &mut Tally) {
        let rig = &self.rig;
        let asked = shown
            .into_iter()
            .map(|(at, id, start)| async move { (at, id, rig.ask(Role::Service, start).await.0) });
        for (at, id, outcome) in futures::future::join_all(asked).await {
            match outcome {
                Ok(Outcome::Signed(signed)) => {
                    self.left(Role::Service, id, (at, signed.signature.clone()));
                    self.signed(at, &signed, tally);
                }
                Ok(other) => panic!("{other:?}"),
                Err(SessionError::Denied(_)) => tally.denied += 1,
                Err(_) => tally.refused += 1,
            }
        }
    }

    /// What left a node: of one presignature one thing, whoever asks and whatever died since.
    fn left(&mut self, role: Role, id: B256, (at, what): (usize, Vec<u8>)) {
        let (_, first) = self.left.entry((role.index(), id)).or_insert((at, what.clone()));
        assert_eq!(*first, what, "the {role} node lets two things leave for one presignature");
    }

    fn signed(&mut self, at: usize, signed: &v1::SessionSigned, tally: &mut Tally) {
        let signature = &signed.signature;
        let first = self.signatures.entry(signature[..32].to_vec()).or_insert_with(|| signature.clone());
        assert_eq!(first, signature, "two signatures share an r");
        let payload = quorate_proto::payload_from_pb(Some(self.payloads[at].1.clone())).ok().unwrap();
        let charged = quorate_ledger::charged(&self.rig.memory[1], &"w".parse().unwrap(), payload.hash());
        assert!(charged.unwrap().is_some(), "signed and not charged");
        tally.signed += usize::from(self.signed.insert(at));
    }

    /// Both nodes are started again, and asked once more for all that left them.
    async fn ask_again(&mut self, tally: &mut Tally) {
        for role in [Role::Agent, Role::Service] {
            self.rig.restart(role);
        }
        for ((index, id), (at, first)) in std::mem::take(&mut self.left) {
            let role = if index == Role::Agent.index() { Role::Agent } else { Role::Service };
            let start = self.rig.start_with(id, self.payloads[at].1.clone(), &[]);
            let again = match self.rig.ask(role, start).await.0 {
                Ok(Outcome::Contributed(sealed)) => sealed,
                Ok(Outcome::Signed(signed)) => signed.signature,
                other => panic!("{other:?}"),
            };
            assert_eq!(again, first);
            tally.again += 1;
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
    let made = |eid| <[Presignature; 2]>::try_from(base.halves([eid; 32])).ok().unwrap();
    let halves: Vec<_> = (0..HALVES).map(made).collect();
    for seed in 0..WORLDS {
        let mut world = World::new(&base, seed);
        for _ in 0..STEPS {
            world.step(&halves, &mut tally).await;
            world.bury(&mut tally);
            world.check();
        }
        tally.full += usize::from(world.check());
        world.ask_again(&mut tally).await;
    }
    let Tally { signed, denied, refused, killed, full, again, died } = tally;
    let least = usize::try_from(WORLDS).unwrap() / 4;
    for (what, times) in [
        ("signed", signed),
        ("denied", denied),
        ("refused", refused),
        ("killed", killed),
        ("full", full),
        ("again", again),
    ] {
        assert!(times >= least, "{what}: {times} times");
    }
    for point in Point::ALL.into_iter().filter(|point| point.owner() != "coordinator") {
        let times = died.get(&point).copied().unwrap_or_default();
        assert!(times >= least / 8, "died at {} {times} times", point.name());
    }
}

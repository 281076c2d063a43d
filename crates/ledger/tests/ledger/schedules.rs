//! The promise at the service node's ledger: whatever is asked at once, in whatever order, whoever lies, wherever it
//! crashes, the sum of what was released never passes a cap, and no authorization's nonce is signed for twice. Ten thousand
//! random schedules against limits added up here in another way.

use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use quorate_intent::{
    Action, Authorization, AuthorizationKind, Intent, TransactionTerms, Validity, token_by_symbol,
};
use quorate_ledger::{Before, Charged, LedgerError, charge};
use quorate_manifest::{Manifest, ManifestDraft, Namespace, PersonDraft, PersonKey, SignedDocument, sign};
use quorate_policy::{Approval, Decision, Facts, Full, SignedPolicy, evaluate};
use quorate_store::{Aftermath, FailingStore, MemStore, Store};
use quorate_types::{Address, B256, U256, UnixMillis, WalletId};
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

use crate::given::AGENT;

const CHAIN: u64 = 84532;
const PAYEES: [Address; 2] = [Address::repeat_byte(0x11), Address::repeat_byte(0x22)];
pub(crate) const PAYLOADS: usize = 10;
pub(crate) const START: UnixMillis = 1_700_000_000_000;

/// A limit, in the policy's words and in those of this test.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    max: u64,
    /// USDC base units; signatures otherwise.
    amounts: bool,
    per_payee: bool,
    window: Window,
}

#[derive(Debug, Clone, Copy)]
enum Window {
    Rolling {
        ms: u64,
    },
    /// Aligned to its own length from the epoch, in a zone that has never set its clocks since 1945.
    Calendar {
        name: &'static str,
        ms: u64,
        zone: &'static str,
        offset_ms: u64,
    },
}

impl Limit {
    fn yaml(&self) -> String {
        let window = match self.window {
            Window::Rolling { ms } => format!("{{ rolling_s: {} }}", ms / 1000),
            Window::Calendar { name, zone, .. } => format!("{{ calendar: {name}, timezone: {zone} }}"),
        };
        let per = if self.per_payee { "recipient" } else { "wallet" };
        let max = self.max;
        if self.amounts {
            format!(
                "{{ asset: USDC, chain: base-sepolia, max: \"0.{max:06}\", per: {per}, window: {window} }}"
            )
        } else {
            format!("{{ max: {max}, per: {per}, window: {window} }}")
        }
    }

    /// Whether `other` counts in the window that ends with `last`.
    fn together(&self, last: &Released, other: &Released) -> bool {
        let payee = !self.per_payee || last.payee == other.payee;
        let at = |released: &Released| if self.amounts { released.moved_at } else { released.at };
        let (last, other) = (at(last), at(other));
        payee
            && match self.window {
                Window::Rolling { ms } => other <= last && last - other < ms,
                Window::Calendar { ms, offset_ms, .. } => (last + offset_ms) / ms == (other + offset_ms) / ms,
            }
    }

    pub(crate) fn holds(&self, released: &[Released]) -> bool {
        let landing = || released.iter().filter(|one| !self.amounts || !one.again);
        landing().all(|last| {
            let counted = landing().filter(|other| self.together(last, other));
            counted.map(|other| if self.amounts { other.amount } else { 1 }).sum::<u64>() <= self.max
        })
    }
}

/// What a payload does, and the nonce it takes, where it takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moves {
    pub(crate) amount: u64,
    pub(crate) payee: usize,
    pub(crate) nonce: Option<Nonce>,
}

/// What is taken once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nonce {
    /// By a chain: another transaction with it may be signed, and is charged apart.
    Account(u64),
    /// By a token (EIP-3009): nothing else is signed for it.
    Authorization(u8),
}

/// A payload whose signature left the node: a chain takes it once, whenever and however often it was signed, and it takes
/// one of those that do the same with the same nonce.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Released {
    pub(crate) payload: usize,
    pub(crate) at: UnixMillis,
    pub(crate) moved_at: UnixMillis,
    /// Another one does the same with the same nonce.
    pub(crate) again: bool,
    pub(crate) amount: u64,
    pub(crate) payee: usize,
}

/// What must not be.
#[derive(Debug, Clone)]
pub(crate) enum Broken {
    Limit(#[allow(dead_code)] Limit),
    /// Two authorizations that do different things with one nonce.
    Nonce(#[allow(dead_code)] u8),
}

/// What is wrong with what was released, if anything is.
pub(crate) fn broken(
    limits: &[Limit],
    payloads: &[Moves; PAYLOADS],
    released: &[Released],
) -> Option<Broken> {
    let limit = limits.iter().find(|limit| !limit.holds(released)).map(|limit| Broken::Limit(limit.clone()));
    let signed = || released.iter().map(|one| payloads[one.payload]);
    let twice = signed().find_map(|one| match one.nonce {
        Some(Nonce::Authorization(nonce)) => {
            signed().any(|other| other.nonce == one.nonce && other != one).then_some(Broken::Nonce(nonce))
        }
        _ => None,
    });
    limit.or(twice)
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Takes the n-th session one step further: look, charge, release, and from the beginning.
    Go(usize),
    Tick(u64),
    /// The clock is set back.
    Back(u64),
    /// The power is cut: what was under way is gone.
    Cut,
    /// The next commit fails, and then the power is cut.
    Fail(Aftermath),
}

#[derive(Debug, Clone)]
struct Schedule {
    limits: Vec<Limit>,
    payloads: [Moves; PAYLOADS],
    /// Which payload each session was shown. A coordinator that lies shows one payload to several.
    sessions: Vec<usize>,
    steps: Vec<Step>,
}

/// Where a session stands.
enum Session {
    New,
    /// Before it computed anything it looked at the limits, outside any transaction, as the node does.
    Looked(Approval<Full>),
    /// Only this lets it release.
    Charged(Charged),
}

/// Whether limits are weighed again in the transaction that charges, or the first look is believed.
#[derive(Clone, Copy, PartialEq)]
enum Node {
    Real,
    Careless,
}

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
    let operator = PersonKey::try_from(operator().public_key()).unwrap().to_string();
    let draft = ManifestDraft::new("example", vec![PersonDraft { name: "olga".to_owned(), key: operator }]);
    Manifest::parse(draft.to_yaml().unwrap().as_bytes()).unwrap()
});

fn operator() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[1; 32]))
}

pub(crate) fn policy(limits: &[Limit]) -> SignedPolicy {
    let lines = |amounts: bool| -> String {
        let lines = limits.iter().filter(|limit| limit.amounts == amounts);
        lines.map(|limit| format!("    - {}\n", limit.yaml())).collect()
    };
    let field = |name: &str, lines: String| {
        if lines.is_empty() { String::new() } else { format!("  {name}:\n{lines}") }
    };
    let people: String =
        PAYEES.iter().map(|payee| format!("    - {{ address: \"{payee}\", label: p }}\n")).collect();
    let body = format!(
        "policy: quorate/v1\ncluster: example\nwallet: w\nversion: 1\nrules:\n  chains: [base-sepolia]\n  per_transaction: [{{ \
         asset: USDC, chain: base-sepolia, max: \"1\" }}]\n  max_fee: [{{ chain: base-sepolia, max: \"1\" }}]\n  \
         max_authorization_lifetime_s: 100000000\n  recipients:\n{people}{}{}",
        field("cumulative", lines(true)),
        field("velocity", lines(false)),
    );
    signed(body)
}

/// Signed by the operator.
pub(crate) fn signed(body: String) -> SignedPolicy {
    let signature = sign(body.as_bytes(), Namespace::Policy, &operator()).unwrap();
    let document = SignedDocument { body: body.into_bytes(), signatures: vec![signature] };
    SignedPolicy::verify(&document, &MANIFEST).unwrap()
}

pub(crate) fn intent(Moves { amount, payee, nonce }: Moves) -> Intent {
    let max_fee_per_gas = U256::ONE;
    let (transaction, authorization) = match nonce {
        None => (None, None),
        Some(Nonce::Account(nonce)) => {
            (Some(TransactionTerms { nonce, gas_limit: 1, max_fee_per_gas }), None)
        }
        Some(Nonce::Authorization(nonce)) => {
            let nonce = B256::repeat_byte(nonce);
            (None, Some(Authorization { kind: AuthorizationKind::Transfer, nonce }))
        }
    };
    let ends = authorization.map(|_| START / 1000 + 10_000_000);
    Intent {
        chain: Some(CHAIN),
        // An authorization names who signs it: the wallet, which has this address here.
        signer: authorization.map(|_| Address::ZERO),
        action: Action::TokenTransfer {
            token: token_by_symbol(CHAIN, "USDC").unwrap().address,
            recipient: PAYEES[payee],
            amount: U256::from(amount),
            authorization,
        },
        native_value: U256::ZERO,
        max_native_fee: U256::ZERO,
        transaction,
        validity: Validity { not_before_s: None, not_after_s: ends },
    }
}

/// A service node over one disk: its process may die, its disk stays.
struct Run<'a> {
    schedule: &'a Schedule,
    node: Node,
    policy: SignedPolicy,
    wallet: WalletId,
    store: FailingStore,
    now: UnixMillis,
    sessions: Vec<Session>,
    released: Vec<Released>,
}

impl<'a> Run<'a> {
    fn new(schedule: &'a Schedule, node: Node) -> Self {
        Self {
            schedule,
            node,
            policy: policy(&schedule.limits),
            wallet: "w".parse().unwrap(),
            store: FailingStore::new(Arc::new(MemStore::new())),
            now: START,
            sessions: schedule.sessions.iter().map(|_| Session::New).collect(),
            released: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Go(n) => self.go(n % self.sessions.len()),
            Step::Tick(ms) => self.now += ms,
            Step::Back(ms) => self.now -= ms,
            Step::Cut => self.restart(),
            Step::Fail(aftermath) => self.store.fail_commit_after(0, aftermath),
        }
    }

    fn restart(&mut self) {
        self.store = self.store.restart();
        self.sessions.fill_with(|| Session::New);
    }

    fn go(&mut self, n: usize) {
        let payload = self.schedule.sessions[n];
        let next = match std::mem::replace(&mut self.sessions[n], Session::New) {
            Session::New => match self.look(&self.store, payload) {
                Ok(Some(approval)) => Session::Looked(approval),
                Ok(None) => Session::New,
                Err(error) => panic!("{error}"),
            },
            Session::Looked(approval) => match self.charge(payload, approval) {
                Ok(Some(charged)) => Session::Charged(charged),
                Ok(None) => Session::New,
                Err(LedgerError::Store(error)) if error.is_fatal() => return self.restart(),
                Err(error) => panic!("{error}"),
            },
            Session::Charged(charged) => {
                self.release(payload, &charged);
                Session::New
            }
        };
        self.sessions[n] = next;
    }

    fn look(
        &self,
        read: &dyn quorate_store::Read,
        payload: usize,
    ) -> Result<Option<Approval<Full>>, LedgerError> {
        let intent = intent(self.schedule.payloads[payload]);
        let facts = Facts::of(&self.wallet, &AGENT, Address::ZERO, &intent, self.now);
        let before = Before::payload(read, hash(payload), intent.once());
        Ok(match evaluate(Some(&self.policy), &facts, &before)? {
            Decision::Allow(approval) => Some(approval),
            Decision::Deny(_) => None,
        })
    }

    /// As `node/src/ops/sign.rs` does it: weighed, charged and synced in one transaction.
    fn charge(&self, payload: usize, looked: Approval<Full>) -> Result<Option<Charged>, LedgerError> {
        let mut txn = self.store.begin()?;
        let approval = match self.node {
            Node::Careless => Some(looked),
            Node::Real => self.look(txn.as_ref(), payload)?,
        };
        let Some(approval) = approval else { return Ok(None) };
        let pending = charge(txn.as_mut(), approval, hash(payload))?;
        Ok(Some(pending.confirm(&txn.commit()?)))
    }

    fn release(&mut self, payload: usize, charged: &Charged) {
        let moves = self.schedule.payloads[payload];
        if !self.released.iter().any(|other| other.payload == payload) {
            let same = |other: &Released| self.schedule.payloads[other.payload] == moves;
            let again = moves.nonce.is_some() && self.released.iter().any(same);
            let (at, moved_at) = (charged.at(), charged.moved_at());
            let Moves { amount, payee, .. } = moves;
            self.released.push(Released { payload, at, moved_at, again, amount, payee });
        }
    }

    fn broken(&self) -> Option<Broken> {
        broken(&self.schedule.limits, &self.schedule.payloads, &self.released)
    }
}

pub(crate) fn hash(payload: usize) -> B256 {
    B256::repeat_byte(u8::try_from(payload).unwrap() + 1)
}

/// Plays a schedule and says what it broke, and how many payloads were released.
fn play(schedule: &Schedule, node: Node) -> (Option<Broken>, usize) {
    let mut run = Run::new(schedule, node);
    for step in &schedule.steps {
        run.step(*step);
        if let Some(broken) = run.broken() {
            return (Some(broken), run.released.len());
        }
    }
    (None, run.released.len())
}

fn window() -> impl Strategy<Value = Window> {
    let (kolkata, utc) = (19_800_000, 0);
    prop_oneof![
        (60u64..200).prop_map(|seconds| Window::Rolling { ms: seconds * 1000 }),
        Just(Window::Calendar { name: "hour", ms: 3_600_000, zone: "Asia/Kolkata", offset_ms: kolkata }),
        Just(Window::Calendar { name: "day", ms: 86_400_000, zone: "UTC", offset_ms: utc }),
    ]
}

pub(crate) fn limits() -> impl Strategy<Value = Vec<Limit>> {
    let limit =
        (any::<bool>(), any::<bool>(), window(), 0u64..12).prop_map(|(amounts, per_payee, window, max)| {
            Limit { max: if amounts { max } else { 1 + max / 3 }, amounts, per_payee, window }
        });
    vec(limit, 1..4).prop_map(|mut limits| {
        // A policy has one line for each window and scope.
        let mut seen = std::collections::BTreeSet::new();
        limits.retain(|limit| seen.insert((limit.amounts, limit.per_payee, format!("{:?}", limit.window))));
        limits
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => (0usize..8).prop_map(Step::Go),
        2 => (0u64..120_000).prop_map(Step::Tick),
        1 => (0u64..60_000).prop_map(Step::Back),
        1 => Just(Step::Cut),
        1 => prop_oneof![Just(Aftermath::Kept), Just(Aftermath::Lost)].prop_map(Step::Fail),
    ]
}

/// Few nonces, so that several payloads have one, and some of those the same effect.
pub(crate) fn payloads() -> impl Strategy<Value = [Moves; PAYLOADS]> {
    let nonce = prop_oneof![
        Just(None),
        (0u64..3).prop_map(|nonce| Some(Nonce::Account(nonce))),
        (0u8..3).prop_map(|nonce| Some(Nonce::Authorization(nonce))),
    ];
    let moves = (0u64..6, 0usize..2, nonce).prop_map(|(amount, payee, nonce)| Moves { amount, payee, nonce });
    prop::array::uniform10(moves)
}

fn schedule() -> impl Strategy<Value = Schedule> {
    (limits(), payloads(), vec(0..PAYLOADS, 2..8), vec(step(), 10..60))
        .prop_map(|(limits, payloads, sessions, steps)| Schedule { limits, payloads, sessions, steps })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_released_never_passes_a_cap(schedule in schedule()) {
        let (broken, _) = play(&schedule, Node::Real);
        prop_assert!(broken.is_none(), "{broken:?}");
    }
}

/// The property above is worth something: a node that weighs limits before the transaction, and not in it, breaks them in
/// many of the same schedules; and the real one is not safe by releasing nothing.
#[test]
fn a_node_that_weighs_limits_outside_the_transaction_is_caught() {
    let mut runner = TestRunner::deterministic();
    let (mut caught, mut released) = (0, 0);
    for _ in 0..500 {
        let schedule = schedule().new_tree(&mut runner).unwrap().current();
        caught += usize::from(play(&schedule, Node::Careless).0.is_some());
        released += play(&schedule, Node::Real).1;
    }
    assert!(caught > 25 && released > 250, "{caught} caught, {released} released");
}

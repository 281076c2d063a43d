//! Random policies and requests, against a second opinion written differently.

use std::sync::LazyLock;

use proptest::prelude::*;
use quorate_intent::{
    Action, AssetId, Authorization, AuthorizationKind, Domain, Intent, TypedData, TypedValue, Validity,
    chain_name,
};
use quorate_manifest::Manifest;
use quorate_policy::{Decision, Facts, Policy, SignedPolicy, lint};
use quorate_types::{Address, B256, Bytes, U256, WalletId};

use crate::order::ORDER;
use crate::rig::{
    AGENT, BASE, BASE_SEPOLIA, LANDLORD, NOW_S, PAYER, POLYGON, SHOP, STRANGER, address, document, evaluate,
    manifest, usdc, wallet,
};

const CHAINS: [u64; 3] = [BASE, BASE_SEPOLIA, POLYGON];
const PEOPLE: [&str; 3] = [SHOP, LANDLORD, STRANGER];

pub(crate) static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| manifest("example", &[1], 1));

/// Lines a policy may have. Amounts are base units.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lines {
    chains: [bool; 3],
    usdc: [Option<u64>; 3],
    coin: [Option<u64>; 3],
    fee: [Option<u64>; 3],
    /// Whether they may be paid everywhere, or on some chains only.
    people: [Option<Option<[bool; 3]>>; 3],
    lifetime: Option<u64>,
}

fn names(on: &[bool; 3]) -> String {
    let on = CHAINS.iter().zip(on).filter(|(_, on)| **on);
    on.map(|(chain, _)| chain_name(*chain).unwrap()).collect::<Vec<_>>().join(", ")
}

fn decimal(units: u64, places: usize) -> String {
    let digits = format!("{units:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{whole}.{fraction}")
}

impl Lines {
    pub(crate) fn yaml(&self) -> String {
        let mut out = format!(
            "policy: quorate/v1\ncluster: example\nwallet: agent-1\nversion: 1\nrules:\n  chains: [{}]\n  per_transaction:\n",
            names(&self.chains)
        );
        let each = |amounts: &[Option<u64>; 3], line: &dyn Fn(&str, u64) -> String| -> String {
            let lines = CHAINS.iter().zip(amounts).filter_map(|(chain, max)| Some((chain, (*max)?)));
            lines.map(|(chain, max)| line(chain_name(*chain).unwrap(), max)).collect()
        };
        let cap = |asset: &'static str, places: usize| {
            move |chain: &str, max: u64| {
                format!("    - {{ asset: {asset}, chain: {chain}, max: \"{}\" }}\n", decimal(max, places))
            }
        };
        out += &each(&self.usdc, &cap("USDC", 6));
        out += &each(&self.coin, &cap("native", 18));
        out += "    []\n".repeat(usize::from(out.ends_with("per_transaction:\n"))).as_str();
        out += "  max_fee:\n";
        let fees = each(&self.fee, &|chain, max| {
            format!("    - {{ chain: {chain}, max: \"{}\" }}\n", decimal(max, 18))
        });
        out += if fees.is_empty() { "    []\n" } else { &fees };
        out += "  recipients:\n";
        let mut people = String::new();
        for (who, chains) in PEOPLE.iter().zip(&self.people) {
            let Some(chains) = chains else { continue };
            let only = chains.map(|on| format!(", chains: [{}]", names(&on))).unwrap_or_default();
            people += &format!("    - {{ address: \"{who}\", label: x{only} }}\n");
        }
        out += if people.is_empty() { "    []\n" } else { &people };
        if let Some(lifetime) = self.lifetime {
            out += &format!("  max_authorization_lifetime_s: {lifetime}\n");
        }
        out
    }

    fn signed(&self) -> SignedPolicy {
        SignedPolicy::verify(&document(&self.yaml(), &[1]), &MANIFEST).unwrap()
    }

    /// Every line of either, the higher limit where both have one.
    fn with(&self, more: &Lines) -> Lines {
        let either = |a: &[bool; 3], b: &[bool; 3]| std::array::from_fn(|at| a[at] || b[at]);
        let higher = |a: &[Option<u64>; 3], b: &[Option<u64>; 3]| std::array::from_fn(|at| a[at].max(b[at]));
        let people = std::array::from_fn(|at| match (self.people[at], more.people[at]) {
            (None, other) | (other, None) => other,
            (Some(None), _) | (_, Some(None)) => Some(None),
            (Some(Some(a)), Some(Some(b))) => Some(Some(either(&a, &b))),
        });
        Lines {
            chains: either(&self.chains, &more.chains),
            usdc: higher(&self.usdc, &more.usdc),
            coin: higher(&self.coin, &more.coin),
            fee: higher(&self.fee, &more.fee),
            people,
            lifetime: self.lifetime.max(more.lifetime),
        }
    }

    /// The second opinion: yes or no, from the lines and the request as generated.
    fn allow(&self, request: &Request) -> bool {
        let at = request.chain;
        let paid = request.person < 3
            && match self.people[request.person] {
                None => false,
                Some(None) => true,
                Some(Some(on)) => on[at],
            };
        let under = |limit: Option<u64>, value: u64| limit.is_some_and(|limit| value <= limit);
        let chain = self.chains[at] && paid;
        match request.kind {
            Kind::Transfer => {
                chain && under(self.usdc[at], request.amount) && under(self.fee[at], request.fee)
            }
            Kind::Native => chain && under(self.coin[at], request.amount) && under(self.fee[at], request.fee),
            Kind::Authorization => {
                let left = request.valid_before.checked_sub(NOW_S).filter(|left| *left > 0);
                chain
                    && request.own
                    && under(self.usdc[at], request.amount)
                    && left.is_some_and(|left| under(self.lifetime, left))
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Transfer,
    Native,
    Authorization,
}

/// A request of a kind rules can judge.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    kind: Kind,
    chain: usize,
    person: usize,
    amount: u64,
    fee: u64,
    valid_before: u64,
    own: bool,
}

impl Request {
    pub(crate) fn intent(&self) -> Intent {
        let chain = CHAINS[self.chain];
        let recipient = PEOPLE.get(self.person).map_or(Address::ZERO, |text| address(text));
        let amount = U256::from(self.amount);
        let token = usdc(chain);
        let (mut signer, mut validity) = (None, Validity::default());
        let (mut native_value, mut max_native_fee) = (U256::ZERO, U256::from(self.fee));
        let action = match self.kind {
            Kind::Transfer => Action::TokenTransfer { token, recipient, amount, authorization: None },
            Kind::Native => {
                native_value = amount;
                Action::NativeTransfer { recipient }
            }
            Kind::Authorization => {
                max_native_fee = U256::ZERO;
                signer = Some(address(if self.own { PAYER } else { STRANGER }));
                validity = Validity { not_before_s: Some(1), not_after_s: Some(self.valid_before - 1) };
                let authorization =
                    Some(Authorization { kind: AuthorizationKind::Receive, nonce: B256::ZERO });
                Action::TokenTransfer { token, recipient, amount, authorization }
            }
        };
        Intent {
            chain: Some(chain),
            signer,
            action,
            native_value,
            max_native_fee,
            transaction: None,
            validity,
        }
    }
}

fn allowed(policy: &SignedPolicy, intent: &Intent) -> bool {
    let wallet = wallet();
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), intent, NOW_S * 1000);
    matches!(evaluate(Some(policy), &facts), Decision::Allow(_))
}

/// Few values, so that limits are met exactly and often.
fn units() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), 5u64..9, Just(u64::MAX)]
}

fn limits() -> impl Strategy<Value = [Option<u64>; 3]> {
    prop::array::uniform3(prop::option::weighted(0.8, units()))
}

fn seconds() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 58u64..63, Just(1_000_000)]
}

pub(crate) fn lines() -> impl Strategy<Value = Lines> {
    let on = || prop::array::uniform3(prop::bool::weighted(0.8));
    let people = prop::array::uniform3(prop::option::weighted(0.8, prop::option::of(on())));
    (on(), limits(), limits(), limits(), people, prop::option::weighted(0.8, seconds())).prop_map(
        |(chains, usdc, coin, fee, people, lifetime)| Lines { chains, usdc, coin, fee, people, lifetime },
    )
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let kind = prop_oneof![Just(Kind::Transfer), Just(Kind::Native), Just(Kind::Authorization)];
    let valid_before = prop_oneof![seconds().prop_map(|left| NOW_S + left), Just(NOW_S - 1)];
    (kind, 0usize..3, 0usize..4, units(), units(), valid_before, prop::bool::weighted(0.9)).prop_map(
        |(kind, chain, person, amount, fee, valid_before, own)| Request {
            kind,
            chain,
            person,
            amount,
            fee,
            valid_before,
            own,
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    let one =
        || prop_oneof![any::<[u8; 20]>().prop_map(Address::from), Just(usdc(BASE)), Just(address(SHOP))];
    let amount = || any::<[u64; 4]>().prop_map(U256::from_limbs);
    prop_oneof![
        one().prop_map(|recipient| Action::NativeTransfer { recipient }),
        (one(), one(), amount(), any::<bool>(), any::<bool>()).prop_map(
            |(token, recipient, amount, on, receive)| {
                let kind = if receive { AuthorizationKind::Receive } else { AuthorizationKind::Transfer };
                let authorization = on.then_some(Authorization { kind, nonce: B256::ZERO });
                Action::TokenTransfer { token, recipient, amount, authorization }
            }
        ),
        (one(), one(), one(), amount()).prop_map(|(token, owner, recipient, amount)| {
            Action::TokenTransferFrom { token, owner, recipient, amount }
        }),
        (one(), one(), amount()).prop_map(|(token, spender, amount)| Action::TokenApprove {
            token,
            spender,
            amount
        }),
        (one(), one(), one(), amount()).prop_map(|(token, owner, spender, amount)| {
            Action::TokenPermit { token, owner, spender, amount, nonce: U256::ZERO }
        }),
        (one(), any::<Option<[u8; 4]>>(), prop::collection::vec(any::<u8>(), 0..8))
            .prop_map(|(to, selector, data)| Action::ContractCall { to, selector, data: data.into() }),
        any::<String>().prop_map(|primary_type| {
            Action::TypedData(Box::new(TypedData {
                domain: Domain::default(),
                separator: B256::ZERO,
                primary_type,
                type_hash: B256::ZERO,
                struct_hash: B256::ZERO,
                message: TypedValue::Bool(true),
            }))
        }),
        Just(Action::PersonalMessage { bytes: Bytes::new(), text: None }),
    ]
}

/// Anything at all, also what `decode` never makes.
pub(crate) fn intent() -> impl Strategy<Value = Intent> {
    let chain = prop::option::of(prop_oneof![any::<u64>(), prop::sample::select(&CHAINS[..])]);
    let amount = || any::<[u64; 4]>().prop_map(U256::from_limbs);
    let signer = prop::option::of(prop_oneof![Just(address(PAYER)), Just(address(SHOP))]);
    let validity = (any::<Option<u64>>(), any::<Option<u64>>());
    (chain, signer, action(), amount(), amount(), validity).prop_map(
        |(chain, signer, action, native_value, max_native_fee, (not_before_s, not_after_s))| Intent {
            chain,
            signer,
            action,
            native_value,
            max_native_fee,
            transaction: None,
            validity: Validity { not_before_s, not_after_s },
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_second_opinion_agrees(lines in lines(), request in request()) {
        prop_assert_eq!(allowed(&lines.signed(), &request.intent()), lines.allow(&request));
    }

    #[test]
    fn another_line_or_a_higher_limit_never_denies(lines in lines(), more in lines(), request in request()) {
        let intent = request.intent();
        if allowed(&lines.signed(), &intent) {
            prop_assert!(allowed(&lines.with(&more).signed(), &intent));
        }
    }

    #[test]
    fn asking_for_more_never_allows(
        lines in lines(),
        request in request(),
        more in units(),
        fee in units(),
        later in units(),
    ) {
        let greedier = Request {
            amount: request.amount.saturating_add(more),
            fee: request.fee.saturating_add(fee),
            ..request.clone()
        };
        // One that is over is denied too, so that only those still usable are made to last longer.
        let still = request.valid_before > NOW_S;
        let later = if still { later.min(1 << 40) } else { 0 };
        let greedier = Request { valid_before: request.valid_before + later, ..greedier };
        let policy = lines.signed();
        if !allowed(&policy, &request.intent()) {
            prop_assert!(!allowed(&policy, &greedier.intent()));
        }
    }

    #[test]
    fn an_empty_policy_and_none_deny_everything(intent in intent(), now in any::<u64>()) {
        let empty = "policy: quorate/v1\ncluster: example\nwallet: agent-1\nversion: 1\nrules: {}\n";
        let empty = SignedPolicy::verify(&document(empty, &[1]), &MANIFEST).unwrap();
        let wallet = wallet();
        let facts = Facts::of(&wallet, &AGENT, address(PAYER), &intent, now);
        for policy in [None, Some(&empty)] {
            let Decision::Deny(denial) = evaluate(policy, &facts) else { panic!("allowed") };
            prop_assert!(!denial.failures.is_empty());
        }
    }

    #[test]
    fn anything_is_answered_in_one_order_and_alike_twice(
        lines in lines(),
        intent in intent(),
        now in any::<u64>(),
        own in any::<bool>(),
    ) {
        let policy = lines.signed();
        let wallet: WalletId = if own { wallet() } else { "agent-2".parse().unwrap() };
        let facts = Facts::of(&wallet, &AGENT, address(PAYER), &intent, now);
        let decision = evaluate(Some(&policy), &facts);
        prop_assert_eq!(&decision, &evaluate(Some(&policy), &facts));
        match decision {
            Decision::Allow(approval) => {
                prop_assert!(own);
                prop_assert_eq!(approval.charges(), intent.charges().unwrap());
                // Every charge is under its line, told from the lines themselves.
                for charge in approval.charges() {
                    let at = CHAINS.iter().position(|chain| *chain == charge.asset.chain).unwrap();
                    let native = charge.asset == AssetId::native(charge.asset.chain);
                    let limit = if native { lines.coin[at] } else { lines.usdc[at] };
                    prop_assert!(charge.amount <= U256::from(limit.unwrap()));
                }
            }
            Decision::Deny(denial) => {
                let at = |code: &str| ORDER.iter().position(|known| *known == code).unwrap();
                prop_assert!(denial.failures.is_sorted_by_key(|failure| at(&failure.rule)));
                prop_assert!(!denial.failures.is_empty());
            }
        }
    }

    #[test]
    fn reading_and_linting_never_panic(
        body in prop::collection::vec(any::<u8>(), 0..256),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut damaged = crate::rig::POLICY.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        for body in [body, damaged] {
            let errors = lint(&body).iter().any(|finding| finding.severity == quorate_policy::Severity::Error);
            prop_assert_eq!(Policy::parse(&body).is_err(), errors);
        }
    }
}

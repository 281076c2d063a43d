//! A cluster with two operators, a policy, a history, and requests.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use quorate_intent::{
    Action, Asset, AssetId, Authorization, AuthorizationKind, ChainId, Intent, Once, Validity,
    token_by_symbol,
};
use quorate_manifest::{
    Manifest, ManifestDraft, Namespace, PersonDraft, PersonKey, QuorumDraft, SignedDocument, sign,
};
use quorate_policy::{Counted, Decision, Facts, Full, History, Past, RuleFailure, SignedPolicy};
use quorate_types::{Address, AgentId, B256, U256, UnixMillis, WalletId};
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

pub(crate) const BASE: ChainId = 8453;
pub(crate) const BASE_SEPOLIA: ChainId = 84532;
pub(crate) const POLYGON: ChainId = 137;

/// The wallet's own address.
pub(crate) const PAYER: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
/// Paid on every chain.
pub(crate) const SHOP: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
/// Paid on Base only.
pub(crate) const LANDLORD: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
pub(crate) const STRANGER: &str = "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF";

pub(crate) const NOW_S: u64 = 1_700_000_000;

pub(crate) const POLICY: &str = r#"policy: quorate/v1
cluster: example
wallet: agent-1
version: 3
rules:
  chains: [base, base-sepolia]
  per_transaction:
    - { asset: USDC, chain: base-sepolia, max: "25.00" }
    - { asset: ETH, chain: base-sepolia, max: "0.01" }
    - { asset: USDC, chain: base, max: "5" }
    - { asset: USDC, chain: polygon, max: "5" }
  max_fee:
    - { chain: base-sepolia, max: "0.002" }
    - { chain: polygon, max: "1" }
  recipients:
    - { address: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", label: shop }
    - { address: "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", label: landlord, chains: [base] }
  max_authorization_lifetime_s: 3600
"#;

/// Whose wallet it is.
pub(crate) static AGENT: LazyLock<AgentId> = LazyLock::new(|| "bot".parse().unwrap());

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(crate) fn wallet() -> WalletId {
    "agent-1".parse().unwrap()
}

pub(crate) fn usdc(chain: ChainId) -> Address {
    token_by_symbol(chain, "USDC").unwrap().address
}

pub(crate) fn operator(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

pub(crate) fn manifest(cluster: &str, operators: &[u8], quorum: usize) -> Manifest {
    let person = |seed: &u8| PersonDraft {
        name: format!("operator-{seed}"),
        key: PersonKey::try_from(operator(*seed).public_key()).unwrap().to_string(),
    };
    let draft = ManifestDraft {
        quorum: QuorumDraft { operators: quorum, manifests: None },
        ..ManifestDraft::new(cluster, operators.iter().map(person).collect())
    };
    Manifest::parse(draft.to_yaml().unwrap().as_bytes()).unwrap()
}

pub(crate) fn document(body: &str, seeds: &[u8]) -> SignedDocument {
    let sign = |seed: &u8| sign(body.as_bytes(), Namespace::Policy, &operator(*seed)).unwrap();
    SignedDocument { body: body.into(), signatures: seeds.iter().map(sign).collect() }
}

pub(crate) fn signed(body: &str) -> SignedPolicy {
    SignedPolicy::verify(&document(body, &[1]), &manifest("example", &[1, 2], 1)).unwrap()
}

/// The policy with more lines under its rules.
pub(crate) fn with(lines: &str) -> String {
    format!("{POLICY}{lines}")
}

/// The policy with one text in place of another.
pub(crate) fn swap(from: &str, to: &str) -> String {
    assert!(POLICY.contains(from), "{from}");
    POLICY.replacen(from, to, 1)
}

fn intent(chain: ChainId, action: Action) -> Intent {
    Intent {
        chain: Some(chain),
        signer: None,
        action,
        native_value: U256::ZERO,
        max_native_fee: U256::ZERO,
        transaction: None,
        validity: Validity::default(),
    }
}

/// `transfer` of USDC base units, at a fee of 0.001 coins at most.
pub(crate) fn transfer(chain: ChainId, recipient: &str, amount: u64) -> Intent {
    let action = Action::TokenTransfer {
        token: usdc(chain),
        recipient: address(recipient),
        amount: U256::from(amount),
        authorization: None,
    };
    Intent { max_native_fee: U256::from(10u64.pow(15)), ..intent(chain, action) }
}

/// A payment of the chain's own coin, in wei.
pub(crate) fn native(chain: ChainId, recipient: &str, wei: u64) -> Intent {
    let action = Action::NativeTransfer { recipient: address(recipient) };
    Intent {
        native_value: U256::from(wei),
        max_native_fee: U256::from(10u64.pow(15)),
        ..intent(chain, action)
    }
}

/// An EIP-3009 authorization by the wallet, usable until `valid_before` (not included).
pub(crate) fn authorization(chain: ChainId, recipient: &str, amount: u64, valid_before: u64) -> Intent {
    let action = Action::TokenTransfer {
        token: usdc(chain),
        recipient: address(recipient),
        amount: U256::from(amount),
        authorization: Some(Authorization { kind: AuthorizationKind::Transfer, nonce: B256::ZERO }),
    };
    let validity = Validity { not_before_s: Some(1), not_after_s: Some(valid_before - 1) };
    Intent { signer: Some(address(PAYER)), validity, ..intent(chain, action) }
}

pub(crate) fn other(chain: ChainId, action: Action) -> Intent {
    intent(chain, action)
}

/// What was approved before, in any order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done(pub(crate) Vec<(Counted, Past)>, pub(crate) Vec<Once>);

impl History for Done {
    type Error = Infallible;

    fn place_is_taken(&self, of: &WalletId, once: &Once) -> Result<bool, Infallible> {
        assert_eq!(*of, wallet(), "another wallet's history was asked for");
        Ok(self.1.iter().any(|known| known.place == once.place && known.effect != once.effect))
    }

    fn visit(
        &self,
        of: &WalletId,
        counted: Counted,
        since: UnixMillis,
        each: &mut dyn FnMut(Past) -> ControlFlow<()>,
    ) -> Result<(), Infallible> {
        assert_eq!(*of, wallet(), "another wallet's history was asked for");
        let mut found: Vec<Past> =
            self.0.iter().filter(|(what, _)| *what == counted).map(|(_, p)| *p).collect();
        found.retain(|past| past.at >= since);
        found.sort_by_key(|past| past.at);
        let _all_seen = found.into_iter().try_for_each(each);
        Ok(())
    }

    /// The agent's other wallets did nothing.
    fn sum_of_agent(
        &self,
        (agent, of): (&AgentId, &WalletId),
        counted: Counted,
        since: UnixMillis,
    ) -> Result<Option<U256>, Infallible> {
        assert_eq!(*agent, *AGENT, "another agent's history was asked for");
        self.sum(of, counted, None, since)
    }
}

/// What was approved before, and what all other wallets of the agent did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fleet {
    pub(crate) own: Done,
    pub(crate) others: Vec<(Counted, Past)>,
}

impl History for Fleet {
    type Error = Infallible;

    fn place_is_taken(&self, of: &WalletId, once: &Once) -> Result<bool, Infallible> {
        self.own.place_is_taken(of, once)
    }

    fn visit(
        &self,
        of: &WalletId,
        counted: Counted,
        since: UnixMillis,
        each: &mut dyn FnMut(Past) -> ControlFlow<()>,
    ) -> Result<(), Infallible> {
        self.own.visit(of, counted, since, each)
    }

    fn sum_of_agent(
        &self,
        of: (&AgentId, &WalletId),
        counted: Counted,
        since: UnixMillis,
    ) -> Result<Option<U256>, Infallible> {
        let own = self.own.sum_of_agent(of, counted, since)?;
        let counts = |(what, past): &&(Counted, Past)| *what == counted && past.at >= since;
        let mut others = self.others.iter().filter(counts).map(|(_, past)| past.amount);
        Ok(own.and_then(|own| others.try_fold(own, U256::checked_add)))
    }
}

/// Every rule, where nothing was approved before.
pub(crate) fn evaluate(policy: Option<&SignedPolicy>, facts: &Facts<'_>) -> Decision<Full> {
    struct Nothing;
    impl History for Nothing {
        type Error = Infallible;
        fn place_is_taken(&self, _: &WalletId, _: &Once) -> Result<bool, Infallible> {
            Ok(false)
        }
        fn visit(
            &self,
            _: &WalletId,
            _: Counted,
            _: UnixMillis,
            _: &mut dyn FnMut(Past) -> ControlFlow<()>,
        ) -> Result<(), Infallible> {
            Ok(())
        }
        fn sum_of_agent(
            &self,
            _: (&AgentId, &WalletId),
            _: Counted,
            _: UnixMillis,
        ) -> Result<Option<U256>, Infallible> {
            Ok(Some(U256::ZERO))
        }
    }
    quorate_policy::evaluate(policy, facts, &Nothing).unwrap()
}

pub(crate) fn decide_at(policy: Option<&SignedPolicy>, intent: &Intent, now_ms: u64) -> Decision<Full> {
    let wallet = wallet();
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), intent, now_ms);
    evaluate(policy, &facts)
}

/// Under a policy, after what was approved before.
pub(crate) fn decide_after(done: &Done, body: &str, intent: &Intent, now_ms: u64) -> Decision<Full> {
    let wallet = wallet();
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), intent, now_ms);
    quorate_policy::evaluate(Some(&signed(body)), &facts, done).unwrap()
}

pub(crate) fn decide(body: &str, intent: &Intent) -> Decision<Full> {
    decide_at(Some(&signed(body)), intent, NOW_S * 1000)
}

pub(crate) fn failures<Scope: std::fmt::Debug>(decision: Decision<Scope>) -> Vec<RuleFailure> {
    match decision {
        Decision::Allow(approval) => panic!("allowed: {approval:?}"),
        Decision::Deny(denial) => {
            assert!(!denial.failures.is_empty());
            denial.failures
        }
    }
}

/// Codes of the failing rules under the policy above.
pub(crate) fn codes(intent: &Intent) -> Vec<String> {
    failures(decide(POLICY, intent)).into_iter().map(|failure| failure.rule).collect()
}

pub(crate) fn allows(body: &str, intent: &Intent) -> bool {
    matches!(decide(body, intent), Decision::Allow(_))
}

/// An asset's amount as the ledger will see it.
pub(crate) fn asset(chain: ChainId, token: Option<Address>) -> AssetId {
    AssetId { chain, asset: token.map_or(Asset::Native, Asset::Token) }
}

//! Two agents' wallets, two signatures, two denials.

use std::collections::HashMap;

use quorate_intent::ChainId;
use quorate_manifest::Namespace;
use quorate_policy::{Severity, codes, lint};
use quorate_session::WalletTerms;
use quorate_types::{Address, B256, Clock, Payload, SystemClock};

use super::{expect, policy};
use crate::agent_word::Word;
use crate::client::Client;
use crate::commands::demo::timings::Timings;
use crate::commands::policy::put_in_force;
use crate::commands::sign::{random, random_key};
use crate::commands::wallet::{New, create};
use crate::dev::Layout;
use crate::dev::layout::GROUP;
use crate::files::{self, Mode};
use crate::output::Output;
use crate::payload::authorization::{Authorization, Kind, Payment};
use crate::payload::transfer::{Gas, Transfer};
use crate::refusal::{OrRefuse, Refusal};
use crate::signing::{DeniedView, Order, Outcome, SignedView, ask};
use crate::ssh;
use crate::views::WalletView;

const BASE_SEPOLIA: ChainId = 84532;
const GWEI: u128 = 1_000_000_000;

/// The story so far.
pub(super) struct Story {
    pub(super) layout: Layout,
    operator: Client,
    gateway: Client,
    output: Output,
    pub(super) timings: Timings,
    pub(super) wallets: Vec<WalletView>,
    pub(super) signed: Vec<SignedView>,
    pub(super) denied: Vec<DeniedView>,
}

impl Story {
    pub(super) fn new(
        layout: Layout,
        operator: Client,
        gateway: Client,
        output: Output,
        timings: Timings,
    ) -> Self {
        let (wallets, signed, denied) = (Vec::new(), Vec::new(), Vec::new());
        Self { layout, operator, gateway, output, timings, wallets, signed, denied }
    }

    /// Tells it. Ends at the first thing that does not come out as told.
    pub(super) async fn tell(&mut self) -> Result<(), Refusal> {
        self.output.say("\n3. Two agents get a wallet each: a key born as three shares, never in one place.");
        // New names each time, so that the story can be told again.
        let run = hex::encode(random::<2>());
        let shopper = self.wallet(&format!("shopper-{run}"), "shopper").await?;
        let researcher = self.wallet(&format!("researcher-{run}"), "researcher").await?;
        self.output.say(&format!(
            "\n4. Their policies, signed with the operator's ssh key: at most {} USDC, to {} only.",
            policy::CAP,
            policy::RECIPIENT
        ));
        self.policy(&shopper).await?;
        self.policy(&researcher).await?;
        self.output.say("\n5. An EIP-1559 payment and an EIP-3009 authorization, both inside policy.");
        self.sign("EIP-1559 payment signed", &shopper, transfer("12.50", policy::RECIPIENT)?).await?;
        self.sign("EIP-3009 authorization signed", &researcher, authorization(&researcher, "1.25")?).await?;
        self.output.say("\n6. A payment over the cap, and one to a stranger.");
        let over = transfer("30.00", policy::RECIPIENT)?;
        self.deny("denied: over the cap", &shopper, over, codes::PER_TRANSACTION).await?;
        let stranger = transfer("1.00", policy::STRANGER)?;
        self.deny("denied: to a stranger", &shopper, stranger, codes::RECIPIENTS).await?;
        self.wallets = vec![shopper, researcher];
        Ok(())
    }

    async fn wallet(&mut self, name: &str, agent: &str) -> Result<WalletView, Refusal> {
        let new = New { wallet: name, agent, group: GROUP, terms: WalletTerms::default() };
        let creating = create(&self.operator, new);
        let wallet = self.timings.time(format!("wallet of {agent} (DKG 2-of-3)"), creating).await?;
        if wallet.state != "active" || !wallet.attestations_checked {
            return Err(Refusal::internal(format!(
                "the wallet is not attested by three nodes:\n{}",
                wallet.words()
            )));
        }
        self.output.say(&format!(
            "   {:<16} {}  attested by {}",
            wallet.wallet,
            wallet.address,
            wallet.attested_by.join(", ")
        ));
        Ok(wallet)
    }

    async fn policy(&mut self, wallet: &WalletView) -> Result<(), Refusal> {
        let file = self.layout.policies().join(format!("{}.yaml", wallet.wallet));
        let text = policy::text(&wallet.wallet, &wallet.agent);
        let errors = lint(text.as_bytes()).into_iter().filter(|finding| finding.severity == Severity::Error);
        if let Some(error) = errors.into_iter().next() {
            return Err(Refusal::internal(format!("the demo's policy: {}: {}", error.path, error.message)));
        }
        files::create(&file, text.as_bytes(), Mode::Public)?;
        ssh::sign_file(&file, Namespace::Policy, &self.layout.operator_key())?;
        let applying = put_in_force(&self.operator, &file, &[]);
        let step = format!("policy of {} in force", wallet.agent);
        let policy = self.timings.time(step, applying).await?;
        self.output.say(&format!("   {} in force on {}", file.display(), policy.nodes.join(", ")));
        Ok(())
    }

    async fn sign(&mut self, step: &str, wallet: &WalletView, payload: Payload) -> Result<(), Refusal> {
        let outcome = self.ask(step, wallet, payload).await?;
        let signed = expect::signed(outcome, wallet)?;
        self.output.say(&format!(
            "   SIGNED  {}\n           {}\n           ecrecover (libsecp256k1): {}, the wallet's own address",
            signed.summary, signed.signature, signed.signer
        ));
        self.signed.push(signed);
        Ok(())
    }

    async fn deny(
        &mut self,
        step: &str,
        wallet: &WalletView,
        payload: Payload,
        rule: &str,
    ) -> Result<(), Refusal> {
        let outcome = self.ask(step, wallet, payload).await?;
        let denied = expect::denied(outcome, rule)?;
        let words = denied.words().replace('\n', "\n   ");
        self.output.say(&format!("   {words}"));
        self.denied.push(denied);
        Ok(())
    }

    async fn ask(&mut self, step: &str, wallet: &WalletView, payload: Payload) -> Result<Outcome, Refusal> {
        let metadata = HashMap::from([("purpose".to_owned(), step.to_owned())]);
        let order = Order {
            wallet: wallet.wallet.clone(),
            payload,
            idempotency_key: random_key(),
            metadata,
            word: Word::Gateway,
        };
        self.timings.time(step, ask(&self.gateway, order)).await
    }
}

fn transfer(amount: &str, to: &str) -> Result<Payload, Refusal> {
    let to: Address = to.parse().or_internal("the demo's recipient")?;
    let gas = Gas { limit: None, max_fee: 2 * GWEI, max_priority_fee: GWEI };
    let (asset, amount) = ("USDC".to_owned(), amount.to_owned());
    Transfer { chain: BASE_SEPOLIA, asset, to, amount, nonce: 0, gas }.payload()
}

fn authorization(wallet: &WalletView, amount: &str) -> Result<Payload, Refusal> {
    let (asset, amount) = ("USDC".to_owned(), amount.to_owned());
    let payment = Payment { chain: BASE_SEPOLIA, asset, amount, kind: Kind::Transfer };
    let now_s = SystemClock.now() / 1000;
    let authorization = Authorization {
        from: wallet.address.parse().or_internal("the wallet's address")?,
        to: policy::RECIPIENT.parse().or_internal("the demo's recipient")?,
        value: payment.units()?,
        valid_after: now_s.saturating_sub(600).to_string(),
        valid_before: now_s.saturating_add(300).to_string(),
        nonce: B256::from(random::<32>()),
    };
    payment.payload(&authorization)
}

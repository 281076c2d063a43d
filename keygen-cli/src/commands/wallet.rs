//! `quorate wallet`: one key each, born as three shares.

use clap::{Args, Subcommand};
use quorate_proto::v1;
use quorate_session::{AgentPublicKey, MAX_LOOSENING_DELAY_S, WalletTerms};
use quorate_types::{AgentId, GroupId, WalletId};
use serde_json::json;

use super::freeze::{self, How};
use super::rotate::{self, Rotate};
use crate::cli::Globals;
use crate::client::{Client, ORDINARY, SESSION, refused, within};
use crate::output::Answer;
use crate::profile::{Caller, Profile};
use crate::refusal::{Kind, Refusal};
use crate::views::WalletView;

/// Wallets.
#[derive(Subcommand)]
pub(crate) enum Wallet {
    /// Create a wallet for an agent in an enrolled group; asking again gives the same wallet
    Create(Create),
    /// List wallets
    List,
    /// Show one wallet
    Show {
        /// The wallet
        wallet: WalletId,
    },
    /// Give the agent a new wallet in the same group, and draft the policies that move everything there
    Rotate(Rotate),
    /// Never sign again with a wallet: takes the operators' quorum, and nothing lifts it
    Retire {
        /// The wallet
        wallet: WalletId,
        #[command(flatten)]
        how: How,
    },
}

/// See [`Wallet::Create`].
#[derive(Args)]
pub(crate) struct Create {
    /// The wallet's name
    #[arg(long)]
    wallet: WalletId,
    /// The agent it belongs to
    #[arg(long)]
    agent: AgentId,
    /// The group whose nodes hold its shares
    #[arg(long)]
    group: GroupId,
    /// Sign only what this key of the agent's asks for (`quorate agent keygen`); decided here, for ever [default: the
    /// gateway's word is enough]
    #[arg(long, value_name = "HEX")]
    agent_key: Option<AgentPublicKey>,
    /// What loosens its policy needs a second operator's signature and waits for so many seconds, up to 31 days; decided
    /// here, for ever [default: neither]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_LOOSENING_DELAY_S)))]
    loosening_delay: Option<u32>,
    /// Sign raw digests, which nobody can read, and nothing else; decided here, for ever. Keep no money under its key
    #[arg(long)]
    raw_digest: bool,
}

/// A wallet to ask for.
pub(crate) struct New<'a> {
    pub(crate) wallet: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) group: &'a str,
    pub(crate) terms: WalletTerms,
}

pub(crate) async fn run(command: Wallet, globals: &Globals) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    match command {
        Wallet::Create(Create { wallet, agent, group, agent_key, loosening_delay, raw_digest }) => {
            let terms = WalletTerms { agent_key, loosening_delay_s: loosening_delay, raw_digest };
            let (wallet, agent, group) = (wallet.as_str(), agent.as_str(), group.as_str());
            let new = New { wallet, agent, group, terms };
            let view = create(&client, new).await?;
            let mut words = view.words();
            if view.policy_version == 0 {
                words.push_str("\nNext: quorate policy apply POLICY.yaml");
            }
            Answer::new(&view, words)
        }
        Wallet::List => {
            let wallets = list(&client).await?;
            let words = WalletView::table(&wallets);
            Answer::new(&json!({ "wallets": wallets }), words)
        }
        Wallet::Show { wallet } => {
            let view = client.wallet(wallet.as_str()).await?;
            let words = view.words();
            Answer::new(&view, words)
        }
        Wallet::Rotate(command) => rotate::run(&client, &command).await,
        Wallet::Retire { wallet, how } => freeze::retire(globals, wallet, how).await,
    }
}

/// Creates a wallet.
pub(crate) async fn create(client: &Client, new: New<'_>) -> Result<WalletView, Refusal> {
    let request = v1::CreateWalletRequest {
        wallet: new.wallet.to_owned(),
        agent: new.agent.to_owned(),
        group: new.group.to_owned(),
        agent_key: new.terms.agent_key.map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
        loosening_delay_s: new.terms.loosening_delay_s,
        raw_digest: new.terms.raw_digest,
    };
    let answer = client.wallets().create_wallet(within(request, SESSION)).await;
    let view = client.checked(answer.map_err(refused)?.into_inner())?;
    let same = [
        ("wallet", view.wallet == new.wallet),
        ("agent", view.agent == new.agent),
        ("group", view.group == new.group),
        ("state", view.state == "active"),
        ("attestations", view.attestations_checked || new.terms == WalletTerms::default()),
    ];
    if let Some((field, _)) = same.into_iter().find(|(_, same)| !same) {
        let reason = format!("the answer is not the wallet asked for: its {field}");
        return Err(Refusal::new(Kind::PeerFault, reason)
            .field(field)
            .next("give the profile the manifest that is in force; use no address of this answer"));
    }
    if let Some(field) = view.terms()?.difference(&new.terms) {
        // The attestations say so too: a wallet that is held by other terms than it was asked to be is not to be used.
        let reason = format!("the wallet was not made with the {field} that was asked for");
        return Err(Refusal::new(Kind::PeerFault, reason)
            .field(field)
            .next("send nothing to this wallet's address, and look into the coordinator"));
    }
    Ok(view)
}

async fn list(client: &Client) -> Result<Vec<WalletView>, Refusal> {
    let mut wallets = Vec::new();
    let mut after = String::new();
    loop {
        let request = v1::ListWalletsRequest { page_size: 0, after: after.clone() };
        let page =
            client.wallets().list_wallets(within(request, ORDINARY)).await.map_err(refused)?.into_inner();
        for wallet in page.wallets {
            wallets.push(client.checked(wallet)?);
        }
        // A page that starts where it was asked to start would never end.
        if page.next_after <= after {
            return Ok(wallets);
        }
        after = page.next_after;
    }
}

//! `quorate wallet`: one key each, born as three shares.

use clap::{Args, Subcommand};
use quorate_proto::v1;
use quorate_types::{AgentId, GroupId, WalletId};
use serde_json::json;

use super::freeze::{self, How};
use super::rotate::{self, Rotate};
use crate::cli::Globals;
use crate::client::{Client, ORDINARY, SESSION, refused, within};
use crate::output::Answer;
use crate::profile::{Caller, Profile};
use crate::refusal::Refusal;
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
}

pub(crate) async fn run(command: Wallet, globals: &Globals) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    match command {
        Wallet::Create(Create { wallet, agent, group }) => {
            let view = create(&client, wallet.as_str(), agent.as_str(), group.as_str()).await?;
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
pub(crate) async fn create(
    client: &Client,
    wallet: &str,
    agent: &str,
    group: &str,
) -> Result<WalletView, Refusal> {
    let request = v1::CreateWalletRequest {
        wallet: wallet.to_owned(),
        agent: agent.to_owned(),
        group: group.to_owned(),
    };
    let answer = client.wallets().create_wallet(within(request, SESSION)).await;
    client.checked(answer.map_err(refused)?.into_inner())
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

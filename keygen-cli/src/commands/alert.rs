//! `quorate alert`: what people were to be told, and were not.

use clap::Subcommand;
use quorate_proto::v1;
use serde::Serialize;
use serde_json::json;

use crate::cli::Globals;
use crate::client::{Client, ORDINARY, refused, within};
use crate::output::{Answer, table};
use crate::profile::{Caller, Profile};
use crate::refusal::Refusal;
use crate::views::{instant, plain};

/// Alerts.
#[derive(Subcommand)]
pub(crate) enum Alert {
    /// List the alerts that did not arrive and are no longer tried
    List,
    /// Send those of a receiver again
    Retry {
        /// Its name in the coordinator's configuration
        receiver: String,
    },
}

/// An alert that did not arrive.
#[derive(Debug, Serialize)]
struct DeadLetter {
    receiver: String,
    id: String,
    kind: String,
    wallet: String,
    text: String,
    at_ms: u64,
    given_up_at_ms: u64,
    reason: String,
}

impl From<v1::DeadLetter> for DeadLetter {
    fn from(letter: v1::DeadLetter) -> Self {
        Self {
            receiver: plain(&letter.receiver),
            id: plain(&letter.id),
            kind: plain(&letter.kind),
            wallet: plain(&letter.wallet),
            text: plain(&letter.text),
            at_ms: letter.at_ms,
            given_up_at_ms: letter.given_up_at_ms,
            reason: plain(&letter.reason),
        }
    }
}

pub(crate) async fn run(command: Alert, globals: &Globals) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    match command {
        Alert::List => list(&client).await,
        Alert::Retry { receiver } => retry(&client, receiver).await,
    }
}

async fn list(client: &Client) -> Result<Answer, Refusal> {
    let request = within(v1::ListDeadLettersRequest {}, ORDINARY);
    let letters = client.alerts().list_dead_letters(request).await.map_err(refused)?.into_inner().letters;
    let letters: Vec<DeadLetter> = letters.into_iter().map(DeadLetter::from).collect();
    let row = |letter: &DeadLetter| {
        vec![
            letter.receiver.clone(),
            instant(letter.at_ms),
            letter.kind.clone(),
            letter.reason.clone(),
            letter.text.clone(),
        ]
    };
    let rows: Vec<_> = letters.iter().map(row).collect();
    let text = match rows.is_empty() {
        true => "Every alert arrived, or is still tried.".to_owned(),
        false => table(&["RECEIVER", "AT", "KIND", "BECAUSE", "ALERT"], &rows),
    };
    Answer::new(&json!({ "letters": letters }), text)
}

async fn retry(client: &Client, receiver: String) -> Result<Answer, Refusal> {
    let request = within(v1::RetryDeadLettersRequest { receiver: receiver.clone() }, ORDINARY);
    let count = client.alerts().retry_dead_letters(request).await.map_err(refused)?.into_inner().count;
    let text = format!("{count} alerts are sent to {receiver} again.");
    Answer::new(&json!({ "receiver": receiver, "count": count }), text)
}

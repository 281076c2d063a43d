//! `quorate sign batch`: several requests in one call.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use quorate_types::{Payload, WalletId};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::agent_word::Asker;
use crate::cli::Globals;
use crate::client::Client;
use crate::files;
use crate::output::{Answer, DENIED, WAITING};
use crate::payload::source::{hex_bytes, raw_digest};
use crate::profile::{Caller, Profile};
use crate::refusal::{OrRefuse, Refusal};
use crate::signing::{Order, Outcome, ask_all};

/// Requests in a file.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One JSON object a line: wallet, idempotency_key, and transaction (hex), typed_data (the standard object), message
    /// (text) or raw_digest (hex); notes for the audit log if you like. At most 64
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    asker: Asker,
}

/// A line of the file. The idempotency key is asked for: whoever loses the answer asks again with the same file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    wallet: WalletId,
    idempotency_key: String,
    transaction: Option<String>,
    /// As it is written: numbers of 256 bits survive no other reading.
    typed_data: Option<Box<RawValue>>,
    message: Option<String>,
    raw_digest: Option<String>,
    #[serde(default)]
    notes: HashMap<String, String>,
}

impl Line {
    fn payload(&self) -> Result<Payload, Refusal> {
        match (&self.transaction, &self.typed_data, &self.message, &self.raw_digest) {
            (Some(raw), None, None, None) => Ok(Payload::Transaction(hex_bytes("transaction", raw)?.into())),
            (None, Some(json), None, None) => Ok(Payload::TypedData(json.get().to_owned())),
            (None, None, Some(text), None) => Ok(Payload::Message(text.clone().into_bytes().into())),
            (None, None, None, Some(hex)) => raw_digest("raw_digest", hex),
            _ => Err(Refusal::invalid("give one of transaction, typed_data, message and raw_digest")),
        }
    }
}

impl Arguments {
    fn orders(&self) -> Result<Vec<Order>, Refusal> {
        let text = files::read_text(&self.file)?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(at, line)| self.order(line).map_err(|refusal| self.at(at, refusal))).collect()
    }

    fn order(&self, line: &str) -> Result<Order, Refusal> {
        let line: Line = serde_json::from_str(line).or_invalid("not a request")?;
        let payload = line.payload()?;
        let word = self.asker.word()?;
        let Line { wallet, idempotency_key, notes: metadata, .. } = line;
        Ok(Order { wallet: wallet.to_string(), payload, idempotency_key, metadata, word })
    }

    fn at(&self, line: usize, refusal: Refusal) -> Refusal {
        let reason = format!("{}, line {}: {}", self.file.display(), line + 1, refusal.reason);
        Refusal { reason, ..refusal }
    }
}

pub(crate) async fn run(globals: &Globals, batch: Arguments) -> Result<Answer, Refusal> {
    let orders = batch.orders()?;
    let client = Client::connect(&Profile::find(globals, Caller::Gateway)?).await?;
    let (mut code, mut words, mut answers) = (0, Vec::new(), Vec::new());
    for outcome in ask_all(&client, orders).await? {
        match outcome {
            Ok(Outcome::Signed(signed)) => {
                words.push(signed.words());
                answers.push(json!({ "signed": signed }));
            }
            Ok(Outcome::Denied(denied)) => {
                // What failed says more of what to do next than what was denied.
                code = if matches!(code, 0 | WAITING) { DENIED } else { code };
                words.push(denied.words());
                answers.push(json!({ "denied": denied }));
            }
            Ok(Outcome::Waiting(held)) => {
                code = if code == 0 { WAITING } else { code };
                words.push(held.words());
                answers.push(json!({ "waiting": held }));
            }
            Err(refusal) => {
                code = if matches!(code, 0 | DENIED | WAITING) { refusal.kind.exit_code() } else { code };
                words.push(refusal.words());
                answers.push(json!({ "failed": refusal }));
            }
        }
    }
    Ok(Answer::new(&json!({ "answers": answers }), words.join("\n"))?.code(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Result<Order, Refusal> {
        Arguments { file: "orders".into(), asker: Asker::default() }.order(line)
    }

    #[test]
    fn a_line_is_one_request_and_nothing_else() {
        let text = |rest: &str| format!("{{\"wallet\": \"w\", \"idempotency_key\": \"k\"{rest}}}");
        let payload = |rest: &str| order(&text(rest)).map(|order| order.payload);
        assert!(
            matches!(payload(", \"message\": \"hello\""), Ok(Payload::Message(bytes)) if bytes.as_ref() == b"hello")
        );
        assert!(
            matches!(payload(", \"transaction\": \"0x02c0\""), Ok(Payload::Transaction(bytes)) if bytes.as_ref() == [2, 0xc0])
        );
        let large = "{\"value\": 1606938044258990275541962092341162602522202993782792835301376}";
        let typed = payload(&format!(", \"typed_data\": {large}"));
        assert!(matches!(typed, Ok(Payload::TypedData(json)) if json == large), "as it is written");
        for bad in [
            "",
            ", \"message\": \"a\", \"transaction\": \"02\"",
            ", \"message\": \"a\", \"more\": 1",
            ", \"transaction\": \"x\"",
        ] {
            assert!(payload(bad).is_err(), "{bad}");
        }
        assert!(order("{\"wallet\": \"w\", \"message\": \"a\"}").is_err(), "without an idempotency key");
    }
}

//! `quorate policy diff`: what a new policy changes, before anyone signs it.

use std::path::Path;

use quorate_policy::{Change, Direction, Policy, diff, loosened};
use quorate_types::AgentId;
use serde_json::json;

use crate::files;
use crate::output::Answer;
use crate::refusal::{OrRefuse, Refusal};

/// Reads a policy that every machine would accept once it is signed.
pub(super) fn read(file: &Path) -> Result<Policy, Refusal> {
    Policy::parse(&files::read(file)?).map_err(|error| {
        Refusal::invalid(format!("{}: {error}", file.display()))
            .next("`quorate policy lint FILE` tells it all")
    })
}

/// An agent to ask a policy about where nothing names the wallet's: called as the wallet is.
pub(super) fn namesake(policy: &Policy) -> Result<AgentId, Refusal> {
    policy.wallet().as_str().parse().or_internal("an agent's name")
}

pub(super) fn run(old: &Path, new: &Path) -> Result<Answer, Refusal> {
    let (before, after) = (read(old)?, read(new)?);
    let changes = diff(&before, &after);
    let count = |direction| changes.iter().filter(|change| change.direction == direction).count();
    let (looser, changed) = (count(Direction::Looser), count(Direction::Changed));
    let mut lines: Vec<String> = changes.iter().map(words).collect();
    lines.push(match (changes.len(), looser, changed) {
        (0, ..) => "Nothing changes.".to_owned(),
        (_, 0, 0) => "Only tighter: nothing is allowed that was not.".to_owned(),
        (_, 0, _) => "Nothing is surely looser; read what only changed.".to_owned(),
        _ => format!("Looser in {looser}: something is allowed that was not."),
    });
    let loosens = loosened(&before, &after);
    if !loosens.is_empty() {
        lines.push(format!(
            "It counts as loosening in {}: a wallet created with a delay takes a second operator's signature and that delay.",
            loosens.join(", ")
        ));
    }
    let versions = (before.version(), after.version());
    if versions.1 <= versions.0 {
        lines.push(format!("Its version must be above {} before anyone signs it.", versions.0));
    }
    let object = json!({ "old_version": versions.0, "new_version": versions.1, "changes": changes, "loosens": loosens });
    Answer::new(&object, lines.join("\n"))
}

fn words(change: &Change) -> String {
    let direction = match change.direction {
        Direction::Looser => "looser ",
        Direction::Changed => "changed",
        Direction::Tighter => "tighter",
    };
    let told = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    format!("{direction}  {}: {} -> {}", change.field, told(&change.old), told(&change.new))
}

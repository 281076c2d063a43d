//! Personal messages: sign-ins by their site, other texts by an explicit pattern.

use quorate_intent::{Action, DRILL, SignIn, resembles_sign_in};
use quorate_types::UnixMillis;

use super::{Failure, Question, codes};
use crate::{RuleFailure, SignInLine, words};

/// Longest text a pattern is held against, in bytes.
const MAX_TEXT: usize = 8 * 1024;

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let (action, now) = (&question.facts.intent.action, question.facts.now);
    let verdict = match action {
        Action::SignIn(sign_in) => sign_in_fails(question, sign_in, now),
        Action::PersonalMessage { text: Some(text), .. } => text_fails(question, text),
        Action::PersonalMessage { text: None, .. } => Err("the message is not text"),
        _ => return Vec::new(),
    };
    let Err(reason) = verdict else { return Vec::new() };
    let requested = match action {
        Action::SignIn(sign_in) => {
            format!("a sign-in to {} on {}", sign_in.domain, words::chain(sign_in.chain))
        }
        Action::PersonalMessage { bytes, .. } => format!("a message of {} bytes", bytes.len()),
        _ => String::new(),
    };
    let limit = "the lines of messages".to_owned();
    Failure { reason: reason.to_owned(), limit, requested, ..Failure::default() }.of(codes::MESSAGES)
}

fn text_fails(question: &Question<'_>, text: &str) -> Result<(), &'static str> {
    if text.starts_with(DRILL) {
        return Err("it is the challenge of a recovery drill, which a ceremony signs and no cluster");
    }
    if resembles_sign_in(text) {
        return Err("it looks like a sign-in and is none: a site could read it as one");
    }
    if text.len() > MAX_TEXT {
        return Err("the text is too long to be held against a pattern");
    }
    let matched = question.policy.texts().iter().any(|line| line.pattern.matches(text));
    matched.then_some(()).ok_or("no pattern is about this text")
}

/// The reason of the last line about the site, where none allows it.
fn sign_in_fails(question: &Question<'_>, sign_in: &SignIn, now: UnixMillis) -> Result<(), &'static str> {
    if sign_in.expires_at_s.is_some_and(|end| millis(end) <= u128::from(now)) {
        return Err("the sign-in is over");
    }
    if sign_in.scheme.as_ref().is_some_and(|scheme| scheme != "https") {
        return Err("the site is not asked for over https");
    }
    let mut verdict = Err("there is no line for this site on this chain");
    for line in question.policy.sign_in() {
        if line.domain == sign_in.domain && line.chain == sign_in.chain {
            match line_fails(line, sign_in, now) {
                None => return Ok(()),
                Some(reason) => verdict = Err(reason),
            }
        }
    }
    verdict
}

fn line_fails(line: &SignInLine, sign_in: &SignIn, now: UnixMillis) -> Option<&'static str> {
    let uri = match &line.uri {
        Some(uri) => *uri == sign_in.uri,
        None => {
            let rest =
                sign_in.uri.strip_prefix("https://").and_then(|rest| rest.strip_prefix(line.domain.as_str()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
        }
    };
    let until = line.max_lifetime_s.map(|limit| u128::from(now) + millis(limit));
    let short = until.is_none_or(|until| sign_in.expires_at_s.is_some_and(|end| millis(end) <= until));
    match (uri, short, sign_in.resources.is_empty() || line.resources) {
        (false, _, _) => Some("what is signed in to is not what is allowed"),
        (_, false, _) => Some("it would stay valid for too long"),
        (_, _, false) => Some("it carries resources"),
        (true, true, true) => None,
    }
}

fn millis(seconds: u64) -> u128 {
    u128::from(seconds) * 1000
}

//! Messages that may be signed.

use super::{chain, few, people};
use crate::draft::{MessagesDraft, SignInDraft, TextDraft};
use crate::finding::Findings;
use crate::message::Pattern;
use crate::{SignInLine, TextLine};

const MAX_LINES: usize = 64;

/// Sites, and patterns.
pub(super) fn messages(draft: &MessagesDraft, findings: &mut Findings) -> (Vec<SignInLine>, Vec<TextLine>) {
    let (mut sites, mut texts) = (Vec::new(), Vec::new());
    if few("rules.messages.sign_in", draft.sign_in.len(), MAX_LINES, findings) {
        for (at, draft) in draft.sign_in.iter().enumerate() {
            sites.extend(site(&format!("rules.messages.sign_in[{at}]"), draft, findings));
        }
    }
    if few("rules.messages.texts", draft.texts.len(), MAX_LINES, findings) {
        for (at, draft) in draft.texts.iter().enumerate() {
            texts.extend(text(&format!("rules.messages.texts[{at}]"), draft, findings));
        }
    }
    (sites, texts)
}

fn site(path: &str, draft: &SignInDraft, findings: &mut Findings) -> Option<SignInLine> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:".contains(&b);
    if draft.domain.is_empty() || !draft.domain.bytes().all(plain) {
        findings.error(
            format!("{path}.domain"),
            "expected a host in small letters, and its port where it has one",
        );
    }
    let chain = chain(format!("{path}.chain"), &draft.chain, findings)?;
    Some(SignInLine {
        domain: draft.domain.clone(),
        uri: draft.uri.clone(),
        chain,
        max_lifetime_s: draft.max_lifetime_s,
        resources: draft.resources,
    })
}

fn text(path: &str, draft: &TextDraft, findings: &mut Findings) -> Option<TextLine> {
    if let Err(reason) = people::check_label(&draft.label) {
        findings.error(format!("{path}.label"), reason);
    }
    let pattern = Pattern::parse(&draft.pattern);
    let pattern = pattern.map_err(|reason| findings.error(format!("{path}.pattern"), reason)).ok()?;
    Some(TextLine { label: draft.label.clone(), pattern })
}

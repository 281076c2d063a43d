//! Personal messages that may be signed: sign-ins, and texts of a shape.

use std::fmt;

use quorate_intent::ChainId;
use regex::{Regex, RegexBuilder};

use crate::words;

/// A site that may be signed in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInLine {
    /// The site, with its port where it has one.
    pub domain: String,
    /// What is signed in to; `None`: anything under https of the domain.
    pub uri: Option<String>,
    /// The chain the session is bound to.
    pub chain: ChainId,
    /// For how many seconds from now it may be valid; `None`: it may have no end.
    pub max_lifetime_s: Option<u64>,
    /// Whether it may carry resources.
    pub resources: bool,
}

impl fmt::Display for SignInLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.domain, words::chain(self.chain))?;
        if let Some(uri) = &self.uri {
            write!(f, " to {uri}")?;
        }
        if let Some(limit) = self.max_lifetime_s {
            write!(f, " for at most {limit} s")?;
        }
        f.write_str(if self.resources { " with resources" } else { "" })
    }
}

/// Texts of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextLine {
    /// What people call them.
    pub label: String,
    /// What they look like, from the first character to the last.
    pub pattern: Pattern,
}

/// A pattern for the whole of a text. Matching takes time linear in the text.
#[derive(Debug, Clone)]
pub struct Pattern {
    written: String,
    compiled: Regex,
}

impl Pattern {
    /// Longest pattern, in bytes.
    pub(crate) const MAX_BYTES: usize = 512;
    /// Largest compiled pattern, in bytes.
    const MAX_COMPILED: usize = 256 * 1024;

    /// Reads a pattern that says `^` first and `$` last.
    pub(crate) fn parse(written: &str) -> Result<Self, String> {
        if written.len() > Self::MAX_BYTES {
            return Err(format!("at most {} bytes", Self::MAX_BYTES));
        }
        let inner = written.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
        let inner = inner.filter(|inner| !inner.ends_with('\\'));
        let inner = inner.ok_or("must begin with ^ and end with $: it is about the whole text")?;
        // Alone, so that nothing in it can close the group around it.
        Regex::new(inner).map_err(|_| "not a regular expression")?;
        let compiled = RegexBuilder::new(&format!(r"\A(?:{inner})\z"))
            .size_limit(Self::MAX_COMPILED)
            .dfa_size_limit(Self::MAX_COMPILED)
            .build()
            .map_err(|_| "not a regular expression, or too large a one")?;
        Ok(Self { written: written.to_owned(), compiled })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether the whole of `text` is of this shape.
    pub fn matches(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_about_the_whole_text() {
        let pattern = Pattern::parse("^a|b$").unwrap();
        assert!(pattern.matches("a") && pattern.matches("b"));
        for other in ["ab", "a\n", "\na", "xa", "bx", ""] {
            assert!(!pattern.matches(other), "{other:?}");
        }
        // A flag inside changes no anchor of ours.
        let lines = Pattern::parse("^(?m)^a$$").unwrap();
        assert!(lines.matches("a") && !lines.matches("a\nb") && !lines.matches("b\na"));
    }

    #[test]
    fn what_is_no_whole_pattern_is_refused() {
        for bad in
            ["a", "^a", "a$", r"^a\$", "^a)(?:b$", "^(a$", "^[$", "", "^", &format!("^{}$", "a".repeat(511))]
        {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        // Small to write, large to compile.
        assert!(Pattern::parse(r"^((\w{100}){100}){100}$").is_err());
    }
}

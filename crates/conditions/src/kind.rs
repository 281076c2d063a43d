//! What a text of the gateway's can be read as.

use std::fmt;

use cedar_policy::RestrictedExpression;

/// Longest text that is read, in bytes. Longer is not read, so conditions over it are not met.
pub const MAX_TEXT: usize = 1024;

/// Most digits before and after the point of a decimal: what has no more fits Cedar's, of 64 bits and four places.
const WHOLE_DIGITS: usize = 14;
const PLACES: usize = 4;

/// The type of one of the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A number such as `0.85`, exact.
    Decimal,
    /// An integer of 64 bits.
    Integer,
    /// Any text.
    Text,
}

impl Kind {
    pub(crate) const fn in_cedar(self) -> &'static str {
        match self {
            Self::Boolean => "Bool",
            Self::Decimal => "decimal",
            Self::Integer => "Long",
            Self::Text => "String",
        }
    }

    /// The value of `text`; `None` where it has none of this type.
    pub(crate) fn read(self, text: &str) -> Option<RestrictedExpression> {
        match self {
            Self::Boolean => text.parse().ok().map(RestrictedExpression::new_bool),
            Self::Integer => {
                let number: i64 = text.parse().ok()?;
                (number.to_string() == text).then(|| RestrictedExpression::new_long(number))
            }
            Self::Decimal => decimal(text).map(RestrictedExpression::new_decimal),
            Self::Text => (text.len() <= MAX_TEXT).then(|| RestrictedExpression::new_string(text.to_owned())),
        }
    }
}

/// As Cedar spells it, with a point and a digit behind it at least. Nothing is rounded: what has more places is refused.
fn decimal(text: &str) -> Option<String> {
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let plain = digits(whole.strip_prefix('-').unwrap_or(whole), WHOLE_DIGITS) && digits(places, PLACES);
    plain.then(|| format!("{whole}.{places}"))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "true or false",
            Self::Decimal => "a number of at most four places",
            Self::Integer => "an integer",
            Self::Text => "a text",
        })
    }
}

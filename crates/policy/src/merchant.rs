//! Whom a payment is said to be for. It is the gateway's word and nobody else's: what is written here can only deny.

/// The metadata key for the merchant's host.
pub const MERCHANT_DOMAIN: &str = "merchant_domain";
/// The metadata key for the merchant's category.
pub const MERCHANT_CATEGORY: &str = "merchant_category";

/// Limits on what the gateway says of the merchant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merchants {
    pub(crate) domains: Vec<String>,
    pub(crate) blocked_categories: Vec<String>,
}

impl Merchants {
    /// Hosts that may be named, such as `api.example.com`, or `*.example.com` for all below it; empty: any, or none.
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// Categories that must not be named; `*` stands for anything.
    pub fn blocked_categories(&self) -> &[String] {
        &self.blocked_categories
    }
}

/// Whether `host` is the one of `pattern`, or below it where it begins with `*.`. Not the host behind the `*.` itself.
pub(crate) fn host_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.strip_suffix(suffix).is_some_and(is_host),
        None => host == pattern,
    }
}

/// Small letters, digits and hyphens, with points between.
pub(crate) fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Whether `text` is of the shape of `pattern`, whatever its capitals.
pub(crate) fn category_matches(pattern: &str, text: &str) -> bool {
    let text = text.to_lowercase();
    let mut rest = text.as_str();
    let mut parts = pattern.split('*');
    // What stands before the first star must stand first.
    let Some(after) = parts.next().and_then(|first| rest.strip_prefix(first)) else { return false };
    rest = after;
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_for_hosts_below_and_for_no_other() {
        for (pattern, host, matches) in [
            ("example.com", "example.com", true),
            ("example.com", "api.example.com", false),
            ("*.example.com", "api.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "evilexample.com", false),
            ("*.example.com", "example.com.evil.com", false),
            ("*.example.com", "evil.com/.example.com", false),
            ("*.example.com", "API.example.com", false),
        ] {
            assert_eq!(host_matches(pattern, host), matches, "{pattern} {host}");
        }
    }

    #[test]
    fn a_star_in_a_category_is_anything() {
        for (pattern, category, matches) in [
            ("gambling", "gambling", true),
            ("gambling", "Gambling", true),
            ("gambling", "gambling-online", false),
            ("gambling*", "gambling-online", true),
            ("*gambling*", "online gambling", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxc", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(category_matches(pattern, category), matches, "{pattern} {category}");
        }
    }
}

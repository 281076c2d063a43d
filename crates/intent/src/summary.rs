//! An intent in plain words, for records, approvers and terminals.

use std::fmt;

use quorate_types::{Address, U256};

use crate::{Action, Asset, AssetId, AuthorizationKind, Charge, Intent, chain_name, decimals, token};

impl Intent {
    /// One line in plain words, the same as `Display`.
    pub fn summary(&self) -> String {
        self.to_string()
    }

    fn token_amount(&self, token: &Address, amount: &U256) -> String {
        let asset = self.chain.map(|chain| AssetId::token(chain, *token));
        asset.map_or_else(
            || format!("{amount} of {token}"),
            |asset| Charge { asset, amount: *amount }.to_string(),
        )
    }

    fn native_amount(&self) -> String {
        let asset = self.chain.map(AssetId::native);
        let amount = self.native_value;
        asset.map_or_else(|| format!("{amount} wei"), |asset| Charge { asset, amount }.to_string())
    }
}

impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match decimals(self.asset) {
            Some(places) => write!(f, "{} ", decimal(self.amount, places))?,
            None => write!(f, "{} base units of ", self.amount)?,
        }
        match self.asset.asset {
            Asset::Native => f.write_str("native coin"),
            Asset::Token(address) => match token(self.asset.chain, address) {
                Some(token) => f.write_str(token.symbol),
                None => write!(f, "{address}"),
            },
        }
    }
}

/// `amount` base units as a decimal number of whole ones, exactly.
fn decimal(amount: U256, places: u8) -> String {
    let places = usize::from(places);
    let digits = format!("{amount:0>width$}", amount = amount.to_string(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.action_in_words(f)?;
        match self.chain.map(|chain| (chain, chain_name(chain))) {
            Some((_, Some(name))) => write!(f, " on {name}"),
            Some((chain, None)) => write!(f, " on chain {chain}"),
            None => Ok(()),
        }
    }
}

impl Intent {
    fn action_in_words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::NativeTransfer { recipient } => {
                write!(f, "send {} to {recipient}", self.native_amount())
            }
            Action::TokenTransfer { token, recipient, amount, authorization } => {
                let verb = match authorization.map(|a| a.kind) {
                    None => "send",
                    Some(AuthorizationKind::Transfer) => "authorize sending",
                    Some(AuthorizationKind::Receive) => "authorize the recipient to collect",
                };
                let preposition = if verb.ends_with("collect") { "by" } else { "to" };
                write!(f, "{verb} {} {preposition} {recipient}", self.token_amount(token, amount))
            }
            Action::TokenTransferFrom { token, owner, recipient, amount } => {
                write!(f, "send {} of {owner} to {recipient}", self.token_amount(token, amount))
            }
            Action::TokenApprove { token, spender, amount } => {
                write!(f, "let {spender} spend up to {}", self.token_amount(token, amount))
            }
            Action::TokenPermit { token, owner, spender, amount, .. } => {
                write!(f, "permit {spender} to spend up to {} of {owner}", self.token_amount(token, amount))
            }
            Action::ContractCall { to, selector, .. } => {
                write!(f, "call {to}")?;
                match selector {
                    Some(selector) => write!(f, " selector 0x{:08x}", u32::from_be_bytes(*selector))?,
                    None => f.write_str(" with short calldata")?,
                }
                if self.native_value.is_zero() { Ok(()) } else { write!(f, " with {}", self.native_amount()) }
            }
            // The type's name is the caller's text: quoted, so that it cannot pass for ours.
            Action::TypedData(data) => write!(f, "sign typed data {:?}", data.primary_type),
            Action::SignIn(sign_in) => write!(f, "sign in to {}", sign_in.domain),
            Action::PersonalMessage { bytes, .. } => write!(f, "sign a message of {} bytes", bytes.len()),
            Action::RawDigest { digest } => write!(f, "sign 32 bytes that nobody can read, {digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (amount, places, text) in [
            (0, 6, "0"),
            (1, 6, "0.000001"),
            (1_000_000, 6, "1"),
            (10_500_000, 6, "10.5"),
            (999_999, 6, "0.999999"),
            (7, 0, "7"),
        ] {
            assert_eq!(decimal(U256::from(amount), places), text);
        }
        assert_eq!(
            decimal(U256::MAX, 18),
            "115792089237316195423570985008687907853269984665640564039457.584007913129639935"
        );
    }
}

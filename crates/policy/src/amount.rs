//! Exact decimal amounts, to base units and back. No floating point, no rounding.

use quorate_types::U256;

/// Digits after the point of a price in gwei.
pub(crate) const GWEI_PLACES: u8 = 9;

/// Why an amount was refused.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub(crate) enum AmountError {
    /// Not digits, at most one point, and digits.
    #[error("expected a plain decimal number such as \"25\" or \"0.002\"")]
    Malformed,
    /// More digits after the point than the asset has.
    #[error("at most {places} digits after the point, got {got}")]
    TooFine {
        /// the asset's decimals
        places: u8,
        /// digits given
        got: usize,
    },
    /// Beyond 256 bits of base units.
    #[error("too large")]
    TooLarge,
}

/// Reads `text`, a number of whole coins, as base units of an asset with `places` decimals. Signs, exponents, grouping
/// and needless leading zeros are refused: an amount must mean to every reader what it means here.
pub(crate) fn parse(text: &str, places: u8) -> Result<U256, AmountError> {
    let (whole, fraction) = match text.split_once('.') {
        None => (text, None),
        Some((whole, fraction)) => (whole, Some(fraction)),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(digits) || (whole.len() > 1 && whole.starts_with('0')) {
        return Err(AmountError::Malformed);
    }
    let fraction = fraction.unwrap_or_default();
    let Some(padding) = usize::from(places).checked_sub(fraction.len()) else {
        return Err(AmountError::TooFine { places, got: fraction.len() });
    };
    let zeros = std::iter::repeat_n(b'0', padding);
    let ten = U256::from(10);
    whole.bytes().chain(fraction.bytes()).chain(zeros).try_fold(U256::ZERO, |sum, digit| {
        let digit = U256::from(digit.wrapping_sub(b'0'));
        sum.checked_mul(ten).and_then(|sum| sum.checked_add(digit)).ok_or(AmountError::TooLarge)
    })
}

/// `amount` base units as whole coins, exactly, without needless zeros.
pub(crate) fn print(amount: U256, places: u8) -> String {
    let places = usize::from(places);
    let digits = format!("{amount:0>width$}", amount = amount.to_string(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_exactly() {
        for (text, places, units) in [
            ("0", 6, 0_u64),
            ("0.000001", 6, 1),
            ("25", 6, 25_000_000),
            ("25.00", 6, 25_000_000),
            ("25.000000", 6, 25_000_000),
            ("0.002", 18, 2_000_000_000_000_000),
            ("7", 0, 7),
        ] {
            assert_eq!(parse(text, places), Ok(U256::from(units)), "{text}");
        }
        assert_eq!(parse(&U256::MAX.to_string(), 0), Ok(U256::MAX));
    }

    #[test]
    fn refuses_anything_else() {
        for bad in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1E3", " 1", "1 ", "1,000", "1_000", "0x10", "00", "01",
            "00.1", "1.2.3", "1.-2", "٣", "1.٣", "NaN", "inf", "1\n",
        ] {
            assert_eq!(parse(bad, 6), Err(AmountError::Malformed), "{bad:?}");
        }
        assert_eq!(parse("0.0000001", 6), Err(AmountError::TooFine { places: 6, got: 7 }));
        assert_eq!(parse("1.0", 0), Err(AmountError::TooFine { places: 0, got: 1 }));
        assert_eq!(parse(&format!("{}0", U256::MAX), 0), Err(AmountError::TooLarge));
        assert_eq!(parse(&U256::MAX.to_string(), 1), Err(AmountError::TooLarge));
        assert_eq!(parse(&"9".repeat(100_000), 6), Err(AmountError::TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(limbs in any::<[u64; 4]>(), places in 0u8..=24) {
            // Shifted, so that both small and large amounts occur.
            let amount = U256::from_limbs(limbs) >> usize::from(limbs[0] as u8);
            prop_assert_eq!(parse(&print(amount, places), places), Ok(amount));
        }
    }
}

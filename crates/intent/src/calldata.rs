//! What a transaction does, from its target and calldata.

use alloy_primitives::keccak256;
use quorate_types::{Address, Bytes, U256};

use crate::{Action, ChainId, Token, TransactionError, token};

const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];
const APPROVE: [u8; 4] = [0x09, 0x5e, 0xa7, 0xb3];
const TRANSFER_FROM: [u8; 4] = [0x23, 0xb8, 0x72, 0xdd];

type Word = [u8; 32];

/// Reads calldata as ERC-20 only where `to` is a pinned token: elsewhere the same four bytes may mean anything.
pub(crate) fn action(
    chain: ChainId,
    to: Address,
    value: U256,
    data: &Bytes,
) -> Result<Action, TransactionError> {
    match token(chain, to) {
        Some(token) => token_call(token, value, data),
        None if data.is_empty() => Ok(Action::NativeTransfer { recipient: to }),
        None => Ok(contract_call(to, data)),
    }
}

fn contract_call(to: Address, data: &Bytes) -> Action {
    Action::ContractCall { to, selector: data.first_chunk().copied(), data: data.clone() }
}

fn token_call(token: &Token, value: U256, data: &Bytes) -> Result<Action, TransactionError> {
    // The call would revert, or the coin be lost: no pinned token is payable.
    if !value.is_zero() {
        return Err(TransactionError::ValueToToken(token.symbol));
    }
    let Some((selector, arguments)) = data.split_first_chunk::<4>() else {
        return Ok(contract_call(token.address, data));
    };
    let token = token.address;
    match *selector {
        TRANSFER => {
            let [recipient, amount] = words("transfer", arguments)?;
            let (recipient, amount) = (address("transfer", recipient)?, U256::from_be_bytes(amount));
            Ok(Action::TokenTransfer { token, recipient, amount, authorization: None })
        }
        APPROVE => {
            let [spender, amount] = words("approve", arguments)?;
            let (spender, amount) = (address("approve", spender)?, U256::from_be_bytes(amount));
            Ok(Action::TokenApprove { token, spender, amount })
        }
        TRANSFER_FROM => {
            let [owner, recipient, amount] = words("transferFrom", arguments)?;
            let owner = address("transferFrom", owner)?;
            let recipient = address("transferFrom", recipient)?;
            Ok(Action::TokenTransferFrom { token, owner, recipient, amount: U256::from_be_bytes(amount) })
        }
        _ => Ok(contract_call(token, data)),
    }
}

/// Exactly `N` words: contracts ignore what follows, so what follows is only there to deceive.
fn words<const N: usize>(function: &'static str, arguments: &[u8]) -> Result<[Word; N], TransactionError> {
    let (words, rest) = arguments.as_chunks::<32>();
    let words = if rest.is_empty() { words.try_into().ok() } else { None };
    words.ok_or(TransactionError::Calldata { function, reason: "not exactly its arguments" })
}

fn address(function: &'static str, word: Word) -> Result<Address, TransactionError> {
    let address = Address::from_word(word.into());
    if address.into_word() == word {
        Ok(address)
    } else {
        Err(TransactionError::Calldata { function, reason: "the 12 bytes before an address are not zero" })
    }
}

/// The four bytes that call the function with this canonical signature, such as `transfer(address,uint256)`.
pub fn selector(signature: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = keccak256(signature).0;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_those_of_the_signatures() {
        assert_eq!(selector("transfer(address,uint256)"), TRANSFER);
        assert_eq!(selector("approve(address,uint256)"), APPROVE);
        assert_eq!(selector("transferFrom(address,address,uint256)"), TRANSFER_FROM);
    }
}

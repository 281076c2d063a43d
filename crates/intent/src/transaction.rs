//! Unsigned transactions, in the encoding that is hashed: EIP-1559, EIP-2930, and legacy with EIP-155.

use alloy_consensus::transaction::{SignableTransaction, Transaction};
use alloy_consensus::{TxEip1559, TxEip2930, TxLegacy};
use alloy_primitives::{Signature, TxKind};
use alloy_rlp::Decodable;
use quorate_types::U256;

use crate::{Decoded, Intent, SigningDigest, TransactionError, TransactionTerms, Validity, calldata};

/// Most addresses and storage keys of an access list, together.
const MAX_ACCESS_LIST: usize = 1024;

/// First byte of an RLP list: a legacy transaction starts with one, an EIP-2718 type never does.
pub(crate) const LIST: u8 = 0xc0;

pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, TransactionError> {
    let (first, body) = bytes.split_first().ok_or(TransactionError::Empty)?;
    let intent = match *first {
        1 => intent(&exact::<TxEip2930>(body, bytes)?)?,
        2 => intent(&exact::<TxEip1559>(body, bytes)?)?,
        LIST.. => intent(&exact::<TxLegacy>(bytes, bytes)?)?,
        ty @ 3 => return Err(TransactionError::UnsupportedType { ty, name: "EIP-4844 blobs" }),
        ty @ 4 => return Err(TransactionError::UnsupportedType { ty, name: "EIP-7702 delegation" }),
        ty => return Err(TransactionError::UnknownType(ty)),
    };
    Ok(Decoded { intent, digest: SigningDigest::of(bytes.to_vec()).into() })
}

/// Reads `body`, and proves that nothing was skipped or tolerated: the transaction must encode to `whole` again.
pub(crate) fn exact<T>(mut body: &[u8], whole: &[u8]) -> Result<T, TransactionError>
where
    T: Decodable + SignableTransaction<Signature>,
{
    let transaction = T::decode(&mut body).map_err(|_| TransactionError::Malformed)?;
    if !body.is_empty() {
        return Err(TransactionError::TrailingBytes(body.len()));
    }
    if transaction.encoded_for_signing() == whole {
        Ok(transaction)
    } else {
        Err(TransactionError::NotCanonical)
    }
}

fn intent(transaction: &impl Transaction) -> Result<Intent, TransactionError> {
    let chain = match transaction.chain_id() {
        None => return Err(TransactionError::NoChainId),
        Some(0) => return Err(TransactionError::ZeroChainId),
        Some(chain) => chain,
    };
    let TxKind::Call(to) = transaction.kind() else { return Err(TransactionError::ContractCreation) };
    check_access_list(transaction)?;
    let native_value = transaction.value();
    Ok(Intent {
        chain: Some(chain),
        signer: None,
        action: calldata::action(chain, to, native_value, transaction.input())?,
        native_value,
        max_native_fee: max_fee(transaction)?,
        transaction: Some(TransactionTerms {
            nonce: transaction.nonce(),
            gas_limit: transaction.gas_limit(),
            max_fee_per_gas: U256::from(transaction.max_fee_per_gas()),
        }),
        validity: Validity::default(),
    })
}

fn check_access_list(transaction: &impl Transaction) -> Result<(), TransactionError> {
    let items = transaction.access_list().map(|list| list.0.as_slice()).unwrap_or_default();
    let len = items.iter().fold(0, |len: usize, item| len.saturating_add(1 + item.storage_keys.len()));
    if len > MAX_ACCESS_LIST {
        return Err(TransactionError::AccessListTooLong { len, max: MAX_ACCESS_LIST });
    }
    Ok(())
}

/// Gas limit times the highest price per gas. Value and fee must fit 256 bits together, so that a rule which adds
/// them cannot wrap.
fn max_fee(transaction: &impl Transaction) -> Result<U256, TransactionError> {
    let price = transaction.max_fee_per_gas();
    if transaction.max_priority_fee_per_gas().is_some_and(|tip| tip > price) {
        return Err(TransactionError::PriorityAboveMaxFee);
    }
    let fee = U256::from(price)
        .checked_mul(U256::from(transaction.gas_limit()))
        .ok_or(TransactionError::CostOverflow)?;
    fee.checked_add(transaction.value()).ok_or(TransactionError::CostOverflow)?;
    Ok(fee)
}

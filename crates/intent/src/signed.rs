//! A transaction with its signature, ready to broadcast.

use alloy_consensus::transaction::{RlpEcdsaEncodableTx, SignableTransaction};
use alloy_consensus::{TxEip1559, TxEip2930, TxLegacy};
use alloy_rlp::Decodable;
use quorate_types::{B256, Bytes, Payload, Signature};

use crate::TransactionError;
use crate::transaction::{LIST, exact};

/// The signed transaction of a payload, as `eth_sendRawTransaction` takes it (EIP-2718; EIP-155 for legacy). `None`
/// where the payload is not a transaction, or not one that [`decode`](crate::decode) reads.
pub fn signed_transaction(payload: &Payload, signature: &Signature) -> Option<Bytes> {
    let Payload::Transaction(bytes) = payload else { return None };
    let (first, body) = bytes.split_first()?;
    match *first {
        1 => signed::<TxEip2930>(body, bytes, signature),
        2 => signed::<TxEip1559>(body, bytes, signature),
        LIST.. => signed::<TxLegacy>(bytes, bytes, signature),
        _ => None,
    }
}

/// The name of a signed transaction on its chain: Keccak-256 of what [`signed_transaction`] gives.
pub fn transaction_hash(signed_transaction: &[u8]) -> B256 {
    alloy_primitives::keccak256(signed_transaction)
}

fn signed<T>(body: &[u8], whole: &[u8], signature: &Signature) -> Option<Bytes>
where
    T: Decodable + SignableTransaction<alloy_primitives::Signature> + RlpEcdsaEncodableTx,
{
    let transaction: Result<T, TransactionError> = exact(body, whole);
    let signature = alloy_primitives::Signature::from_scalars_and_parity(
        signature.r(),
        signature.s(),
        signature.y_parity(),
    );
    let mut encoded = Vec::new();
    transaction.ok()?.eip2718_encode(&signature, &mut encoded);
    Some(encoded.into())
}

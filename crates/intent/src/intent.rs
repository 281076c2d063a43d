//! What a payload would do.

use quorate_types::{Address, B256, Bytes, U256};
use serde::Serialize;

use crate::{AssetId, ChainId, Charge, SignIn, TypedValue};

/// What signing a payload would allow to happen. Never read from the wire: each process decodes its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Intent {
    /// EIP-155 chain id. `None` only for messages, raw digests, and typed data whose domain names no chain.
    pub chain: Option<ChainId>,
    /// The address the payload itself says must sign (EIP-3009 `from`, EIP-2612 `owner`, EIP-4361's account). A signature by any
    /// other key is worthless; a wallet with another address should refuse.
    pub signer: Option<Address>,
    /// What it does.
    pub action: Action,
    /// Wei the transaction attaches; 0 off-chain.
    pub native_value: U256,
    /// Most wei the transaction can burn as fee: gas limit times the highest price per gas; 0 off-chain. Rollups
    /// may add a data fee that no transaction can bound.
    pub max_native_fee: U256,
    /// What only a transaction has; `None` off-chain.
    pub transaction: Option<TransactionTerms>,
    /// When the signature can be used.
    pub validity: Validity,
}

/// What a transaction says beside what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TransactionTerms {
    /// The account's transaction counter on its chain, which takes each number once.
    pub nonce: u64,
    /// Most gas it can use.
    pub gas_limit: u64,
    /// Highest price in wei per gas, tip included.
    pub max_fee_per_gas: U256,
}

/// When a signature can be used, in Unix seconds of block time; both ends are inclusive. `None` is no bound.
///
/// EIP-3009 is strict on both sides (`validAfter < now < validBefore`), so `not_before_s` is `validAfter + 1` and
/// `not_after_s` is `validBefore - 1`. EIP-2612's `deadline` is inclusive already. A bound beyond u64 is
/// `u64::MAX`: as an end it never expires, as a beginning it is never reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Validity {
    /// First second at which it can be used.
    pub not_before_s: Option<u64>,
    /// Last second at which it can be used. It may lie before `not_before_s`: such a signature is never usable.
    pub not_after_s: Option<u64>,
}

/// One of the EIP-3009 authorizations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationKind {
    /// `TransferWithAuthorization`: anyone may submit it.
    Transfer,
    /// `ReceiveWithAuthorization`: only the recipient may submit it.
    Receive,
}

/// What makes an off-chain transfer unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Authorization {
    /// Who may submit it.
    pub kind: AuthorizationKind,
    /// The token accepts each nonce of a signer once.
    pub nonce: B256,
}

/// The domain of typed data, as given (EIP-712).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Domain {
    /// The signing domain's name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// EIP-155 chain id.
    pub chain_id: Option<ChainId>,
    /// The contract that will verify the signature.
    pub verifying_contract: Option<Address>,
    /// A salt of last resort.
    pub salt: Option<B256>,
}

/// Typed data that is none of the recognised kinds. Only an explicit rule should allow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TypedData {
    /// The domain.
    pub domain: Domain,
    /// The domain's hash.
    pub separator: B256,
    /// Name of the message's type.
    pub primary_type: String,
    /// Keccak-256 of `encodeType(primary_type)`: rules should match this, not the name.
    pub type_hash: B256,
    /// `hashStruct(message)`.
    pub struct_hash: B256,
    /// The message.
    pub message: TypedValue,
}

/// What a payload does. Token actions occur only for tokens of the pinned registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A transaction without calldata: `native_value` goes to `recipient` (whose code, if any, runs).
    NativeTransfer {
        /// Who is paid.
        recipient: Address,
    },
    /// ERC-20 `transfer`, or an EIP-3009 authorization of one.
    TokenTransfer {
        /// The token contract.
        token: Address,
        /// Who is paid.
        recipient: Address,
        /// Base units.
        amount: U256,
        /// Set where this is an EIP-3009 authorization; `None` for a transaction.
        authorization: Option<Authorization>,
    },
    /// ERC-20 `transferFrom`: spends an allowance `owner` gave the signer.
    TokenTransferFrom {
        /// The token contract.
        token: Address,
        /// Whose tokens move.
        owner: Address,
        /// Who is paid.
        recipient: Address,
        /// Base units.
        amount: U256,
    },
    /// ERC-20 `approve`.
    TokenApprove {
        /// The token contract.
        token: Address,
        /// Who may take the tokens, to anywhere.
        spender: Address,
        /// The allowance in base units; it replaces the one before.
        amount: U256,
    },
    /// EIP-2612 `Permit`: an off-chain approve.
    TokenPermit {
        /// The token contract.
        token: Address,
        /// Whose tokens may be taken; must be the signer.
        owner: Address,
        /// Who may take the tokens, to anywhere.
        spender: Address,
        /// The allowance in base units; it replaces the one before.
        amount: U256,
        /// The owner's permit counter in the token contract.
        nonce: U256,
    },
    /// Any other transaction with calldata. What it moves is unknown, apart from `native_value`.
    ContractCall {
        /// The contract called.
        to: Address,
        /// First four bytes of the calldata; `None` where it is shorter.
        selector: Option<[u8; 4]>,
        /// The whole calldata.
        data: Bytes,
    },
    /// Other typed data. What it allows is unknown.
    TypedData(Box<TypedData>),
    /// A Sign-In with Ethereum message (EIP-4361).
    SignIn(Box<SignIn>),
    /// Another EIP-191 personal message. What it means is up to whoever reads it.
    PersonalMessage {
        /// The message without its prefix.
        bytes: Bytes,
        /// The message as text, where it is UTF-8.
        text: Option<String>,
    },
    /// 32 bytes nobody can read. They may be the hash of anything: of a payment, on any chain.
    RawDigest {
        /// What is signed, as it is.
        digest: B256,
    },
}

/// An intent that moves an asset must say on which chain.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("intent: it moves an asset but names no chain")]
pub struct ChargeError;

impl Intent {
    /// Every asset this intent is known to move or to let others move, each at most once. Allowances count in
    /// full. The fee is apart, in `max_native_fee`. For [`Action::ContractCall`], [`Action::TypedData`]
    /// and [`Action::RawDigest`] this is a lower bound only: an empty answer does not mean that nothing moves.
    ///
    /// # Errors
    /// [`ChargeError`] where an asset moves but `chain` is `None`; `decode` never makes such an intent.
    pub fn charges(&self) -> Result<Vec<Charge>, ChargeError> {
        let token = match &self.action {
            Action::TokenTransfer { token, amount, .. }
            | Action::TokenTransferFrom { token, amount, .. }
            | Action::TokenApprove { token, amount, .. }
            | Action::TokenPermit { token, amount, .. } => Some((*token, *amount)),
            Action::NativeTransfer { .. }
            | Action::ContractCall { .. }
            | Action::TypedData(_)
            | Action::SignIn(_)
            | Action::PersonalMessage { .. }
            | Action::RawDigest { .. } => None,
        };
        // A native transfer of 0 is still charged, so that rules about its asset see it.
        let native = matches!(self.action, Action::NativeTransfer { .. }) || !self.native_value.is_zero();
        let mut charges = Vec::new();
        if let Some((token, amount)) = token {
            let asset = AssetId::token(self.chain.ok_or(ChargeError)?, token);
            charges.push(Charge { asset, amount });
        }
        if native {
            let asset = AssetId::native(self.chain.ok_or(ChargeError)?);
            charges.push(Charge { asset, amount: self.native_value });
        }
        Ok(charges)
    }

    /// Who is paid, where that is known. A contract called with value attached is paid that value.
    pub fn recipient(&self) -> Option<Address> {
        match &self.action {
            Action::NativeTransfer { recipient }
            | Action::TokenTransfer { recipient, .. }
            | Action::TokenTransferFrom { recipient, .. } => Some(*recipient),
            Action::ContractCall { to, .. } => (!self.native_value.is_zero()).then_some(*to),
            Action::TokenApprove { .. }
            | Action::TokenPermit { .. }
            | Action::TypedData(_)
            | Action::SignIn(_)
            | Action::PersonalMessage { .. }
            | Action::RawDigest { .. } => None,
        }
    }

    /// Who is given an allowance, where one is given.
    pub const fn spender(&self) -> Option<Address> {
        match &self.action {
            Action::TokenApprove { spender, .. } | Action::TokenPermit { spender, .. } => Some(*spender),
            _ => None,
        }
    }
}

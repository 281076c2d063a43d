//! Why a payload was refused. No message repeats what the payload said, apart from names its own types declare.

use quorate_types::Payload;

/// Why a payload was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Above [`Payload::MAX_BYTES`].
    #[error("payload: {len} bytes, at most {} are read", Payload::MAX_BYTES)]
    TooLarge {
        /// its length in bytes
        len: usize,
    },
    /// See [`TransactionError`].
    #[error("transaction: {0}")]
    Transaction(#[from] TransactionError),
    /// See [`TypedDataError`].
    #[error("typed data: {0}")]
    TypedData(#[from] TypedDataError),
}

/// Why a transaction was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TransactionError {
    /// No bytes.
    #[error("empty")]
    Empty,
    /// A type that exists but is not signed here: its effects are not judged by any rule.
    #[error("type 0x{ty:02x} ({name}) is not signed here")]
    UnsupportedType {
        /// EIP-2718 type
        ty: u8,
        /// its common name
        name: &'static str,
    },
    /// Not a known EIP-2718 type and not a legacy list.
    #[error("type 0x{0:02x} is unknown")]
    UnknownType(u8),
    /// Not the RLP of an unsigned transaction of its type.
    #[error("not the RLP of an unsigned transaction of its type")]
    Malformed,
    /// Bytes after its end.
    #[error("{0} bytes follow its end")]
    TrailingBytes(usize),
    /// It reads, but encoding it again gives other bytes.
    #[error("not the canonical unsigned encoding (a signed transaction, or non-canonical RLP?)")]
    NotCanonical,
    /// A legacy transaction of six fields.
    #[error("chain id: absent, so it could be replayed on any chain (EIP-155 is required)")]
    NoChainId,
    /// EIP-155 knows no chain 0.
    #[error("chain id: 0 is not a chain")]
    ZeroChainId,
    /// It creates a contract.
    #[error("to: absent, contract creation is not signed here")]
    ContractCreation,
    /// No node would accept it.
    #[error("max priority fee per gas: above max fee per gas")]
    PriorityAboveMaxFee,
    /// Value and highest fee together do not fit 256 bits.
    #[error("value and fee: their sum does not fit 256 bits")]
    CostOverflow,
    /// More addresses and keys than anyone needs.
    #[error("access list: {len} addresses and keys, at most {max} are read")]
    AccessListTooLong {
        /// addresses and storage keys together
        len: usize,
        /// the limit
        max: usize,
    },
    /// The tokens of the registry accept no native coin.
    #[error("value: {0} takes no native coin")]
    ValueToToken(&'static str),
    /// Arguments of a known function of a known token that are not exactly its ABI encoding.
    #[error("calldata of {function}: {reason}")]
    Calldata {
        /// the function
        function: &'static str,
        /// what is wrong
        reason: &'static str,
    },
}

/// Why typed data was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TypedDataError {
    /// Not JSON.
    #[error("not JSON (line {line}, column {column})")]
    Json {
        /// 1-based
        line: usize,
        /// 1-based
        column: usize,
    },
    /// A key twice in one object: readers differ on which counts.
    #[error("a key occurs twice in one object")]
    DuplicateKey,
    /// Nested too deeply.
    #[error("nested more than {0} deep")]
    TooDeep(usize),
    /// A number that is not an integer of 64 bits: larger ones are written as strings.
    #[error("a number is not a 64-bit integer; write larger integers as strings")]
    NotAnInteger,
    /// A key of the outer object is missing.
    #[error("{0}: missing")]
    Missing(&'static str),
    /// A key the format does not have.
    #[error("{0}: has a key that EIP-712 does not know")]
    UnknownKey(&'static str),
    /// A JSON value of the wrong kind.
    #[error("{field}: expected {expected}")]
    Shape {
        /// where
        field: &'static str,
        /// what should be there
        expected: &'static str,
    },
    /// A limit against wasted work was exceeded.
    #[error("{what}: more than {max}")]
    TooMuch {
        /// what there is too much of
        what: &'static str,
        /// the limit
        max: usize,
    },
    /// A struct or field name that is no identifier, or is the name of a built-in type.
    #[error("types: a name is not an identifier of at most 64 characters, or is a built-in type's")]
    BadName,
    /// A field's type that is neither built in (`uint` and `int` need their width) nor a name with array brackets.
    #[error("types: `{field}` of `{owner}` has no valid type")]
    BadType {
        /// the struct
        owner: String,
        /// its field
        field: String,
    },
    /// A field's type that is defined nowhere.
    #[error("types: `{field}` of `{owner}` has a type that is not defined")]
    UndefinedType {
        /// the struct
        owner: String,
        /// its field
        field: String,
    },
    /// A field twice in one struct.
    #[error("types: `{owner}` has `{field}` twice")]
    DuplicateField {
        /// the struct
        owner: String,
        /// its field
        field: String,
    },
    /// A struct that contains itself.
    #[error("types: `{0}` contains itself")]
    Cyclic(String),
    /// `primaryType` is not in `types`, or is the domain's own type.
    #[error("primaryType: not a struct of types")]
    UnknownPrimaryType,
    /// A domain without fields would hold for every application.
    #[error("domain: empty")]
    EmptyDomain,
    /// `types.EIP712Domain` is not the standard fields of the keys in `domain`, in the standard order.
    #[error("domain: types.EIP712Domain is not exactly the domain's fields in the standard order")]
    DomainType,
    /// A domain field of the wrong type or out of range.
    #[error("domain.{field}: expected {expected}")]
    DomainValue {
        /// the field
        field: &'static str,
        /// what should be there
        expected: &'static str,
    },
    /// A field of the message is missing.
    #[error("message: `{field}` of `{owner}` is missing")]
    MissingField {
        /// the struct
        owner: String,
        /// its field
        field: String,
    },
    /// The message has a field its type does not: it would be shown, or judged, but not signed.
    #[error("message: a `{0}` has a field its type does not")]
    ExtraField(String),
    /// A value that is not one of its type, spelled plainly.
    #[error("message: expected a value of type {0}")]
    Value(String),
    /// The domain is not that of a token of the registry, yet it bears one's address.
    #[error(
        "domain: has the address of {symbol} on {network}, but not its name, version and chain (domain substitution)"
    )]
    TokenDomain {
        /// the token
        symbol: &'static str,
        /// where it lives
        network: &'static str,
    },
    /// A payment or permit for a token outside the registry.
    #[error("domain: separator is not that of a pinned token, which `{0}` needs")]
    UnknownToken(&'static str),
    /// The name of a payment or permit with other fields.
    #[error("types: `{0}` has not the pinned type hash")]
    TypeHash(&'static str),
    /// A token of the registry is asked for something else than a payment or a permit.
    #[error("primaryType: not one that is signed for {0}")]
    UnknownTokenType(&'static str),
}

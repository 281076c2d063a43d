//! Contracts, typed data and messages, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::present;

/// A function of a contract that may be called.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallDraft {
    /// The chain's name.
    pub(crate) chain: String,
    /// The contract's address, with its EIP-55 checksum. Not a token's.
    #[schemars(regex(pattern = "^0x[0-9a-fA-F]{40}$"))]
    pub(crate) contract: String,
    /// What people call it.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) label: String,
    /// The function's canonical signature, such as deposit(uint256,address). Arguments of one word each; multicall may
    /// take bytes[] last.
    pub(crate) function: String,
    /// What arguments must be. One without a line may be anything of its type.
    #[serde(default)]
    pub(crate) arguments: Vec<ArgumentDraft>,
    /// Whether it may stand inside a multicall of the same contract, and only there.
    #[serde(default)]
    pub(crate) inside_multicall: bool,
}

/// What one argument must be: one_of, or at_most.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArgumentDraft {
    /// Which argument: the first is 0.
    pub(crate) at: usize,
    /// One of these: addresses, decimal integers, true or false, or bytes in hex.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(crate) one_of: Option<Vec<String>>,
    /// This or less, for an unsigned integer.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) at_most: Option<String>,
}

/// Typed data, other than payments and permits, that may be signed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedDataDraft {
    /// What people call it.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) label: String,
    /// The whole domain: a field that is not written here must not be in it.
    pub(crate) domain: DomainDraft,
    /// The primary type with every struct in it, as EIP-712 encodes it.
    #[serde(rename = "type")]
    pub(crate) encode_type: String,
    /// What fields must be. One without a line may be anything of its type.
    #[serde(default)]
    pub(crate) fields: Vec<FieldDraft>,
}

/// A domain (EIP-712).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainDraft {
    /// The signing domain's name.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) name: Option<String>,
    /// Its version.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) version: Option<String>,
    /// The chain's name.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) chain: Option<String>,
    /// The verifying contract, with its EIP-55 checksum. Not a token's.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) contract: Option<String>,
    /// 32 bytes in hex.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) salt: Option<String>,
}

/// What one field must be: one_of, or at_most.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldDraft {
    /// Names from the primary type inwards, with points between, such as order.maker. Not through arrays.
    pub(crate) path: String,
    /// One of these: addresses, decimal integers, true or false, bytes in hex, or texts.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(crate) one_of: Option<Vec<String>>,
    /// This or less, for an unsigned integer.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) at_most: Option<String>,
}

/// Personal messages that may be signed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagesDraft {
    /// Sites that may be signed in to (EIP-4361).
    #[serde(default)]
    pub(crate) sign_in: Vec<SignInDraft>,
    /// Other texts.
    #[serde(default)]
    pub(crate) texts: Vec<TextDraft>,
}

/// A site that may be signed in to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInDraft {
    /// The site exactly, in small letters, with its port where it has one.
    pub(crate) domain: String,
    /// What is signed in to, exactly; absent: anything under https of the domain.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) uri: Option<String>,
    /// The name of the chain the session is bound to. It must be among the chains, too.
    pub(crate) chain: String,
    /// For how many seconds from now it may be valid. With it, a sign-in without an end is denied.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub(crate) max_lifetime_s: Option<u64>,
    /// Whether it may carry resources, which can delegate rights.
    #[serde(default)]
    pub(crate) resources: bool,
}

/// Texts of a shape.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextDraft {
    /// What people call them.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) label: String,
    /// A regular expression for the whole text, with ^ first and $ last.
    #[schemars(regex(pattern = r"^\^.*\$$"))]
    pub(crate) pattern: String,
}

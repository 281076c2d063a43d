//! Whether two parties' packages belong together, from what everybody may know. Nothing is assembled.

use quorate_types::{PartyIndex, WalletId};

use crate::frame::Hello;

/// Why two packages cannot sign together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PairError {
    /// Both are of the same node.
    #[error("both packages are of node {0}: two different nodes' shares are needed")]
    SameParty(String),
    /// They differ where they must not.
    #[error("the packages do not belong together: their {field} differs ({first} and {second}){hint}")]
    Differs {
        /// in what
        field: &'static str,
        /// what the first says
        first: String,
        /// what the second says
        second: String,
        /// what to do about it
        hint: &'static str,
    },
    /// Not the wallet that was asked for.
    #[error("the packages are of wallet {0}, not of {1}")]
    OtherWallet(WalletId, WalletId),
}

/// Checks that the two are different parties of one group, with shares of one key. Returns their indices, ascending.
///
/// # Errors
/// [`PairError`] naming the first difference.
pub fn belong_together(one: &Hello, two: &Hello, wallet: &WalletId) -> Result<[PartyIndex; 2], PairError> {
    let (a, b) = (&one.facts, &two.facts);
    if a.node == b.node || a.role == b.role {
        return Err(PairError::SameParty(a.node.to_string()));
    }
    let (v, w) = (&one.wallet, &two.wallet);
    let aux = "; one of them is of another enrolment of the group";
    let key = "; the wallet has several keys, or a file is of another wallet: give --address";
    let fields = [
        ("cluster", a.cluster.to_string(), b.cluster.to_string(), ""),
        ("group", a.group.to_string(), b.group.to_string(), ""),
        ("wallet", v.wallet.to_string(), w.wallet.to_string(), "; take two files of one wallet"),
        ("nodes", list(&a.nodes), list(&b.nodes), ""),
        ("public key", v.public_key.to_string(), w.public_key.to_string(), key),
        ("epoch", v.epoch.to_string(), w.epoch.to_string(), ""),
        ("execution id", v.eid.clone(), w.eid.clone(), key),
        ("agent", v.agent.to_string(), w.agent.to_string(), ""),
        ("public shares", v.public_shares.join(","), w.public_shares.join(","), key),
        ("auxiliary hash", a.aux_hash.to_string(), b.aux_hash.to_string(), aux),
    ];
    for (field, first, second, hint) in fields {
        if first != second {
            return Err(PairError::Differs { field, first, second, hint });
        }
    }
    if v.wallet != *wallet {
        return Err(PairError::OtherWallet(v.wallet.clone(), wallet.clone()));
    }
    let mut indices = [a.role.index(), b.role.index()];
    indices.sort_unstable();
    Ok(indices)
}

fn list(nodes: &[quorate_types::NodeId]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

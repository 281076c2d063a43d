//! One presignature for a wallet, made ahead of time and kept in memory until it is used. No policy is asked and nothing
//! is promised: what it signs is judged when it is used.

use std::sync::Arc;

use quorate_proto::{required, v1, v1::session_outcome::Outcome};
use quorate_types::{B256, Role, WalletId};

use super::half::{deal, presign};
use crate::node::Node;
use crate::place::presign_terms;
use crate::pool::{Binding, Boots, Ready};
use crate::sessions::{Link, SessionError};

/// Takes part in making one presignature, behind everything else this node does.
///
/// # Errors
/// [`SessionError`]; one of the network where this node presigns as much as it does at once.
pub(crate) async fn run(
    node: &Arc<Node>,
    start: v1::StartPresign,
    link: &mut Link,
) -> Result<Outcome, SessionError> {
    let wallet: WalletId = required("wallet", &start.wallet)?;
    let busy = || SessionError::Network("this node is presigning as much as it can".to_owned());
    let _leave = node.pool.leave_to_presign().ok_or_else(busy)?;
    let terms = {
        let (node, wallet) = (Arc::clone(node), wallet.clone());
        let read = move || presign_terms(&node, &wallet);
        tokio::task::spawn_blocking(read).await.map_err(|error| SessionError::Bug(error.to_string()))??
    };
    let incomplete = || SessionError::Bug("a presigning session is incomplete".to_owned());
    let binding = Binding::of(&terms).ok_or_else(incomplete)?;
    let coordinator = link.coordinator().to_owned();
    let mut joined = link.agree(node, terms).await?;
    let presignature = if node.pool.dealt() {
        deal(node, &wallet, &joined).await?
    } else {
        presign(node, &wallet, (&mut joined, &node.background)).await?
    };

    let id = B256::from(joined.eid());
    let (peer, theirs) = joined.peer().ok_or_else(incomplete)?;
    let last_word = joined.into_last_word(Role::Agent.index(), Role::Service.index());
    let boots = Boots { own: node.boot, peer, theirs };
    let made = (presignature, last_word.ok_or_else(incomplete)?);
    node.pool.put(id, Ready::new((binding, boots), &coordinator, made));
    Ok(Outcome::Pooled(id.to_vec()))
}

//! A wallet's birth: three nodes make one key that never exists.

use std::sync::Arc;

use quorate_audit::Event;
use quorate_mpc::{CoreShare, Party, generate_key};
use quorate_policy::Loosening;
use quorate_proto::{required, v1, v1::session_outcome::Outcome, wallet_terms_from_pb};
use quorate_session::{KeyStatement, Protocol, SignedStatement, Statement, Terms};
use quorate_types::{AgentId, B256, GroupId, Role, Transcript, WalletId};

use crate::cold::{self, Sealed, ToSeal};
use crate::node::Node;
use crate::place::Place;
use crate::sessions::{Link, SessionError, commit};
use crate::vault::WalletRecord;

/// Runs key generation and returns, once the share is sealed and synced, this node's word on it.
///
/// A wallet that is already active is never made again. One that is not yet may be: every share ever attested is kept,
/// beside the others, until the nodes' three statements say which of them is the wallet's, so that no coordinator can
/// have a key deleted that somebody was told of.
///
/// # Errors
/// [`SessionError`].
pub(crate) async fn run(
    node: &Arc<Node>,
    start: v1::StartKeygen,
    link: &mut Link,
) -> Result<Outcome, SessionError> {
    let wallet: WalletId = required("wallet", &start.wallet)?;
    let agent: AgentId = required("agent", &start.agent)?;
    let created = wallet_terms_from_pb(&start.agent_key, start.loosening_delay_s, start.raw_digest)?;
    let group: GroupId = required("group", &start.group)?;
    node.restored.check()?;
    let place = Place::find(node, &group)?;
    node.vault.check_new(&wallet)?;
    if created.loosening_delay_s.is_some()
        && let Some(reason) = Loosening::undercut(node.documents.manifest().manifest())
    {
        return Err(SessionError::caller("loosening_delay_s", reason));
    }
    if node.role == Role::Cold {
        cold::check_ready(node)?;
    }
    let aux_hash = node.vault.aux_hash(&group)?;
    let aux_hash = aux_hash.ok_or_else(|| SessionError::caller("group", "not enrolled on this node"))?;
    let subject = Transcript::new("quorate/wallet-record/v4")
        .field(wallet.as_str().as_bytes())
        .field(agent.as_str().as_bytes());
    let terms = Terms {
        wallet: Some(wallet.clone()),
        aux_hash: Some(aux_hash),
        ..place.terms(node, Protocol::Keygen, created.told_to(subject).finish())
    };
    let mut joined = link.agree(node, terms).await?;

    let (eid, me) = (joined.eid(), node.role.index());
    let participants = joined.indices();
    let share = joined
        .run(&node.maths, |wire| async move {
            generate_key(Party { eid: &eid, me, participants: &participants }, wire).await
        })
        .await?;

    let public_key = share.public_key().map_err(|error| SessionError::Bug(error.to_string()))?;
    let nodes: Vec<_> = place.group().nodes().into_iter().cloned().collect();
    let cluster = node.cluster.clone();
    let statement =
        KeyStatement { cluster, group, wallet, agent, terms: created, epoch: 0, public_key, nodes, eid };
    let signed = statement.sign(&node.me, &node.key)?;
    keep(node, WalletRecord::pending(statement, &signed), share, aux_hash).await?;
    Ok(Outcome::Key(attestation(signed)))
}

/// Where the share went.
enum Kept {
    Sealed(Sealed),
    Share(Box<CoreShare>),
}

/// Seals and syncs the share: the statement says that this was done.
async fn keep(
    node: &Arc<Node>,
    record: WalletRecord,
    share: CoreShare,
    aux_hash: B256,
) -> Result<(), SessionError> {
    let kept = if node.role == Role::Cold {
        let secret = ToSeal::Share(Box::new(record.clone()), share, aux_hash);
        // The cold node keeps nothing that opens.
        Kept::Sealed(cold::export(node, secret).await?)
    } else {
        Kept::Share(Box::new(share))
    };
    let work = move |node: &Node, txn: &mut dyn quorate_store::Txn| {
        node.vault.check_aux(txn, &record.group, &aux_hash)?;
        match &kept {
            Kept::Sealed(file) => node.vault.keep_sealed(txn, &record, file)?,
            Kept::Share(share) => node.vault.keep_share(txn, &record, share)?,
        }
        let event = Event::new("share.sealed")
            .wallet(&record.wallet)
            .field("address", record.public_key.address().to_string())
            .field("eid", hex::encode(record.eid));
        Ok(quorate_audit::append(txn, node.clock.now(), &event)?)
    };
    let (receipt, durable) = commit(node, work).await?;
    receipt.confirm(&durable);
    Ok(())
}

/// A statement as it travels in frames.
pub(crate) fn attestation(signed: SignedStatement) -> v1::Attestation {
    v1::Attestation { node: signed.node.to_string(), statement: signed.bytes, signature: signed.signature }
}

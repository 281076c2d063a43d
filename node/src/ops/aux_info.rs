//! Auxiliary info for a group, made once by its three nodes.

use std::sync::Arc;

use quorate_mpc::{GroupAux, Party, Progress, generate_aux};
use quorate_proto::{required, v1, v1::session_outcome::Outcome};
use quorate_session::Protocol;
use quorate_types::{GroupId, Role, Transcript};

use crate::cold::{self, ToSeal};
use crate::node::Node;
use crate::place::Place;
use crate::sessions::{Link, SessionError, commit};

/// Runs auxiliary info generation and returns once this node's part is sealed and synced.
///
/// # Errors
/// [`SessionError`].
pub(crate) async fn run(
    node: &Arc<Node>,
    start: v1::StartAux,
    link: &mut Link,
) -> Result<Outcome, SessionError> {
    let group: GroupId = required("group", &start.group)?;
    node.restored.check()?;
    let place = Place::find(node, &group)?;
    if node.vault.has_wallets(&group)? {
        // Asked here so that no primes are wasted, and once more where it is kept.
        return Err(SessionError::caller("group", "already enrolled, and wallets of it exist"));
    }
    if node.role == Role::Cold {
        cold::check_ready(node)?;
    }
    link.progress("finding primes");
    node.primes.found().await.map_err(bug)?;
    let subject = Transcript::new("quorate/aux-group/v1").field(group.as_str().as_bytes()).finish();
    let terms = place.terms(node, Protocol::Aux, subject);
    link.progress("waiting for the others");
    let mut joined = link.agree(node, terms).await?;

    // Taken only now: a session the others never join costs no primes.
    let primes = node.primes.take().await.map_err(bug)?;
    let (eid, me, moduli) = (joined.eid(), node.role.index(), node.moduli);
    let participants = joined.indices();
    let mut stages = Stages(joined.link().progress_sender());
    let aux = joined
        .run(&node.maths, |wire| async move {
            let party = Party { eid: &eid, me, participants: &participants };
            generate_aux(party, primes, moduli, wire, Some(&mut stages)).await
        })
        .await?;

    joined.link().progress("sealing");
    let hash = aux.hash();
    keep(node, group, aux).await?;
    Ok(Outcome::AuxHash(hash.to_vec()))
}

/// Agent and service nodes keep their part sealed in the store; the cold node keeps nothing that opens.
async fn keep(node: &Arc<Node>, group: GroupId, aux: GroupAux) -> Result<(), SessionError> {
    if node.role == Role::Cold {
        let hash = aux.hash();
        let file = cold::export(node, ToSeal::Aux(group.clone(), aux)).await?;
        let (_, _synced) =
            commit(node, move |node, txn| Ok(node.vault.keep_aux_hash(txn, &group, &hash, &file)?)).await?;
        return Ok(());
    }
    let (aux, _synced) = {
        let group = group.clone();
        commit(node, move |node, txn| {
            node.vault.keep_aux(txn, &group, &aux)?;
            Ok(aux)
        })
        .await?
    };
    // The tables take a while to build; better now than in the first payment.
    let aux = tokio::task::spawn_blocking(|| aux.with_tables()).await.map_err(bug)?.map_err(bug)?;
    node.vault.remember_aux(&group, Arc::new(aux));
    Ok(())
}

fn bug(error: impl std::fmt::Display) -> SessionError {
    SessionError::Bug(error.to_string())
}

struct Stages<F>(F);

impl<F: Fn(&'static str) + Send + Sync> Progress for Stages<F> {
    fn stage(&mut self, stage: &'static str) {
        (self.0)(stage);
    }
}

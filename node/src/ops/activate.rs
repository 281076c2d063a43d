//! A wallet comes alive when its three nodes have stated the same about it, and one of them is this one.

use quorate_audit::{AuditError, Event};
use quorate_proto::{FieldError, required, v1};
use quorate_session::{KeyStatement, SignedStatement, StatementError};
use quorate_store::{StoreError, Txn, update};
use quorate_types::{NodeId, PARTIES, Role, WalletId};

use crate::node::Node;
use crate::vault::{VaultError, WalletRecord};

/// Why a wallet was not activated.
#[derive(Debug, thiserror::Error)]
enum ActivateError {
    /// A field of the frame.
    #[error("{0}")]
    Field(#[from] FieldError),
    /// The statements do not hold, or differ.
    #[error("{0}")]
    Statement(#[from] StatementError),
    /// None of them is what this node stated.
    #[error("attestations: the one of {0} is not what this node stated")]
    NotMine(NodeId),
    /// They agree on something else than this node's record.
    #[error("attestations: their {0} is not this node's")]
    Differs(&'static str),
    /// The vault.
    #[error("{0}")]
    Vault(#[from] VaultError),
    /// The log.
    #[error("{0}")]
    Audit(#[from] AuditError),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Lets a wallet sign where its three attestations hold and are about the very key this node sealed a share of. Waits for
/// the disk. A cold node signs nothing, so it has nothing to activate.
pub(crate) fn run(node: &Node, activation: v1::Activation) -> v1::ActivationAck {
    let wallet = activation.wallet.clone();
    let refused = match activate(node, activation) {
        Ok(()) => String::new(),
        Err(error) => {
            tracing::warn!(%error, %wallet, "activation refused");
            match error {
                ActivateError::Audit(_)
                | ActivateError::Store(_)
                | ActivateError::Vault(VaultError::Store(_) | VaultError::Malformed(_)) => {
                    "internal error; see this node's log".to_owned()
                }
                other => other.to_string(),
            }
        }
    };
    v1::ActivationAck { wallet, refused }
}

fn activate(node: &Node, activation: v1::Activation) -> Result<(), ActivateError> {
    let wallet: WalletId = required("wallet", &activation.wallet)?;
    if node.role == Role::Cold {
        return Ok(());
    }
    let signed = statements(activation.attestations)?;
    let record = own_record(node, &wallet, &signed)?;
    let pinned = node.documents.manifest();
    let key = |id: &NodeId| pinned.manifest().node(id).map(|entry| entry.key);
    let stated = KeyStatement::verify_all(&signed, &record.nodes, key)?;
    if stated.cluster != node.cluster {
        return Err(ActivateError::Differs("cluster"));
    }
    if let Some(field) = record.difference(&stated) {
        return Err(ActivateError::Differs(field));
    }
    put_in_force(node, &record)
}

fn statements(attestations: Vec<v1::Attestation>) -> Result<Vec<SignedStatement>, ActivateError> {
    if attestations.len() != usize::from(PARTIES) {
        return Err(StatementError::Missing.into());
    }
    let read = |attestation: v1::Attestation| {
        let node = required("attestations.node", &attestation.node)?;
        Ok(SignedStatement { node, bytes: attestation.statement, signature: attestation.signature })
    };
    attestations.into_iter().map(read).collect()
}

/// The record this node's own statement is about, byte for byte.
fn own_record(
    node: &Node,
    wallet: &WalletId,
    signed: &[SignedStatement],
) -> Result<WalletRecord, ActivateError> {
    let not_mine = || ActivateError::NotMine(node.me.clone());
    let mine = signed.iter().find(|statement| statement.node == node.me).ok_or_else(not_mine)?;
    let records = node.vault.records(wallet)?;
    records.into_iter().find(|record| record.statement.bytes == mine.bytes).ok_or_else(not_mine)
}

fn put_in_force(node: &Node, record: &WalletRecord) -> Result<(), ActivateError> {
    if let Some(active) = node.vault.wallet(&record.wallet)?
        && active.public_key == record.public_key
    {
        return Ok(());
    }
    let event = Event::new("wallet.activated")
        .wallet(&record.wallet)
        .field("agent", record.agent.as_str())
        .field("address", record.public_key.address().to_string())
        .field("eid", hex::encode(record.eid));
    let activate = |txn: &mut dyn Txn| {
        node.vault.activate(txn, &record.wallet, record.public_key)?;
        Ok::<_, ActivateError>(quorate_audit::append(txn, node.clock.now(), &event)?)
    };
    let (receipt, durable) = match record.terms.loosening_delay_s {
        Some(_) => node.documents.begin_guarded(&record.wallet, activate)?,
        None => update(&*node.store, activate)?,
    };
    receipt.confirm(&durable);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, memory, shares, wallet};
    use quorate_mpc::CoreShare;
    use std::sync::Arc;

    struct Born {
        cluster: Cluster,
        node: Arc<Node>,
        statement: KeyStatement,
    }

    /// A service node that has sealed its share of wallet `w`.
    fn born() -> Born {
        let cluster = Cluster::new();
        let node = cluster.node(Role::Service, &memory());
        let [_, share, _] = shares();
        let statement = keep(&cluster, &node, &share);
        Born { cluster, node, statement }
    }

    fn keep(cluster: &Cluster, node: &Node, share: &CoreShare) -> KeyStatement {
        let statement = cluster.statement("w", share);
        let record = cluster.record(Role::Service, &statement);
        let kept = update(&*node.store, |txn| node.vault.keep_share(txn, &record, share));
        assert!(kept.is_ok());
        statement
    }

    impl Born {
        fn show(&self, signed: Vec<SignedStatement>) -> String {
            let attestations = signed.into_iter().map(crate::ops::keygen::attestation).collect();
            run(&self.node, v1::Activation { wallet: "w".to_owned(), attestations }).refused
        }

        fn all(&self, statement: &KeyStatement) -> Vec<SignedStatement> {
            Role::ALL.map(|role| self.cluster.signed(role, statement)).to_vec()
        }

        fn active(&self) -> bool {
            self.node.vault.wallet(&wallet("w")).unwrap().is_some()
        }
    }

    #[test]
    fn three_equal_statements_activate_once() {
        let born = born();
        assert_eq!(born.show(born.all(&born.statement)), "");
        assert!(born.active());
        let sequence = quorate_audit::verify(&*born.node.store).unwrap().sequence;
        assert_eq!(born.show(born.all(&born.statement)), "");
        assert_eq!(quorate_audit::verify(&*born.node.store).unwrap().sequence, sequence, "once in the log");
    }

    #[test]
    fn lies_are_refused_and_named() {
        let born = born();
        let good = born.all(&born.statement);
        let [agent, service, cold] = [0, 1, 2].map(|i| good[i].clone());
        let other = KeyStatement { agent: "eve".parse().unwrap(), ..born.statement.clone() };
        let forged = SignedStatement { signature: service.signature.clone(), ..cold.clone() };
        let cases = [
            ("one of each node", vec![agent.clone(), service.clone()]),
            ("one of each node", vec![agent.clone(), service.clone(), service.clone()]),
            ("one of each node", vec![service.clone(), agent.clone(), cold.clone()]),
            ("one of each node", Vec::new()),
            ("does not verify", vec![agent.clone(), service.clone(), forged]),
            (
                "different agent",
                vec![agent.clone(), service.clone(), born.cluster.signed(Role::Cold, &other)],
            ),
            ("not what this node stated", born.all(&other)),
        ];
        for (words, signed) in cases {
            let refused = born.show(signed);
            assert!(refused.contains(words), "{words}: {refused}");
            assert!(!born.active(), "{words}");
        }
    }

    #[test]
    fn a_key_this_node_holds_no_share_of_is_refused() {
        let born = born();
        // All three sign, this node's identity key included, but there is no such record: a restored backup, say.
        let [_, stranger, _] = shares();
        let statement = born.cluster.statement("w", &stranger);
        assert!(born.show(born.all(&statement)).contains("not what this node stated"));
        assert!(!born.active());
    }

    #[test]
    fn the_second_of_two_keys_is_refused_once_the_first_is_active() {
        let born = born();
        let [_, second, _] = shares();
        let later = keep(&born.cluster, &born.node, &second);
        assert_eq!(born.show(born.all(&born.statement)), "");
        assert!(born.show(born.all(&later)).contains("active already"));
        let active = born.node.vault.wallet(&wallet("w")).unwrap().unwrap();
        assert_eq!(active.public_key, born.statement.public_key);
    }

    #[test]
    fn names_are_checked_and_a_cold_node_has_nothing_to_do() {
        let born = born();
        let bad = v1::Activation { wallet: "No Good".to_owned(), attestations: Vec::new() };
        assert!(run(&born.node, bad).refused.starts_with("wallet: "));
        let cold = born.cluster.node(Role::Cold, &memory());
        let nothing = v1::Activation { wallet: "w".to_owned(), attestations: Vec::new() };
        assert_eq!(run(&cold, nothing).refused, "");
    }
}

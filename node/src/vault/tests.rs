//! What is kept, what is refused, and what survives a restart.

use super::*;
use crate::testing::{Cluster, memory, shares, wallet};
use quorate_mpc::{CoreShare, fixtures};
use quorate_store::update;
use quorate_types::{B256, PublicKey};

fn vault(store: &Arc<dyn Store>, role: Role) -> Vault {
    Vault::new(Arc::clone(store), role, Moduli::Dev)
}

fn keep(vault: &Vault, record: &WalletRecord, share: &CoreShare) -> Result<(), VaultError> {
    update(&*vault.store, |txn| vault.keep_share(txn, record, share)).map(|_| ())
}

fn activate(vault: &Vault, record: &WalletRecord) -> Result<(), VaultError> {
    update(&*vault.store, |txn| vault.activate(txn, &record.wallet, record.public_key)).map(|_| ())
}

#[test]
fn a_share_round_trips_and_signs_only_once_active() {
    let (cluster, store) = (Cluster::new(), memory());
    let share = shares().into_iter().next().unwrap();
    let record = cluster.record(Role::Agent, &cluster.statement("w", &share));
    let before = vault(&store, Role::Agent);
    let group = "g".parse().unwrap();
    let aux = fixtures::group_aux(0).unwrap();
    assert!(update(&*store, |txn| before.keep_aux(txn, &group, &aux)).is_ok());
    keep(&before, &record, &share).unwrap();
    assert_eq!(before.wallet(&wallet("w")).unwrap(), None);
    assert!(before.has_wallets(&group).unwrap());
    assert!(matches!(before.signing_share(&wallet("w")), Err(VaultError::NotActive(_))));

    let after = vault(&store, Role::Agent);
    activate(&after, &record).unwrap();
    activate(&after, &record).unwrap();
    let found = after.wallet(&wallet("w")).unwrap().unwrap();
    assert_eq!(found, WalletRecord { active: true, ..record.clone() });
    let signing = after.signing_share(&wallet("w")).unwrap();
    assert_eq!((signing.public_key(), signing.party()), (record.public_key, 0));
    assert!(Arc::ptr_eq(&signing, &after.signing_share(&wallet("w")).unwrap()), "opened once");
    assert_eq!(after.aux_hash(&group).unwrap(), Some(aux.hash()));
    assert!(after.aux(&"h".parse().unwrap()).unwrap().is_none());
}

#[test]
fn an_active_wallet_never_gets_another_key_and_pending_ones_keep_theirs() {
    let (cluster, store) = (Cluster::new(), memory());
    let vault = vault(&store, Role::Agent);
    let [one, two] = [(); 2].map(|()| {
        let share = shares().into_iter().next().unwrap();
        (cluster.record(Role::Agent, &cluster.statement("w", &share)), share)
    });
    keep(&vault, &one.0, &one.1).unwrap();
    keep(&vault, &two.0, &two.1).unwrap();
    assert!(matches!(keep(&vault, &one.0, &one.1), Err(VaultError::Kept(_))));
    assert_eq!(vault.records(&wallet("w")).unwrap().len(), 2);
    // The first one still has its share, and may still be the one.
    activate(&vault, &one.0).unwrap();
    assert_eq!(vault.share(&one.0).unwrap().public_key().unwrap(), one.0.public_key);
    assert!(matches!(activate(&vault, &two.0), Err(VaultError::Active(_))));
    assert!(matches!(vault.check_new(&wallet("w")), Err(VaultError::Active(_))));
    assert!(vault.check_new(&wallet("v")).is_ok());
    assert_eq!(vault.wallet(&wallet("w")).unwrap().unwrap().public_key, one.0.public_key);
}

#[test]
fn keys_never_activated_are_bounded() {
    let (cluster, store) = (Cluster::new(), memory());
    let vault = vault(&store, Role::Agent);
    let [share, ..] = shares();
    let first = cluster.record(Role::Agent, &cluster.statement("w", &share));
    // Any points will do: x coordinates that are on the curve.
    let point = |x: u8| PublicKey::from_sec1(&[&[2], [0; 31].as_slice(), &[x]].concat()).ok();
    let mut kept = 0;
    for public_key in (1..=255).filter_map(point) {
        let record = WalletRecord { public_key, ..first.clone() };
        match update(&*store, |txn| record::keep_record(txn, &record)) {
            Ok(_) => kept += 1,
            Err(refused) => {
                assert!(matches!(refused, VaultError::TooManyPending(_)));
                break;
            }
        }
    }
    assert_eq!(kept, 16);
    assert!(matches!(vault.check_new(&wallet("w")), Err(VaultError::TooManyPending(_))));
    assert!(vault.check_new(&wallet("w2")).is_ok());
}

#[test]
fn a_share_of_another_key_or_party_is_refused() {
    let (cluster, store) = (Cluster::new(), memory());
    let vault = vault(&store, Role::Agent);
    let [mine, theirs, _] = shares();
    let record = cluster.record(Role::Agent, &cluster.statement("w", &mine));
    assert!(matches!(keep(&vault, &record, &theirs), Err(VaultError::Malformed(_))));
    let [other, ..] = shares();
    assert!(matches!(keep(&vault, &record, &other), Err(VaultError::Malformed(_))));
    assert!(vault.records(&wallet("w")).unwrap().is_empty());
    assert!(matches!(activate(&vault, &record), Err(VaultError::NotActive(_))));
}

#[test]
fn a_cold_vault_keeps_no_secret() {
    let (cluster, store) = (Cluster::new(), memory());
    let cold = vault(&store, Role::Cold);
    let [_, _, share] = shares();
    let record = cluster.record(Role::Cold, &cluster.statement("w", &share));
    assert!(matches!(keep(&cold, &record, &share), Err(VaultError::ColdSecret(_))));
    let (group, aux) = ("g".parse().unwrap(), fixtures::group_aux(2).unwrap());
    let refused = update(&*store, |txn| cold.keep_aux(txn, &group, &aux));
    assert!(matches!(refused, Err(VaultError::ColdSecret(_))));

    let dir = tempfile::tempdir().unwrap();
    let writer = crate::cold::Cold::new(Some(dir.path().to_owned()));
    let manifest = quorate_manifest::Pinned::restore(
        &cluster.manifest(1, |_| {}),
        cluster.manifest(1, |_| {}).hash(quorate_manifest::Namespace::Manifest),
    );
    let (manifest, me, dev) = (manifest.unwrap(), "cold-1".parse().unwrap(), "dev".parse().unwrap());
    let sealer = crate::cold::Sealer {
        cluster: &dev,
        me: &me,
        role: Role::Cold,
        key: &cluster.keys[2],
        pinned: &manifest,
        now: 1_000,
    };
    let bytes = share.to_bytes().unwrap();
    let secret = crate::cold::ToSeal::Share(Box::new(record.clone()), share, aux.hash());
    let file = sealer.seal(&writer, &secret).unwrap();
    let kept = update(&*store, |txn| {
        cold.keep_aux_hash(txn, &group, &aux.hash(), &file)?;
        cold.keep_sealed(txn, &record, &file)
    });
    assert!(kept.is_ok());
    assert_eq!(cold.records(&wallet("w")).unwrap(), vec![record.clone()]);
    // The file is all that is left of the share, and it is whole.
    let sealed = std::fs::read(file.path()).unwrap();
    assert!(sealed.len() < 4_096, "{} bytes a wallet", sealed.len());
    let custodian = cluster.custodian.clone().into();
    let package = quorate_recovery::SharePackage::open(&sealed, &custodian, manifest.manifest()).unwrap();
    let recovered = package.share;
    assert_eq!((recovered.public_key().unwrap(), recovered.party()), (record.public_key, 2));
    assert_eq!(*recovered.to_bytes().unwrap(), *bytes);
    assert_eq!((package.facts.aux_hash, package.facts.manifest_hash), (aux.hash(), manifest.hash()));
    let index = std::fs::read(dir.path().join("index.jsonl")).unwrap();
    let listed = quorate_recovery::read_index(&index, manifest.manifest()).unwrap();
    assert_eq!((listed.len(), listed[0].file.as_str()), (1, file.name()));
    assert_eq!(listed[0].sha256, hex::encode(file.sha256()));
    assert_eq!(listed[0].wallet.as_ref().unwrap().address, record.public_key.address());
    assert_eq!(cold.aux_hash(&group).unwrap(), Some(aux.hash()));
    assert!(cold.aux(&group).unwrap().is_none());
    assert!(matches!(cold.share(&record), Err(VaultError::ColdSecret(_))));
}

#[test]
fn auxiliary_info_is_built_once_and_replaced_whole() {
    let store = memory();
    let vault = vault(&store, Role::Service);
    let group: GroupId = "g".parse().unwrap();
    let aux = fixtures::group_aux(1).unwrap();
    assert!(update(&*store, |txn| vault.keep_aux(txn, &group, &aux)).is_ok());
    let first = vault.aux(&group).unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &vault.aux(&group).unwrap().unwrap()));
    vault.remember_aux(&group, Arc::new(fixtures::group_aux(1).unwrap()));
    assert!(!Arc::ptr_eq(&first, &vault.aux(&group).unwrap().unwrap()));
    let production = Vault::new(Arc::clone(&store), Role::Service, Moduli::Production);
    assert!(matches!(production.aux(&group), Err(VaultError::Aux(..))), "dev moduli");
}

/// Two sessions of one group, one of them held back by the relay until the other has ended: whichever way round, no
/// node is left with auxiliary info that its wallets were not made beside. It could not agree with its peers on a
/// signature ever again, and enrolment is refused once there are wallets.
#[test]
fn neither_auxiliary_info_nor_a_share_outlasts_what_it_was_agreed_on() {
    let group: GroupId = "g".parse().unwrap();
    for role in Role::ALL {
        let (cluster, store) = (Cluster::new(), memory());
        let vault = vault(&store, role);
        let aux = fixtures::group_aux(role.index()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let writer = crate::cold::Cold::new(Some(dir.path().to_owned()));
        let recipients = [cluster.custodian.to_public().to_string()];
        let file = |name: &str| writer.seal(&recipients, name, b"sealed").unwrap();
        let enrol = |hash: B256, name: &str| {
            let file = file(name);
            let kept = update(&*store, |txn| match role {
                Role::Cold => vault.keep_aux_hash(txn, &group, &hash, &file),
                _ => vault.keep_aux(txn, &group, &aux),
            });
            kept.map(|_| ())
        };
        let agreed = |hash: B256| update(&*store, |txn| vault.check_aux(txn, &group, &hash)).map(|_| ());
        assert!(matches!(agreed(aux.hash()), Err(VaultError::OtherAux(_))), "not enrolled");
        enrol(aux.hash(), "first.age").unwrap();
        enrol(aux.hash(), "second.age").unwrap();
        agreed(aux.hash()).unwrap();
        assert!(matches!(agreed(B256::ZERO), Err(VaultError::OtherAux(_))), "a session under another one");

        let share = shares().into_iter().nth(role.index().into()).unwrap();
        let record = cluster.record(role, &cluster.statement("w", &share));
        let kept = update(&*store, |txn| match role {
            Role::Cold => vault.keep_sealed(txn, &record, &file("share.age")),
            _ => vault.keep_share(txn, &record, &share),
        });
        assert!(kept.is_ok());
        assert!(matches!(enrol(B256::ZERO, "late.age"), Err(VaultError::HasWallets(_))), "{role}");
        assert_eq!(vault.aux_hash(&group).unwrap(), Some(aux.hash()));
    }
}

#[test]
fn an_execution_id_is_used_once_and_forgotten_after_a_month() {
    let store = memory();
    let mark = |eid: u8, now| {
        let eid = B256::repeat_byte(eid);
        update(&*store, |txn| vault(&store, Role::Agent).mark_session(txn, &eid, now)).map(|_| ())
    };
    mark(1, 1_000).unwrap();
    assert!(matches!(mark(1, 2_000), Err(VaultError::SessionSeen)));
    mark(2, 2_000).unwrap();
    let month = 30 * 24 * 60 * 60 * 1000;
    mark(3, month + 1_500).unwrap();
    // The first is older than a month now, the second is not.
    assert!(mark(1, month + 1_600).is_ok());
    assert!(matches!(mark(2, month + 1_700), Err(VaultError::SessionSeen)));
}

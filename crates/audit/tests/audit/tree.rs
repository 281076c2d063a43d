//! The tree beside the log, against the one over all leaves.

use quorate_audit::{AuditError, Damage, Exported, entries, merkle, tree};
use quorate_store::{MemStore, Store, update};

use crate::given::{add, delete, log, put};

fn grow(store: &MemStore, limit: usize) -> u64 {
    update(store, |txn| tree::grow(txn, limit)).unwrap().0
}

#[test]
fn roots_and_proofs_are_those_of_the_whole_log_at_every_size() {
    let store = log(37);
    assert_eq!(tree::size(&store).unwrap(), 0);
    assert_eq!((grow(&store, 5), grow(&store, 1000), grow(&store, 1000)), (5, 37, 37), "in pieces");
    let leaves: Vec<_> =
        entries(&store, 1, 1000).unwrap().iter().map(|entry| merkle::leaf(&entry.hash)).collect();
    for after in 0..=37usize {
        let checkpoint = tree::checkpoint(&store, after as u64).unwrap();
        assert_eq!(checkpoint.hash, merkle::root(&leaves[..after]), "{after}");
        for sequence in 0..=after + 1 {
            let path = tree::inclusion(&store, sequence as u64, after as u64).unwrap();
            let whole = sequence.checked_sub(1).and_then(|index| merkle::inclusion(&leaves[..after], index));
            assert_eq!(path, whole, "entry {sequence} in {after}");
        }
        for before in 0..=after + 1 {
            let path = tree::consistency(&store, before as u64, after as u64).unwrap();
            assert_eq!(path, merkle::consistency(&leaves[..after], before), "{before} in {after}");
        }
    }
    let text: Vec<_> = entries(&store, 1, 1000).unwrap().into_iter().map(|entry| entry.json).collect();
    let exported = Exported::read(&text.join("\n")).unwrap();
    assert_eq!(exported.checkpoint(), tree::checkpoint(&store, 37).unwrap());
}

#[test]
fn it_follows_the_log_and_counts_nothing_twice() {
    let store = log(3);
    grow(&store, 100);
    add(&store, 4, &quorate_audit::Event::new("sign.denied")).unwrap();
    assert_eq!(tree::size(&store).unwrap(), 3, "behind the log");
    assert_eq!(grow(&store, 100), 4);
    let leaves: Vec<_> =
        entries(&store, 1, 1000).unwrap().iter().map(|entry| merkle::leaf(&entry.hash)).collect();
    assert_eq!(tree::checkpoint(&store, 4).unwrap().hash, merkle::root(&leaves));
}

#[test]
fn a_missing_or_malformed_node_is_named_and_more_entries_than_there_are_have_no_root() {
    let store = log(4);
    grow(&store, 100);
    let refused = |store: &MemStore, size| match tree::checkpoint(store, size) {
        Err(AuditError::Damaged { damage: Damage::Tree, .. }) => {}
        other => panic!("{other:?}"),
    };
    refused(&store, 5);
    let key = [&[2u8][..], &[0; 8]].concat();
    put(&store, "audit_tree", &key, b"short");
    refused(&store, 4);
    delete(&store, "audit_tree", &key);
    refused(&store, 4);
    let mut txn = Store::begin(&store).unwrap();
    txn.put("audit_tree_size", b"size", b"x").unwrap();
    assert!(tree::size(&*txn).is_err());
}

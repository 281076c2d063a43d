//! What sealing promises: nothing readable, nothing movable, nothing opened by the wrong key or for the wrong owner.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::ops::ControlFlow::Continue;
use std::path::Path;
use std::sync::Arc;

use quorate_store::{
    Binding, Kek, KekConfig, MemStore, Read, Sealed, Store, StoreError, open, open_sled, update,
};
use zeroize::Zeroizing;

const CANARY: &[u8] = b"canary-7f3a-the-share-itself";

fn kek(dir: &Path, name: &str) -> Kek {
    let path = dir.join(name);
    if !path.exists() {
        Kek::generate_file(&path).unwrap();
    }
    Kek::from_file(&path).ok().unwrap()
}

fn binding(cluster: &str, owner: &str, epoch: u32) -> Binding {
    Binding { cluster: cluster.parse().unwrap(), owner: owner.to_owned(), epoch }
}

fn put(store: &dyn Store, table: &str, key: &[u8], value: &[u8]) {
    let _durable = update::<_, StoreError>(store, |txn| txn.put(table, key, value)).unwrap();
}

fn refusal<T>(opened: Result<T, StoreError>) -> StoreError {
    opened.err().expect("refused")
}

#[test]
fn no_file_of_the_directory_holds_a_value_or_the_kek() {
    for open in [open, open_sled] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let store = open(&data, &binding("c", "n", 0), &kek(dir.path(), "kek")).unwrap();
        put(&*store, "shares", b"wallet-1", CANARY);
        put(&*store, "shares", b"wallet-2", &[CANARY, &[0; 10_000], CANARY].concat());
        let _durable = update::<_, StoreError>(&*store, |txn| txn.delete("shares", b"wallet-2")).unwrap();
        drop(store);
        let kek = std::fs::read(dir.path().join("kek")).unwrap();
        let mut key_seen = false;
        for_each_file(&data, &mut |path| {
            let bytes = std::fs::read(path).unwrap();
            let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!holds(CANARY), "{}", path.display());
            assert!(!holds(&kek[..64]), "{}", path.display());
            key_seen |= holds(b"wallet-1");
        });
        assert!(
            key_seen,
            "keys are in clear, as the documentation says: so the files searched were the right ones"
        );
    }
}

fn for_each_file(dir: &Path, f: &mut dyn FnMut(&Path)) {
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { for_each_file(&path, f) } else { f(&path) }
    }
}

#[test]
fn the_wrong_kek_is_said_to_be_wrong_and_the_right_one_still_opens() {
    let dir = tempfile::tempdir().unwrap();
    let (data, owner) = (dir.path().join("data"), binding("c", "n", 0));
    put(&*open(&data, &owner, &kek(dir.path(), "kek")).unwrap(), "t", b"k", b"v");
    let err = refusal(open(&data, &owner, &kek(dir.path(), "other")));
    assert!(matches!(err, StoreError::WrongKek) && !err.is_fatal(), "{err}");
    assert!(err.to_string().contains("wrong key"), "{err}");
    let store = open(&data, &owner, &kek(dir.path(), "kek")).unwrap();
    assert_eq!(store.get("t", b"k").unwrap().unwrap().as_slice(), b"v");
}

#[test]
fn another_clusters_owners_or_epochs_store_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (data, kek) = (dir.path().join("data"), kek(dir.path(), "kek"));
    drop(open(&data, &binding("c", "n", 3), &kek).unwrap());
    for (other, named, found) in [
        (binding("d", "n", 3), "cluster", "belongs to c,"),
        (binding("c", "m", 3), "owner", "belongs to n,"),
        (binding("c", "n", 4), "epoch", "belongs to 3,"),
    ] {
        let err = refusal(open(&data, &other, &kek)).to_string();
        assert!(err.contains(named) && err.contains(found), "{err}");
    }
    assert!(open(&data, &binding("c", "n", 3), &kek).is_ok());
}

#[test]
fn a_value_moved_to_another_key_table_or_store_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let (inner, kek) = (MemStore::new(), kek(dir.path(), "kek"));
    let sealed = Sealed::open(inner.clone(), &binding("c", "n", 0), &kek).unwrap();
    put(&sealed, "t", b"k", b"ten dollars");
    put(&sealed, "t", b"l", b"a million dollars");
    let raw = inner.get("t", b"k").unwrap().unwrap();
    put(&inner, "t", b"l", &raw);
    put(&inner, "u", b"k", &raw);
    for (table, key) in [("t", b"l"), ("u", b"k")] {
        let err = refusal(sealed.get(table, key));
        assert!(matches!(&err, StoreError::Unsealed { table: t, .. } if t == table), "{err}");
    }
    let mut seen = Vec::new();
    let err = refusal(sealed.scan("t", b"", b"", &mut |key, value| {
        seen.push((key.to_vec(), value.to_vec()));
        Continue(())
    }));
    assert!(matches!(err, StoreError::Unsealed { .. }), "{err}");
    assert_eq!(
        seen,
        [(b"k".to_vec(), b"ten dollars".to_vec())],
        "a scan stops at the first that does not open"
    );

    // The same data key under another binding: a header cannot be carried over either.
    for other in [binding("d", "n", 0), binding("c", "m", 0), binding("c", "n", 1)] {
        let elsewhere = MemStore::new();
        drop(Sealed::open(elsewhere.clone(), &other, &kek).unwrap());
        put(&elsewhere, "t", b"k", &raw);
        let theirs = Sealed::open(elsewhere, &other, &kek).unwrap();
        assert!(matches!(refusal(theirs.get("t", b"k")), StoreError::Unsealed { .. }));
    }
}

#[test]
fn an_altered_header_is_refused_whatever_byte_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (inner, kek, owner) = (MemStore::new(), kek(dir.path(), "kek"), binding("c", "n", 0));
    put(&Sealed::open(inner.clone(), &owner, &kek).unwrap(), "t", b"k", b"v");
    let header = inner.get("quorate.header", b"seal").unwrap().unwrap();
    for bit in 0..header.len() * 8 {
        let mut bad = header.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        put(&inner, "quorate.header", b"seal", &bad);
        assert!(Sealed::open(inner.clone(), &owner, &kek).is_err(), "bit {bit}");
    }
    put(&inner, "quorate.header", b"seal", &header);
    assert!(Sealed::open(inner, &owner, &kek).is_ok());
}

#[test]
fn a_lost_header_is_an_error_and_never_a_new_key() {
    let dir = tempfile::tempdir().unwrap();
    let (inner, kek, owner) = (MemStore::new(), kek(dir.path(), "kek"), binding("c", "n", 0));
    put(&Sealed::open(inner.clone(), &owner, &kek).unwrap(), "t", b"k", b"v");
    let _durable = update::<_, StoreError>(&inner, |txn| txn.delete("quorate.header", b"seal")).unwrap();
    let err = refusal(Sealed::open(inner.clone(), &owner, &kek));
    assert!(matches!(&err, StoreError::Corrupt(what) if what.contains("header")), "{err}");
    assert!(inner.get("quorate.header", b"seal").unwrap().is_none());
}

#[test]
fn callers_cannot_reach_the_header() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sealed::open(MemStore::new(), &binding("c", "n", 0), &kek(dir.path(), "kek")).unwrap();
    assert!(store.get("quorate.header", b"seal").is_err());
    assert!(store.scan("quorate.header", b"", b"", &mut |_, _| Continue(())).is_err());
    let mut txn = store.begin().unwrap();
    assert!(txn.put("quorate.header", b"seal", b"").is_err());
    assert!(txn.delete("quorate.header", b"seal").is_err());
}

#[test]
fn two_stores_under_one_kek_have_different_data_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (kek, owner) = (kek(dir.path(), "kek"), binding("c", "n", 0));
    let (one, two) = (MemStore::new(), MemStore::new());
    let first = Sealed::open(one.clone(), &owner, &kek).unwrap();
    put(&first, "t", b"k", b"v");
    let second = Sealed::open(two.clone(), &owner, &kek).unwrap();
    put(&two, "t", b"k", &one.get("t", b"k").unwrap().unwrap());
    assert!(matches!(refusal(second.get("t", b"k")), StoreError::Unsealed { .. }));
}

#[test]
fn a_passphrase_opens_its_store_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let (data, owner) = (dir.path().join("data"), binding("c", "n", 0));
    let phrase = |text: &str| Kek::from_passphrase(Zeroizing::new(text.to_owned())).ok().unwrap();
    put(&*open(&data, &owner, &phrase("correct horse battery")).unwrap(), "t", b"k", b"v");
    let store = open(&data, &owner, &phrase("correct horse battery")).unwrap();
    assert_eq!(store.get("t", b"k").unwrap().unwrap().as_slice(), b"v");
    drop(store);
    assert!(matches!(refusal(open(&data, &owner, &phrase("correct horse batterz"))), StoreError::WrongKek));
    let err = refusal(open(&data, &owner, &kek(dir.path(), "kek"))).to_string();
    assert!(err.contains("passphrase"), "{err}");
    let by_file: Arc<dyn Store> = open(&dir.path().join("two"), &owner, &kek(dir.path(), "kek")).unwrap();
    drop(by_file);
    let err = refusal(open(&dir.path().join("two"), &owner, &phrase("correct horse battery"))).to_string();
    assert!(err.contains("key file"), "{err}");
}

#[test]
fn a_configuration_names_a_file_or_a_credential_and_nothing_else() {
    let parse = serde_norway::from_str::<KekConfig>;
    assert_eq!(parse("file: a/kek").unwrap(), KekConfig::File { file: "a/kek".into() });
    assert_eq!(parse("credential: kek").unwrap(), KekConfig::Credential { credential: "kek".to_owned() });
    for bad in ["key: 00ff", "file: a\ncredential: b", "{}", "kek", "env: KEK"] {
        let err = parse(bad).unwrap_err().to_string();
        assert!(err.contains("either {file: <path>} or {credential: <name>}"), "{bad}: {err}");
    }
    let dir = tempfile::tempdir().unwrap();
    drop(kek(dir.path(), "kek"));
    let config = KekConfig::File { file: "kek".into() };
    assert!(config.clone().relative_to(dir.path()).load().is_ok());
    assert!(refusal(config.load()).to_string().contains("kek"));
    let config = KekConfig::Credential { credential: "../kek".to_owned() };
    assert!(refusal(config.relative_to(dir.path()).load()).to_string().contains("plain file name"));
}

//! Every way to alter a log that leaves something out of place.

use quorate_audit::{AuditError, Damage, Event, append, entries, verify};
use quorate_store::{MemStore, Store};
use quorate_types::Transcript;

use crate::given::{ENTRIES, HEAD, add, damage, delete, log, put, rows};

fn place(sequence: u64) -> [u8; 8] {
    sequence.to_be_bytes()
}

fn text(store: &dyn Store, sequence: u64) -> String {
    entries(store, sequence, 1).unwrap().remove(0).json
}

#[test]
fn any_flipped_byte_of_any_entry_is_found() {
    let original = log(3);
    assert_eq!(verify(&original).unwrap().sequence, 3);
    for (key, value) in rows(&original, ENTRIES) {
        for index in 0..value.len() {
            for mask in [1, 0x20, 0x80] {
                let mut bad = value.clone();
                bad[index] ^= mask;
                put(&original, ENTRIES, &key, &bad);
                damage(&original);
            }
        }
        put(&original, ENTRIES, &key, &value);
    }
    verify(&original).unwrap();
}

#[test]
fn any_flipped_byte_of_the_head_is_found() {
    let store = log(2);
    let (key, value) = rows(&store, HEAD).remove(0);
    for index in 0..value.len() {
        let mut bad = value.clone();
        bad[index] ^= 1;
        put(&store, HEAD, &key, &bad);
        damage(&store);
    }
    for bad in [&[][..], &value[..40], &[value.as_slice(), &[0]].concat()] {
        put(&store, HEAD, &key, bad);
        assert_eq!(damage(&store), (0, Damage::Head));
        assert!(matches!(add(&store, 1, &Event::new("x")), Err(AuditError::Damaged { .. })));
    }
}

#[test]
fn an_altered_entry_breaks_the_chain_after_it_or_the_head() {
    for (sequence, expected) in
        [(1, (2, Damage::Unchained)), (2, (3, Damage::Unchained)), (3, (3, Damage::NotHead))]
    {
        let store = log(3);
        let altered = text(&store, sequence).replace("sign.allowed", "sign.altered");
        put(&store, ENTRIES, &place(sequence), altered.as_bytes());
        assert_eq!(damage(&store), expected);
    }
}

#[test]
fn a_gap_is_found_wherever_it_is() {
    for (gone, expected) in [
        (1, (1, Damage::Missing { found: 2 })),
        (2, (2, Damage::Missing { found: 3 })),
        (4, (4, Damage::Truncated { entries: 4 })),
    ] {
        let store = log(4);
        delete(&store, ENTRIES, &place(gone));
        assert_eq!(damage(&store), expected);
    }
}

#[test]
fn truncation_is_found_against_the_head_also_where_nothing_is_left() {
    for left in 0..3 {
        let store = log(3);
        for gone in left + 1..=3 {
            delete(&store, ENTRIES, &place(gone));
        }
        assert_eq!(damage(&store), (left + 1, Damage::Truncated { entries: 3 }));
    }
}

#[test]
fn a_lost_or_older_head_is_found_and_nothing_is_overwritten() {
    let store = log(2);
    let (key, older) = rows(&store, HEAD).remove(0);
    add(&store, 1, &Event::new("x")).unwrap();
    put(&store, HEAD, &key, &older);
    assert_eq!(damage(&store), (3, Damage::Uncounted { entries: 2 }));
    let mut txn = store.begin().unwrap();
    let refused = append(txn.as_mut(), 1, &Event::new("y")).unwrap_err();
    assert_eq!(refused.to_string(), "audit log, entry 3: present, but the head counts only 2 entries");
    drop(txn);
    delete(&store, HEAD, &key);
    assert_eq!(damage(&store), (1, Damage::Uncounted { entries: 0 }));
}

#[test]
fn reordering_and_copies_are_found() {
    let store = log(3);
    let (one, two) = (text(&store, 1), text(&store, 2));
    put(&store, ENTRIES, &place(1), two.as_bytes());
    put(&store, ENTRIES, &place(2), one.as_bytes());
    assert_eq!(damage(&store), (1, Damage::Misplaced { says: 2 }));
    // Renumbered to fit their places, they no longer chain.
    put(&store, ENTRIES, &place(1), two.replace("\"seq\":2", "\"seq\":1").as_bytes());
    put(&store, ENTRIES, &place(2), one.replace("\"seq\":1", "\"seq\":2").as_bytes());
    assert_eq!(damage(&store), (1, Damage::Unchained));
    put(&store, ENTRIES, &place(1), one.as_bytes());
    put(&store, ENTRIES, &place(2), one.as_bytes());
    assert_eq!(damage(&store), (2, Damage::Misplaced { says: 1 }));
}

#[test]
fn an_entry_put_in_between_is_found() {
    let store = log(3);
    let inserted = text(&store, 2).replace("\"n\":2", "\"n\":9");
    for (sequence, moved) in [(4, text(&store, 3)), (3, text(&store, 2))] {
        let renumbered = moved.replace(&format!("\"seq\":{}", sequence - 1), &format!("\"seq\":{sequence}"));
        put(&store, ENTRIES, &place(sequence), renumbered.as_bytes());
    }
    put(&store, ENTRIES, &place(2), inserted.as_bytes());
    assert_eq!(damage(&store), (3, Damage::Unchained));
}

#[test]
fn a_tail_rewritten_in_full_still_misses_the_head() {
    let store = log(3);
    let forged = text(&store, 2).replace("\"n\":2", "\"n\":9");
    put(&store, ENTRIES, &place(2), forged.as_bytes());
    let hash = Transcript::new("quorate/audit/v1").field(forged.as_bytes()).finish();
    let last = entries(&store, 3, 1).unwrap().remove(0);
    let hex = |hash: quorate_types::B256| hash.to_string().trim_start_matches("0x").to_owned();
    let relinked = last.json.replace(&hex(last.prev), &hex(hash));
    put(&store, ENTRIES, &place(3), relinked.as_bytes());
    assert_eq!(damage(&store), (3, Damage::NotHead));
}

#[test]
fn the_same_entry_in_another_spelling_is_malformed() {
    let store = log(1);
    let text = text(&store, 1);
    for other in [
        text.replace(":", ": "),
        text.replace("{\"n\":1}", "{\"n\":1,\"n\":1}"),
        text.replace("{\"n\":1}", "{\"n\":1.0}"),
        text.replace("\"n\"", "\"\\u006e\""),
        text.replace("\"v\":1", "\"v\":2"),
        text.replace("\"v\":1,", "\"v\":1,\"x\":1,"),
        text.replace(",\"wallet\":\"treasury\"", ""),
        text.replace("treasury", "Treasury"),
        text.replace("\"prev\":\"00", "\"prev\":\"0x00"),
        text.replace("sign.allowed", "SIGN"),
        format!("{text}\n"),
        String::new(),
        "[]".to_owned(),
    ] {
        assert_ne!(other, text);
        put(&store, ENTRIES, &place(1), other.as_bytes());
        assert_eq!(damage(&store), (1, Damage::Malformed), "{other}");
        assert!(matches!(entries(&store, 1, 1), Err(AuditError::Damaged { .. })));
    }
}

#[test]
fn a_record_under_a_key_that_is_no_number_is_found() {
    for key in [&[][..], &[0], &[0; 8], &[0; 7], &[255; 9]] {
        let store = log(2);
        let (_, value) = rows(&store, ENTRIES).remove(1);
        put(&store, ENTRIES, key, &value);
        assert_eq!(damage(&store), (0, Damage::Malformed), "{key:?}");
    }
    let store = MemStore::new();
    put(&store, ENTRIES, b"", b"");
    assert_eq!(damage(&store), (0, Damage::Malformed));
}

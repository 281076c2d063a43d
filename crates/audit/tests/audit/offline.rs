use quorate_audit::{Checkpoint, Damage, ExportError, Exported, Proof, entries};

use crate::given::log;

fn lines(n: u64) -> Vec<String> {
    entries(&log(n), 1, usize::MAX).unwrap().into_iter().map(|entry| entry.json).collect()
}

fn read(lines: &[String]) -> Result<Exported, ExportError> {
    Exported::read(&lines.join("\n"))
}

fn receipt(log: &Exported, sequence: u64) -> Checkpoint {
    let entry = &log.entries()[usize::try_from(sequence - 1).unwrap()];
    Checkpoint { sequence, hash: entry.hash }
}

#[test]
fn a_whole_log_verifies_and_holds_its_receipts_and_every_earlier_size() {
    let whole = read(&lines(9)).unwrap();
    assert_eq!(whole.head(), quorate_audit::head(&log(9)).unwrap());
    for size in 1..=9 {
        assert_eq!(whole.holds(&receipt(&whole, size)).unwrap().sequence, size);
        let before = read(&lines(size)).unwrap().checkpoint();
        assert_eq!(whole.extends(&before), Ok(()));
        assert_eq!(before.to_string().parse(), Ok(before));
    }
}

#[test]
fn an_edit_a_deletion_a_reorder_and_an_addition_are_found_where_they_are() {
    let good = lines(6);
    let damaged = |lines: &[String]| match read(lines) {
        Err(ExportError::Damaged { sequence, damage }) => (sequence, damage),
        other => panic!("not found: {other:?}"),
    };
    let mut edited = good.clone();
    edited[2] = edited[2].replace("\"n\":3", "\"n\":4");
    assert_eq!(damaged(&edited), (4, Damage::Unchained));
    let mut deleted = good.clone();
    deleted.remove(2);
    assert_eq!(damaged(&deleted), (3, Damage::Missing { found: 4 }));
    assert_eq!(damaged(&good[1..]), (1, Damage::Missing { found: 2 }));
    let mut swapped = good.clone();
    swapped.swap(1, 2);
    assert_eq!(damaged(&swapped), (2, Damage::Missing { found: 3 }));
    let mut twice = good.clone();
    twice.insert(2, good[1].clone());
    assert_eq!(damaged(&twice), (3, Damage::Missing { found: 2 }));
    for spelling in [good[3].replace(':', ": "), format!("{} ", good[3]), String::new(), "{}".to_owned()] {
        let mut respelled = good.clone();
        respelled[3] = spelling;
        assert_eq!(damaged(&respelled), (4, Damage::Malformed));
    }
}

/// What the chain alone cannot show: the end cut off, the last entry edited, everything rewritten.
#[test]
fn a_truncation_and_a_rewritten_log_are_found_by_a_receipt_or_an_earlier_root() {
    let good = read(&lines(6)).unwrap();
    let (last, seen) = (receipt(&good, 6), good.checkpoint());
    let cut = read(&lines(5)).unwrap();
    assert_eq!(cut.holds(&last).unwrap_err(), ExportError::Truncated { entries: 5, seen: 6 });
    assert_eq!(cut.extends(&seen), Err(ExportError::Truncated { entries: 5, seen: 6 }));
    let mut edited = lines(6);
    edited[5] = edited[5].replace("\"n\":6", "\"n\":7");
    let edited = read(&edited).unwrap();
    assert!(matches!(edited.holds(&last), Err(ExportError::Receipt { sequence: 6, .. })));
    assert!(matches!(edited.extends(&seen), Err(ExportError::Root { size: 6, .. })));
    assert!(good.holds(&Checkpoint { sequence: 0, ..last }).is_err());
}

#[test]
fn a_proof_stands_alone_and_for_its_entry_only() {
    let log = read(&lines(11)).unwrap();
    for sequence in 1..=11 {
        let proof = log.prove(sequence).unwrap();
        let text = serde_json::to_string(&proof).unwrap();
        let proof: Proof = serde_json::from_str(&text).unwrap();
        assert_eq!(proof.check().unwrap(), log.entries()[usize::try_from(sequence - 1).unwrap()]);
        let other = Proof { entry: proof.entry.replace("\"n\":", "\"n\":1"), ..proof.clone() };
        assert_eq!(other.check(), None);
        let elsewhere = Proof { checkpoint: read(&lines(10)).unwrap().checkpoint(), ..proof };
        assert_eq!(elsewhere.check(), None);
    }
    assert_eq!((log.prove(0), log.prove(12)), (None, None));
}

use proptest::prelude::*;
use quorate_audit::merkle::{consistency, consistent, included, inclusion, leaf, root};
use quorate_types::B256;

fn leaves(n: usize) -> Vec<B256> {
    (0..n).map(|i| leaf(&B256::with_last_byte(u8::try_from(i).unwrap()))).collect()
}

/// Of no leaf: SHA-256 of nothing. Of two: computed with sha256sum.
#[test]
fn roots_are_those_of_the_rfc() {
    let hex = |root: B256| root.to_string();
    assert_eq!(hex(root(&[])), "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let one = leaf(&B256::ZERO);
    assert_eq!(hex(one), "0x7f9c9e31ac8256ca2f258583df262dbc7d6f68f2a03043d5c99a4ae5a7396ce9");
    assert_eq!(hex(root(&[one, one])), "0xa4b8c7873a49d5d53af0b2a0202486483020d95935d763edc4ef2f602200d8de");
}

/// Every leaf of every small tree, and every pair of sizes.
#[test]
fn every_proof_of_every_small_tree_holds_and_no_other() {
    for n in 1..=33usize {
        let all = leaves(n);
        let size = u64::try_from(n).unwrap();
        let top = root(&all);
        for index in 0..n {
            let path = inclusion(&all, index).unwrap();
            for other in 0..n {
                let place = (u64::try_from(other).unwrap(), size);
                assert_eq!(
                    included(&all[index], place, &path, &top),
                    other == index,
                    "{index} of {n} as {other}"
                );
            }
        }
        assert_eq!(inclusion(&all, n), None);
        for before in 1..=n {
            let path = consistency(&all, before).unwrap();
            let old = root(&all[..before]);
            for claimed in 1..=n {
                let holds = consistent((u64::try_from(claimed).unwrap(), &old), (size, &top), &path);
                assert_eq!(holds, claimed == before, "{before} of {n} as {claimed}");
            }
        }
        assert_eq!((consistency(&all, 0), consistency(&all, n + 1)), (None, None));
    }
}

proptest! {
    #[test]
    fn a_proof_with_one_bit_changed_holds_nothing(
        n in 2..40usize, index in any::<prop::sample::Index>(), hash in any::<prop::sample::Index>(), bit in 0..256usize,
    ) {
        let all = leaves(n);
        let top = root(&all);
        let (index, size) = (index.index(n), u64::try_from(n).unwrap());
        let mut path = inclusion(&all, index).unwrap();
        let at = hash.index(path.len());
        path[at].0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!included(&all[index], (u64::try_from(index).unwrap(), size), &path, &top));
        let before = index + 1;
        let old = root(&all[..before]);
        let mut path = consistency(&all, before).unwrap();
        if !path.is_empty() {
            let at = hash.index(path.len());
            path[at].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!consistent((u64::try_from(before).unwrap(), &old), (size, &top), &path));
        }
    }

    #[test]
    fn a_log_with_one_entry_changed_is_another(n in 2..40usize, before in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
        let all = leaves(n);
        let before = before.index(n - 1) + 1;
        let old = root(&all[..before]);
        let mut forked = all.clone();
        forked[at.index(before)] = leaf(&B256::repeat_byte(0xff));
        let size = (u64::try_from(before).unwrap(), u64::try_from(n).unwrap());
        let path = consistency(&forked, before).unwrap();
        prop_assert!(!consistent((size.0, &old), (size.1, &root(&forked)), &path));
    }
}

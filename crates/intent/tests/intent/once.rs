//! Where a payload lands, and what it does there: told apart field by field.

use std::collections::BTreeSet;

use quorate_intent::{Intent, Once, decode};
use quorate_types::{Payload, U256};

use crate::encoder::Plain;

fn plain() -> Plain {
    Plain {
        ty: 2,
        chain: 84532,
        nonce: 7,
        tip: 1,
        price: 5,
        gas: 21_000,
        to: vec![0x11; 20],
        value: U256::from(9),
        data: vec![1, 2, 3, 4],
        access: vec![],
    }
}

fn intent(plain: &Plain) -> Intent {
    decode(&Payload::Transaction(plain.encode().into())).unwrap().intent
}

fn once(plain: &Plain) -> Once {
    intent(plain).once().unwrap()
}

#[test]
fn a_fee_an_access_list_and_a_type_change_nothing() {
    let first = once(&plain());
    for same in [
        Plain { price: 6, ..plain() },
        Plain { gas: 22_000, ..plain() },
        Plain { tip: 2, ..plain() },
        Plain { ty: 1, ..plain() },
        Plain { ty: 0, ..plain() },
        Plain { access: vec![(vec![3; 20], vec![])], ..plain() },
    ] {
        assert_eq!(once(&same), first, "{same:?}");
    }
}

#[test]
fn recipient_value_and_data_are_the_effect_and_the_nonce_on_its_chain_the_place() {
    let first = once(&plain());
    let others = [
        Plain { to: vec![0x12; 20], ..plain() },
        Plain { value: U256::from(10), ..plain() },
        Plain { data: vec![1, 2, 3, 5], ..plain() },
        Plain { data: vec![1, 2, 3, 4, 0], ..plain() },
        Plain { data: vec![], ..plain() },
    ];
    let mut effects = BTreeSet::from([first.effect]);
    for other in &others {
        assert_eq!(once(other).place, first.place);
        assert!(effects.insert(once(other).effect), "{other:?}");
    }
    for other in [Plain { nonce: 8, ..plain() }, Plain { chain: 8453, ..plain() }] {
        assert_ne!(once(&other).place, first.place);
        assert_eq!(once(&other).effect, first.effect);
    }
}

#[test]
fn a_message_lands_nowhere() {
    let message = decode(&Payload::Message(b"hello".to_vec().into())).unwrap();
    assert_eq!(message.intent.once(), None);
}

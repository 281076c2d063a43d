//! The relay between the nodes loses, repeats, reorders, delays, replays, flips and misdirects. Either the nodes sign
//! what they were asked, or they end the session by its deadline, blame nobody honest, and sign the next.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::collections::BTreeSet;

use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_tests::{Ending, FRIEND, Post, Stage, assert_signed, both, transfer, usdc};
use quorate_types::{Payload, Role};

fn payment(nonce: u64) -> Payload {
    transfer(FRIEND, usdc(1), nonce)
}

/// No signature, no blame, and every node that spoke said why.
fn assert_spoilt(ending: &Ending, what: &str) {
    assert!(ending.signed().is_none(), "{what}: signed");
    for (node, outcome) in &ending.outcomes {
        match outcome {
            Outcome::Failed(failure) => {
                assert_eq!(failure.fault(), Fault::Network, "{what}: {node}: {failure:?}");
                assert_eq!(failure.blamed, "", "{what}: {node} blamed an honest node");
            }
            // The agent's part may have left before the spoiling began.
            Outcome::Released(true) => {}
            other => panic!("{what}: {node}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_strays_and_old_messages_change_nothing() {
    let mut stage = Stage::signers().await;
    let old = stage.sign(&payment(1)).await.posts;
    assert!(old.len() >= 8, "{} envelopes", old.len());

    let payload = payment(2);
    let twice = both(&payload).courier(|post| vec![post.clone(), post.clone(), post]);
    assert_signed(&stage.play(twice).await, &payload);

    // Before each message its counterpart of an earlier session, itself sent back to its sender, garbage, and pieces.
    let count = RefCell::new(0);
    let noisy = both(&payload).courier(|post| {
        let mut number = count.borrow_mut();
        *number += 1;
        let replayed = Post { sealed: old[*number % old.len()].sealed.clone(), ..post.clone() };
        let returned = Post { to: post.from.clone(), ..post.clone() };
        let half = Post { sealed: post.sealed[..post.sealed.len() / 2].to_vec(), ..post.clone() };
        let empty = Post { sealed: vec![], ..post.clone() };
        let huge = Post { sealed: vec![0x41; 280_000], ..post.clone() };
        vec![replayed, returned, half, empty, huge, post]
    });
    assert_signed(&stage.play(noisy).await, &payload);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reordered_and_delayed_messages_still_sign() {
    let mut stage = Stage::signers().await;
    let payload = payment(1);
    // The first round's two messages of each node, broadcast and direct, swapped.
    let held: RefCell<Vec<Post>> = RefCell::default();
    let swapped = both(&payload).courier(|post| {
        let mut held = held.borrow_mut();
        match held.iter().position(|waiting| waiting.from == post.from) {
            Some(waiting) => vec![post, held.remove(waiting)],
            None if held.len() < 2 && post.sealed.len() > 4_000 => {
                held.push(post);
                vec![]
            }
            None => vec![post],
        }
    });
    let ending = stage.play(swapped.within(10_000)).await;
    if ending.signed().is_some() {
        assert_signed(&ending, &payload);
    } else {
        assert_spoilt(&ending, "reordered");
    }
    let slow = both(&payload).courier(|post| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        vec![post]
    });
    assert_signed(&stage.play(slow).await, &payload);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_message_ends_the_session_and_not_the_node() {
    let mut stage = Stage::signers().await;
    let total = stage.sign(&payment(1)).await.posts.len();
    for lost in 0..total {
        let count = RefCell::new(0);
        let lossy = both(&payment(2)).within(3_000).courier(|post| {
            let number = count.replace_with(|number| *number + 1);
            if number == lost { vec![] } else { vec![post] }
        });
        let ending = stage.play(lossy).await;
        // A lost echo may leave one node satisfied, but a signature needs every message of the other.
        if ending.signed().is_some() {
            assert_signed(&ending, &payment(2));
        } else {
            assert_spoilt(&ending, &format!("message {lost} lost"));
            assert_eq!(ending.outcomes.len(), 2, "message {lost}: a node said nothing");
        }
    }
    stage.still_signs().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_anywhere_is_never_signed_over() {
    let mut stage = Stage::signers().await;
    let payload = payment(1);
    // With the true envelope behind it, a spoilt one is a stray: at the head, inside, at the tag, in a signature.
    let at = RefCell::new(0_usize);
    let beside = both(&payload).courier(|post| {
        let step = at.replace_with(|at| *at + 1);
        let spoilt = |index: usize| {
            let mut sealed = post.sealed.clone();
            let index = index % sealed.len();
            sealed[index] ^= 1 << (step % 8);
            Post { sealed, ..post.clone() }
        };
        let last = post.sealed.len() - 1;
        vec![spoilt(step), spoilt(40 + step), spoilt(last), spoilt(last / 2), post.clone()]
    });
    assert_signed(&stage.play(beside).await, &payload);
    // In its place, it ends the session.
    for number in [0, 2, 5] {
        let count = RefCell::new(0);
        let instead = both(&payload).within(2_500).courier(|mut post| {
            if count.replace_with(|count| *count + 1) == number {
                let middle = post.sealed.len() / 2;
                post.sealed[middle] ^= 0x10;
            }
            vec![post]
        });
        assert_spoilt(&stage.play(instead).await, &format!("message {number} spoilt"));
    }
    stage.still_signs().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_in_any_round_leaves_no_trace() {
    let mut stage = Stage::signers().await;
    let total = stage.sign(&payment(1)).await.posts.len();
    // Killed as seen by its peer: from some message on, nothing of it arrives and nothing reaches it.
    for dead in ["agent-1", "service-1"] {
        let rounds: BTreeSet<usize> = (0..total).step_by(3).collect();
        for round in rounds {
            let count = RefCell::new(0);
            let script = both(&payment(3)).within(3_000).courier(|post| {
                let number = count.replace_with(|count| *count + 1);
                let cut = number >= round && (post.from == dead || post.to == dead);
                if cut { vec![] } else { vec![post] }
            });
            assert_spoilt(&stage.play(script).await, &format!("{dead} silent from message {round}"));
        }
    }
    stage.still_signs().await;
    // And killed for real, in the middle: the survivor ends by its deadline and signs again once the other is back.
    for role in [Role::Agent, Role::Service] {
        let survivor = if role == Role::Agent { "service-1" } else { "agent-1" };
        let script = both(&payment(4)).within(3_000).courier(|_| vec![]);
        let (ending, ()) = {
            let ending = stage.play(script).await;
            (ending, stage.stop(role).await)
        };
        assert_eq!(ending.failure(survivor).fault(), Fault::Network);
        stage.start(role).await;
        stage.still_signs().await;
    }
}

//! Sealed bytes between nodes, per session.

use quorate_proto::v1;
use quorate_proto::v1::session_start::Protocol;
use quorate_tests::{Ending, FRIEND, Script, Stage, World, transfer, usdc};
use quorate_types::Role;

const NODES: [&str; 3] = ["agent-1", "service-1", "cold-1"];

/// Runs each protocol once and counts.
pub(crate) async fn print() {
    println!("\nsealed bytes between nodes, per session");
    let mut stage = Stage::new(&Role::ALL).await;
    count("signature", &stage.sign(&transfer(FRIEND, usdc(1), 1)).await);
    let (wallet, agent, group) = ("counted".to_owned(), "bot".to_owned(), "g1".to_owned());
    let keygen = v1::StartKeygen { wallet, agent, group, ..Default::default() };
    count(
        "wallet",
        &stage.play(Script::new(NODES.map(|node| (node, Protocol::Keygen(keygen.clone()))))).await,
    );
    let mut fresh = Stage::of(World::new(), &Role::ALL).await;
    let aux = v1::StartAux { group: "g1".to_owned() };
    let script = Script::new(NODES.map(|node| (node, Protocol::Aux(aux.clone())))).within(600_000);
    count("enrolment", &fresh.play(script).await);
}

fn count(name: &str, ending: &Ending) {
    let bytes: usize = ending.posts.iter().map(|post| post.sealed.len()).sum();
    println!("  {name:<12} {:>3} envelopes {bytes:>10} bytes", ending.posts.len());
}

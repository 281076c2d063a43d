//! Writes the committed dev group: `cargo run --release -p quorate-mpc --features fixtures --example make_group -- DIR`.
//! The built-in primes go through the real auxiliary info protocol; about 35 CPU-seconds.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use quorate_mpc::fixtures::run;
use quorate_mpc::{Moduli, Party, Primes, generate_aux};

fn main() {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let participants = [0, 1, 2];
    let group = run(
        &participants,
        |message| vec![message],
        |me, wire| async move {
            let party = Party { eid: &[1; 32], me, participants: &[0, 1, 2] };
            generate_aux(party, Primes::dev(me).unwrap(), Moduli::Dev, wire, None).await
        },
    );
    for aux in group {
        let aux = aux.unwrap();
        let path = folder.join(format!("group-{}.bin", aux.party()));
        std::fs::write(&path, aux.to_bytes().unwrap()).unwrap();
        println!("{} {}", path.display(), aux.hash());
    }
}

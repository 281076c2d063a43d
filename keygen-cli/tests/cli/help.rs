//! Help is part of the interface: it changes only on purpose.

use crate::bench::Bench;

#[test]
fn help_of_every_command() {
    let bench = Bench::new();
    let commands = [
        "",
        "dev",
        "dev up",
        "dev down",
        "node enrol",
        "manifest",
        "manifest new",
        "group",
        "group create",
        "wallet",
        "wallet create",
        "policy",
        "policy sign",
        "freeze",
        "freeze wallet",
        "unfreeze",
        "lapse",
        "lapse new",
        "alert",
        "audit",
        "audit verify",
        "audit prove",
        "sign",
        "sign tx",
        "sign transfer",
        "sign typed-data",
        "sign authorization",
        "sign message",
        "sign batch",
        "sign record-transaction",
        "verify",
        "recover",
        "recover sweep",
        "recover fleet",
        "recover sign-policy",
        "recover transcript",
        "recover sign-transcript",
        "ceremony",
        "ceremony transcript",
        "recovery",
        "recovery combine",
        "recovery qr",
        "demo",
    ];
    for command in commands {
        let mut args: Vec<_> = command.split_whitespace().collect();
        args.push("--help");
        let name = format!("help {command}").trim().replace(' ', "-");
        let ran = bench.snapshot(&name, &args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{command}");
    }
}

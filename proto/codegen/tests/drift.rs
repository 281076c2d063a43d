//! The checked-in code is what the .proto files generate. `UPDATE=1 cargo test -p quorate-proto-codegen` rewrites it.

use std::path::Path;

const FILES: [&str; 10] = [
    "common",
    "wallets",
    "signing",
    "cluster",
    "freeze",
    "approvals",
    "audit",
    "alerts",
    "ceremony",
    "relay",
];

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let includes = root.join("../proto");
    let files = FILES.map(|name| includes.join(format!("quorate/v1/{name}.proto")));
    let descriptors = protox::compile(&files, [&includes]).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .out_dir(fresh.path())
        .file_descriptor_set_path(fresh.path().join("quorate.v1.bin"))
        .skip_protoc_run()
        .compile_fds(descriptors.clone())
        .unwrap();
    let descriptor_bytes = prost::Message::encode_to_vec(&descriptors);
    std::fs::write(fresh.path().join("quorate.v1.bin"), descriptor_bytes).unwrap();
    for name in ["quorate.v1.rs", "quorate.v1.bin"] {
        let kept = root.join("../src/gen").join(name);
        let generated = std::fs::read(fresh.path().join(name)).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&kept, &generated).unwrap();
        }
        let current = std::fs::read(&kept).unwrap_or_default();
        assert!(
            current == generated,
            "{} is stale: run UPDATE=1 cargo test -p quorate-proto-codegen",
            kept.display()
        );
    }
}

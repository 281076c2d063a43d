//! A cluster, and a directory with the profiles and ssh keys of everybody who has one.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use quorate_tests::{APPROVERS, Cluster, FRIEND, WALLET, World, golden, with_limits};
use quorate_transport::PeerRole;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Asserts that it ended so, and returns what it printed on stdout.
    pub(crate) fn ends(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Asserts that it was refused, and returns why.
    pub(crate) fn refused(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (4, ""), "{}", self.stderr);
        self.stderr
    }

    /// Asserts that it ended so, and returns the one object it printed.
    pub(crate) fn json(self, code: i32) -> Value {
        let stdout = self.ends(code);
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
        serde_json::from_str(&stdout).unwrap()
    }
}

pub(crate) struct Desk {
    dir: TempDir,
    pub(crate) cluster: Cluster,
    pub(crate) runtime: Runtime,
}

impl Desk {
    /// The golden cluster.
    pub(crate) fn new() -> Self {
        Self::of(golden().world(), Runtime::new().unwrap())
    }

    /// A cluster of this world. `runtime` is what whoever it tells runs on, too.
    pub(crate) fn of(world: World, runtime: Runtime) -> Self {
        let cluster = runtime.block_on(Cluster::start(world));
        Self::with(cluster, runtime)
    }

    /// This cluster.
    pub(crate) fn with(cluster: Cluster, runtime: Runtime) -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap(), cluster, runtime };
        let (world, address) = (&desk.cluster.world, desk.cluster.address());
        for role in [PeerRole::Operator, PeerRole::Gateway, PeerRole::Approver, PeerRole::Auditor] {
            fs::write(desk.path(&format!("{role}.yaml")), world.profile(role, address)).unwrap();
        }
        // The modes of keys are copied with them: ssh-keygen takes none that others may read.
        for key in ["operator", "operator-2"].iter().chain(&APPROVERS) {
            fs::copy(world.path(key), desk.path(&format!("{key}.key"))).unwrap();
        }
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Starts the program with the profile of a role; with none where `who` is empty.
    pub(crate) fn start(&self, who: &str, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        if !who.is_empty() {
            command.args(["--config", &format!("{who}.yaml")]);
        }
        command.args(args).current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn run(&self, who: &str, args: &[&str]) -> Ran {
        Ran::of(self.start(who, args).wait_with_output().unwrap())
    }

    /// OpenSSH signs a file in a namespace; the signature is the answer's name.
    pub(crate) fn ssh_sign(&self, key: &str, namespace: &str, file: &str) -> String {
        let signature = format!("{file}.{key}");
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", namespace, "-f", &format!("{key}.key"), "-"])
            .current_dir(self.dir.path())
            .stdin(fs::File::open(self.path(file)).unwrap())
            .output()
            .unwrap();
        assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
        fs::write(self.path(&signature), signed.stdout).unwrap();
        signature
    }

    /// Has an operator sign and apply version 2 of the wallet's policy: the first one, with these lines under its rules.
    pub(crate) fn put_in_force(&self, lines: &str) {
        self.write("policy.yaml", &with_limits(2, lines));
        let signed = self.run("", &["policy", "sign", "policy.yaml", "--key", "operator.key"]).ends(0);
        assert!(signed.ends_with("Next: quorate policy apply policy.yaml\n"), "{signed}");
        let applied = self.run("operator", &["policy", "apply", "policy.yaml"]).ends(0);
        assert!(applied.contains(&format!("quorate sign transfer --wallet {WALLET}")), "{applied}");
    }

    /// Asks for a payment of whole dollars to the friend; the amount is its nonce too.
    pub(crate) fn pay(&self, dollars: u64, more: &[&str]) -> Child {
        self.pay_to(&FRIEND.to_string(), dollars, more)
    }

    pub(crate) fn pay_to(&self, to: &str, dollars: u64, more: &[&str]) -> Child {
        let (dollars, asset) = (dollars.to_string(), ["--chain", "base-sepolia", "--asset", "USDC"]);
        let what = ["--wallet", WALLET, "--to", to, "--amount", &dollars, "--nonce", &dollars];
        let fees = ["--max-fee-per-gas", "1000000000", "--max-priority-fee-per-gas", "1000000"];
        self.start(
            "gateway",
            &[&["sign", "transfer", "--gas", "65000"], &what[..], &asset, &fees, more].concat(),
        )
    }

    /// The same, to its end.
    pub(crate) fn paid(&self, dollars: u64, more: &[&str]) -> Ran {
        Ran::of(self.pay(dollars, more).wait_with_output().unwrap())
    }

    /// Stops the cluster and returns its files.
    pub(crate) fn close(self) -> World {
        self.runtime.block_on(self.cluster.stop())
    }
}

/// Asserts that all of these stand in `said`.
pub(crate) fn says(said: &str, words: &[&str]) {
    for words in words {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
}

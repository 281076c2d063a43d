//! A golden cluster's sealed files on an "offline machine": a directory with nothing else in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use quorate_tests::{CUSTODIAN, Golden, WALLET, World, golden};
use quorate_types::{Address, Role, SystemClock};
use tempfile::TempDir;

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

pub(crate) struct Bench {
    pub(crate) dir: Place,
}

/// Where its files are: its own, or somebody else's to wipe.
pub(crate) enum Place {
    Own(TempDir),
    Borrowed(PathBuf),
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(dir) => dir.path(),
            Self::Borrowed(dir) => dir,
        }
    }
}

/// Agent's and service's backups and the cold node's files, made once.
fn packages() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let world = golden().world();
        back_up(&world, 1);
        world
    })
}

/// Backups of both nodes that keep shares, in `backup/`.
pub(crate) fn back_up(world: &World, shares: usize) {
    for role in [Role::Agent, Role::Service] {
        let config = world.node(role, "127.0.0.1:1".parse().unwrap());
        let out = world.path(&format!("backup/{role}"));
        let report = quorate_node::backup(&config, &out, Arc::new(SystemClock)).unwrap();
        assert_eq!((report.shares, report.groups), (shares, 1));
        let again = quorate_node::backup(&config, &out, Arc::new(SystemClock)).unwrap_err();
        assert!(again.to_string().contains("not empty"), "{again}");
    }
}

pub(crate) fn address() -> Address {
    let golden: &Golden = golden();
    golden.public_key().address()
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(packages())
    }

    /// The files of a world whose backups are in `backup/`.
    pub(crate) fn of(world: &World) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, from) in
            [("agent", "backup/agent"), ("service", "backup/service"), ("cold", "cold/export")]
        {
            copy(&world.path(from), &dir.path().join(name));
        }
        for name in ["manifest.yaml", "manifest.sig", "recovery.key"] {
            fs::copy(world.path(name), dir.path().join(name)).unwrap();
        }
        for (name, key) in [("operator", "operator.key"), (CUSTODIAN, "custodian.key")] {
            fs::copy(world.path(name), dir.path().join(key)).unwrap();
        }
        let root = world.operator().public_key().to_openssh().unwrap();
        fs::write(dir.path().join("root.pub"), root).unwrap();
        Self { dir: Place::Own(dir) }
    }

    /// One that is there.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: Place::Borrowed(dir.to_owned()) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `quorate recover <command>` with two nodes' packages.
    pub(crate) fn recover(&self, command: &str, pair: [&str; 2], more: &[&str]) -> Ran {
        let mut args = vec!["--json", "recover", command];
        args.extend(["--manifest", "manifest.yaml", "--manifest-signature", "manifest.sig"]);
        args.extend(["--root", "root.pub", "--identity", "recovery.key", "--wallet", WALLET]);
        args.extend(["--package", pair[0], "--package", pair[1]]);
        args.extend(more);
        self.run(&args)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.args(args).current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// The one file in a package whose name ends so.
    pub(crate) fn file(&self, package: &str, ending: &str) -> PathBuf {
        self.file_of(package, |name| name.ends_with(ending))
    }

    /// The one file in a package whose name is such.
    pub(crate) fn file_of(&self, package: &str, wanted: impl Fn(&str) -> bool) -> PathBuf {
        let mut found = fs::read_dir(self.path(package)).unwrap().map(|entry| entry.unwrap().path());
        found.find(|path| wanted(path.file_name().unwrap().to_str().unwrap())).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

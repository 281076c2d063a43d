//! Runs the real program in an empty directory, and compares what it says with a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use quorate_session::NodeKey;
use rand_core::OsRng;
use tempfile::TempDir;

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "one object on stdout: {}", self.stdout);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// An empty directory to run in.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_quorate"))
            .args(args)
            .current_dir(self.dir.path())
            .env("COLUMNS", "100")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs it and compares exit code, stdout and stderr with `tests/snapshots/<name>.txt`.
    /// `UPDATE_SNAPSHOTS=1` writes the file instead.
    pub(crate) fn snapshot(&self, name: &str, args: &[&str]) -> Ran {
        let ran = self.run(args);
        let said = format!(
            "$ quorate {}\nexit {}\n--- stdout\n{}--- stderr\n{}",
            args.join(" "),
            ran.code,
            self.plain(&ran.stdout),
            self.plain(&ran.stderr)
        );
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&path, &said).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(said, expected, "{name}: if this is meant, run the tests with UPDATE_SNAPSHOTS=1");
        ran
    }

    /// Without what differs from run to run: this directory's name, and free ports.
    fn plain(&self, text: &str) -> String {
        let text = text.replace(self.dir.path().to_str().unwrap(), "$DIR");
        let mut parts = text.split("127.0.0.1:");
        let mut plain = parts.next().unwrap().to_owned();
        for part in parts {
            plain.push_str("127.0.0.1:PORT");
            plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        plain
    }

    /// Programs that stand for the cluster's: `init` prints a fresh public key, `run` says why it ends and ends.
    pub(crate) fn programs(&self) -> PathBuf {
        let bin = self.path("bin");
        fs::create_dir_all(&bin).unwrap();
        let key = || NodeKey::generate(&mut OsRng).public().to_string();
        let node = format!(
            "#!/bin/sh\n[ \"$1\" = run ] && {{ echo 'manifest: no such file' >&2; exit 2; }}\n\
             mkdir -p \"$3\"\ncase $5 in agent-1) key={};; service-1) key={};; *) key={};; esac\n\
             echo \"{{\\\"node\\\":\\\"$5\\\",\\\"key\\\":\\\"$key\\\"}}\"\n",
            key(),
            key(),
            key()
        );
        let coordinator = "#!/bin/sh\necho 'tls: expired' >&2\nexit 2\n";
        for (name, text) in [("quorate-node", node.as_str()), ("quorate-coordinator", coordinator)] {
            fs::write(bin.join(name), text).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        bin
    }

    /// A dev cluster's directory, made by the real `dev init`.
    pub(crate) fn cluster(&self) -> Ran {
        self.programs();
        let ran = self.run(&["--bin-dir", "bin", "dev", "init"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran
    }
}

/// Every file below `dir`.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

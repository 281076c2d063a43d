//! What the socket signs, for whom, and what it refuses.

use std::io::{BufRead, Write};
use std::sync::Arc;

use quorate_session::{AgentPublicKey, AgentSignature, WalletTerms};
use quorate_store::update;
use quorate_types::Role;
use serde_json::{Value, json};

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::*;
use crate::testing::{Cluster, memory, payment, shares, wallet};
use crate::vault::WalletRecord;
use quorate_session::AgentRequest;

/// An agent node with wallet `w` of agent `bot`, made with the key the node keeps for it, and `v` made without one.
struct Rig {
    dir: tempfile::TempDir,
    node: Arc<Node>,
    key: AgentPublicKey,
    stop: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn config(dir: &tempfile::TempDir, uid: u32) -> AskingConfig {
    let agent = AskingAgent { agent: "bot".parse().unwrap(), uid };
    AskingConfig { socket: dir.path().join("ask.sock"), open_to_group: false, agents: vec![agent] }
}

impl Rig {
    async fn start(uid: u32) -> Self {
        let (cluster, dir) = (Cluster::new(), tempfile::tempdir().unwrap());
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let node = cluster.node(Role::Agent, &memory());
        let key = keys::make(&node, &"bot".parse().unwrap()).unwrap();
        for (name, agent_key) in [("w", Some(key)), ("v", None)] {
            let [share, _, _] = shares();
            let record = cluster.record(Role::Agent, &cluster.statement(name, &share));
            let terms = WalletTerms { agent_key, ..record.terms };
            let record = WalletRecord { terms, ..record };
            let kept = update(&*node.store, |txn| {
                node.vault.keep_share(txn, &record, &share)?;
                node.vault.activate(txn, &record.wallet, record.public_key)
            });
            assert!(kept.is_ok());
        }
        let (asking, stop) = (Asking::open(&node, config(&dir, uid)).unwrap(), CancellationToken::new());
        tokio::spawn(asking.serve(Arc::clone(&node), stop.clone()));
        Self { dir, node, key, stop }
    }

    async fn say(&self, line: Vec<u8>) -> Value {
        let socket = self.dir.path().join("ask.sock");
        let talk = move || {
            let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
            // The node may have had enough before all is written.
            drop(stream.write_all(&line));
            let mut answer = String::new();
            drop(std::io::BufReader::new(&stream).read_line(&mut answer));
            serde_json::from_str(&answer).unwrap_or(Value::Null)
        };
        tokio::task::spawn_blocking(talk).await.unwrap()
    }

    async fn ask(&self, question: Value) -> Value {
        self.say(format!("{question}\n").into_bytes()).await
    }

    fn asked(&self) -> usize {
        let entries = quorate_audit::entries(&*self.node.store, 1, 100).unwrap();
        entries.iter().filter(|entry| entry.kind == "agent.asked").count()
    }
}

fn transaction() -> String {
    let Some(quorate_proto::v1::payload::Kind::Transaction(bytes)) = payment(0).kind else { panic!() };
    hex::encode(bytes)
}

fn question() -> Value {
    json!({ "ask": { "wallet": "w", "idempotency_key": "k-1", "payload": { "transaction": transaction() } } })
}

fn refused(answer: &Value) -> &str {
    answer["refused"]["field"].as_str().unwrap_or_else(|| panic!("answered: {answer}"))
}

#[tokio::test]
async fn the_node_signs_for_the_agents_user_what_the_agent_could_sign_itself() {
    let rig = Rig::start(me()).await;
    let key = rig.ask(json!({ "key": { "agent": "bot" } })).await;
    assert_eq!(key["key"]["agent_key"], rig.key.to_string());
    let answer = rig.ask(question()).await;
    let asked = &answer["asked"];
    let mut signature = [0; 64];
    hex::decode_to_slice(asked["agent_signature"].as_str().unwrap(), &mut signature).unwrap();
    let signature = AgentSignature { expires_at: asked["expires_at_ms"].as_u64().unwrap(), signature };
    let payload = quorate_proto::payload_from_pb(Some(payment(0))).unwrap();
    let (cluster, wallet) = (rig.node.cluster.clone(), wallet("w"));
    let request = AgentRequest {
        cluster: &cluster,
        wallet: &wallet,
        payload_hash: payload.hash(),
        idempotency_key: "k-1",
    };
    assert_eq!(rig.key.check(&request, Some(&signature), rig.node.clock.now()), Ok(()));
    assert_eq!(asked["payload_hash"], payload.hash().to_string());
    assert_eq!(rig.asked(), 1, "written down before it left");
}

#[tokio::test]
async fn another_user_gets_nothing_whoever_it_is() {
    let rig = Rig::start(me() + 1).await;
    assert_eq!(refused(&rig.ask(question()).await), "uid", "the socket's own user is not the agent's");
    assert_eq!(refused(&rig.ask(json!({ "key": { "agent": "bot" } })).await), "uid");
    assert_eq!(refused(&rig.ask(json!({ "key": { "agent": "eve" } })).await), "uid");
    assert_eq!(rig.asked(), 0);
}

/// Connects, says nothing, and hears what it is told within a second.
async fn silent(rig: &Rig) -> (std::os::unix::net::UnixStream, String) {
    let socket = rig.dir.path().join("ask.sock");
    let connect = move || {
        let stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut told = String::new();
        let _timed_out = std::io::BufReader::new(&stream).read_line(&mut told);
        (stream, told)
    };
    tokio::task::spawn_blocking(connect).await.unwrap()
}

#[tokio::test]
async fn who_is_not_listed_hears_it_before_saying_anything_and_takes_no_place() {
    let rig = Rig::start(me() + 1).await;
    for _ in 0..20 {
        let (_open, told) = silent(&rig).await;
        assert_eq!(refused(&serde_json::from_str(&told).unwrap()), "uid");
    }
}

#[tokio::test]
async fn one_user_has_so_many_conversations_at_once_and_no_more() {
    let rig = Rig::start(me()).await;
    let (first, told) = silent(&rig).await;
    assert_eq!(told, "", "it waits for the question");
    let rest = [silent(&rig), silent(&rig), silent(&rig)];
    let rest = futures::future::join_all(rest).await;
    assert!(rest.iter().all(|(_, told)| told.is_empty()));
    assert_eq!(refused(&rig.ask(question()).await), "connections");
    drop(first);
    let answered = async {
        while rig.ask(question()).await.get("asked").is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), answered).await.unwrap();
    drop(rest);
}

#[tokio::test]
async fn what_the_node_does_not_understand_or_is_not_the_agents_is_refused_by_field() {
    let rig = Rig::start(me()).await;
    let with = |pointer: &str, value: Value| {
        let mut question = question();
        *question.pointer_mut(pointer).unwrap() = value;
        question
    };
    let mut later = question();
    later["ask"]["expires_in_s"] = json!(86_401);
    let cases = [
        (with("/ask/wallet", json!("v")), "wallet"),
        (with("/ask/wallet", json!("nobodys")), "uid"),
        (with("/ask/payload", json!({ "transaction": "02ff" })), "payload"),
        (with("/ask/payload", json!({ "transaction": "zz" })), "payload"),
        (with("/ask/payload", json!({ "digest": "00" })), "question"),
        (with("/ask/idempotency_key", json!("")), "question"),
        (with("/ask", json!({ "wallet": "w" })), "question"),
        (later, "expires_in_s"),
        (json!({ "sign": {} }), "question"),
        (json!(7), "question"),
    ];
    for (question, field) in cases {
        assert_eq!(refused(&rig.ask(question.clone()).await), field, "{question}");
    }
    assert_eq!(refused(&rig.say(b"\xff\xfe\n".to_vec()).await), "question");
    let long = vec![b' '; usize::try_from(wire::MAX_LINE).unwrap() + 100_000];
    assert!(rig.say(long).await.get("asked").is_none(), "bounded");
    assert_eq!(rig.asked(), 0);
    assert!(rig.ask(question()).await.get("asked").is_some(), "and it goes on");
}

#[tokio::test]
async fn the_key_stays_across_restarts_and_is_another_for_each_node() {
    let (cluster, store) = (Cluster::new(), memory());
    let agent = "bot".parse().unwrap();
    let first = keys::make(&cluster.node(Role::Agent, &store), &agent).unwrap();
    assert_eq!(keys::make(&cluster.node(Role::Agent, &store), &agent).unwrap(), first);
    assert_ne!(keys::make(&cluster.node(Role::Agent, &memory()), &agent).unwrap(), first);
}

#[tokio::test]
async fn the_socket_is_private_and_takes_no_strangers_place() {
    let rig = Rig::start(me()).await;
    let path = rig.dir.path().join("ask.sock");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    // What a run before left is taken away; anything else is not.
    let again = Asking::open(&rig.node, config(&rig.dir, me())).unwrap();
    drop(again);
    assert!(!path.exists(), "gone with it");
    fs::write(&path, b"mine").unwrap();
    let taken = Asking::open(&rig.node, config(&rig.dir, me())).err().unwrap();
    assert!(matches!(taken, AskingError::Taken(_)), "{taken}");
    fs::remove_file(&path).unwrap();
    fs::set_permissions(rig.dir.path(), fs::Permissions::from_mode(0o770)).unwrap();
    let open = Asking::open(&rig.node, config(&rig.dir, me())).err().unwrap();
    assert!(matches!(&open, AskingError::Directory(which) if which == rig.dir.path()), "{open}");
    let of_group = AskingConfig { open_to_group: true, ..config(&rig.dir, me()) };
    fs::set_permissions(rig.dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
    let asking = Asking::open(&rig.node, of_group).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
    drop(asking);
}

/// Whoever may rename what leads to the socket's directory can put another in its place.
#[tokio::test]
async fn each_directory_on_the_way_is_looked_at() {
    let (node, dir) = (Cluster::new().node(Role::Agent, &memory()), tempfile::tempdir().unwrap());
    let top = fs::canonicalize(dir.path()).unwrap();
    let (upper, lower) = (top.join("upper"), top.join("upper/lower"));
    fs::create_dir_all(&lower).unwrap();
    let open = |socket: PathBuf| Asking::open(&node, AskingConfig { socket, ..config(&dir, me()) });
    let cases = [
        (0o755, 0o755, None),
        (0o1777, 0o755, None),
        (0o777, 0o755, Some(&upper)),
        (0o775, 0o700, Some(&upper)),
        (0o755, 0o775, Some(&lower)),
        (0o755, 0o1777, Some(&lower)),
    ];
    for (above, of_socket, refused) in cases {
        for (directory, mode) in [(&upper, above), (&lower, of_socket)] {
            fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
        }
        let opened = open(lower.join("ask.sock"));
        match (opened, refused) {
            (Ok(_), None) => {}
            (Err(AskingError::Directory(which)), Some(expected)) => assert_eq!(which, *expected),
            (opened, _) => panic!("{above:o} {of_socket:o}: {:?}", opened.err()),
        }
    }
    // By a link as by its own name, and what it leads to is what is looked at.
    fs::set_permissions(&lower, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink(&lower, top.join("link")).unwrap();
    let opened = open(top.join("link/ask.sock")).unwrap();
    assert!(lower.join("ask.sock").exists());
    fs::remove_file(top.join("link")).unwrap();
    drop(opened);
    assert!(!lower.join("ask.sock").exists());
}

/// Every user of a machine may run it.
const PERL: &str = "/usr/bin/perl";

/// A process of another user, by the kernel's word. Needs root; says so where it is not.
#[tokio::test]
async fn a_process_of_another_user_is_told_apart() {
    let rig = Rig::start(65_533).await;
    let path = rig.dir.path().join("ask.sock");
    let tools = || {
        std::process::Command::new("setpriv").arg("--version").output().is_ok() && Path::new(PERL).exists()
    };
    if me() != 0 || !tools() {
        tracing::warn!("SKIPPED: needs root, setpriv and perl, to run a process as another user");
        return;
    }
    // So that the kernel lets others reach it at all.
    fs::set_permissions(rig.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let run = move |uid: &'static str| {
        let script = "use IO::Socket::UNIX; $SIG{PIPE} = 'IGNORE'; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!; \
                      print $s $ARGV[1], qq(\\n); $s->flush; print scalar <$s>;";
        let arguments = [&format!("--reuid={uid}"), "--clear-groups", PERL, "-e", script];
        let mut command = std::process::Command::new("setpriv");
        command.args(arguments).arg(&path).arg(question().to_string());
        async move {
            let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            serde_json::from_slice::<Value>(&done.stdout).unwrap()
        }
    };
    assert!(run("65533").await.get("asked").is_some(), "the agent's own user");
    assert_eq!(refused(&run("65532").await), "uid");
    assert_eq!(refused(&run("0").await), "uid", "nor root");
}

#[test]
fn a_configuration_that_names_nobody_in_particular_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(config(&dir, 7).refusal(), None);
    for bad in [
        config(&dir, 65_534),
        AskingConfig { agents: vec![], ..config(&dir, 7) },
        AskingConfig { agents: [config(&dir, 7).agents, config(&dir, 7).agents].concat(), ..config(&dir, 7) },
    ] {
        assert_eq!(bad.refusal().unwrap().0, "asking.agents");
    }
}

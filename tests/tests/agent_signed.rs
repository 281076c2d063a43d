//! A wallet that takes its agent's word only: neither a gateway nor whoever holds the coordinator can spend from it, not
//! even what its policy allows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use quorate_manifest::Namespace;
use quorate_node::{AskingAgent, AskingConfig};
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::v1::sign_response::Outcome as Verdict;
use quorate_proto::{agent_to_pb, failure_of, payload_to_pb, v1};
use quorate_session::{AgentKey, AgentRequest};
use quorate_tests::{
    CLUSTER, Cluster, FRIEND, Script, Stage, WALLET, golden, policy_yaml, recover, transfer, usdc,
};
use quorate_types::{Payload, PublicKey, Role, SystemClock};
use rand_core::OsRng;

const AGENTS: &str = "wallet-2";

/// What the agent asks for.
struct Asking<'a> {
    wallet: &'a str,
    payload: &'a Payload,
    key: &'a str,
    /// Milliseconds from now.
    expires_in: i64,
}

impl<'a> Asking<'a> {
    fn of(payload: &'a Payload) -> Self {
        Self { wallet: AGENTS, payload, key: "key-1", expires_in: 600_000 }
    }

    fn signed(&self, agent: &AgentKey) -> v1::AgentSignature {
        let (cluster, wallet) = (CLUSTER.parse().unwrap(), self.wallet.parse().unwrap());
        let request = AgentRequest {
            cluster: &cluster,
            wallet: &wallet,
            payload_hash: self.payload.hash(),
            idempotency_key: self.key,
        };
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        agent_to_pb(&agent.ask(&request, u64::try_from(now + self.expires_in).unwrap()))
    }
}

/// The agent's signatures over anything but what is asked.
fn others(agent: &AgentKey, payload: &Payload) -> Vec<(&'static str, Option<v1::AgentSignature>)> {
    let (right, other) = (Asking::of(payload), transfer(FRIEND, usdc(2), 77));
    let eve = AgentKey::generate(&mut OsRng);
    vec![
        ("none", None),
        ("another key's", Some(right.signed(&eve))),
        ("of another payload", Some(Asking { payload: &other, ..Asking::of(payload) }.signed(agent))),
        ("of another wallet", Some(Asking { wallet: WALLET, ..Asking::of(payload) }.signed(agent))),
        ("of another idempotency key", Some(Asking { key: "key-2", ..Asking::of(payload) }.signed(agent))),
        ("expired", Some(Asking { expires_in: -1, ..Asking::of(payload) }.signed(agent))),
        (
            "of the day after tomorrow",
            Some(Asking { expires_in: 2 * 86_400_000, ..Asking::of(payload) }.signed(agent)),
        ),
    ]
}

fn rules(denial: &v1::Denial) -> Vec<&str> {
    denial.failures.iter().map(|failure| failure.rule.as_str()).collect()
}

fn request(payload: &Payload, agent: Option<v1::AgentSignature>) -> v1::SignRequest {
    v1::SignRequest {
        wallet: AGENTS.to_owned(),
        payload: Some(payload_to_pb(payload)),
        idempotency_key: "key-1".to_owned(),
        agent,
        ..Default::default()
    }
}

/// The golden cluster with a second wallet that takes `agent`'s word only, and version 1 of its policy.
async fn cluster(agent: &AgentKey) -> (Cluster, v1::Wallet, Vec<u8>) {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    let wallet = cluster.create_agents_wallet(AGENTS, Some(agent.public())).await.unwrap();
    assert_eq!(wallet.agent_key, agent.public().as_bytes());
    let policy = cluster.world.policy(&policy_yaml(1, "25.00").replace(WALLET, AGENTS));
    cluster.apply_policy(&policy).await.unwrap();
    (cluster, wallet, policy.hash(Namespace::Policy).to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_alone_cannot_spend_from_an_agents_own_wallet() {
    let agent = AgentKey::generate(&mut OsRng);
    let (cluster, wallet, _) = cluster(&agent).await;
    let payload = transfer(FRIEND, usdc(1), 1);
    for (what, signature) in others(&agent, &payload) {
        let answer = cluster.ask(request(&payload, signature)).await.unwrap();
        let Some(Verdict::Denied(denial)) = answer.outcome else { panic!("{what}: {answer:?}") };
        assert_eq!(
            (rules(&denial), denial.decided_by.as_str()),
            (vec!["agent_signature"], "coordinator"),
            "{what}"
        );
    }
    let answer = cluster.ask(request(&payload, Some(Asking::of(&payload).signed(&agent)))).await.unwrap();
    let Some(Verdict::Signed(signed)) = answer.outcome else { panic!("{answer:?}") };
    let digest = quorate_intent::decode(&payload).unwrap().digest.digest();
    let key = PublicKey::from_sec1(&wallet.public_key).unwrap();
    assert_eq!(recover(&signed.signature, digest), key.address());
    // The answer is given again without it: it is the agent's already.
    assert!(cluster.ask(request(&payload, None)).await.unwrap().repeated_answer);

    // A wallet is created with its agent's key once, and keeps it.
    let refused = cluster.create_agents_wallet(AGENTS, None).await.unwrap_err();
    assert_eq!(failure_of(&refused).unwrap().field, "agent_key");
    let world = cluster.stop().await;
    let proof = world.log(Role::Service).into_iter().find(|entry| entry.kind == "sign.contributed").unwrap();
    let kept = proof.fields["asked_by"]["agent_signature"].as_str().unwrap();
    assert_eq!(kept.len(), 128, "the service node can show who asked");
}

/// The nodes ask for the agent's signature themselves, in a session and through the pool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_can_the_gateway_and_the_coordinator_together() {
    let agent = AgentKey::generate(&mut OsRng);
    let (cluster, _, policy_hash) = cluster(&agent).await;
    let mut stage = Stage::of(cluster.stop().await, &[Role::Agent, Role::Service]).await;
    let payload = transfer(FRIEND, usdc(1), 1);
    let start = |agent| v1::StartSign {
        wallet: AGENTS.to_owned(),
        payload: Some(payload_to_pb(&payload)),
        policy_hash: policy_hash.clone(),
        idempotency_key: "key-1".to_owned(),
        agent,
        approval: None,
    };
    for (what, signature) in others(&agent, &payload) {
        let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Sign(start(signature.clone()))));
        let ending = stage.play(Script::new(starts)).await;
        for node in ["agent-1", "service-1"] {
            let Outcome::Denied(denial) = &ending.outcomes[node] else {
                panic!("{what}: {:?}", ending.outcomes)
            };
            assert_eq!(rules(denial), ["agent_signature"], "{what}, {node}");
        }
    }
    let right = Asking::of(&payload).signed(&agent);
    let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Sign(start(Some(right.clone())))));
    let ending = stage.play(Script::new(starts)).await;
    assert!(ending.signed().is_some(), "{:?}", ending.outcomes);

    let presign = Protocol::Presign(v1::StartPresign { wallet: AGENTS.to_owned() });
    let ending = stage.play(Script::new([("agent-1", presign.clone()), ("service-1", presign)])).await;
    let Outcome::Pooled(id) = ending.outcomes["agent-1"].clone() else { panic!("{:?}", ending.outcomes) };
    let online = |signature| v1::StartOnline {
        presignature: id.clone(),
        request: Some(start(signature)),
        contribution: Vec::new(),
    };
    let Outcome::Denied(denial) = stage.online("agent-1", online(None)).await else { panic!("not denied") };
    assert_eq!(rules(&denial), ["agent_signature"]);
    let Outcome::Contributed(sealed) = stage.online("agent-1", online(Some(right.clone()))).await else {
        panic!("the agent node does not contribute")
    };
    let with = |signature| v1::StartOnline { contribution: sealed.clone(), ..online(signature) };
    let Outcome::Denied(denial) = stage.online("service-1", with(None)).await else { panic!("not denied") };
    assert_eq!(rules(&denial), ["agent_signature"]);
    assert!(matches!(stage.online("service-1", with(Some(right))).await, Outcome::Signed(_)));
}

/// One question to an agent node's local socket, as this process's user.
async fn through(socket: &std::path::Path, question: serde_json::Value) -> serde_json::Value {
    let socket = socket.to_owned();
    let talk = move || {
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        stream.write_all(format!("{question}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

/// An agent that has no key: its node has one for it, and asks in its name for the user the kernel names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_beside_its_node_asks_through_the_local_socket() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let mut cluster = Cluster::coordinator_only(world).await;
    let socket = cluster.world.path("agent/ask.sock");
    let (dir, agent) = (socket.parent().unwrap(), format!("{AGENTS}-agent"));
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    let uid = std::fs::metadata(dir).unwrap().uid();
    let listed = AskingAgent { agent: agent.parse().unwrap(), uid };
    let asking = AskingConfig { socket: socket.clone(), open_to_group: false, agents: vec![listed] };
    let config =
        quorate_node::Config { asking: Some(asking), ..cluster.world.node(Role::Agent, cluster.address()) };
    let node = quorate_node::App::start(config, Arc::new(SystemClock)).await.unwrap();
    cluster.start_node(Role::Service).await;
    cluster.start_node(Role::Cold).await;
    cluster.attached(&Role::ALL).await;

    let key = through(&socket, serde_json::json!({ "key": { "agent": agent } })).await;
    let key = key["key"]["agent_key"].as_str().unwrap().parse().unwrap();
    cluster.create_agents_wallet(AGENTS, Some(key)).await.unwrap();
    let policy = cluster.world.policy(&policy_yaml(1, "25.00").replace(WALLET, AGENTS));
    cluster.apply_policy(&policy).await.unwrap();
    let payload = transfer(FRIEND, usdc(1), 1);
    let told = serde_json::json!({ "transaction": hex::encode(payload.as_bytes()) });
    let ask = serde_json::json!({ "ask": { "wallet": AGENTS, "idempotency_key": "key-1", "payload": told } });
    let asked = &through(&socket, ask).await["asked"];
    let signature = v1::AgentSignature {
        expires_at_ms: asked["expires_at_ms"].as_u64().unwrap(),
        signature: hex::decode(asked["agent_signature"].as_str().unwrap()).unwrap(),
    };
    let answer = cluster.ask(request(&payload, Some(signature))).await.unwrap();
    assert!(matches!(answer.outcome, Some(Verdict::Signed(_))), "{answer:?}");
    node.shutdown().await;
    assert!(!socket.exists());
    let log = cluster.stop().await.log(Role::Agent);
    let at =
        |kind: &str| log.iter().position(|entry| entry.kind == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert!(at("agent.key_made") < at("agent.asked"));
}

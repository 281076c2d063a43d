//! Nodes with real shares in front of a rogue coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_proto::v1;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_types::{Clock, Payload, Role, Signature, SystemClock};

use crate::cluster::start_node;
use crate::{Ending, Golden, Relay, Script, WALLET, World, golden};

/// Nodes of a golden world, attached to a relay that does what the test says.
pub struct Stage {
    /// The world's files.
    pub world: World,
    /// The coordinator in the attacker's hands.
    pub relay: Relay,
    nodes: BTreeMap<Role, quorate_node::Running>,
}

impl Stage {
    /// Starts these nodes from a copy of the golden world.
    pub async fn new(roles: &[Role]) -> Self {
        let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
        Self::of(world, roles).await
    }

    /// Starts these nodes from this world.
    pub async fn of(world: World, roles: &[Role]) -> Self {
        let relay = Relay::start(&world).await;
        let mut stage = Self { world, relay, nodes: BTreeMap::new() };
        for role in roles {
            stage.start(*role).await;
        }
        stage
    }

    /// Agent and service node: those that sign.
    pub async fn signers() -> Self {
        Self::new(&[Role::Agent, Role::Service]).await
    }

    /// Starts a node and waits for it.
    pub async fn start(&mut self, role: Role) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let running = start_node(&self.world, (role, self.relay.address()), &clock).await;
        self.nodes.insert(role, running);
        self.relay.attached(&[&format!("{role}-1")]).await;
    }

    /// Stops a node.
    pub async fn stop(&mut self, role: Role) {
        if let Some(running) = self.nodes.remove(&role) {
            running.shutdown().await;
            self.relay.gone(&format!("{role}-1")).await;
        }
    }

    /// Plays a signing session in which both nodes are shown the same.
    pub async fn sign(&mut self, payload: &Payload) -> Ending {
        self.play(both(payload)).await
    }

    /// Has both nodes make a presignature, and returns its id.
    pub async fn presign(&mut self) -> Vec<u8> {
        let start = Protocol::Presign(v1::StartPresign { wallet: WALLET.to_owned() });
        let script = Script::new([("agent-1", start.clone()), ("service-1", start)]);
        let ending = self.play(script).await;
        match [&ending.outcomes["agent-1"], &ending.outcomes["service-1"]] {
            [Outcome::Pooled(one), Outcome::Pooled(other)] if one == other => one.clone(),
            other => panic!("no presignature: {other:?}"),
        }
    }

    /// Asks one node for its part of an online signature.
    pub async fn online(&mut self, node: &str, start: v1::StartOnline) -> Outcome {
        let ending = self.play(Script::new([(node, Protocol::Online(start))])).await;
        ending.outcomes.into_values().next().unwrap_or_else(|| panic!("{node} is silent"))
    }

    /// Plays a session.
    pub async fn play(&mut self, script: Script<'_>) -> Ending {
        script.play(&mut self.relay).await
    }

    /// Asserts that the cluster still signs: nothing that happened before needs a restart.
    pub async fn still_signs(&mut self) {
        let payload = crate::transfer(crate::FRIEND, crate::usdc(1), 4_000_000);
        let ending = self.sign(&payload).await;
        assert_signed(&ending, &payload);
    }
}

/// A signing session as an honest coordinator would start it.
pub fn both(payload: &Payload) -> Script<'static> {
    Script::new([("agent-1", show(payload)), ("service-1", show(payload))])
}

/// What an honest coordinator shows a node.
pub fn show(payload: &Payload) -> Protocol {
    Protocol::Sign(shown(payload))
}

/// The same, to be bent.
pub fn shown(payload: &Payload) -> v1::StartSign {
    v1::StartSign {
        wallet: WALLET.to_owned(),
        payload: Some(quorate_proto::payload_to_pb(payload)),
        policy_hash: golden().policy_hash.to_vec(),
        agent: None,
        approval: None,
        idempotency_key: "key-1".to_owned(),
    }
}

/// Asserts that the session ended in a signature by the wallet over exactly this payload, as a second library sees it.
pub fn assert_signed(ending: &Ending, payload: &Payload) {
    let signed = ending.signed().unwrap_or_else(|| panic!("no signature: {:?}", ending.outcomes));
    let digest = quorate_intent::decode(payload).unwrap().digest.digest();
    let golden: &Golden = golden();
    Signature::from_bytes(&signed.signature, digest, golden.public_key()).unwrap();
    assert_eq!(crate::recover(&signed.signature, digest), golden.public_key().address());
}

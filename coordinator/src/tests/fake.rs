//! A scripted node: it sits in sessions like a real one, and makes what its script says instead of cryptography.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt};
use k256::ecdsa::signature::hazmat::PrehashSigner;
use quorate_ledger::{IdempotencyKey, State};
use quorate_proto::v1::relay_frame::Frame;
use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::{payload_from_pb, v1};
use quorate_session::{IntentStatement, Statement};
use quorate_types::{B256, BootId, Role};

use super::rig::{Rig, attest, key_statement, node, node_key, wallet, wallet_key};
use crate::coordinator::Coordinator;
use crate::link::{Link, Reply, Subject};
use crate::nodes::About;
use crate::wire::attestation_to_pb;

/// What a node does with one session.
#[derive(Clone)]
pub(super) enum Does {
    /// Its part.
    Well,
    Denies,
    Fails(Fault, bool),
    /// Opens, and then says nothing, also when it is told to stop.
    Hangs,
    /// Does not even open.
    Sleeps,
    /// Its stream ends once the session is open.
    Vanishes,
    /// Signs, but something else.
    SignsAnother,
    /// Signs, with an agent's intent that names another field.
    Intent(fn(&mut IntentStatement)),
    /// Attests, but something else.
    Attests(fn(&mut quorate_session::KeyStatement)),
    /// Reports another hash of aux info.
    OtherAux,
    /// Does not hold the presignature it is to use.
    HoldsNone,
}

/// What a node saw.
#[derive(Default)]
pub(super) struct Seen {
    /// Until when it waits with a lapse.
    lapse_waits_until: u64,
    /// For each session it was asked into: what it was asked, and the request's state on disk at that moment.
    pub(super) starts: Vec<(v1::SessionStart, Option<State>)>,
    /// Manifests, policies and activations it was sent, by name.
    pub(super) documents: Vec<String>,
}

pub(super) struct Fake {
    pub(super) seen: Arc<Mutex<Seen>>,
}

struct Script {
    core: Arc<Coordinator>,
    store: Arc<quorate_store::FailingStore>,
    link: Link,
    role: Role,
    does: VecDeque<Does>,
    refuses: &'static str,
    now: Option<(v1::SessionStart, Does)>,
    seen: Arc<Mutex<Seen>>,
}

pub(super) fn about() -> About {
    About {
        boot: BootId::from_bytes([1; 16]),
        software_version: "0".to_owned(),
        primes_ready: 1,
        attached_at: 0,
        manifest_version: 1,
    }
}

impl Rig {
    /// Attaches a node that does its part always, after what `does` says of its first sessions.
    pub(super) fn attach(&self, role: Role, does: &[Does]) -> Fake {
        self.attach_refusing(role, does, "")
    }

    /// The same, with a reason to refuse every document.
    pub(super) fn attach_refusing(&self, role: Role, does: &[Does], refuses: &'static str) -> Fake {
        let (link, frames) = self.core.nodes.new_link(node(role));
        if let Some(before) = self.core.nodes.attach(link.clone(), about()) {
            before.close();
            self.core.relay.detached(&before);
            self.core.pools.detached(&before);
        }
        self.core.pools.attached(&link);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let script = Script {
            core: self.core.clone(),
            store: self.store.clone(),
            link,
            role,
            does: does.iter().cloned().collect(),
            refuses,
            now: None,
            seen: seen.clone(),
        };
        tokio::spawn(script.play(frames));
        Fake { seen }
    }

    /// An attached node says that it holds these presignatures of the wallet, and no longer those.
    pub(super) fn reports(&self, role: Role, added: &[u8], dropped: &[u8]) {
        let ids = |ids: &[u8]| ids.iter().map(|id| vec![*id; 32]).collect();
        let wallet = wallet().to_string();
        let change = v1::PoolChange { wallet, added: ids(added), dropped: ids(dropped) };
        self.core.pools.changed(&self.core.nodes.link(&node(role)).unwrap(), &change);
    }

    /// The agent and the service node, doing their part.
    pub(super) fn attach_signers(&self, agent: &[Does], service: &[Does]) -> (Fake, Fake) {
        (self.attach(Role::Agent, agent), self.attach(Role::Service, service))
    }
}

impl Fake {
    pub(super) fn sessions(&self) -> usize {
        self.seen.lock().unwrap().starts.len()
    }

    pub(super) fn waits_with_a_lapse(&self, until: u64) {
        self.seen.lock().unwrap().lapse_waits_until = until;
    }

    pub(super) fn documents(&self) -> Vec<String> {
        self.seen.lock().unwrap().documents.clone()
    }
}

impl Script {
    async fn play(mut self, frames: impl Stream<Item = Result<v1::RelayFrame, tonic::Status>>) {
        let mut frames = std::pin::pin!(frames);
        while let Some(Ok(frame)) = frames.next().await {
            match frame.frame.unwrap() {
                Frame::Start(start) => self.start(start),
                Frame::Opens(opens) => self.opens(opens),
                Frame::Abort(_) => self.abort(),
                Frame::Policy(document) => self.document(Subject::Policy(wallet()), document),
                Frame::Manifest(document) => self.document(Subject::Manifest, document),
                Frame::Freeze(document) => {
                    let scope = quorate_freeze::Order::parse(&document.body).unwrap().scope;
                    self.document(Subject::Freeze(scope), document);
                }
                Frame::Lapse(document) => self.lapse(document),
                Frame::Activation(activation) => {
                    self.seen.lock().unwrap().documents.push(format!("activation of {}", activation.wallet));
                    let wallet = activation.wallet.parse().unwrap();
                    self.link.replied(&Subject::Activation(wallet), None, Reply::of(self.refuses, 0));
                }
                Frame::Hold(start) => {
                    self.seen.lock().unwrap().documents.push(format!("hold of {}", start.wallet));
                }
                Frame::EndHold(ended) => {
                    self.seen.lock().unwrap().documents.push(format!("end of a hold of {}", ended.wallet));
                }
                Frame::Welcome(_) | Frame::Heartbeat(_) | Frame::Envelope(_) => {}
                Frame::Cosign(_) | Frame::Log(_) | Frame::Witnessed(_) => {}
            }
        }
    }

    fn document(&self, subject: Subject, document: v1::SignedDocument) {
        let name = match subject {
            Subject::Manifest => "manifest",
            Subject::Freeze(_) => "freeze",
            _ => "policy",
        };
        self.seen.lock().unwrap().documents.push(name.to_owned());
        let document =
            quorate_manifest::SignedDocument { body: document.body, signatures: document.signatures };
        let namespace = match subject {
            Subject::Manifest => quorate_manifest::Namespace::Manifest,
            Subject::Freeze(_) => quorate_manifest::Namespace::Freeze,
            _ => quorate_manifest::Namespace::Policy,
        };
        let hash = Some(document.hash(namespace));
        if let Subject::Policy(wallet) = &subject {
            self.link.replied(&Subject::NextPolicy(wallet.clone()), hash, Reply::of(self.refuses, 0));
        }
        self.link.replied(&subject, hash, Reply::of(self.refuses, 0));
    }

    /// Gives back one count the first time it is shown one.
    fn lapse(&self, document: v1::SignedDocument) {
        let document =
            quorate_manifest::SignedDocument { body: document.body, signatures: document.signatures };
        let mut seen = self.seen.lock().unwrap();
        let waits_until_ms = seen.lapse_waits_until;
        let given_back = u32::from(waits_until_ms == 0 && !seen.documents.iter().any(|name| name == "lapse"));
        let name = if waits_until_ms == 0 { "lapse" } else { "lapse that waits" };
        seen.documents.push(name.to_owned());
        let hash = document.hash(quorate_manifest::Namespace::Lapse).to_vec();
        let refused = self.refuses.to_owned();
        self.link.lapsed(v1::LapseAck { hash, refused, waits_until_ms, given_back });
    }

    fn start(&mut self, start: v1::SessionStart) {
        let does = self.does.pop_front().unwrap_or(Does::Well);
        let asked = match &start.protocol {
            Some(Protocol::Sign(sign)) => Some(sign),
            Some(Protocol::Online(online)) => online.request.as_ref(),
            _ => None,
        };
        let state = match asked {
            Some(sign) => {
                let key: IdempotencyKey = sign.idempotency_key.parse().unwrap();
                let entry = quorate_ledger::lookup(self.store.as_ref(), &wallet(), &key).unwrap();
                entry.map(|entry| entry.state)
            }
            None => None,
        };
        self.seen.lock().unwrap().starts.push((start.clone(), state));
        if matches!(start.protocol, Some(Protocol::Online(_))) {
            self.now = Some((start, does));
            return self.act();
        }
        if !matches!(does, Does::Sleeps) {
            let open = v1::SessionOpen {
                session: start.session.clone(),
                signed_open: vec![self.role.index() as u8 + 1],
            };
            self.core.relay.open(&self.link, open);
        }
        self.now = Some((start, does));
    }

    fn opens(&mut self, opens: v1::SessionOpens) {
        assert!(opens.signed_opens.len() >= 2);
        self.act();
    }

    fn act(&mut self) {
        let Some((start, does)) = self.now.clone() else { return };
        let outcome = match &does {
            Does::Hangs | Does::Sleeps => return,
            Does::Vanishes => {
                self.link.close();
                self.core.nodes.detach(&self.link);
                self.core.pools.detached(&self.link);
                return self.core.relay.detached(&self.link);
            }
            Does::Denies => Outcome::Denied(v1::Denial {
                policy_hash: vec![9; 32],
                failures: vec![v1::RuleFailure { rule: "r".to_owned(), ..Default::default() }],
                decided_by: "somebody else".to_owned(),
            }),
            Does::Fails(fault, released) => failure(*fault, *released),
            Does::HoldsNone => Outcome::Failed(v1::SessionFailure {
                fault: Fault::Caller.into(),
                field: "presignature".to_owned(),
                ..Default::default()
            }),
            _ => self.part(&start, &does),
        };
        self.say(outcome);
    }

    fn abort(&mut self) {
        if let Some((_, does)) = &self.now
            && !matches!(does, Does::Hangs | Does::Sleeps)
        {
            self.say(failure(Fault::Network, false));
        }
    }

    fn say(&mut self, outcome: Outcome) {
        let Some((start, _)) = self.now.take() else { return };
        let outcome = v1::SessionOutcome { session: start.session, outcome: Some(outcome) };
        self.core.relay.outcome(&self.link, outcome);
    }

    fn part(&self, start: &v1::SessionStart, does: &Does) -> Outcome {
        match start.protocol.as_ref().unwrap() {
            Protocol::Aux(_) => {
                Outcome::AuxHash(vec![if matches!(does, Does::OtherAux) { 8 } else { 5 }; 32])
            }
            Protocol::Keygen(keygen) => {
                let mut statement = key_statement(&keygen.wallet);
                if let Does::Attests(change) = does {
                    change(&mut statement);
                }
                Outcome::Key(attestation_to_pb(&attest(&statement, self.role)))
            }
            Protocol::Sign(_) if self.role == Role::Agent => Outcome::Released(true),
            Protocol::Sign(sign) => Outcome::Signed(signed(sign, does)),
            Protocol::Presign(_) => Outcome::Pooled(vec![6; 32]),
            Protocol::Online(online) if self.role == Role::Agent => {
                assert!(online.contribution.is_empty());
                Outcome::Contributed(b"sealed".to_vec())
            }
            Protocol::Online(online) => {
                assert_eq!(online.contribution, b"sealed");
                Outcome::Signed(signed(online.request.as_ref().unwrap(), does))
            }
        }
    }
}

fn failure(fault: Fault, released: bool) -> Outcome {
    let (blamed, reason) = ("agent-1".to_owned(), "on command".to_owned());
    Outcome::Failed(v1::SessionFailure {
        fault: fault.into(),
        blamed,
        reason,
        released,
        ..Default::default()
    })
}

fn signed(sign: &v1::StartSign, does: &Does) -> v1::SessionSigned {
    let payload = payload_from_pb(sign.payload.clone()).unwrap();
    let digest = quorate_intent::decode(&payload).unwrap().digest.digest();
    let mut intent = IntentStatement {
        cluster: "demo".parse().unwrap(),
        wallet: sign.wallet.parse().unwrap(),
        agent: "bot".parse().unwrap(),
        payload_hash: payload.hash(),
        digest,
        policy_hash: B256::from_slice(&sign.policy_hash),
        idempotency_key: sign.idempotency_key.clone(),
        eid: [4; 32],
    };
    if let Does::Intent(change) = does {
        change(&mut intent);
    }
    let digest = if matches!(does, Does::SignsAnother) { B256::ZERO } else { digest };
    let (signature, recovery): (k256::ecdsa::Signature, k256::ecdsa::RecoveryId) =
        wallet_key().sign_prehash(digest.as_slice()).unwrap();
    let v = 27 + u8::from(recovery.is_y_odd());
    let statement = intent.sign(&node(Role::Agent), &node_key(Role::Agent)).unwrap();
    v1::SessionSigned {
        signature: [&signature.to_bytes()[..], &[v]].concat(),
        eid: vec![4; 32],
        intent: Some(attestation_to_pb(&statement)),
    }
}

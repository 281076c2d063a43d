//! One session, told by the attacker: what each node is shown, and what becomes of every message between them.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_proto::v1;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::relay_frame;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;

use crate::Relay;

/// A sealed envelope on its way.
#[derive(Debug, Clone)]
pub struct Post {
    /// The node it came from.
    pub from: String,
    /// The node it goes to.
    pub to: String,
    /// Its bytes.
    pub sealed: Vec<u8>,
}

type Courier<'a> = Box<dyn FnMut(Post) -> Vec<Post> + 'a>;
type Opens<'a> = Box<dyn FnMut(&str, Vec<Vec<u8>>) -> Vec<Vec<u8>> + 'a>;

/// A session's script.
pub struct Script<'a> {
    session: [u8; 16],
    starts: Vec<(String, Protocol)>,
    deadline_ms: u32,
    until: Option<String>,
    opens: Opens<'a>,
    courier: Courier<'a>,
    nodes: Vec<String>,
    opened: BTreeMap<String, Vec<u8>>,
}

/// What became of a session.
#[derive(Debug, Default)]
pub struct Ending {
    /// Each node's outcome; none from a node that stayed silent.
    pub outcomes: BTreeMap<String, Outcome>,
    /// Every envelope that was posted, before the courier saw it.
    pub posts: Vec<Post>,
    /// Everything that passed, for searching.
    pub log: Vec<u8>,
}

impl Ending {
    /// The signature, where the service node made one.
    pub fn signed(&self) -> Option<&v1::SessionSigned> {
        self.outcomes.values().find_map(|outcome| match outcome {
            Outcome::Signed(signed) => Some(signed),
            _ => None,
        })
    }

    /// A node's failure.
    pub fn failure(&self, node: &str) -> &v1::SessionFailure {
        match self.outcomes.get(node) {
            Some(Outcome::Failed(failure)) => failure,
            other => panic!("{node}: {other:?}"),
        }
    }

    /// A node's denial.
    pub fn denial(&self, node: &str) -> &v1::Denial {
        match self.outcomes.get(node) {
            Some(Outcome::Denied(denial)) => denial,
            other => panic!("{node}: {other:?}"),
        }
    }
}

impl<'a> Script<'a> {
    /// A session in which every node is shown what is here for it, and the relay is honest.
    pub fn new(starts: impl IntoIterator<Item = (&'a str, Protocol)>) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut session = [0; 16];
        session[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Self {
            session,
            starts: starts.into_iter().map(|(node, protocol)| (node.to_owned(), protocol)).collect(),
            deadline_ms: 60_000,
            until: None,
            opens: Box::new(|_, opens| opens),
            courier: Box::new(|post| vec![post]),
            nodes: Vec::new(),
            opened: BTreeMap::new(),
        }
    }

    /// How long the nodes are given.
    #[must_use]
    pub fn within(self, deadline_ms: u32) -> Self {
        Self { deadline_ms, ..self }
    }

    /// Ends it at once when this node has told its outcome: the others, which would wait for it, are told to stop.
    #[must_use]
    pub fn until(self, node: &str) -> Self {
        Self { until: Some(node.to_owned()), ..self }
    }

    /// What each node is shown of the others' opens.
    #[must_use]
    pub fn opens(self, opens: impl FnMut(&str, Vec<Vec<u8>>) -> Vec<Vec<u8>> + 'a) -> Self {
        Self { opens: Box::new(opens), ..self }
    }

    /// What becomes of each envelope.
    #[must_use]
    pub fn courier(self, courier: impl FnMut(Post) -> Vec<Post> + 'a) -> Self {
        Self { courier: Box::new(courier), ..self }
    }

    /// Plays it until every node has told its outcome, or stayed silent past the deadline.
    pub async fn play(self, relay: &mut Relay) -> Ending {
        play_together(vec![self], relay).await.remove(0)
    }

    async fn start(&mut self, relay: &Relay) -> Ending {
        for (node, protocol) in std::mem::take(&mut self.starts) {
            let (session, deadline_ms) = (self.session.to_vec(), self.deadline_ms);
            let start = v1::SessionStart { session, deadline_ms, protocol: Some(protocol) };
            relay.send(&node, relay_frame::Frame::Start(start)).await;
            self.nodes.push(node);
        }
        Ending::default()
    }

    async fn take(&mut self, relay: &Relay, (node, frame): (String, Frame), ending: &mut Ending) {
        match frame {
            Frame::Open(open) => {
                ending.log.extend(&open.signed_open);
                self.opened.insert(node, open.signed_open);
                if self.opened.len() == self.nodes.len() {
                    self.show_opens(relay).await;
                }
            }
            Frame::Envelope(envelope) => {
                let post = Post { to: receiver(&envelope), from: node, sealed: envelope.sealed };
                ending.log.extend(&post.sealed);
                ending.posts.push(post.clone());
                for post in (self.courier)(post) {
                    self.deliver(relay, post).await;
                }
            }
            Frame::Outcome(outcome) => {
                ending.outcomes.insert(node, outcome.outcome.unwrap());
            }
            _ => {}
        }
    }

    async fn show_opens(&mut self, relay: &Relay) {
        let opens: Vec<Vec<u8>> = self.opened.values().cloned().collect();
        for node in &self.nodes {
            let signed_opens = (self.opens)(node, opens.clone());
            let opens = v1::SessionOpens { session: self.session.to_vec(), signed_opens };
            relay.send(node, relay_frame::Frame::Opens(opens)).await;
        }
    }

    fn is_over(&self, ending: &Ending) -> bool {
        let told = |node: &String| ending.outcomes.contains_key(node);
        self.until.as_ref().is_some_and(told) || self.nodes.iter().all(told)
    }

    async fn stop(&self, relay: &Relay, ending: &Ending) {
        for node in self.nodes.iter().filter(|node| !ending.outcomes.contains_key(*node)) {
            let (session, reason) = (self.session.to_vec(), "it is over".to_owned());
            relay.send(node, relay_frame::Frame::Abort(v1::SessionAbort { session, reason })).await;
        }
    }

    async fn deliver(&self, relay: &Relay, post: Post) {
        let to = ["agent-1", "service-1", "cold-1"].iter().position(|node| *node == post.to).unwrap_or(9);
        let to = u32::try_from(to).unwrap();
        let envelope = v1::SessionEnvelope { session: self.session.to_vec(), to, sealed: post.sealed };
        relay.send(&post.to, relay_frame::Frame::Envelope(envelope)).await;
    }
}

fn receiver(envelope: &v1::SessionEnvelope) -> String {
    match envelope.to {
        0 => "agent-1",
        1 => "service-1",
        _ => "cold-1",
    }
    .to_owned()
}

/// Plays sessions at the same time, until each has ended as [`Script::play`] says.
pub async fn play_together(mut scripts: Vec<Script<'_>>, relay: &mut Relay) -> Vec<Ending> {
    let patience = scripts.iter().map(|script| script.deadline_ms).max().unwrap_or(0);
    let patience = Duration::from_millis(u64::from(patience) + 5_000);
    let mut endings = Vec::new();
    for script in &mut scripts {
        endings.push(script.start(relay).await);
    }
    let over = |scripts: &[Script<'_>], endings: &[Ending]| {
        scripts.iter().zip(endings).all(|(script, ending)| script.is_over(ending))
    };
    while !over(&scripts, &endings) {
        let Some((node, frame)) = relay.next_within(patience).await else { break };
        let session = match &frame {
            Frame::Open(open) => &open.session,
            Frame::Envelope(envelope) => &envelope.session,
            Frame::Outcome(outcome) => &outcome.session,
            _ => continue,
        };
        if let Some(at) = scripts.iter().position(|script| *session == script.session) {
            scripts[at].take(relay, (node, frame), &mut endings[at]).await;
        }
    }
    for (script, ending) in scripts.iter().zip(&endings).filter(|(script, _)| script.until.is_some()) {
        script.stop(relay, ending).await;
    }
    endings
}

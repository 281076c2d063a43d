//! Both nodes at work on one request, by either way, over a relay that delivers everything.

use quorate_proto::v1::node_frame::Frame;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::ops::half::Half;
use crate::ops::sign;
use crate::sessions::Event;

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// With a presignature of the pool.
    Pool,
    /// In a session of its own.
    Session,
}

pub(super) type Said = Result<Outcome, SessionError>;

type End = (mpsc::Sender<Event>, mpsc::Receiver<v1::NodeFrame>);

impl Rig {
    /// Shows each node what is here for it: the agent node first, the service node after it. What each says.
    pub(super) async fn shown(&self, way: Way, [agent, service]: [v1::StartSign; 2]) -> [Said; 2] {
        let nodes = &self.nodes;
        match way {
            Way::Pool => {
                let id = self.presign();
                let first = self.ask(Role::Agent, online(id, agent, &[])).await.0;
                let sealed = match &first {
                    Ok(Outcome::Contributed(sealed)) => sealed.clone(),
                    _ => Vec::new(),
                };
                [first, self.ask(Role::Service, online(id, service, &sealed)).await.0]
            }
            Way::Session => {
                let agent = async |link: &mut Link| Box::pin(sign::run(&nodes[0], agent, link)).await;
                let service = async |link: &mut Link| Box::pin(sign::run(&nodes[1], service, link)).await;
                session(agent, service).await
            }
        }
    }

    /// Asks both in a session of its own, whose presignature is not computed in it: it is this one, made ahead.
    pub(super) async fn in_a_session(
        &self,
        start: &v1::StartSign,
        [agent, service]: [Presignature; 2],
    ) -> [Said; 2] {
        let nodes = &self.nodes;
        let agent = async move |link: &mut Link| Box::pin(bring_in(&nodes[0], start, link, agent)).await;
        let service = async move |link: &mut Link| Box::pin(bring_in(&nodes[1], start, link, service)).await;
        session(agent, service).await
    }

    /// The same of both nodes.
    pub(super) async fn both(&self, way: Way, start: &v1::StartSign) -> [Said; 2] {
        self.shown(way, [start.clone(), start.clone()]).await
    }
}

async fn bring_in(
    node: &Arc<Node>,
    start: &v1::StartSign,
    link: &mut Link,
    presignature: Presignature,
) -> Said {
    let request = Request::read(node, start.clone())?;
    let digest = request.decoded.digest.read().cloned().unwrap();
    let mut joined = link.agree(node, request.terms.clone()).await?;
    sign::bring_in(node, request, &mut joined, Half::Read(Box::new(presignature), digest)).await
}

/// Plays a session to its end at both nodes. Where one of them leaves it with an error, the other is given up.
pub(super) async fn session(
    agent: impl AsyncFnOnce(&mut Link) -> Said,
    service: impl AsyncFnOnce(&mut Link) -> Said,
) -> [Said; 2] {
    let ((one, to_one), (other, to_other)) = (Link::held(), Link::held());
    let given_up = CancellationToken::new();
    let both = async { tokio::join!(take_part(one, &given_up, agent), take_part(other, &given_up, service)) };
    tokio::select! {
        (agent, service) = both => [agent, service],
        () = carry(to_one, to_other) => unreachable!("it carries for ever"),
    }
}

async fn take_part(
    mut link: Link,
    given_up: &CancellationToken,
    work: impl AsyncFnOnce(&mut Link) -> Said,
) -> Said {
    let said = tokio::select! {
        biased;
        said = work(&mut link) => said,
        () = given_up.cancelled() => Err(SessionError::Network("given up".to_owned())),
    };
    if said.is_err() {
        given_up.cancel();
    }
    said
}

async fn carry((to_agent, mut from_agent): End, (to_service, mut from_service): End) {
    let (ends, mut opens) = ([to_agent, to_service], [None, None]);
    loop {
        let (from, frame) = tokio::select! {
            Some(frame) = from_agent.recv() => (0, frame.frame),
            Some(frame) = from_service.recv() => (1, frame.frame),
            else => std::future::pending().await,
        };
        match frame {
            Some(Frame::Open(open)) => {
                opens[from] = Some(open.signed_open);
                if let [Some(one), Some(other)] = &opens {
                    for end in &ends {
                        let _ = end.try_send(Event::Opens(vec![one.clone(), other.clone()]));
                    }
                }
            }
            Some(Frame::Envelope(envelope)) => {
                let to = usize::try_from(envelope.to).unwrap();
                let _ = ends[to].try_send(Event::Envelope(envelope.sealed));
            }
            _ => {}
        }
    }
}

/// The field that a refusal names.
pub(super) fn field(said: &Said) -> &'static str {
    match said {
        Err(SessionError::Caller { field, .. }) => field,
        other => panic!("not refused: {other:?}"),
    }
}

/// What a node says against a request by itself, in a word: the field it refuses or the rule it denies by.
pub(super) fn stands_against(said: &Said) -> String {
    match said {
        Err(SessionError::Denied(denial)) => denial.failures[0].rule.clone(),
        _ => field(said).to_owned(),
    }
}

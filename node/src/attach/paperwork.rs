//! Documents and activations: they wait for the disk, so they are done one after the other beside the stream. A
//! coordinator that sends more than fit tells this node of many wallets, so the stream waits instead of refusing.

use std::sync::Arc;

use quorate_proto::v1::{self, node_frame::Frame};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::node::Node;
use crate::ops;
use crate::own_log;
use crate::witness;

/// Papers that may wait, each below a frame's size.
const QUEUE: usize = 32;

/// Something to put in force.
pub(super) enum Paper {
    Policy(v1::SignedDocument),
    Manifest(v1::SignedDocument),
    Freeze(v1::SignedDocument),
    Lapse(v1::SignedDocument),
    Activation(v1::Activation),
    Hold(v1::StartSign),
    EndHold(v1::EndHold),
    Cosign(v1::Cosign),
    AskLog(v1::AskLog),
    Witnessed(v1::LogNote),
}

/// The papers of one stream. Ends with it; what is already being synced is finished.
pub(super) struct Paperwork {
    queue: mpsc::Sender<Paper>,
    _task: AbortOnDropHandle<()>,
}

impl Paperwork {
    pub(super) fn start(node: Arc<Node>, out: mpsc::Sender<v1::NodeFrame>) -> Self {
        let (queue, papers) = mpsc::channel(QUEUE);
        let task = AbortOnDropHandle::new(tokio::spawn(work(node, papers, out)));
        Self { queue, _task: task }
    }

    /// Takes a paper where there is room; gives it back where there is none.
    pub(super) fn offer(&self, paper: Paper) -> Option<Paper> {
        self.queue.try_send(paper).err().map(mpsc::error::TrySendError::into_inner)
    }

    /// Returns when there is room. Cancel-safe.
    pub(super) async fn room(&self) {
        // The worker ends only with the stream it answers on, and then the stream is about to say so itself.
        if self.queue.reserve().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn work(node: Arc<Node>, mut papers: mpsc::Receiver<Paper>, out: mpsc::Sender<v1::NodeFrame>) {
    while let Some(paper) = papers.recv().await {
        let node = Arc::clone(&node);
        let done = tokio::task::spawn_blocking(move || process(&node, paper)).await;
        match done {
            Ok(None) => {}
            Ok(Some(frame)) => {
                if out.send(v1::NodeFrame { frame: Some(frame) }).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::error!(%error, "a document could not be processed"),
        }
    }
}

fn process(node: &Node, paper: Paper) -> Option<Frame> {
    Some(match paper {
        Paper::Policy(document) => Frame::Document(ops::policy::run(node, document)),
        Paper::Manifest(document) => Frame::Document(ops::manifest::run(node, document)),
        Paper::Freeze(document) => Frame::Document(ops::freeze::run(node, document)),
        Paper::Lapse(document) => Frame::Lapse(ops::lapse::run(node, document)),
        Paper::Cosign(asked) => Frame::Cosigned(witness::run(node, &asked)),
        Paper::AskLog(asked) => Frame::Log(own_log::show(node, &asked)),
        Paper::Witnessed(brought) => {
            own_log::witnessed(node, &brought);
            return None;
        }
        Paper::Activation(activation) => Frame::Activation(ops::activate::run(node, activation)),
        Paper::Hold(start) => {
            ops::hold::run(node, start);
            return None;
        }
        Paper::EndHold(ended) => {
            ops::hold::end(node, &ended);
            return None;
        }
    })
}

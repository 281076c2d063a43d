//! A node's stream, from its hello to its end.

use std::sync::Arc;
use std::time::Duration;

use quorate_proto::v1;
use quorate_proto::v1::node_frame::Frame as FromNode;
use quorate_proto::v1::relay_frame::Frame;
use quorate_transport::PeerRole;
use quorate_types::{B256, BootId, NodeId, WalletId};
use tokio::time::timeout;
use tonic::Streaming;

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::freezes;
use crate::link::{Link, Reply, Subject, quoted};
use crate::node_logs;
use crate::nodes::About;
use crate::ops::apply_policy::DECIDERS;
use crate::ops::refuse;
use crate::pin::unseen;
use crate::presence;
use crate::push::Push;
use crate::records::{PolicyRecord, Record, WaitingRecord, WalletRecord, get, page};

/// Between heartbeats, both ways.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);
/// Missed heartbeats that end a stream.
const MISSED: u32 = 3;
/// Wallets read at once when a node is told of its own.
const PAGE: usize = 200;

/// Checks a hello against the certificate and the manifest.
pub(crate) fn check_hello(
    core: &Coordinator,
    caller: &Caller,
    hello: v1::Hello,
) -> Result<(NodeId, About), OpError> {
    let node: NodeId = quorate_proto::required("hello.node", &hello.node)?;
    if caller.0.role() != PeerRole::Node || caller.0.id() != node.as_str() {
        return Err(OpError::Forbidden(format!("{} says it is node {node}, and", caller.0)));
    }
    let pinned = core.pinned.load_full();
    if pinned.manifest().node(&node).is_none() {
        return Err(OpError::Forbidden(format!("node {node} is not in the manifest, and")));
    }
    let version = pinned.manifest().version();
    if hello.manifest_version == version && hello.manifest_hash != pinned.hash().as_slice() {
        let reason = format!("node {node} has pinned another manifest of version {version}");
        return Err(OpError::conflict("hello.manifest_hash", reason));
    }
    let boot = BootId::try_from(hello.boot_id.as_slice())
        .map_err(|_| OpError::invalid("hello.boot_id", "must be 16 bytes"))?;
    let about = About {
        boot,
        software_version: quoted(&hello.software_version),
        primes_ready: hello.primes_ready,
        attached_at: core.clock.now(),
        manifest_version: hello.manifest_version,
    };
    Ok((node, about))
}

/// Takes a node in under its new stream, and serves the stream until it ends.
pub(crate) fn serve(core: &Arc<Coordinator>, link: Link, about: About, frames: Streaming<v1::NodeFrame>) {
    let heartbeat_ms = u32::try_from(HEARTBEAT.as_millis()).unwrap_or(u32::MAX);
    let _fresh_and_empty = link.offer(Frame::Welcome(v1::Welcome { heartbeat_ms }));
    let version = about.manifest_version;
    tracing::info!(node = %link.node(), boot = %about.boot, "attached");
    if let Some(before) = core.nodes.attach(link.clone(), about) {
        end(core, &before);
    }
    core.pools.attached(&link);
    metrics::gauge!("quorate_nodes_attached").set(core.nodes.all().len() as f64);
    tokio::spawn(greet(core.clone(), link.clone(), version));
    tokio::spawn(beat(link.clone()));
    tokio::spawn(listen(core.clone(), link, frames));
}

fn end(core: &Coordinator, link: &Link) {
    link.close();
    core.nodes.detach(link);
    core.relay.detached(link);
    core.pools.detached(link);
    metrics::gauge!("quorate_nodes_attached").set(core.nodes.all().len() as f64);
}

async fn listen(core: Arc<Coordinator>, link: Link, mut frames: Streaming<v1::NodeFrame>) {
    let why = loop {
        let frame = tokio::select! {
            frame = timeout(HEARTBEAT * MISSED, frames.message()) => frame,
            () = link.closed() => break "closed here".to_owned(),
        };
        match frame {
            Ok(Ok(Some(v1::NodeFrame { frame: Some(frame) }))) => take(&core, &link, frame),
            Ok(Ok(Some(_))) => break "an empty frame".to_owned(),
            Ok(Ok(None)) => break "closed by the node".to_owned(),
            Ok(Err(status)) => break status.message().to_owned(),
            Err(_) => break format!("no heartbeat in {} s", (HEARTBEAT * MISSED).as_secs()),
        }
    };
    tracing::info!(node = %link.node(), why, "detached");
    end(&core, &link);
}

fn take(core: &Arc<Coordinator>, link: &Link, frame: FromNode) {
    match frame {
        // The first frame only; a second hello says nothing new.
        FromNode::Hello(_) => {}
        FromNode::Heartbeat(beat) => core.nodes.update(link, |about| about.primes_ready = beat.primes_ready),
        FromNode::Open(open) => core.relay.open(link, open),
        FromNode::Envelope(envelope) => core.relay.envelope(link, envelope),
        FromNode::Progress(progress) => core.relay.progress(link, progress),
        FromNode::Outcome(outcome) => {
            presence::heard(core, link, &outcome);
            core.relay.outcome(link, outcome);
        }
        FromNode::Pool(change) => core.pools.changed(link, &change),
        FromNode::Document(ack) => document(core, link, &ack),
        FromNode::Cosigned(answer) => link.cosigned(answer),
        FromNode::Log(answer) => link.showed_log(answer),
        FromNode::Lapse(answer) => link.lapsed(answer),
        FromNode::Activation(ack) => {
            if let Ok(wallet) = ack.wallet.parse::<WalletId>() {
                link.replied(&Subject::Activation(wallet), None, Reply::of(&ack.refused, 0));
            }
        }
    }
}

fn document(core: &Coordinator, link: &Link, ack: &v1::DocumentAck) {
    let subject = match (ack.kind.as_str(), ack.wallet.parse::<WalletId>()) {
        ("manifest", _) => Subject::Manifest,
        ("policy", Ok(wallet)) => Subject::Policy(wallet),
        ("freeze", _) => match ack.scope.parse() {
            Ok(scope) => Subject::Freeze(scope),
            Err(_) => return,
        },
        _ => return,
    };
    let Ok(hash) = B256::try_from(ack.hash.as_slice()) else { return };
    if subject == Subject::Manifest && ack.refused.is_empty() {
        core.nodes.update(link, |about| about.manifest_version = about.manifest_version.max(ack.version));
    }
    let said = Reply::of(&ack.refused, ack.waits_until_ms);
    // A node does not know which of both it was shown: its word is about a hash, and only one of them has it.
    if let Subject::Policy(wallet) = &subject {
        link.replied(&Subject::NextPolicy(wallet.clone()), Some(hash), said.clone());
    }
    link.replied(&subject, Some(hash), said);
}

async fn beat(link: Link) {
    let mut ticks = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = link.closed() => return,
        }
        let _full_queues_beat_by_themselves = link.offer(Frame::Heartbeat(v1::Heartbeat { primes_ready: 0 }));
    }
}

/// Tells a node what it may have missed: manifests in their order, freeze orders, then policies and activations of its wallets.
async fn greet(core: Arc<Coordinator>, link: Link, version: u64) {
    if let Err(error) = tell_missed(&core, &link, version).await {
        tracing::error!(node = %link.node(), %error, "could not tell the node what it missed");
        return end(&core, &link);
    }
    // One that was put back to an older state while it was away is to hear of it at once.
    if let Err(error) = node_logs::carry(&core, &link).await {
        tracing::warn!(node = %link.node(), %error, "its log was not cosigned");
    }
}

pub(crate) async fn tell_missed(core: &Coordinator, link: &Link, version: u64) -> Result<(), OpError> {
    for record in core.db.read(move |read| unseen(read, version)).await? {
        Push::manifest(&record).send(link).await;
    }
    // Before anything that lets the node sign.
    if freezes::decides(core, link.node()) {
        for order in core.freezes.load().orders() {
            Push::freeze(order).send(link).await;
        }
    }
    let mut after = Vec::new();
    loop {
        let from = after.clone();
        let read = core.db.read(move |read| {
            let with_policy = |wallet: WalletRecord| {
                let policy = get::<PolicyRecord>(read, &wallet.key())?;
                let waiting = get::<WaitingRecord>(read, &wallet.key())?;
                Ok((wallet, policy, waiting))
            };
            page::<WalletRecord>(read, &from, PAGE)?
                .into_iter()
                .map(with_policy)
                .collect::<Result<Vec<_>, OpError>>()
        });
        let wallets = read.await?;
        let Some((last, ..)) = wallets.last() else { return refuse::tell_missed(core, link).await };
        after = last.key();
        for (wallet, policy, waiting) in wallets {
            tell_of_wallet(core, link, (&wallet, policy.as_ref(), waiting.as_ref())).await;
        }
    }
}

async fn tell_of_wallet(
    core: &Coordinator,
    link: &Link,
    (wallet, policy, waiting): (&WalletRecord, Option<&PolicyRecord>, Option<&WaitingRecord>),
) {
    let Ok(group) = core.group(&wallet.group) else { return };
    if let Some(born) = &wallet.born
        && group.index_of(link.node()).is_some()
    {
        Push::activation(wallet, born).send(link).await;
    }
    let decides = DECIDERS.iter().any(|role| group.of(*role) == link.node());
    if !decides {
        return;
    }
    if let Some(policy) = policy {
        Push::policy(policy).send(link).await;
    }
    // After the one in force, which it is held against. From now on its time runs on this node.
    if let Some(waiting) = waiting {
        Push::next_policy(&waiting.policy).send(link).await;
    }
}

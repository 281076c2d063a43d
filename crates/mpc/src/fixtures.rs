//! A finished group made from the dev primes, and an in-memory network with a relay that may lie. For tests and
//! benchmarks only: everything here is public.

use cggmp24::supported_curves::Secp256k1;
use futures::channel::mpsc;
use futures::future::{self, Either};
use futures::{FutureExt, Stream, StreamExt, TryFutureExt};
use quorate_types::PartyIndex;
use zeroize::Zeroizing;

use crate::aux_info::{AuxError, GroupAux};
use crate::error::MpcError;
use crate::presign::Presignature;
use crate::primes::Moduli;
use crate::share::CoreShare;
use crate::wire::{Inbound, Outbound, Recipient, Wire};

/// Room for every message of a session, so that no party waits for another to read.
const CHANNEL: usize = 64;

static GROUP: [&[u8]; 3] = [
    include_bytes!("../fixtures/group-0.bin"),
    include_bytes!("../fixtures/group-1.bin"),
    include_bytes!("../fixtures/group-2.bin"),
];

/// The stored auxiliary info of `party` in the committed dev group.
pub fn group_bytes(party: PartyIndex) -> &'static [u8] {
    GROUP.get(usize::from(party)).copied().unwrap_or_default()
}

/// The auxiliary info of `party` in the committed dev group, without tables.
///
/// # Errors
/// [`AuxError`] where there is no such party.
pub fn group_aux(party: PartyIndex) -> Result<GroupAux, AuxError> {
    GroupAux::from_bytes(group_bytes(party), Moduli::Dev)
}

/// A bare share joined with the committed dev group's auxiliary info and its tables, for measuring the library alone.
///
/// # Errors
/// Where there is no such party, or the share is another's.
pub fn library_share(
    share: cggmp24::IncompleteKeyShare<Secp256k1>,
    party: PartyIndex,
) -> Result<cggmp24::KeyShare<Secp256k1>, Box<dyn std::error::Error + Send + Sync>> {
    let aux = group_aux(party)?.with_tables()?;
    Ok(CoreShare::new(share)?.with_aux(&aux)?.key)
}

/// A presignature once more, for tests that play many worlds and cannot presign in each. Its key is as good as public.
pub fn twin(presignature: &Presignature) -> Presignature {
    presignature.twin()
}

/// One message on its way from a party to one other.
pub struct Transit {
    /// Who sent it.
    pub from: PartyIndex,
    /// Who it is delivered to.
    pub to: PartyIndex,
    /// Whether it was sent to everyone.
    pub broadcast: bool,
    /// Its round.
    pub round: u8,
    /// Its body.
    pub body: Vec<u8>,
}

/// Runs one future per participant over an in-memory network until all have finished. `relay` sees each message and
/// returns what is delivered instead: nothing to drop it, two to duplicate it. When a party fails, the messages already
/// sent are delivered and then the network closes, as a session's deadline would close it.
pub fn run<T, F>(
    participants: &[PartyIndex],
    relay: impl FnMut(Transit) -> Vec<Transit>,
    start: impl Fn(PartyIndex, Wire) -> F,
) -> Vec<Result<T, MpcError>>
where
    F: Future<Output = Result<T, MpcError>>,
{
    let (failed, failure) = mpsc::unbounded::<()>();
    let mut parties = Vec::new();
    let mut network = Network { inboxes: Vec::new(), relay };
    let mut outboxes = Vec::new();
    for party in participants {
        let (inbox, incoming) = mpsc::channel(CHANNEL);
        let (outgoing, outbox) = mpsc::channel::<Outbound>(CHANNEL);
        network.inboxes.push((*party, inbox));
        outboxes.push(outbox.map(move |outbound| (*party, outbound)));
        let failed = failed.clone();
        parties.push(start(*party, Wire { incoming, outgoing }).inspect_err(move |_| {
            let _network_gone = failed.unbounded_send(());
        }));
    }
    drop(failed);
    let carry = network.carry(futures::stream::select_all(outboxes), failure);
    let (results, ()) = futures::executor::block_on(future::join(future::join_all(parties), carry));
    results
}

struct Network<R> {
    inboxes: Vec<(PartyIndex, mpsc::Sender<Inbound>)>,
    relay: R,
}

impl<R: FnMut(Transit) -> Vec<Transit>> Network<R> {
    async fn carry(
        mut self,
        mut sent: impl Stream<Item = (PartyIndex, Outbound)> + Unpin,
        mut failure: mpsc::UnboundedReceiver<()>,
    ) {
        loop {
            match future::select(sent.next(), failure.next()).await {
                Either::Left((Some((from, outbound)), _)) => self.deliver(from, &outbound),
                Either::Left((None, _)) => return,
                Either::Right((Some(()), _)) => break,
                // Nobody can fail any more.
                Either::Right((None, _)) => {
                    while let Some((from, outbound)) = sent.next().await {
                        self.deliver(from, &outbound);
                    }
                    return;
                }
            }
        }
        while let Some(Some((from, outbound))) = sent.next().now_or_never() {
            self.deliver(from, &outbound);
        }
    }

    fn deliver(&mut self, from: PartyIndex, outbound: &Outbound) {
        for transit in copies(from, outbound, &self.inboxes).into_iter().flat_map(&mut self.relay) {
            let inbox = self.inboxes.iter_mut().find(|(party, _)| *party == transit.to);
            let inbound = Inbound {
                from: transit.from,
                broadcast: transit.broadcast,
                round: transit.round,
                body: Zeroizing::new(transit.body),
            };
            // A party that has finished no longer listens.
            let _finished = inbox.map(|(_, inbox)| inbox.try_send(inbound));
        }
    }
}

fn copies(
    from: PartyIndex,
    outbound: &Outbound,
    inboxes: &[(PartyIndex, mpsc::Sender<Inbound>)],
) -> Vec<Transit> {
    let others = inboxes.iter().map(|(party, _)| *party).filter(|party| *party != from);
    let reached = others.filter(|party| match outbound.to {
        Recipient::All => true,
        Recipient::One(to) => to == *party,
    });
    reached
        .map(|to| Transit {
            from,
            to,
            broadcast: outbound.to == Recipient::All,
            round: outbound.round,
            body: outbound.body.to_vec(),
        })
        .collect()
}

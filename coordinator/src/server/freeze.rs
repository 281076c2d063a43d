use std::sync::Arc;

use quorate_freeze::SignedFreeze;
use quorate_proto::v1;
use quorate_proto::v1::freeze_service_server::FreezeService;
use quorate_types::NodeId;
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::freezes::deciders;
use crate::link::{Reply, Subject};
use crate::ops::apply_freeze::apply_freeze;
use crate::status::status;
use crate::wire::{document_from_pb, document_to_pb};

pub(crate) struct Freezes(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl FreezeService for Freezes {
    async fn apply_freeze(
        &self,
        request: Request<v1::ApplyFreezeRequest>,
    ) -> Result<Response<v1::ApplyFreezeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let applied = async {
            let document = document_from_pb("order", request.into_inner().order)?;
            let core = self.0.clone();
            self.0.to_the_end(async move { apply_freeze(&core, caller, document).await }).await
        };
        let applied = applied.await.map_err(|error| status(&error))?;
        Ok(Response::new(v1::ApplyFreezeResponse {
            order: Some(order_to_pb(&applied.order, &applied.nodes)),
            waiting: applied.waiting.iter().map(NodeId::to_string).collect(),
            took_us: u64::try_from(applied.took.as_micros()).unwrap_or(u64::MAX),
        }))
    }

    async fn list_freezes(
        &self,
        _: Request<v1::ListFreezesRequest>,
    ) -> Result<Response<v1::ListFreezesResponse>, Status> {
        let frozen = self.0.freezes.load_full();
        let links = deciders(&self.0);
        let order = |order: &SignedFreeze| {
            let subject = Subject::Freeze(order.scope().clone());
            let obeys = links.iter().filter(|link| link.standing(&subject, order.hash()) == Reply::InForce);
            order_to_pb(order, &obeys.map(|link| link.node().clone()).collect::<Vec<_>>())
        };
        Ok(Response::new(v1::ListFreezesResponse {
            cluster: self.0.pinned.load().manifest().cluster().to_string(),
            orders: frozen.orders().map(order).collect(),
            next_sequence: frozen.highest().saturating_add(1),
        }))
    }
}

fn order_to_pb(order: &SignedFreeze, nodes: &[NodeId]) -> v1::FreezeOrder {
    v1::FreezeOrder {
        scope: order.scope().to_string(),
        sequence: order.sequence(),
        freezes: order.is_freeze(),
        reason: order.order().reason.clone(),
        hash: order.hash().to_vec(),
        document: Some(document_to_pb(order.document())),
        nodes: nodes.iter().map(NodeId::to_string).collect(),
    }
}

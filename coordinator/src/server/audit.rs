use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use quorate_proto::v1::audit_service_server::AuditService;
use quorate_proto::{required, v1};
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::ops::read_audit::{checkpoint, head, node_checkpoint, page, prove};
use crate::ops::watch_events::watch_events;
use crate::status::status;

pub(crate) struct Audit(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl AuditService for Audit {
    type WatchEventsStream = BoxStream<'static, Result<v1::WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let caller = Caller::of(&request)?;
        let reading = watch_events(&self.0, &caller, request.into_inner().from).await;
        let reading = reading.map_err(|error| status(&error))?;
        Ok(Response::new(reading.map_err(|error| status(&error)).boxed()))
    }

    async fn head(&self, _: Request<v1::HeadRequest>) -> Result<Response<v1::HeadResponse>, Status> {
        let head = head(&self.0).await.map_err(|error| status(&error))?;
        let head = v1::Receipt { sequence: head.sequence, hash: head.hash.to_vec() };
        Ok(Response::new(v1::HeadResponse { head: Some(head) }))
    }

    async fn checkpoint(
        &self,
        request: Request<v1::CheckpointRequest>,
    ) -> Result<Response<v1::CheckpointResponse>, Status> {
        let of = request.into_inner().node;
        let found = latest(&self.0, &of).await.map_err(|error| status(&error))?;
        Ok(Response::new(found.unwrap_or_default()))
    }

    async fn prove(&self, request: Request<v1::ProveRequest>) -> Result<Response<v1::ProveResponse>, Status> {
        let proven = prove(&self.0, request.into_inner().sequence).await;
        proven.map(Response::new).map_err(|error| status(&error))
    }

    async fn list(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Result<Response<v1::ListEntriesResponse>, Status> {
        let v1::ListEntriesRequest { from, page_size } = request.into_inner();
        let (entries, next) = page(&self.0, from, page_size).await.map_err(|error| status(&error))?;
        Ok(Response::new(v1::ListEntriesResponse { entries, next }))
    }
}

/// The latest cosigned checkpoint of a node's own log, or of the coordinator's where no node is named.
async fn latest(core: &Coordinator, node: &str) -> Result<Option<v1::CheckpointResponse>, OpError> {
    if node.is_empty() {
        let found = checkpoint(core).await?;
        return Ok(found.map(|record| v1::CheckpointResponse { note: record.note, size: record.size }));
    }
    let found = node_checkpoint(core, required("node", node)?).await?;
    Ok(found.map(|record| v1::CheckpointResponse { note: record.note, size: record.size }))
}

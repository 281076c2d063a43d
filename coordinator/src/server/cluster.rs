use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use quorate_proto::v1::cluster_service_server::ClusterService;
use quorate_proto::v1::enrol_group_event::Event;
use quorate_proto::{required, v1};
use quorate_types::GroupId;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::ops::apply_manifest::apply_manifest;
use crate::ops::enrol_group::enrol_group;
use crate::ops::list_groups::{list_groups, to_pb};
use crate::ops::list_nodes::list_nodes;
use crate::relay::Stage;
use crate::status::status;
use crate::wire::document_from_pb;

/// Stages kept for a caller that reads slowly; more are dropped.
const STAGES: usize = 64;

pub(crate) struct Cluster(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl ClusterService for Cluster {
    type EnrolGroupStream = BoxStream<'static, Result<v1::EnrolGroupEvent, Status>>;

    async fn enrol_group(
        &self,
        request: Request<v1::EnrolGroupRequest>,
    ) -> Result<Response<Self::EnrolGroupStream>, Status> {
        let caller = Caller::of(&request)?;
        let group: Result<GroupId, _> = required("group", &request.into_inner().group);
        let group = group.map_err(|error| status(&error.into()))?;
        let (stages, told) = mpsc::channel(STAGES);
        let core = self.0.clone();
        let enrolled = async move {
            let done = core.clone();
            let work = async move {
                let record = enrol_group(&done, caller, group.clone(), stages).await?;
                Ok(to_pb(&done.group(&group)?, Some(&record)))
            };
            core.to_the_end(work).await
        };
        // Spawned here and not by the stream, so that it goes on where nobody reads.
        let enrolled = tokio::spawn(enrolled);
        let last = futures::stream::once(async move {
            let enrolled = enrolled.await.map_err(|_| OpError::defect("enrolment died"));
            let group = enrolled.and_then(|group| group).map_err(|error| status(&error))?;
            Ok(event(Event::Done(group)))
        });
        // The stages end when the enrolment drops its end of the channel.
        let stages = ReceiverStream::new(told).map(|Stage { node, stage }| {
            Ok(event(Event::Progress(v1::EnrolProgress { node: node.to_string(), stage })))
        });
        Ok(Response::new(stages.chain(last).boxed()))
    }

    async fn list_nodes(
        &self,
        _: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        Ok(Response::new(list_nodes(&self.0)))
    }

    async fn list_groups(
        &self,
        _: Request<v1::ListGroupsRequest>,
    ) -> Result<Response<v1::ListGroupsResponse>, Status> {
        let groups = list_groups(&self.0).await.map_err(|error| status(&error))?;
        Ok(Response::new(v1::ListGroupsResponse { groups }))
    }

    async fn apply_manifest(
        &self,
        request: Request<v1::ApplyManifestRequest>,
    ) -> Result<Response<v1::ApplyManifestResponse>, Status> {
        let caller = Caller::of(&request)?;
        let applied = async {
            let document = document_from_pb("manifest", request.into_inner().manifest)?;
            let core = self.0.clone();
            self.0.to_the_end(async move { apply_manifest(&core, caller, document).await }).await
        };
        let pinned = applied.await.map_err(|error| status(&error))?;
        let (version, hash) = (pinned.manifest().version(), pinned.hash().to_vec());
        Ok(Response::new(v1::ApplyManifestResponse { version, hash }))
    }
}

fn event(event: Event) -> v1::EnrolGroupEvent {
    v1::EnrolGroupEvent { event: Some(event) }
}

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use quorate_proto::v1;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::node_relay_server::NodeRelay;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

use crate::access::Caller;
use crate::attach;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::status::status;

/// How long a stream may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

pub(crate) struct Relay(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl NodeRelay for Relay {
    type AttachStream = BoxStream<'static, Result<v1::RelayFrame, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::NodeFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let caller = Caller::of(&request)?;
        let mut frames = request.into_inner();
        let first = timeout(HELLO, frames.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("hello: not within 10 s"))??;
        let Some(v1::NodeFrame { frame: Some(Frame::Hello(hello)) }) = first else {
            return Err(status(&OpError::invalid("hello", "must be the first frame")));
        };
        let (node, about) = attach::check_hello(&self.0, &caller, hello).map_err(|error| status(&error))?;
        let (link, out) = self.0.nodes.new_link(node);
        attach::serve(&self.0, link, about, frames);
        Ok(Response::new(out.boxed()))
    }
}

use std::sync::Arc;

use quorate_audit::Receipt;
use quorate_proto::v1;
use quorate_proto::v1::ceremony_service_server::CeremonyService;
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::ops::record_drill::record_drill;
use crate::ops::record_transcript::record_transcript;
use crate::status::status;
use crate::wire::document_from_pb;

pub(crate) struct Ceremonies(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl CeremonyService for Ceremonies {
    async fn record_drill(
        &self,
        request: Request<v1::RecordDrillRequest>,
    ) -> Result<Response<v1::RecordDrillResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (core, certificate) = (self.0.clone(), request.into_inner().certificate);
        let recorded =
            self.0.to_the_end(async move { record_drill(&core, caller, &certificate).await }).await;
        let (record, receipt) = recorded.map_err(|error| status(&error))?;
        Ok(Response::new(v1::RecordDrillResponse {
            wallet: record.wallet.to_string(),
            drilled_at_ms: record.drilled_at,
            receipt: receipt.map(receipt_to_pb),
        }))
    }

    async fn record_transcript(
        &self,
        request: Request<v1::RecordTranscriptRequest>,
    ) -> Result<Response<v1::RecordTranscriptResponse>, Status> {
        let caller = Caller::of(&request)?;
        let recorded = async {
            let v1::RecordTranscriptRequest { head, transcript } = request.into_inner();
            let (core, head) = (self.0.clone(), document_from_pb("head", head)?);
            let record = async move { record_transcript(&core, caller, (head, transcript)).await };
            self.0.to_the_end(record).await
        };
        let recorded = recorded.await.map_err(|error| status(&error))?;
        Ok(Response::new(v1::RecordTranscriptResponse {
            steps: recorded.steps,
            recorded: recorded.new,
            signatures: recorded.signatures,
            signers: recorded.signers,
            receipt: recorded.receipt.map(receipt_to_pb),
        }))
    }
}

fn receipt_to_pb(receipt: Receipt) -> v1::Receipt {
    v1::Receipt { sequence: receipt.sequence, hash: receipt.hash.to_vec() }
}

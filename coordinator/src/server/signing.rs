use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::future::join_all;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use quorate_ledger::Returned;
use quorate_proto::v1::sign_batch_answer::Answer;
use quorate_proto::v1::signing_service_server::SigningService;
use quorate_proto::{agent_from_pb, payload_from_pb, required, v1};
use quorate_types::B256;
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::gate;
use crate::ops;
use crate::ops::record_transaction::Told;
use crate::server::approvals::name;
use crate::signings::Name;
use crate::status::{failure, status};
use crate::wire::document_from_pb;

/// Requests of a batch. Their bytes are bounded together, by what one request may have.
const MAX_BATCH: usize = 64;
const MAX_METADATA: usize = 16;
const MAX_METADATA_KEY: usize = 64;
const MAX_METADATA_VALUE: usize = 256;

pub(crate) struct Signing(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl SigningService for Signing {
    type WatchSigningStream = BoxStream<'static, Result<v1::SigningEvent, Status>>;

    async fn watch_signing(
        &self,
        request: Request<v1::WatchSigningRequest>,
    ) -> Result<Response<Self::WatchSigningStream>, Status> {
        let caller = Caller::of(&request)?;
        let v1::WatchSigningRequest { wallet, idempotency_key } = request.into_inner();
        let reading = async {
            ops::watch_signing::watch_signing(&self.0, &caller, name(&wallet, &idempotency_key)?).await
        };
        let reading = reading.await.map_err(|error| status(&error))?;
        Ok(Response::new(reading.map_err(|error| status(&error)).boxed()))
    }

    async fn sign(&self, request: Request<v1::SignRequest>) -> Result<Response<v1::SignResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = read(request.into_inner()).map_err(|error| status(&error))?;
        let answer = ops::sign::sign(&self.0, caller, request).await;
        answer.map(Response::new).map_err(|error| status(&error))
    }

    async fn sign_batch(
        &self,
        request: Request<v1::SignBatchRequest>,
    ) -> Result<Response<v1::SignBatchResponse>, Status> {
        let caller = Caller::of(&request)?;
        let answers = batch(&self.0, &caller, request.into_inner().requests).await;
        let response = answers.map(|answers| Response::new(v1::SignBatchResponse { answers }));
        response.map_err(|error| status(&error))
    }

    async fn evaluate(&self, request: Request<v1::SignRequest>) -> Result<Response<v1::Evaluation>, Status> {
        let caller = Caller::of(&request)?;
        let request = read(request.into_inner()).map_err(|error| status(&error))?;
        let evaluation = ops::evaluate::evaluate(&self.0, &caller, request).await;
        evaluation.map(Response::new).map_err(|error| status(&error))
    }

    async fn get_signing(
        &self,
        request: Request<v1::GetSigningRequest>,
    ) -> Result<Response<v1::GetSigningResponse>, Status> {
        let v1::GetSigningRequest { wallet, idempotency_key } = request.into_inner();
        let answer = async {
            let Name { wallet, key } = name(&wallet, &idempotency_key)?;
            ops::get_signing::get_signing(&self.0, wallet, key).await
        };
        answer.await.map(Response::new).map_err(|error| status(&error))
    }

    async fn record_transaction(
        &self,
        request: Request<v1::RecordTransactionRequest>,
    ) -> Result<Response<v1::RecordTransactionResponse>, Status> {
        let caller = Caller::of(&request)?;
        let recorded = async {
            let told = told(request.into_inner())?;
            ops::record_transaction::record_transaction(&self.0, caller, told).await
        };
        recorded.await.map(Response::new).map_err(|error| status(&error))
    }

    async fn apply_lapse(
        &self,
        request: Request<v1::ApplyLapseRequest>,
    ) -> Result<Response<v1::ApplyLapseResponse>, Status> {
        let caller = Caller::of(&request)?;
        let applied = async {
            let document = document_from_pb("lapse", request.into_inner().lapse)?;
            let core = self.0.clone();
            self.0
                .to_the_end(async move { ops::apply_lapse::apply_lapse(&core, caller, document).await })
                .await
        };
        let applied = applied.await.map_err(|error| status(&error))?;
        let given_back = |returned: &Returned| v1::GivenBack {
            asset: returned.asset.to_string(),
            amount: returned.amount.to_string(),
            counted_at_ms: returned.counted_at,
        };
        Ok(Response::new(v1::ApplyLapseResponse {
            hash: applied.hash.to_vec(),
            node: applied.node.to_string(),
            waits_until_ms: applied.waits_until,
            node_given_back: applied.node_given_back,
            given_back: applied.given_back.iter().map(given_back).collect(),
        }))
    }
}

fn told(request: v1::RecordTransactionRequest) -> Result<Told, OpError> {
    let v1::RecordTransactionRequest { wallet, idempotency_key, transaction_hash, chain_id } = request;
    let hash = B256::try_from(transaction_hash.as_slice());
    Ok(Told {
        wallet: required("wallet", &wallet)?,
        key: required("idempotency_key", &idempotency_key)?,
        transaction_hash: hash.map_err(|_| {
            OpError::invalid("transaction_hash", format!("must be 32 bytes, got {}", transaction_hash.len()))
        })?,
        chain_id,
    })
}

/// Answers each request as if it were asked alone.
pub(crate) async fn batch(
    core: &Arc<Coordinator>,
    caller: &Caller,
    requests: Vec<v1::SignRequest>,
) -> Result<Vec<v1::SignBatchAnswer>, OpError> {
    let count = requests.len();
    if !(1..=MAX_BATCH).contains(&count) {
        return Err(OpError::invalid("requests", format!("{count}, must be 1 to {MAX_BATCH}")));
    }
    let one = async |request| {
        let answer = match read(request) {
            Ok(request) => ops::sign::sign(core, caller.clone(), request).await,
            Err(error) => Err(error),
        };
        let answer = answer.map_or_else(|error| Answer::Failure(failure(&error)), Answer::Response);
        v1::SignBatchAnswer { answer: Some(answer) }
    };
    Ok(join_all(requests.into_iter().map(|request| Box::pin(one(request)))).await)
}

fn read(request: v1::SignRequest) -> Result<gate::Request, OpError> {
    let v1::SignRequest { wallet, payload, idempotency_key, metadata, agent } = request;
    let wallet = required("wallet", &wallet)?;
    let key = required("idempotency_key", &idempotency_key)?;
    let payload = payload_from_pb(payload)?;
    let (agent, metadata) = (agent_from_pb(agent)?, notes(metadata)?);
    Ok(gate::Request { wallet, key, payload_hash: payload.hash(), payload, agent, metadata })
}

fn notes(metadata: HashMap<String, String>) -> Result<BTreeMap<String, String>, OpError> {
    let invalid = |reason: String| Err(OpError::invalid("metadata", reason));
    if metadata.len() > MAX_METADATA {
        return invalid(format!("{} entries, at most {MAX_METADATA} are kept", metadata.len()));
    }
    for (key, value) in &metadata {
        if key.is_empty() || key.len() > MAX_METADATA_KEY {
            return invalid(format!("a key must be 1 to {MAX_METADATA_KEY} bytes, got {}", key.len()));
        }
        if value.len() > MAX_METADATA_VALUE {
            return invalid(format!(
                "a value is {} bytes, at most {MAX_METADATA_VALUE} are kept",
                value.len()
            ));
        }
        if key.chars().chain(value.chars()).any(char::is_control) {
            return invalid("control characters are not kept".to_owned());
        }
    }
    Ok(metadata.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> v1::SignRequest {
        v1::SignRequest {
            wallet: "w".to_owned(),
            payload: Some(v1::Payload { kind: Some(v1::payload::Kind::Message(vec![1])) }),
            idempotency_key: "k".to_owned(),
            metadata: HashMap::from([("order".to_owned(), "17".to_owned())]),
            agent: None,
        }
    }

    #[test]
    fn each_field_is_refused_by_name() {
        assert!(read(good()).is_ok());
        let many = (0..17).map(|n| (n.to_string(), String::new())).collect();
        let one = |key: String, value: String| HashMap::from([(key, value)]);
        let bad = [
            ("wallet", v1::SignRequest { wallet: String::new(), ..good() }),
            ("wallet", v1::SignRequest { wallet: "../w".to_owned(), ..good() }),
            ("payload", v1::SignRequest { payload: None, ..good() }),
            ("idempotency_key", v1::SignRequest { idempotency_key: String::new(), ..good() }),
            ("idempotency_key", v1::SignRequest { idempotency_key: "k".repeat(129), ..good() }),
            (
                "agent",
                v1::SignRequest {
                    agent: Some(v1::AgentSignature { expires_at_ms: 1, signature: vec![0; 63] }),
                    ..good()
                },
            ),
            ("metadata", v1::SignRequest { metadata: many, ..good() }),
            ("metadata", v1::SignRequest { metadata: one("k".repeat(65), String::new()), ..good() }),
            ("metadata", v1::SignRequest { metadata: one("k".to_owned(), "v".repeat(257)), ..good() }),
            ("metadata", v1::SignRequest { metadata: one("k".to_owned(), "\n".to_owned()), ..good() }),
            ("metadata", v1::SignRequest { metadata: one(String::new(), String::new()), ..good() }),
        ];
        for (name, request) in bad {
            let error = read(request).unwrap_err();
            assert!(matches!(&error, OpError::Invalid { field, .. } if field == name), "{error}");
        }
    }
}

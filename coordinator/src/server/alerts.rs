use std::sync::Arc;

use quorate_proto::v1;
use quorate_proto::v1::alert_service_server::AlertService;
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::alerts::Dead;
use crate::coordinator::Coordinator;
use crate::ops::dead_letters::{list, retry};
use crate::status::status;

/// Dead letters in one answer: their bytes stay below what a client takes in one message.
const MAX_LISTED: usize = 1000;

pub(crate) struct Alerts(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl AlertService for Alerts {
    async fn list_dead_letters(
        &self,
        _: Request<v1::ListDeadLettersRequest>,
    ) -> Result<Response<v1::ListDeadLettersResponse>, Status> {
        let all = list(&self.0).await.map_err(|error| status(&error))?;
        let letters = all.iter().take(MAX_LISTED).map(letter).collect();
        Ok(Response::new(v1::ListDeadLettersResponse { letters }))
    }

    async fn retry_dead_letters(
        &self,
        request: Request<v1::RetryDeadLettersRequest>,
    ) -> Result<Response<v1::RetryDeadLettersResponse>, Status> {
        let caller = Caller::of(&request)?;
        let count = retry(&self.0, &caller, &request.into_inner().receiver).await;
        let count = count.map_err(|error| status(&error))?;
        Ok(Response::new(v1::RetryDeadLettersResponse { count: u32::try_from(count).unwrap_or(u32::MAX) }))
    }
}

fn letter(dead: &Dead) -> v1::DeadLetter {
    let alert = &dead.letter.alert;
    v1::DeadLetter {
        receiver: dead.letter.receiver.clone(),
        id: alert.id.clone(),
        kind: alert.kind.as_str().to_owned(),
        wallet: alert.wallet.as_ref().map(ToString::to_string).unwrap_or_default(),
        text: alert.text.clone(),
        at_ms: alert.at_ms,
        given_up_at_ms: dead.given_up_at,
        reason: dead.reason.clone(),
    }
}

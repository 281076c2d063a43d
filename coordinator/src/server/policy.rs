use std::sync::Arc;

use quorate_proto::v1::policy_service_server::PolicyService;
use quorate_proto::{required, v1};
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::ops::apply_policy::apply_policy;
use crate::ops::get_policy::{Standing, get_policy};
use crate::status::status;
use crate::wire::document_from_pb;

pub(crate) struct Policies(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl PolicyService for Policies {
    async fn apply_policy(
        &self,
        request: Request<v1::ApplyPolicyRequest>,
    ) -> Result<Response<v1::PolicyInForce>, Status> {
        let caller = Caller::of(&request)?;
        let applied = async {
            let document = document_from_pb("policy", request.into_inner().policy)?;
            let core = self.0.clone();
            self.0.to_the_end(async move { apply_policy(&core, caller, document).await }).await
        };
        applied.await.map(in_force).map_err(|error| status(&error))
    }

    async fn get_policy(
        &self,
        request: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::PolicyInForce>, Status> {
        let policy = async {
            let wallet = required("wallet", &request.into_inner().wallet)?;
            get_policy(&self.0, wallet).await
        };
        policy.await.map(in_force).map_err(|error| status(&error))
    }
}

fn in_force(standing: Standing) -> Response<v1::PolicyInForce> {
    Response::new(standing.into())
}

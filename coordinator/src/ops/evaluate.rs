//! What a request for a signature would be answered, without asking.

use quorate_proto::v1;
use quorate_proto::v1::evaluation::Verdict;

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::gate::Request;

/// What the gate would say now. It leaves no trace.
pub(crate) async fn evaluate(
    core: &Coordinator,
    caller: &Caller,
    request: Request,
) -> Result<v1::Evaluation, OpError> {
    let evaluation = core.gate.foretell(caller, request).await;
    let outcome = match &evaluation {
        Ok(evaluation) => match evaluation.verdict {
            Some(Verdict::Allowed(_)) => "allowed",
            Some(Verdict::Waiting(_)) => "waiting",
            Some(Verdict::Answered(_)) => "answered",
            Some(Verdict::Denied(_)) | None => "denied",
        },
        Err(error) => error.kind(),
    };
    metrics::counter!("quorate_evaluate_total", "outcome" => outcome).increment(1);
    evaluation
}

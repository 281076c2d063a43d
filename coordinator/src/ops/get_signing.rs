//! What became of an earlier request.

use quorate_ledger::{IdempotencyKey, State};
use quorate_proto::v1::{self, get_signing_response as response};
use quorate_types::WalletId;

use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::ops::sign::repeat;

/// Where a request stands, with its answer where there is one. Denials leave no trace under the key.
pub(crate) async fn get_signing(
    core: &Coordinator,
    wallet: WalletId,
    key: IdempotencyKey,
) -> Result<v1::GetSigningResponse, OpError> {
    let name = key.clone();
    let entry = core.db.read(move |read| Ok(quorate_ledger::lookup(read, &wallet, &key)?)).await?;
    let entry = entry.ok_or_else(|| OpError::not_found("request", name))?;
    let state = match entry.state {
        State::Reserved => response::State::Reserved,
        State::Releasing => response::State::Releasing,
        State::Done => response::State::Done,
        State::Void => response::State::Void,
    };
    let answer = entry.answer.as_deref().map(repeat).transpose()?;
    Ok(v1::GetSigningResponse { state: state.into(), answer })
}

use std::sync::Arc;

use quorate_proto::v1::wallet_service_server::WalletService;
use quorate_proto::{required, v1, wallet_terms_from_pb};
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::ops::create_wallet::{NewWallet, create_wallet};
use crate::ops::wallets;
use crate::status::status;

pub(crate) struct Wallets(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl WalletService for Wallets {
    async fn create_wallet(
        &self,
        request: Request<v1::CreateWalletRequest>,
    ) -> Result<Response<v1::Wallet>, Status> {
        let caller = Caller::of(&request)?;
        let wallet = async {
            let new = read(&request.into_inner())?;
            let (core, name) = (self.0.clone(), new.wallet.clone());
            self.0.to_the_end(async move { create_wallet(&core, caller, new).await }).await?;
            wallets::get_wallet(&self.0, name).await
        };
        wallet.await.map(Response::new).map_err(|error| status(&error))
    }

    async fn get_wallet(
        &self,
        request: Request<v1::GetWalletRequest>,
    ) -> Result<Response<v1::Wallet>, Status> {
        let wallet = async {
            let wallet = required("wallet", &request.into_inner().wallet)?;
            wallets::get_wallet(&self.0, wallet).await
        };
        wallet.await.map(Response::new).map_err(|error| status(&error))
    }

    async fn list_wallets(
        &self,
        request: Request<v1::ListWalletsRequest>,
    ) -> Result<Response<v1::ListWalletsResponse>, Status> {
        let v1::ListWalletsRequest { page_size, after } = request.into_inner();
        let page = async {
            let after = if after.is_empty() { None } else { Some(required("after", &after)?) };
            wallets::list_wallets(&self.0, page_size, after).await
        };
        page.await.map(Response::new).map_err(|error| status(&error))
    }
}

fn read(request: &v1::CreateWalletRequest) -> Result<NewWallet, OpError> {
    Ok(NewWallet {
        wallet: required("wallet", &request.wallet)?,
        agent: required("agent", &request.agent)?,
        terms: wallet_terms_from_pb(&request.agent_key, request.loosening_delay_s, request.raw_digest)?,
        group: required("group", &request.group)?,
    })
}

//! A chain to execute what was signed: an EVM with a token like USDC at USDC's address.

use alloy_consensus::TxEnvelope;
use alloy_consensus::transaction::Transaction;
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use quorate_tests::recover;
use revm::bytecode::Bytecode;
use revm::context::{Context, TxEnv};
use revm::database::{CacheDB, EmptyDB, InMemoryDB};
use revm::state::AccountInfo;
use revm::{ExecuteCommitEvm, MainBuilder, MainContext};

/// The runtime code of `evm/Usdc.sol`.
const CODE: &str = include_str!("evm/Usdc.hex");
const USDC: Address = address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e");
const BASE_SEPOLIA: u64 = 84_532;
const NOW_S: u64 = 1_800_000_000;

/// The slot of a key in a mapping.
fn slot(key: impl Into<B256>, mapping: impl Into<B256>) -> U256 {
    keccak256([key.into(), mapping.into()].concat()).into()
}

/// Base Sepolia, as much of it as matters.
pub(crate) struct Chain(InMemoryDB);

impl Chain {
    pub(crate) fn new() -> Self {
        let mut db = CacheDB::new(EmptyDB::default());
        let code = hex::decode(CODE.split_whitespace().collect::<String>()).unwrap();
        let code = Bytecode::new_raw(code.into());
        db.insert_account_info(USDC, AccountInfo::default().with_code(code));
        Self(db)
    }

    /// Gives an account coin and USDC, and a history of `nonce` transactions.
    pub(crate) fn fund(&mut self, who: Address, (coin, usdc): (U256, U256), nonce: u64) {
        self.0.insert_account_info(who, AccountInfo { balance: coin, nonce, ..AccountInfo::default() });
        self.0.insert_account_storage(USDC, slot(who.into_word(), B256::ZERO), usdc).unwrap();
    }

    /// Coin and USDC of an account.
    pub(crate) fn balances(&mut self, who: Address) -> (U256, U256) {
        let coin = self.0.load_account(who).unwrap().info.balance;
        let token = self.0.load_account(USDC).unwrap();
        let usdc = token.storage.get(&slot(who.into_word(), B256::ZERO)).copied().unwrap_or_default();
        (coin, usdc)
    }

    fn run(&mut self, transaction: TxEnv) -> Result<(), String> {
        let context = Context::mainnet()
            .with_db(&mut self.0)
            .modify_cfg_chained(|cfg| cfg.chain_id = BASE_SEPOLIA)
            .modify_block_chained(|block| {
                block.timestamp = U256::from(NOW_S);
                block.basefee = 1_000;
            });
        let result =
            context.build_mainnet().transact_commit(transaction).map_err(|error| format!("{error:?}"))?;
        if result.is_success() { Ok(()) } else { Err(format!("{result:?}")) }
    }

    /// Executes a raw transaction, as a node of the chain would: its sender is whoever signed it.
    pub(crate) fn broadcast(&mut self, raw: &str) -> Result<Address, String> {
        let bytes = hex::decode(raw.trim_start_matches("0x")).unwrap();
        let signed = TxEnvelope::decode_2718(&mut bytes.as_slice()).unwrap();
        let sender = recover(&signed.signature().as_bytes(), signed.signature_hash());
        let transaction = TxEnv::builder()
            .caller(sender)
            .kind(signed.kind())
            .value(signed.value())
            .data(signed.input().clone())
            .nonce(signed.nonce())
            .gas_limit(signed.gas_limit())
            .max_fee_per_gas(signed.max_fee_per_gas())
            .gas_priority_fee(signed.max_priority_fee_per_gas())
            .chain_id(signed.chain_id())
            .build();
        self.run(transaction.map_err(|error| format!("{error:?}"))?)?;
        Ok(sender)
    }

    /// Submits a call for somebody else, who pays for it and has nothing to say in it.
    pub(crate) fn submit(&mut self, submitter: Address, to: Address, data: &str) -> Result<(), String> {
        let nonce = self.0.load_account(submitter).unwrap().info.nonce;
        let data = Bytes::from(hex::decode(data.trim_start_matches("0x")).unwrap());
        let call = TxEnv::builder().caller(submitter).to(to).data(data).nonce(nonce);
        let call = call.gas_limit(200_000).max_fee_per_gas(2_000).chain_id(Some(BASE_SEPOLIA)).build();
        self.run(call.map_err(|error| format!("{error:?}"))?)
    }
}

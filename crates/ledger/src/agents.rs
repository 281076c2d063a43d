//! Which wallets an agent has, for limits that count all of them together.
//!
//! What they did is counted once, under the wallet that did it, and added up when it is asked for: there is no second count
//! that could differ from the first, be forgotten when something is given back, or take one wallet's request for another's.

use std::ops::ControlFlow;

use quorate_store::{Read, Txn};
use quorate_types::{AgentId, WalletId};

use crate::LedgerError;
use crate::record::{AGENTS, decode, encode, key_of};

/// The most wallets of an agent that are added up: it is done while all others wait.
const MAX_WALLETS: usize = 64;

fn key(agent: &AgentId, wallet: &WalletId) -> Vec<u8> {
    key_of(&[agent.as_str().as_bytes(), wallet.as_str().as_bytes()])
}

/// Notes whose a wallet is, for ever. Called in each transaction that counts something for it: what is counted and cannot be
/// found is no limit.
pub(crate) fn note(txn: &mut dyn Txn, agent: &AgentId, wallet: &WalletId) -> Result<(), LedgerError> {
    let key = key(agent, wallet);
    if txn.get(AGENTS, &key)?.is_some() {
        return Ok(());
    }
    Ok(txn.put(AGENTS, &key, &encode(AGENTS, wallet)?)?)
}

/// Every wallet of an agent that anything was counted for; none where they are more than [`MAX_WALLETS`].
pub(crate) fn wallets(r: &dyn Read, agent: &AgentId) -> Result<Option<Vec<WalletId>>, LedgerError> {
    let mut rows = Vec::new();
    r.scan(AGENTS, &key_of(&[agent.as_str().as_bytes()]), &[], &mut |place, record| {
        rows.push((place.to_vec(), record.to_vec()));
        if rows.len() > MAX_WALLETS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if rows.len() > MAX_WALLETS {
        return Ok(None);
    }
    let wallet = |(place, record): (Vec<u8>, Vec<u8>)| {
        let wallet: WalletId = decode(AGENTS, &record)?;
        let here = key(agent, &wallet) == place;
        here.then_some(wallet).ok_or(LedgerError::Malformed { table: AGENTS })
    };
    rows.into_iter().map(wallet).collect::<Result<_, _>>().map(Some)
}

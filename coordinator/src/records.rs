//! What the coordinator keeps: wallets, groups, policies and manifests, as versioned JSON by name.

use std::ops::ControlFlow;

use quorate_freeze::Scope;
use quorate_ledger::IdempotencyKey;
use quorate_manifest::SignedDocument;
use quorate_session::{KeyStatement, SignedStatement, WalletTerms};
use quorate_store::{Read, Txn};
use quorate_types::{AgentId, B256, GroupId, NodeId, PublicKey, UnixMillis, WalletId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{Internal, OpError};

/// The version of every record's shape.
const SHAPE: u32 = 1;

/// A kind of record.
pub(crate) trait Record: Serialize + DeserializeOwned {
    const TABLE: &'static str;

    /// The key it is kept under, in clear.
    fn key(&self) -> Vec<u8>;
}

#[derive(Serialize, Deserialize)]
struct Shaped<T> {
    v: u32,
    record: T,
}

/// Reads a record.
pub(crate) fn get<T: Record>(read: &dyn Read, key: &[u8]) -> Result<Option<T>, OpError> {
    read.get(T::TABLE, key)?.map(|bytes| decode::<T>(key, &bytes)).transpose()
}

/// Writes a record over the one before.
pub(crate) fn put<T: Record>(txn: &mut dyn Txn, record: &T) -> Result<(), OpError> {
    let bytes = serde_json::to_vec(&Shaped { v: SHAPE, record })
        .map_err(|error| malformed::<T>(&record.key(), error.to_string()))?;
    Ok(txn.put(T::TABLE, &record.key(), &bytes)?)
}

/// Forgets a record.
pub(crate) fn delete<T: Record>(txn: &mut dyn Txn, record: &T) -> Result<(), OpError> {
    Ok(txn.delete(T::TABLE, &record.key())?)
}

/// Up to `limit` records whose key sorts after `after`, ascending.
pub(crate) fn page<T: Record>(read: &dyn Read, after: &[u8], limit: usize) -> Result<Vec<T>, OpError> {
    found(read, (&[], after), limit)
}

/// Up to `limit` records whose key begins with `prefix`, ascending.
pub(crate) fn under<T: Record>(read: &dyn Read, prefix: &[u8], limit: usize) -> Result<Vec<T>, OpError> {
    found(read, (prefix, &[]), limit)
}

fn found<T: Record>(
    read: &dyn Read,
    (prefix, after): (&[u8], &[u8]),
    limit: usize,
) -> Result<Vec<T>, OpError> {
    let mut found: Vec<Result<T, OpError>> = Vec::new();
    read.scan(T::TABLE, prefix, after, &mut |key, bytes| {
        if key != after && found.len() < limit {
            found.push(decode(key, bytes));
        }
        if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    found.into_iter().collect()
}

/// Reads a record's bytes.
pub(crate) fn decode<T: Record>(key: &[u8], bytes: &[u8]) -> Result<T, OpError> {
    let shaped: Shaped<T> =
        serde_json::from_slice(bytes).map_err(|error| malformed::<T>(key, error.to_string()))?;
    if shaped.v != SHAPE || shaped.record.key() != key {
        return Err(malformed::<T>(key, "another shape or another key".to_owned()));
    }
    Ok(shaped.record)
}

fn malformed<T: Record>(key: &[u8], reason: String) -> OpError {
    let key = String::from_utf8_lossy(key).into_owned();
    Internal::Record { table: T::TABLE, key, reason }.into()
}

/// A wallet. Its key exists once `born` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WalletRecord {
    pub(crate) wallet: WalletId,
    pub(crate) agent: AgentId,
    /// What it is created with. Its fields stand beside the others, as they did before they had a type of their own.
    #[serde(flatten)]
    pub(crate) terms: WalletTerms,
    pub(crate) group: GroupId,
    pub(crate) created_at: UnixMillis,
    pub(crate) born: Option<Born>,
}

/// What three nodes attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Born {
    pub(crate) public_key: PublicKey,
    pub(crate) epoch: u32,
    pub(crate) attestations: Vec<SignedStatement>,
}

impl Born {
    pub(crate) fn new(statement: &KeyStatement, attestations: Vec<SignedStatement>) -> Self {
        Self { public_key: statement.public_key, epoch: statement.epoch, attestations }
    }
}

impl Record for WalletRecord {
    const TABLE: &'static str = "coordinator.wallets";
    fn key(&self) -> Vec<u8> {
        self.wallet.as_str().as_bytes().to_vec()
    }
}

/// An enrolled group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) group: GroupId,
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) aux_hash: B256,
    pub(crate) enrolled_at: UnixMillis,
}

impl Record for GroupRecord {
    const TABLE: &'static str = "coordinator.groups";
    fn key(&self) -> Vec<u8> {
        self.group.as_str().as_bytes().to_vec()
    }
}

/// A wallet's latest policy, as it was signed and verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    pub(crate) wallet: WalletId,
    pub(crate) version: u64,
    pub(crate) hash: B256,
    pub(crate) document: SignedDocument,
}

/// A policy that loosens the one in force, and waits to take its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitingRecord {
    pub(crate) policy: PolicyRecord,
    /// Who brought it.
    pub(crate) caller: String,
    /// The fields in which it may allow something new.
    pub(crate) loosens: Vec<String>,
    /// When its delay is over here.
    pub(crate) until: UnixMillis,
    /// The freeze orders that counted for the wallet when it came.
    pub(crate) standing: B256,
}

impl Record for WaitingRecord {
    const TABLE: &'static str = "coordinator.policies.waiting";
    fn key(&self) -> Vec<u8> {
        self.policy.key()
    }
}

impl Record for PolicyRecord {
    const TABLE: &'static str = "coordinator.policies";
    fn key(&self) -> Vec<u8> {
        self.wallet.as_str().as_bytes().to_vec()
    }
}

/// The freeze order that counts for a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FreezeRecord {
    pub(crate) scope: Scope,
    pub(crate) hash: B256,
    pub(crate) document: SignedDocument,
}

impl Record for FreezeRecord {
    const TABLE: &'static str = "coordinator.freezes";
    fn key(&self) -> Vec<u8> {
        self.scope.to_string().into_bytes()
    }
}

/// A lapse that the service node waits with. People were told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LapseRecord {
    /// The document's.
    pub(crate) hash: B256,
    pub(crate) until: UnixMillis,
}

impl Record for LapseRecord {
    const TABLE: &'static str = "coordinator.lapses";
    fn key(&self) -> Vec<u8> {
        self.hash.to_vec()
    }
}

/// A wallet's latest drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DrillRecord {
    pub(crate) wallet: WalletId,
    pub(crate) group: GroupId,
    /// By the offline machine's clock.
    pub(crate) drilled_at: UnixMillis,
    /// The text that was signed.
    pub(crate) challenge: String,
}

impl Record for DrillRecord {
    const TABLE: &'static str = "coordinator.drills";
    fn key(&self) -> Vec<u8> {
        self.wallet.as_str().as_bytes().to_vec()
    }
}

/// How much of a ceremony's transcript is in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CeremonyRecord {
    /// The first step's hash, which names the transcript.
    pub(crate) ceremony: B256,
    pub(crate) steps: u64,
    pub(crate) last: B256,
}

impl Record for CeremonyRecord {
    const TABLE: &'static str = "coordinator.ceremonies";
    fn key(&self) -> Vec<u8> {
        self.ceremony.to_vec()
    }
}

/// The latest checkpoint of this coordinator's log that enough nodes cosigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckpointRecord {
    pub(crate) size: u64,
    /// C2SP signed note.
    pub(crate) note: String,
    pub(crate) cosigners: Vec<NodeId>,
}

impl CheckpointRecord {
    pub(crate) const KEY: &'static [u8] = b"log";
}

impl Record for CheckpointRecord {
    const TABLE: &'static str = "coordinator.checkpoint";
    fn key(&self) -> Vec<u8> {
        Self::KEY.to_vec()
    }
}

/// The latest checkpoint of a node's own log that others cosigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeLogRecord {
    pub(crate) node: NodeId,
    /// When that log began: with the node's restore, 0 where it never was restored.
    pub(crate) life: UnixMillis,
    pub(crate) size: u64,
    /// How many others cosigned it.
    pub(crate) cosigners: usize,
    /// C2SP signed note, with that node's own line.
    pub(crate) note: String,
}

impl Record for NodeLogRecord {
    const TABLE: &'static str = "coordinator.node-logs";
    fn key(&self) -> Vec<u8> {
        self.node.as_str().as_bytes().to_vec()
    }
}

/// The transaction that used a signature, by the word of whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TransactionRecord {
    pub(crate) wallet: WalletId,
    pub(crate) key: String,
    pub(crate) transaction_hash: B256,
    /// EIP-155 chain id, where it is known.
    pub(crate) chain_id: Option<u64>,
    /// The entry of the audit log that says so.
    pub(crate) sequence: u64,
    pub(crate) entry_hash: B256,
}

impl Record for TransactionRecord {
    const TABLE: &'static str = "coordinator.transactions";
    fn key(&self) -> Vec<u8> {
        request_key(&self.wallet, &self.key)
    }
}

/// The key of what is kept of one request. Wallet names hold no zero byte.
pub(crate) fn request_key(wallet: &WalletId, key: &str) -> Vec<u8> {
    [wallet.as_str().as_bytes(), &[0], key.as_bytes()].concat()
}

/// What is kept of one request.
pub(crate) fn of_request<T: Record>(
    read: &dyn Read,
    wallet: &WalletId,
    key: &IdempotencyKey,
) -> Result<Option<T>, OpError> {
    get::<T>(read, &request_key(wallet, key.as_str()))
}

/// A manifest that was or is pinned. The one with the highest version is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestRecord {
    pub(crate) version: u64,
    pub(crate) hash: B256,
    pub(crate) document: SignedDocument,
}

impl Record for ManifestRecord {
    const TABLE: &'static str = "coordinator.manifests";
    fn key(&self) -> Vec<u8> {
        self.version.to_be_bytes().to_vec()
    }
}

/// The manifests after `version`, ascending.
pub(crate) fn manifests_after(read: &dyn Read, version: u64) -> Result<Vec<ManifestRecord>, OpError> {
    page(read, &version.to_be_bytes(), usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_store::{MemStore, Store, update};

    fn group(name: &str) -> GroupRecord {
        GroupRecord { group: name.parse().unwrap(), nodes: vec![], aux_hash: B256::ZERO, enrolled_at: 7 }
    }

    #[test]
    fn pages_follow_each_other_and_end() {
        let store = MemStore::new();
        for name in ["b", "a", "d", "c"] {
            let _synced = update(&store, |txn| put(txn, &group(name))).unwrap();
        }
        let names = |after: &str, limit| -> Vec<String> {
            let page = page::<GroupRecord>(&store, after.as_bytes(), limit).unwrap();
            page.into_iter().map(|record| record.group.to_string()).collect()
        };
        assert_eq!(names("", 3), ["a", "b", "c"]);
        assert_eq!(names("c", 3), ["d"]);
        assert_eq!(names("bb", 1), ["c"]);
        assert!(names("d", 3).is_empty());
    }

    #[test]
    fn what_is_of_one_prefix_is_found_and_nothing_beside_it() {
        let store = MemStore::new();
        for name in ["a", "b", "b1", "b2", "c"] {
            let _synced = update(&store, |txn| put(txn, &group(name))).unwrap();
        }
        let names = |limit| -> Vec<String> {
            let found = under::<GroupRecord>(&store, b"b", limit).unwrap();
            found.into_iter().map(|record| record.group.to_string()).collect()
        };
        assert_eq!(names(9), ["b", "b1", "b2"]);
        assert_eq!(names(2), ["b", "b1"]);
    }

    #[test]
    fn a_wallet_written_before_its_terms_had_a_type_is_read() {
        let text = r#"{"v":1,"record":{"wallet":"w","agent":"a","loosening_delay_s":60,"group":"g","created_at":7,"born":null}}"#;
        let record = decode::<WalletRecord>(b"w", text.as_bytes()).unwrap();
        assert_eq!(record.terms, WalletTerms { loosening_delay_s: Some(60), ..WalletTerms::default() });
        let store = MemStore::new();
        let _synced = update(&store, |txn| put(txn, &record)).unwrap();
        assert_eq!(get::<WalletRecord>(&store, b"w").unwrap(), Some(record));
    }

    #[test]
    fn a_record_of_another_key_or_shape_is_refused() {
        let store = MemStore::new();
        let mut txn = store.begin().unwrap();
        put(txn.as_mut(), &group("a")).unwrap();
        let bytes = txn.get(GroupRecord::TABLE, b"a").unwrap().unwrap();
        txn.put(GroupRecord::TABLE, b"b", &bytes).unwrap();
        let newer = String::from_utf8(bytes.to_vec()).unwrap().replace("\"v\":1", "\"v\":2");
        txn.put(GroupRecord::TABLE, b"c", newer.as_bytes()).unwrap();
        let _synced = txn.commit().unwrap();
        assert_eq!(get::<GroupRecord>(&store, b"a").unwrap(), Some(group("a")));
        for key in [b"b", b"c"] {
            assert!(get::<GroupRecord>(&store, key).is_err());
        }
        assert_eq!(get::<GroupRecord>(&store, b"x").unwrap(), None);
    }
}

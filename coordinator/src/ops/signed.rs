//! No signature leaves unverified: what the service node returned is checked against what the coordinator decoded.

use quorate_manifest::{Group, Manifest};
use quorate_proto::v1;
use quorate_session::{IntentStatement, Statement};
use quorate_types::{B256, NodeId, Signature};

use crate::error::OpError;
use crate::gate::Case;
use crate::wire::attestation_from_pb;

/// The answer's content, where the signature is by the wallet's key over the digest decoded here, and the agent node
/// states that its agent asked for exactly this.
///
/// # Errors
/// A peer fault naming the node that should have known better.
pub(crate) fn checked(
    case: &Case,
    signed: &v1::SessionSigned,
    (group, manifest): (&Group, &Manifest),
) -> Result<v1::Signed, OpError> {
    let decoded = case.decoded();
    let digest = decoded.digest.digest();
    let by_service = |reason: String| fault(&group.service, reason);
    let signature = Signature::from_bytes(&signed.signature, digest, case.public_key())
        .map_err(|error| by_service(error.to_string()))?;
    let attestation = signed.intent.as_ref().ok_or_else(|| by_service("no signed intent".to_owned()))?;
    check_intent(case, (attestation, &signed.eid), (group, manifest))?;
    let payload = &case.request().payload;
    let transaction = quorate_intent::signed_transaction(payload, &signature);
    Ok(v1::Signed {
        signature: signature.to_bytes().to_vec(),
        digest: digest.to_vec(),
        signed_transaction: transaction.map(|bytes| bytes.to_vec()).unwrap_or_default(),
        summary: decoded.intent.summary(),
        policy_hash: case.policy_hash().to_vec(),
        session_eid: signed.eid.clone(),
        intent: Some(attestation.clone()),
    })
}

/// The name on its chain of the transaction that was signed; `None` where what was signed is not a transaction, and somebody
/// else makes the one that uses it.
pub(crate) fn transaction_hash(signed: &v1::Signed) -> Option<B256> {
    let transaction = Some(&signed.signed_transaction).filter(|bytes| !bytes.is_empty());
    transaction.map(|bytes| quorate_intent::transaction_hash(bytes))
}

fn check_intent(
    case: &Case,
    (attestation, eid): (&v1::Attestation, &[u8]),
    (group, manifest): (&Group, &Manifest),
) -> Result<(), OpError> {
    let by_service = |reason: String| fault(&group.service, reason);
    let statement = attestation_from_pb(attestation).map_err(|error| by_service(error.to_string()))?;
    if statement.node != group.agent {
        return Err(by_service(format!("the signed intent is of node {}", statement.node)));
    }
    let stated =
        IntentStatement::verify(&statement, |node: &NodeId| manifest.node(node).map(|entry| entry.key))
            .map_err(|error| by_service(error.to_string()))?;
    // No `..`: a new field does not compile until it is compared.
    let IntentStatement {
        cluster,
        wallet,
        agent,
        payload_hash,
        digest,
        policy_hash,
        idempotency_key,
        eid: its,
    } = stated;
    let request = case.request();
    let differs = [
        ("cluster", cluster == *manifest.cluster()),
        ("wallet", wallet == request.wallet),
        ("agent", agent == case.wallet().agent),
        ("payload hash", payload_hash == request.payload_hash),
        ("digest", digest == case.decoded().digest.digest()),
        ("policy hash", policy_hash == case.policy_hash()),
        ("idempotency key", idempotency_key == request.key.as_str()),
        ("execution id", its.as_slice() == eid),
    ]
    .into_iter()
    .find_map(|(field, same)| (!same).then_some(field));
    match differs {
        // The service node's to answer for: an agent node's statement of another request, or of an earlier session, is
        // genuine too, and whoever hands it over in this one's place is the one who had to refuse it.
        Some(field) => Err(by_service(format!("hands over a signed intent that names another {field}"))),
        None => Ok(()),
    }
}

fn fault(node: &NodeId, reason: String) -> OpError {
    OpError::PeerFault { reason: format!("node {node}: {reason}"), nodes: vec![node.clone()] }
}

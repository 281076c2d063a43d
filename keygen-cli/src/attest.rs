//! A wallet's address is what its three nodes attested, not what the coordinator says: whoever controls the coordinator
//! would otherwise have people send money to an address of their own.

use quorate_manifest::Manifest;
use quorate_proto::{v1, wallet_terms_from_pb};
use quorate_session::{KeyStatement, SignedStatement};
use quorate_types::{GroupId, NodeId};

use crate::refusal::{Kind, OrRefuse, Refusal};

/// Checks a wallet's three attestations under the manifest's keys, and that the coordinator's answer is what they say.
///
/// # Errors
/// A [`Refusal`] naming the field where it is not: the address is then not to be used.
pub(crate) fn check(manifest: &Manifest, wallet: &v1::Wallet) -> Result<(), Refusal> {
    let group: GroupId = wallet.group.parse().or_invalid("the coordinator's answer")?;
    let group = manifest.group(&group).ok_or_else(|| {
        Refusal::not_found(format!(
            "group {group} of wallet {} is not in the profile's manifest",
            wallet.wallet
        ))
        .field("manifest")
        .next("give the profile the manifest that is in force")
    })?;
    let nodes = group.nodes().map(NodeId::clone);
    let signed = wallet.attestations.iter().map(statement).collect::<Result<Vec<_>, _>>()?;
    let stated = KeyStatement::verify_all(&signed, &nodes, |node| manifest.node(node).map(|entry| entry.key))
        .map_err(|error| untrue(wallet, &error.to_string()))?;
    let terms = wallet_terms_from_pb(&wallet.agent_key, wallet.loosening_delay_s, wallet.raw_digest)
        .map_err(|error| untrue(wallet, &error.to_string()))?;
    let same = [
        ("cluster", stated.cluster == *manifest.cluster()),
        ("group", stated.group == group.id),
        ("wallet", stated.wallet.as_str() == wallet.wallet),
        ("agent", stated.agent.as_str() == wallet.agent),
        ("epoch", stated.epoch == wallet.epoch),
        ("public key", stated.public_key.to_sec1() == wallet.public_key),
        ("address", stated.public_key.address().to_string() == wallet.address),
    ];
    let differs = same.into_iter().find_map(|(field, same)| (!same).then_some(field));
    match differs.or_else(|| stated.terms.difference(&terms)) {
        Some(field) => Err(untrue(wallet, &format!("the nodes attested another {field}"))),
        None => Ok(()),
    }
}

fn statement(attestation: &v1::Attestation) -> Result<SignedStatement, Refusal> {
    let node = attestation.node.parse().or_invalid("the coordinator's answer")?;
    Ok(SignedStatement {
        node,
        bytes: attestation.statement.clone(),
        signature: attestation.signature.clone(),
    })
}

fn untrue(wallet: &v1::Wallet, reason: &str) -> Refusal {
    Refusal::new(
        Kind::PeerFault,
        format!("the coordinator's word on wallet {} is not the nodes': {reason}", wallet.wallet),
    )
    .next("send nothing to this wallet's address, and look into the coordinator")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_session::{NodeKey, Statement, WalletTerms};
    use rand_core::OsRng;

    const GENERATOR: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const ADDRESS: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
    const OPERATOR: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn manifest(keys: &[NodeKey]) -> Manifest {
        let nodes: String = ["agent", "service", "cold"]
            .iter()
            .zip(keys)
            .map(|(role, key)| format!("- {{id: {role}-1, role: {role}, key: \"{}\"}}\n", key.public()))
            .collect();
        let recovery = age::x25519::Identity::generate().to_public();
        let text = format!(
            "manifest: quorate/v1\ncluster: dev\nversion: 1\nnodes:\n{nodes}\
             groups: [{{id: g, agent: agent-1, service: service-1, cold: cold-1}}]\n\
             operators: [{{name: o, key: \"{OPERATOR}\"}}]\nquorum: {{operators: 1}}\nrecovery: [{recovery}]\n"
        );
        Manifest::parse(text.as_bytes()).unwrap()
    }

    fn attested(keys: &[NodeKey]) -> v1::Wallet {
        let nodes: Vec<NodeId> = ["agent-1", "service-1", "cold-1"].map(|id| id.parse().unwrap()).to_vec();
        let stated = KeyStatement {
            cluster: "dev".parse().unwrap(),
            group: "g".parse().unwrap(),
            wallet: "w".parse().unwrap(),
            agent: "a".parse().unwrap(),
            terms: WalletTerms::default(),
            epoch: 0,
            public_key: GENERATOR.parse().unwrap(),
            nodes: nodes.clone(),
            eid: [1; 32],
        };
        let attestations = nodes.iter().zip(keys).map(|(node, key)| {
            let signed = stated.sign(node, key).unwrap();
            v1::Attestation { node: node.to_string(), statement: signed.bytes, signature: signed.signature }
        });
        v1::Wallet {
            wallet: "w".to_owned(),
            agent: "a".to_owned(),
            group: "g".to_owned(),
            public_key: hex::decode(GENERATOR).unwrap(),
            address: ADDRESS.to_owned(),
            attestations: attestations.collect(),
            ..Default::default()
        }
    }

    #[test]
    fn what_three_nodes_attested_is_believed_and_nothing_else() {
        let keys = [(); 3].map(|()| NodeKey::generate(&mut OsRng));
        let manifest = manifest(&keys);
        assert!(check(&manifest, &attested(&keys)).is_ok());
        type Lie = fn(&mut v1::Wallet);
        let lies: [(&str, Lie); 9] = [
            ("address", |w| w.address = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".to_owned()),
            ("public key", |w| w.public_key = vec![2; 33]),
            ("agent", |w| w.agent = "b".to_owned()),
            ("agent_key", |w| w.agent_key = vec![3; 32]),
            ("loosening_delay_s", |w| w.loosening_delay_s = Some(60)),
            ("raw_digest", |w| w.raw_digest = true),
            ("wallet", |w| w.wallet = "v".to_owned()),
            ("epoch", |w| w.epoch = 1),
            ("attestations", |w| drop(w.attestations.pop())),
        ];
        for (field, lie) in lies {
            let mut wallet = attested(&keys);
            lie(&mut wallet);
            let refusal = check(&manifest, &wallet).unwrap_err();
            assert_eq!(refusal.kind, Kind::PeerFault, "{field}");
            assert!(refusal.reason.contains(field), "{field}: {}", refusal.reason);
        }
        // Attestations made by other keys than the manifest's.
        let strangers = [(); 3].map(|()| NodeKey::generate(&mut OsRng));
        assert!(check(&manifest, &attested(&strangers)).is_err());
    }
}

//! Raw digests: by wallets created for them, one session each, whatever the coordinator says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use quorate_manifest::{Namespace, SignedDocument};
use quorate_proto::v1;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::v1::sign_response::Outcome as Verdict;
use quorate_tests::{
    CLUSTER, Cluster, FRIEND, Script, Stage, WALLET, golden, policy_yaml, recover, shown, transfer, usdc,
};
use quorate_types::{B256, Payload, PublicKey, Role, Signature};

/// A wallet that was created for them.
const RAW: &str = "wallet-raw";
const SIGNERS: [&str; 2] = ["agent-1", "service-1"];

fn raw_policy(wallet: &str, version: u64) -> String {
    format!(
        "policy: quorate/v1\ncluster: {CLUSTER}\nwallet: {wallet}\nversion: {version}\nrules:\n  raw_digest: {{ tier: \
         instant }}\n  velocity: [{{ max: 3, window: {{ rolling_s: 3600 }} }}]\n"
    )
}

fn digest(byte: u8) -> Payload {
    Payload::RawDigest(B256::repeat_byte(byte))
}

/// The golden cluster with a second wallet, for raw digests, and its policy.
async fn cluster() -> (Cluster, v1::Wallet, SignedDocument) {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    let wallet = cluster.create_raw_digest_wallet(RAW).await.unwrap();
    assert!(wallet.raw_digest);
    let policy = cluster.world.policy(&raw_policy(RAW, 1));
    assert_eq!(cluster.apply_policy(&policy).await.unwrap().nodes.len(), 2);
    (cluster, wallet, policy)
}

fn rules(verdict: &Verdict) -> Vec<&str> {
    match verdict {
        Verdict::Denied(denial) => denial.failures.iter().map(|failure| failure.rule.as_str()).collect(),
        other => panic!("not denied: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_created_for_them_signs_raw_digests_and_nothing_else() {
    let (cluster, wallet, _) = cluster().await;
    let key = PublicKey::from_sec1(&wallet.public_key).unwrap();
    for byte in [0x11, 0xff] {
        let answer = cluster.sign(RAW, &digest(byte), &format!("key-{byte}")).await.unwrap();
        let Some(Verdict::Signed(signed)) = answer.outcome else { panic!("{:?}", answer.outcome) };
        let asked = B256::repeat_byte(byte);
        Signature::from_bytes(&signed.signature, asked, key).unwrap();
        assert_eq!(recover(&signed.signature, asked), key.address());
        assert_eq!((signed.digest.as_slice(), signed.signed_transaction.len()), (asked.as_slice(), 0));
    }
    assert_eq!(cluster.paths().await, ["session", "session"], "never with a presignature");

    let denied = |wallet, payload, key| {
        let cluster = &cluster;
        async move { cluster.sign(wallet, &payload, key).await.unwrap().outcome.unwrap() }
    };
    assert!(rules(&denied(RAW, transfer(FRIEND, usdc(1), 1), "payment").await).contains(&"raw_digest"));
    assert!(
        rules(&denied(RAW, Payload::Message(b"x".to_vec().into()), "text").await).contains(&"raw_digest")
    );
    assert_eq!(rules(&denied(WALLET, digest(1), "ordinary").await), ["raw_digest"]);

    // Created so for ever, and neither sort of wallet takes the other's policy.
    assert!(cluster.create_wallet(RAW).await.unwrap_err().message().contains("raw_digest"));
    for policy in [policy_yaml(2, "25.00").replace(WALLET, RAW), raw_policy(WALLET, 2)] {
        let refused = cluster.apply_policy(&cluster.world.policy(&policy)).await.unwrap_err();
        assert!(refused.message().contains("rules.raw_digest: "), "{refused}");
    }
}

/// What the coordinator would show of it to a node, were it honest.
fn start(wallet: &str, policy: &SignedDocument, payload: &Payload) -> v1::StartSign {
    v1::StartSign {
        wallet: wallet.to_owned(),
        policy_hash: policy.hash(Namespace::Policy).to_vec(),
        ..shown(payload)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_coordinator_has_one_signed_with_a_presignature_or_by_another_wallet() {
    let (cluster, _, policy) = cluster().await;
    let mut stage = Stage::of(cluster.stop().await, &[Role::Agent, Role::Service]).await;

    // No presignature is made for such a wallet,
    let presign = Protocol::Presign(v1::StartPresign { wallet: RAW.to_owned() });
    let ending = stage.play(Script::new(SIGNERS.map(|node| (node, presign.clone())))).await;
    for node in SIGNERS {
        assert_eq!(ending.failure(node).field, "wallet", "{:?}", ending.failure(node));
    }
    assert!(ending.posts.is_empty());

    // and none is used for such a digest: not even one that both nodes hold, of another wallet.
    let presignature = stage.presign().await;
    for node in SIGNERS {
        let request = Some(start(RAW, &policy, &digest(1)));
        let online =
            v1::StartOnline { presignature: presignature.clone(), request, contribution: b"sealed".to_vec() };
        let Outcome::Failed(failure) = stage.online(node, online).await else { panic!("{node} signs") };
        assert_eq!((failure.field.as_str(), failure.released), ("payload", false), "{failure:?}");
        let request = Some(shown(&digest(1)));
        let online =
            v1::StartOnline { presignature: presignature.clone(), request, contribution: Vec::new() };
        let Outcome::Denied(denial) = stage.online(node, online).await else { panic!("{node} signs") };
        assert_eq!(denial.failures[0].rule, "raw_digest");
    }

    // An ordinary wallet signs none in a session either, and two nodes that were shown different ones sign neither.
    let ending = stage.sign(&digest(1)).await;
    for node in SIGNERS {
        assert_eq!(ending.denial(node).failures[0].rule, "raw_digest");
    }
    let different = [digest(1), digest(2)].map(|digest| Protocol::Sign(start(RAW, &policy, &digest)));
    let ending = stage.play(Script::new(SIGNERS.into_iter().zip(different))).await;
    for node in SIGNERS {
        assert_eq!(ending.failure(node).field, "subject", "{:?}", ending.failure(node));
    }
    assert!(ending.posts.is_empty(), "nothing was computed");

    let honest = Protocol::Sign(start(RAW, &policy, &digest(1)));
    let ending = stage.play(Script::new(SIGNERS.map(|node| (node, honest.clone())))).await;
    assert!(ending.signed().is_some(), "{:?}", ending.outcomes);
    stage.still_signs().await;
}

//! The development authority.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use quorate_transport::pki::{Ca, PkiError, Validity};
use quorate_transport::{Identity, PeerRole, SpiffeId};

use crate::harness::{Cluster, Serving, check};

#[tokio::test]
async fn an_authority_saved_and_read_again_is_the_same() {
    let cluster = Cluster::new("demo");
    let again = Ca::from_pem(cluster.ca.certificate_pem(), &cluster.ca.key_pem()).unwrap();
    assert_eq!(again.cluster().as_str(), "demo");
    assert_eq!(again.certificate_pem(), cluster.ca.certificate_pem());
    let issued = again.issue(&cluster.id(PeerRole::Gateway, "g-1"), Validity::days(1)).unwrap();
    let gateway = Identity::load(&cluster.save("again", &issued)).unwrap();
    let serving = Serving::start(cluster.member(PeerRole::Coordinator, "c-1")).await;
    check(&serving.connect(&gateway).await.unwrap()).await.unwrap();
}

#[test]
fn an_authority_is_refused_with_another_key_or_as_something_else() {
    let (cluster, other) = (Cluster::new("demo"), Cluster::new("demo"));
    let member = cluster.issued(PeerRole::Node, "n-1");
    let cases = [
        (cluster.ca.certificate_pem(), other.ca.key_pem()),
        (member.certificate_pem.as_str(), member.key_pem.clone()),
        ("", cluster.ca.key_pem()),
        (cluster.ca.certificate_pem(), String::new().into()),
    ];
    for (certificate, key) in cases {
        assert!(Ca::from_pem(certificate, &key).is_err(), "{certificate}");
    }
}

#[test]
fn it_vouches_only_for_its_own_cluster() {
    let cluster = Cluster::new("demo");
    let id = SpiffeId::new("other".parse().unwrap(), PeerRole::Node, "n-1").unwrap();
    let refused = cluster.ca.issue(&id, Validity::days(1)).err().unwrap();
    assert!(matches!(refused, PkiError::OtherCluster { .. }), "{refused}");
}

#[test]
fn a_validity_that_no_certificate_can_say_is_an_error() {
    let cluster = Cluster::new("demo");
    let id = cluster.id(PeerRole::Node, "n-1");
    let far = SystemTime::now() + Duration::from_secs(400_000_000_000);
    let validity = Validity { not_before: SystemTime::now(), not_after: far };
    assert!(matches!(cluster.ca.issue(&id, validity).err(), Some(PkiError::Validity)));
    assert!(cluster.ca.issue(&id, Validity::days(u32::MAX)).is_ok());
}

#[test]
fn a_saved_key_is_its_owners_alone() {
    let cluster = Cluster::new("demo");
    let files = cluster.save("member", &cluster.issued(PeerRole::Node, "n-1"));
    let mode = std::fs::metadata(&files.key).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

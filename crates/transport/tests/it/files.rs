//! Each thing that can be wrong with the files, and that its error names the file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use quorate_transport::pki::{Issued, Validity};
use quorate_transport::{Identity, PeerRole, TlsError, TlsFiles};

use crate::harness::{Cluster, expired, not_yet};

/// Each of the three files.
const PICKS: [fn(&TlsFiles) -> PathBuf; 3] = [|f| f.certificate.clone(), |f| f.key.clone(), |f| f.ca.clone()];

fn good(cluster: &Cluster) -> TlsFiles {
    cluster.save("member", &cluster.issued(PeerRole::Node, "n-1"))
}

/// Loads, and checks that the refusal names `file`.
fn refused(files: &TlsFiles, file: &Path) -> TlsError {
    let error = Identity::load(files).unwrap_err();
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    error
}

#[test]
fn good_files_load_and_tell_who_we_are() {
    let cluster = Cluster::new("demo");
    let identity = Identity::load(&good(&cluster)).unwrap();
    assert_eq!(identity.id(), cluster.id(PeerRole::Node, "n-1"));
    let left = identity.not_after().duration_since(std::time::SystemTime::now()).unwrap();
    assert!((86_000..=86_400).contains(&left.as_secs()), "{left:?}");
}

#[test]
fn a_missing_file_is_named() {
    let cluster = Cluster::new("demo");
    for pick in PICKS {
        let files = good(&cluster);
        let file = pick(&files);
        fs::remove_file(&file).unwrap();
        assert!(matches!(refused(&files, &file), TlsError::Missing { .. }));
    }
}

#[test]
fn what_is_not_a_file_or_not_pem_is_named() {
    let cluster = Cluster::new("demo");
    for pick in PICKS {
        let files = good(&cluster);
        let file = pick(&files);
        for text in ["", "not pem at all", "-----BEGIN CERTIFICATE-----\nAAAA"] {
            fs::write(&file, text).unwrap();
            assert!(matches!(refused(&files, &file), TlsError::Malformed { .. }), "{text}");
        }
        fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        refused(&files, &file);
        fs::write(&file, vec![b'\n'; (1 << 20) + 1]).unwrap();
        assert!(refused(&files, &file).to_string().contains("larger than"));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(refused(&files, &file).to_string().contains("not a regular file"));
        fs::remove_dir(&file).unwrap();
    }
}

#[test]
fn a_key_others_may_read_is_refused() {
    let cluster = Cluster::new("demo");
    let files = good(&cluster);
    for mode in [0o640, 0o604, 0o620, 0o601, 0o644, 0o660, 0o666] {
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
        let error = refused(&files, &files.key);
        assert!(matches!(error, TlsError::KeyExposed { mode: m, .. } if m == mode), "{error}");
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
        Identity::load(&files).unwrap();
    }
}

#[test]
fn a_key_of_another_certificate_is_refused_and_not_quoted() {
    let cluster = Cluster::new("demo");
    let files = good(&cluster);
    let other = cluster.issued(PeerRole::Node, "n-1");
    fs::write(&files.key, other.key_pem.as_bytes()).unwrap();
    let error = refused(&files, &files.key);
    assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error}");
    assert!(error.to_string().contains(&files.certificate.display().to_string()), "{error}");

    let secret = other.key_pem.lines().nth(1).unwrap();
    let broken = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
    fs::write(&files.key, &broken).unwrap();
    let error = refused(&files, &files.key);
    assert!(!format!("{error} {error:?}").contains(&secret[..16]), "{error:?}");
    // Nor where the key was put into the wrong place.
    for file in [&files.certificate, &files.ca] {
        let files = TlsFiles { certificate: file.clone(), ..good(&cluster) };
        fs::write(file, broken.replace("-----\n", "---\n")).unwrap();
        let error = Identity::load(&files).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&secret[..16]), "{error:?}");
    }
}

#[test]
fn a_certificate_out_of_its_time_is_refused_at_load() {
    let cluster = Cluster::new("demo");
    let id = cluster.id(PeerRole::Node, "n-1");
    let files = cluster.save("old", &cluster.ca.issue(&id, expired()).unwrap());
    let error = refused(&files, &files.certificate);
    assert!(matches!(error, TlsError::Expired { .. }), "{error}");
    let files = cluster.save("new", &cluster.ca.issue(&id, not_yet()).unwrap());
    let error = refused(&files, &files.certificate);
    assert!(matches!(error, TlsError::NotYetValid { .. }), "{error}");
}

#[test]
fn a_certificate_must_carry_one_spiffe_id() {
    let cluster = Cluster::new("demo");
    let issue = |uris: &[&str]| -> Issued { cluster.ca.issue_uris(uris, Validity::days(1)).unwrap() };
    let cases = [
        (issue(&[]), "no URI"),
        (issue(&["spiffe://demo/node/a", "spiffe://demo/node/b"]), "2 URI"),
        (issue(&["spiffe://demo/node"]), "must be spiffe://"),
    ];
    for (issued, reason) in cases {
        let files = cluster.save("odd", &issued);
        let error = refused(&files, &files.certificate);
        assert!(matches!(error, TlsError::Name { .. }) && error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn the_ca_file_must_hold_our_authority_and_only_authorities() {
    let (cluster, foreign) = (Cluster::new("demo"), Cluster::new("demo"));
    let issued = cluster.issued(PeerRole::Node, "n-1");
    let files = cluster.save("member", &issued);
    fs::write(&files.ca, foreign.ca.certificate_pem()).unwrap();
    let error = refused(&files, &files.ca);
    assert!(matches!(error, TlsError::Untrusted { .. }), "{error}");

    // A member's certificate among the authorities would make that member one.
    fs::write(&files.ca, format!("{}{}", cluster.ca.certificate_pem(), issued.certificate_pem)).unwrap();
    let error = refused(&files, &files.ca);
    assert!(error.to_string().contains("not a CA's"), "{error}");

    // A key alone is no certificate.
    fs::write(&files.ca, issued.key_pem.as_bytes()).unwrap();
    assert!(refused(&files, &files.ca).to_string().contains("holds no PEM certificate"));
}

#[test]
fn relative_paths_are_taken_from_the_base() {
    let files = TlsFiles { certificate: "c.pem".into(), key: "/k.pem".into(), ca: "x/ca.pem".into() };
    let files = files.relative_to(Path::new("/etc/quorate"));
    assert_eq!(files.certificate, Path::new("/etc/quorate/c.pem"));
    assert_eq!(files.key, Path::new("/k.pem"));
    assert_eq!(files.ca, Path::new("/etc/quorate/x/ca.pem"));
}

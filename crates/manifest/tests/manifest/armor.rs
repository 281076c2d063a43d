//! Signature files with one block and with several.

use quorate_manifest::{
    DocumentError, MAX_SIGNATURES, Namespace, SignatureFault, SignedDocument, split_signatures, verify,
};

use crate::rig::{ALICE_SIG, BOB_SIG, BODY, alice_and_bob};

#[test]
fn one_file_holds_what_several_people_signed() {
    let together = [format!("{ALICE_SIG}{BOB_SIG}"), format!("\n{ALICE_SIG}\r\n\r\n{BOB_SIG}\n")];
    for text in together {
        let signatures = split_signatures(&text).unwrap();
        let document = SignedDocument { body: BODY.into(), signatures };
        let names = verify(&document, Namespace::Manifest, &alice_and_bob(), 2).unwrap();
        assert_eq!(names, ["Alice", "Bob"]);
    }
    assert_eq!(split_signatures(ALICE_SIG).unwrap(), [ALICE_SIG]);
    assert_eq!(split_signatures(&ALICE_SIG.replace('\n', "\r\n")).unwrap().len(), 1);
}

#[test]
fn anything_else_in_the_file_is_refused_by_its_place() {
    let cut = ALICE_SIG.lines().next().unwrap();
    for (text, index) in [
        (String::new(), 0),
        ("hello".to_owned(), 0),
        (format!("hello\n{ALICE_SIG}"), 0),
        (format!("{ALICE_SIG}hello"), 1),
        (format!("{ALICE_SIG}hello\n{BOB_SIG}"), 1),
        (format!("{ALICE_SIG}{cut}"), 1),
    ] {
        let refused = DocumentError::Signature { index, fault: SignatureFault::Malformed };
        assert_eq!(split_signatures(&text), Err(refused), "{text}");
    }
    // A block that never ends swallows the next one, and is none.
    let swallowed = split_signatures(&format!("{cut}\n{BOB_SIG}")).unwrap();
    let document = SignedDocument { body: BODY.into(), signatures: swallowed };
    assert!(verify(&document, Namespace::Manifest, &alice_and_bob(), 1).is_err());
}

#[test]
fn a_file_of_too_many_is_refused() {
    assert_eq!(split_signatures(&ALICE_SIG.repeat(MAX_SIGNATURES)).unwrap().len(), MAX_SIGNATURES);
    let refused = split_signatures(&ALICE_SIG.repeat(MAX_SIGNATURES + 1));
    assert_eq!(refused, Err(DocumentError::TooManySignatures { count: MAX_SIGNATURES + 1 }));
}

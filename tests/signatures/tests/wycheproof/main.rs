//! Every vector of Project Wycheproof for what `mender::signature` verifies.
//!
//! | file | vectors |
//! |---|---|
//! | `ecdsa.rs` | ECDSA on P-256 and P-384; keys of other curves, which are refused |
//! | `pkcs1.rs` | RSA, PKCS#1 v1.5 |
//! | `pss.rs` | RSA, PSS with every salt and hash; what TLS 1.3 does not allow is refused |
//! | `tally.rs` | what became of them |
//!
//! Each test says how many vectors of each kind there are, so that none passes by trying nothing.

mod ecdsa;
mod pkcs1;
mod pss;
mod tally;

//! The verification of signatures against the vectors of Project Wycheproof. Everything is in `tests/`.

//! The artifact parser against the test vectors in `tests/vectors/artifacts`, and against random artifacts.

mod accept;
mod builder;
mod codes;
mod compressed;
mod documents;
mod fit;
mod limits;
mod random;
mod reasons;
mod reject;
mod run;
mod signatures;
mod spare;
mod vectors;

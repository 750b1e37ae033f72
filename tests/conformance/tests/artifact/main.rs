//! The artifact parser against the test vectors in `tests/vectors/artifacts`, and against random artifacts.

mod accept;
mod builder;
mod documents;
mod fit;
mod limits;
mod random;
mod reasons;
mod reject;
mod run;
mod vectors;

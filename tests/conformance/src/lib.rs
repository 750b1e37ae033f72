//! The client's pure parts against golden data of the real tools. Everything is in `tests/`.

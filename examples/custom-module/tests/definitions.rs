//! What must not compile, and what the compiler says of it.
//!
//! A file for each rule in `definitions`, and beside it what is expected. `TRYBUILD=overwrite cargo test --test definitions` writes
//! that anew: read the difference before you commit it. The messages are those of one compiler: hold it by a `rust-toolchain.toml`, or
//! expect to write them anew with a new one.

#[test]
fn definitions() {
    trybuild::TestCases::new().compile_fail("tests/definitions/*.rs");
}

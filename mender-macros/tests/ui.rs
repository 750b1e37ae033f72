//! What compiles, and what every rejected definition is told: one file per rule in `ui/fail`, named after the rule.
//!
//! `TRYBUILD=overwrite cargo nextest run -p mender-macros --test ui` writes the messages anew; read the difference
//! before committing it. They are those of the toolchain in `rust-version`.

#[test]
fn ui() {
    let t = trybuild::TestCases::new();
    t.pass("tests/ui/pass/*.rs");
    t.compile_fail("tests/ui/fail/*.rs");
}

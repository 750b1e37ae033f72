//! What must not compile.

#[test]
fn wrong_layouts() {
    trybuild::TestCases::new().compile_fail("tests/ui/mcuboot/*.rs");
}

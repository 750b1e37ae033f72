//! What must not compile.

#[test]
fn wrong_layouts() {
    trybuild::TestCases::new().compile_fail("tests/ui/mcuboot/*.rs");
}

#[test]
fn flash_maps_for_them() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/flash_map/fail/*.rs");
    cases.pass("tests/ui/flash_map/pass/*.rs");
}

//! What must not compile, and that the compiler's message helps.

#[test]
fn types_that_cannot_cross_and_calls_that_make_no_sense_do_not_compile() {
    let cases = trybuild::TestCases::new();
    // With a passing case in the set the others are built whole, so that the size of an element is evaluated.
    cases.pass("tests/ui/what_compiles.rs");
    cases.compile_fail("tests/ui/fails_*.rs");
}

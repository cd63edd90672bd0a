//! A handler that is missing, doubled or in the wrong phase does not compile, and the compiler says which.

#[test]
fn a_missing_doubled_or_misplaced_handler_is_a_type_error() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/complete.rs");
    cases.compile_fail("tests/ui/event_*.rs");
    cases.compile_fail("tests/ui/handler_*.rs");
}

//! Every kind of end meets every case of the hostile peer: this process lives on, reports what is expected, holds what it held
//! before, and its connection to somebody else works on. `EVIL_CASE=..` plays the cases with that in their names only.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod honest;

use std::collections::HashSet;

use evil_peer::cases;

/// One test a group.
macro_rules! groups {
    ($($test:ident: $group:literal;)*) => {
        $(#[test]
        fn $test() {
            honest::run($group);
        })*

        #[test]
        fn every_group_of_cases_has_its_test() {
            let tested = HashSet::from([$($group),*]);
            let there: HashSet<&str> = cases::all().iter().map(|case| case.group).collect();
            assert_eq!(tested, there);
        }
    };
}

groups! {
    a_field_of_a_hello_that_is_wrong_is_refused_by_name_and_number: "hello";
    a_descriptor_that_is_no_proper_segment_is_refused: "segment";
    descriptors_too_few_or_too_many_are_refused_and_closed: "descriptors";
    frames_in_any_shape_and_order_open_or_are_refused: "frames";
    silence_and_departure_at_any_step_are_reported_in_time: "silence";
    a_second_socket_that_is_no_good_harms_nobody: "second-socket";
    descriptors_that_hold_whoever_touches_them_hold_nobody: "holding";
    live_words_that_lie_are_found_out_or_harmless: "positions";
    bells_that_lie_are_found_out_or_harmless: "bells";
    floods_hold_nobody_up: "floods";
    a_segment_cannot_be_changed_by_its_descriptor: "attacks";
    every_end_is_noticed_behind_what_was_published: "ends";
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names = HashSet::new();
    for case in cases::all() {
        assert!(names.insert(case.name.clone()), "{} twice", case.name);
        assert!(!case.kinds.is_empty());
    }
}

/// Not a test of its own: the others start it as another process.
#[test]
#[ignore = "the other end of an honest connection, for the other tests"]
fn plays_the_bystander() {
    honest::bystander::other_end();
}

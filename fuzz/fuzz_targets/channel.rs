#![no_main]

#[path = "../../crates/local-socket/tests/corpus/channel/descriptors.rs"]
mod descriptors;
#[path = "../../crates/local-socket/tests/corpus/channel/ends.rs"]
mod ends;
#[path = "../../crates/local-socket/tests/corpus/channel/plan.rs"]
mod plan;
#[path = "../../crates/local-socket/tests/corpus/channel/rules.rs"]
mod rules;
#[path = "../../crates/local-socket/tests/corpus/channel/target.rs"]
mod target;
#[path = "../../crates/local-socket/tests/corpus/channel/value.rs"]
mod value;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    target::channel(bytes);
});

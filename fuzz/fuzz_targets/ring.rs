#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ipc_queue::fuzzing::ring(bytes);
});

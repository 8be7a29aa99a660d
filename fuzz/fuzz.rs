//! One fuzzer for each target: the name of the program is the name of the target.
#![no_main]

#[path = "sessions.rs"]
mod sessions;
#[path = "targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for (name, target) in targets::TARGETS.iter().chain(sessions::TARGETS) {
        if *name == env!("CARGO_BIN_NAME") {
            target(data);
        }
    }
});

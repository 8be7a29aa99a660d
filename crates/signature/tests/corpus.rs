//! The fuzzing corpus of the sessions, and a short seeded run of mutations of it.
#![allow(clippy::unwrap_used)] // Clippy knows test functions, not their helpers.

#[path = "../../../fuzz/sessions.rs"]
mod sessions;
#[path = "../../../fuzz/survive.rs"]
mod survive;

#[test]
fn sessions_survive_their_corpus_and_mutations_of_it() {
    for (name, target) in sessions::TARGETS {
        survive::run(name, *target);
    }
}

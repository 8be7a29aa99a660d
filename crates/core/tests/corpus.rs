//! Every file of the fuzzing corpora, and a short seeded run of mutations of them, through every target.
#![allow(clippy::unwrap_used)] // Clippy knows test functions, not their helpers.

#[path = "../../../fuzz/survive.rs"]
mod survive;
#[path = "../../../fuzz/targets.rs"]
mod targets;

#[test]
fn every_target_survives_its_corpus_and_mutations_of_it() {
    std::thread::scope(|scope| {
        for (name, target) in targets::TARGETS {
            scope.spawn(move || survive::run(name, *target));
        }
    });
}

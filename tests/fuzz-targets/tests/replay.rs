//! The inputs in `tests/regressions`, those made of the vectors, and some thousand made out of both: no promise is broken.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use mender_fuzz_targets::{Chance, edit, seeds, target};

/// Inputs for each target besides those that are kept. `MENDER_FUZZ_ROUNDS` sets another number.
const ROUNDS: usize = 2000;

fn replay(name: &str) {
    let target = target(name);
    let kept = seeds::kept(name);
    assert!(!kept.is_empty(), "there are no inputs for {name}");
    let seeds = [kept, seeds::made(name)].concat();
    let rounds = std::env::var("MENDER_FUZZ_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(ROUNDS);
    let mut chance = Chance::new(1);
    for round in 0..seeds.len() + rounds {
        let mut input = seeds[round % seeds.len()].clone();
        if round >= seeds.len() {
            for _ in 0..1 + chance.below(3) {
                let mut other = Chance::new(chance.number());
                input = (target.mutate)(&input, &mut chance, &mut |bytes| edit(bytes, &mut other));
            }
        }
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{round}"));
            fs::write(&path, &input).unwrap();
            panic!("{name} breaks a promise with the input {}", path.display());
        }
    }
}

#[test]
fn artifacts() {
    replay("artifact");
}

#[test]
fn gzip() {
    replay("gunzip");
}

#[test]
fn responses() {
    replay("response");
}

#[test]
fn answers() {
    replay("answers");
}

#[test]
fn urls() {
    replay("url");
}

#[test]
fn records() {
    replay("records");
}

#[test]
fn flash_contents() {
    replay("flash");
}

#[test]
fn mcuboot_slots() {
    replay("mcuboot");
}

#[test]
fn patches() {
    replay("delta");
}

#[test]
fn tokens_of_the_attribute() {
    replay("tokens");
}

#[test]
fn requests_to_the_server() {
    replay("requests");
}

#[test]
fn signatures_and_certificates() {
    replay("signatures");
}

#[test]
fn tls_servers() {
    replay("tls");
}

#[test]
fn no_target_is_forgotten() {
    let names = mender_fuzz_targets::TARGETS.map(|target| target.name);
    let kept = fs::read_dir(seeds::regressions()).unwrap();
    let mut folders: Vec<String> = kept
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut sorted = names.to_vec();
    sorted.sort();
    assert_eq!(folders, sorted);
    let this = include_str!("replay.rs");
    for name in names {
        assert!(
            this.contains(&format!("replay(\"{name}\")")),
            "{name} is not tried here"
        );
    }
}

//! Runs every target body on its seeds and on some mutations of them: a smoke test for each `cargo test`; cargo-fuzz
//! goes on from there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hyaline_fuzz::{TARGETS, Target};

const MUTATIONS_PER_SEED: u64 = 20;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The seeds of a target, in an order that does not depend on the file system.
fn seeds(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths = BTreeSet::new();
    for directory in target.seeds {
        let directory = root().join(directory);
        let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        paths.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    paths
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// SplitMix64, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// One to four changes: a byte replaced, a bit turned, a part taken out, doubled, or the end cut off.
fn mutate(random: &mut Random, seed: &[u8]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len());
        let end = (at + 1 + random.below(16)).min(data.len());
        match random.below(5) {
            0 if !data.is_empty() => data[at] = random.next() as u8,
            1 if !data.is_empty() => data[at] ^= 1 << random.below(8),
            2 => drop(data.drain(at.min(end)..end)),
            3 => {
                let part = data[at.min(end)..end].to_vec();
                let to = random.below(data.len() + 1);
                data.splice(to..to, part);
            }
            _ => data.truncate(at),
        }
    }
    data
}

/// Names the input in the message of a panic.
fn run(target: &Target, origin: &str, input: &[u8]) {
    let result = std::panic::catch_unwind(|| (target.run)(input));
    if result.is_err() {
        let kept = std::env::temp_dir().join(format!("hyaline-fuzz-{}", target.name));
        fs::write(&kept, input).unwrap();
        panic!(
            "{} fails on {origin}; run it again: cargo run -p hyaline-fuzz --bin {} {}",
            target.name,
            target.name,
            kept.display()
        );
    }
}

#[test]
fn every_body_holds_on_its_seeds_and_on_mutations_of_them() {
    for target in TARGETS {
        let seeds = seeds(target);
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        run(target, "the empty input", &[]);
        for (number, (path, seed)) in seeds.iter().enumerate() {
            run(target, &path.display().to_string(), seed);
            let mut random = Random(number as u64);
            for mutation in 0..MUTATIONS_PER_SEED {
                let input = mutate(&mut random, seed);
                run(target, &format!("mutation {mutation} of {}", path.display()), &input);
            }
        }
    }
}

/// A target is its function, its line in the table, its program and its entry in Cargo.toml.
#[test]
fn every_target_is_complete() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len(), "a target is listed twice");

    let programs: BTreeSet<String> = fs::read_dir(root().join("fuzz/fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(programs, names);

    let entries: BTreeSet<String> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .map(str::to_owned)
        .collect();
    assert_eq!(entries, names);

    for name in &names {
        let program = fs::read_to_string(root().join(format!("fuzz/fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("hyaline_fuzz::target!({name});")), "{name}");
    }
}

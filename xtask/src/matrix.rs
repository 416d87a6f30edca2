use crate::report::Outcome;
use crate::stage::{Settings, check};

/// How often each cell is run.
pub(crate) const RUNS: u64 = 1000;

/// Runs the matrix of NATs in release, and lets it print its tables and how far it is.
pub(crate) fn run(settings: &Settings, runs: u64) -> Outcome {
    let arguments = [
        "test",
        "--locked",
        "--release",
        "-p",
        "hyaline-ice",
        "--test",
        "full",
        "--",
        "--nocapture",
        "matrix::",
    ];
    check(settings.cargo(&arguments).env("HYALINE_MATRIX_RUNS", runs.to_string()))
}

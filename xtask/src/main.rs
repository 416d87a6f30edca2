//! `cargo xtask test`: everything that CI does, installing what it needs. `cargo xtask matrix`: the NATs, a thousand
//! times.

mod fuzz;
mod install;
mod matrix;
mod report;
mod stage;

use std::process::ExitCode;

use report::Report;
use stage::{STAGES, Settings};

const HELP: &str = "\
Runs everything that has to be green before a change goes in. CI runs exactly this.

usage: cargo xtask test [--long] [STAGE]...
       cargo xtask matrix [RUNS]

Without a name all stages run, in this order:
";

const HELP_END: &str = "
  --long    many more seeds and cases, fuzzing for minutes, DTLS against BoringSSL, the
            browser tests ten times, and ten minutes of a room of twelve

What is missing is installed first: Debian packages by apt-get (as root, or with a sudo that asks no password) and cargo-fuzz by
cargo. Nothing is retried and nothing is skipped: a missing browser and an ignored test are failures. Network tests stay on loopback
or in network namespaces that they make, for which they need root.

Seconds and results per stage are printed at the end; the exit status is 0 only if everything passed.

`matrix` lets two ICE agents meet behind each pair of NATs, with and without TURN, with and without loss, RUNS times each (1000). It
prints which pair they take and how many ms of virtual time that takes, and fails where it is not what the tables in
ice/tests/full/matrix.rs say.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("test") => {}
        Some("matrix") => return matrix(&arguments.collect::<Vec<_>>()),
        Some("--help" | "-h" | "help") => {
            print!("{}", help());
            return ExitCode::SUCCESS;
        }
        other => {
            if let Some(other) = other {
                eprintln!("xtask: there is no task `{other}`\n");
            }
            eprint!("{}", help());
            return ExitCode::from(2);
        }
    }
    let mut long = false;
    let mut chosen = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--long" => long = true,
            "--help" | "-h" => {
                print!("{}", help());
                return ExitCode::SUCCESS;
            }
            name => match STAGES.iter().find(|stage| stage.name == name) {
                Some(stage) => chosen.push(stage),
                None => {
                    eprintln!("xtask: there is no stage `{name}`\n");
                    eprint!("{}", help());
                    return ExitCode::from(2);
                }
            },
        }
    }
    if chosen.is_empty() {
        chosen.extend(STAGES);
    }
    let settings = Settings::new(long);
    let mut report = Report::default();
    for stage in chosen {
        report.run(stage, &settings);
    }
    report.print();
    if report.is_green() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn matrix(arguments: &[String]) -> ExitCode {
    let runs = match arguments {
        [] => Some(matrix::RUNS),
        [runs] => runs.parse().ok().filter(|runs| *runs > 0),
        _ => None,
    };
    let Some(runs) = runs else {
        eprintln!("xtask: say how often each cell is to be run, as in `cargo xtask matrix 100`\n");
        eprint!("{}", help());
        return ExitCode::from(2);
    };
    if matrix::run(&Settings::new(false), runs).failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn help() -> String {
    let stages: String = STAGES
        .iter()
        .map(|stage| format!("  {:9} {}\n", stage.name, stage.about))
        .collect();
    format!("{HELP}{stages}{HELP_END}")
}

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::report::Outcome;
use crate::{fuzz, install};

/// One part of the run.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    /// One line for `--help`.
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Settings) -> Outcome,
}

/// All of them, in the order in which they run: what fails fast comes first.
pub(crate) const STAGES: &[Stage] = &[
    Stage {
        name: "install",
        about: "what is missing on this machine",
        run: install::run,
    },
    Stage {
        name: "format",
        about: "cargo fmt --check, here, in bench/ and in interop/",
        run: format,
    },
    Stage {
        name: "lint",
        about: "clippy without warnings: workspace, all targets; the wire formats also without std",
        run: lint,
    },
    Stage {
        name: "unit",
        about: "unit, property and integration tests of all crates",
        run: unit,
    },
    Stage {
        name: "doctest",
        about: "the examples in the documentation",
        run: doctest,
    },
    Stage {
        name: "doc",
        about: "cargo doc without warnings",
        run: doc,
    },
    Stage {
        name: "bench",
        about: "the comparisons in bench/ compile, without warnings",
        run: bench,
    },
    Stage {
        name: "interop",
        about: "DTLS against BoringSSL, SCTP against other stacks in Rust, with --long alone: it takes minutes to build",
        run: interop,
    },
    Stage {
        name: "fuzz",
        about: "each fuzz target for a second, and its seeds",
        run: fuzz::run,
    },
    Stage {
        name: "browsers",
        about: "Chromium and Firefox against the page and the server, in release",
        run: browsers,
    },
];

/// Browsers need the server at its real speed, and each other's CPU: their tests are a package and a stage of their
/// own.
const BROWSER_TESTS: &str = "hyaline-browser-test";

/// How the run was asked for.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// Where the builds go.
    pub(crate) target: PathBuf,
    /// More of everything.
    pub(crate) long: bool,
}

impl Settings {
    pub(crate) fn new(long: bool) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .map(PathBuf::from)
            .unwrap_or_default();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Self { root, target, long }
    }

    /// `cargo` at the root of the repository. Colours are cargo's own choice by its terminal, which a pipe is not.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root).args(arguments);
        if self.long {
            command.env("HYALINE_LONG", "1").env("PROPTEST_CASES", "20000");
        }
        command
    }
}

fn format(settings: &Settings) -> Outcome {
    let workspace = check(&mut settings.cargo(&["fmt", "--all", "--check"]));
    let apart = |manifest| check(&mut settings.cargo(&["fmt", "--manifest-path", manifest, "--check"]));
    workspace
        .and(apart("bench/Cargo.toml"))
        .and(apart("interop/Cargo.toml"))
}

/// The crates that need no more than `core` and `alloc`.
const NO_STD: [&str; 5] = [
    "hyaline-wire",
    "hyaline-sdp",
    "hyaline-stun",
    "hyaline-rtp",
    "hyaline-sctp",
];

fn lint(settings: &Settings) -> Outcome {
    let workspace = check(&mut settings.cargo(&[
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]));
    // In a build of the workspace somebody always wants their feature `std`, and so all get it.
    let mut arguments = vec!["clippy", "--locked", "--no-default-features", "--lib"];
    arguments.extend(NO_STD.iter().flat_map(|package| ["-p", package]));
    arguments.extend(["--", "-D", "warnings"]);
    workspace.and(check(&mut settings.cargo(&arguments)))
}

fn unit(settings: &Settings) -> Outcome {
    tests(&mut settings.cargo(&[
        "test",
        "--locked",
        "--workspace",
        "--exclude",
        BROWSER_TESTS,
        "--lib",
        "--bins",
        "--tests",
        "--examples",
        "--no-fail-fast",
    ]))
}

fn doctest(settings: &Settings) -> Outcome {
    tests(&mut settings.cargo(&["test", "--locked", "--workspace", "--doc", "--no-fail-fast"]))
}

fn doc(settings: &Settings) -> Outcome {
    check(
        settings
            .cargo(&["doc", "--locked", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn bench(settings: &Settings) -> Outcome {
    let manifest = [
        "clippy",
        "--locked",
        "--manifest-path",
        "bench/Cargo.toml",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    check(
        settings
            .cargo(&manifest)
            .env("CARGO_TARGET_DIR", settings.target.join("bench")),
    )
}

fn interop(settings: &Settings) -> Outcome {
    if !settings.long {
        println!("only with --long");
        return Outcome::default();
    }
    let apart = |arguments: &[&str]| {
        let mut command = settings.cargo(arguments);
        command.env("CARGO_TARGET_DIR", settings.target.join("interop"));
        command
    };
    let manifest = ["--locked", "--manifest-path", "interop/Cargo.toml"];
    let lint = [&["clippy"], &manifest[..], &["--all-targets", "--", "-D", "warnings"]];
    let test = [&["test"], &manifest[..], &["--tests", "--no-fail-fast"]];
    check(&mut apart(&lint.concat())).and(tests(&mut apart(&test.concat())))
}

fn browsers(settings: &Settings) -> Outcome {
    let rounds = if settings.long { 10 } else { 1 };
    let mut outcome = Outcome::default();
    for _ in 0..rounds {
        // One test at a time: two cores carry one call of two browsers at full quality, not two.
        let arguments = [
            "test",
            "--locked",
            "--release",
            "-p",
            BROWSER_TESTS,
            "--tests",
            "--no-fail-fast",
            "--",
            "--test-threads=1",
        ];
        outcome = outcome.and(tests(&mut settings.cargo(&arguments)));
    }
    if settings.long {
        outcome = outcome.and(check(&mut settings.cargo(&ROOM_OF_TWELVE)));
    }
    outcome
}

/// Ten minutes of a room with four browsers in it, which fails by its exit code.
const ROOM_OF_TWELVE: [&str; 7] = [
    "run",
    "--locked",
    "--release",
    "-p",
    BROWSER_TESTS,
    "--example",
    "room_of_twelve",
];

/// Runs a command that passes or fails as a whole.
pub(crate) fn check(command: &mut Command) -> Outcome {
    println!("$ {}", line(command));
    match command.status() {
        Ok(status) if status.success() => Outcome::passed(1),
        Ok(_) => Outcome::failed(line(command)),
        Err(error) => Outcome::failed(format!("{} cannot be run: {error}", line(command))),
    }
}

/// Runs `cargo test` and counts what it ran. An ignored test is a failure, and so is a run without any result.
fn tests(command: &mut Command) -> Outcome {
    println!("$ {}", line(command));
    let mut child = match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return Outcome::failed(format!("{} cannot be run: {error}", line(command))),
    };
    let mut outcome = Outcome::default();
    let mut said = Said::default();
    if let Some(stdout) = child.stdout.take() {
        for text in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&text);
            println!("{text}");
            let _ = std::io::stdout().flush();
            if let Some(counts) = Counts::parse(&text) {
                outcome.passed += counts.passed;
                outcome.failed += counts.failed;
                said.end(&mut outcome.failures);
            }
            if let Some(name) = text.strip_prefix("test ").and_then(failing) {
                outcome.failures.push(name);
            }
            said.line(&text);
        }
    }
    match child.wait() {
        Ok(status) if status.success() && outcome.passed > 0 => outcome,
        // A test that failed has been counted; a build that failed has not.
        Ok(_) if outcome.failed > 0 => outcome,
        Ok(_) => outcome.and(Outcome::failed(line(command))),
        Err(error) => outcome.and(Outcome::failed(format!("{}: {error}", line(command)))),
    }
}

/// `NAME` of a line `NAME ... FAILED` or `NAME ... ignored`.
fn failing(text: &str) -> Option<String> {
    let (name, result) = text.rsplit_once(" ... ")?;
    match result.split(',').next() {
        Some("FAILED") => Some(name.to_owned()),
        Some("ignored") => Some(format!("{name} is ignored")),
        _ => None,
    }
}

/// What tests that failed have printed, which a test program repeats at its end: for the closing lines, so that nobody
/// has to look for it among a thousand others.
#[derive(Debug, Default)]
struct Said {
    /// By the test's name, each line on one of its own.
    of: BTreeMap<String, String>,
    /// Whose lines come now, and how many more of them are wanted.
    now: Option<(String, usize)>,
    /// How many failures have what they have said.
    told: usize,
}

impl Said {
    /// As many lines of a test, and characters of a line, as one reads to the end.
    const LINES: usize = 40;
    const CHARACTERS: usize = 2000;

    /// Whether a line tells only where the test was, as several panics may.
    fn is_of_backtrace(text: &str) -> bool {
        let place = text
            .trim_start()
            .trim_start_matches(|digit: char| digit.is_ascii_digit());
        let frame = text.starts_with("  ") && (place.starts_with(": ") || place.starts_with("at "));
        text.is_empty() || text == "stack backtrace:" || text.starts_with("note: ") || frame
    }

    /// A test program has ended: its failures get what they have said. Those of another may have the same names.
    fn end(&mut self, failures: &mut [String]) {
        for failure in failures.iter_mut().skip(self.told) {
            let name = failure.strip_suffix(" - should panic").unwrap_or(failure);
            if let Some(what) = self.of.remove(name) {
                failure.push_str(&what);
            }
        }
        self.told = failures.len();
        self.of.clear();
    }

    /// A line of what a test program prints.
    fn line(&mut self, text: &str) {
        let header = text
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"));
        if let Some(name) = header {
            self.now = Some((name.to_owned(), Self::LINES));
        } else if text == "failures:" {
            self.now = None;
        } else if let Some((name, left)) = &mut self.now
            && *left > 0
            && !Self::is_of_backtrace(text)
        {
            *left -= 1;
            let said = self.of.entry(name.clone()).or_default();
            said.push_str("\n    ");
            said.extend(text.chars().take(Self::CHARACTERS));
        }
    }
}

/// The closing line of a test program.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
}

impl Counts {
    /// `test result: ok. 8 passed; 0 failed; 0 ignored; ...`; what is ignored has failed.
    fn parse(text: &str) -> Option<Self> {
        let counts = text.strip_prefix("test result: ")?.split_once(". ")?.1;
        let count = |what: &str| {
            let found = counts
                .split(';')
                .find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok());
            found.unwrap_or_default()
        };
        Some(Self {
            passed: count("passed"),
            failed: count("failed") + count("ignored"),
        })
    }
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let program = words
        .first()
        .and_then(|program| program.rsplit('/').next())
        .unwrap_or_default()
        .to_owned();
    [&[program][..], words.get(1..).unwrap_or_default()].concat().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_of_a_test_program() {
        let text = "test result: ok. 8 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.25s";
        assert_eq!(Counts::parse(text), Some(Counts { passed: 8, failed: 0 }));
        let text = "test result: FAILED. 1 passed; 2 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.25s";
        assert_eq!(Counts::parse(text), Some(Counts { passed: 1, failed: 5 }));
        assert_eq!(Counts::parse("running 8 tests"), None);
    }

    #[test]
    fn which_test_failed() {
        assert_eq!(failing("a::b ... FAILED").as_deref(), Some("a::b"));
        assert_eq!(
            failing("a::b ... ignored, too slow").as_deref(),
            Some("a::b is ignored")
        );
        assert_eq!(failing("a::b ... ok"), None);
        assert_eq!(failing("result: ok. 8 passed"), None);
    }

    #[test]
    fn a_test_that_failed_is_heard_at_the_end() {
        let program = |says: &str| {
            format!(
                "test a::b - should panic ... FAILED\n\nfailures:\n\n---- a::b stdout ----\n\n{says}\nstack backtrace:\n   \
                0: rust_begin_unwind\n             at ./x.rs:1:1\nnote: Some details are omitted\n\nthread 'c' panicked:\n  \
                left: 1\n\n\nfailures:\n    a::b\n\n\ntest result: FAILED. 7 passed; 1 failed; 0 ignored;\n"
            )
        };
        let outcome = tests(Command::new("echo").arg(program("one") + &program("two")));
        assert_eq!((outcome.passed, outcome.failed), (14, 2));
        let expected = |says| format!("a::b - should panic\n    {says}\n    thread 'c' panicked:\n      left: 1");
        assert_eq!(outcome.failures, ["one", "two"].map(expected));
        // However much that was.
        let mut said = Said::default();
        said.line("---- a stdout ----");
        for _ in 0..1000 {
            said.line(&"x".repeat(10_000));
        }
        assert!(said.of["a"].len() < 100_000);
    }

    #[test]
    fn a_command_is_printed_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "--doc"]);
        assert_eq!(line(&command), "cargo test --doc");
    }

    #[test]
    fn a_command_that_fails_or_is_not_there_is_a_failure() {
        assert_eq!(check(&mut Command::new("true")).failed, 0);
        assert_eq!(check(&mut Command::new("false")).failed, 1);
        assert_eq!(check(&mut Command::new("/nowhere/at/all")).failed, 1);
        // No test result at all is not a success.
        assert_eq!(tests(&mut Command::new("true")).failed, 1);
        let mut green = Command::new("echo");
        green.arg("test result: ok. 8 passed; 0 failed; 0 ignored;");
        let outcome = tests(&mut green);
        assert_eq!((outcome.passed, outcome.failed), (8, 0));
    }
}

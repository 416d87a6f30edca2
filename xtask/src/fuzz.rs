use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::report::Outcome;
use crate::stage::{Settings, check};

/// Builds all targets at once and runs each program, as many side by side as there are cores.
pub(crate) fn run(settings: &Settings) -> Outcome {
    let seconds = if settings.long { 300 } else { 1 };
    let folder = settings.target.join("fuzz");
    let mut build = settings.cargo(&[
        "fuzz",
        "build",
        // The protocol crates have no unsafe code for the address sanitizer to watch, and run twice as fast without it.
        "--sanitizer",
        "none",
    ]);
    // Sanitizer and coverage flags are not for the stable compiler, unless told so; its output is not mixed with other
    // builds.
    build.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &folder);
    // Each of the many programs would be optimised as a whole again, for the sake of a few seconds.
    build
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    // And a second is not worth a minute of the optimiser.
    if !settings.long {
        build.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    }
    let mut outcome = check(&mut build);
    if outcome.failed > 0 {
        return outcome;
    }
    let targets = match targets(settings) {
        Ok(targets) => targets,
        Err(error) => return outcome.and(Outcome::failed(error)),
    };
    let programs = folder.join(host()).join("release");
    let side_by_side = std::thread::available_parallelism().map_or(1, usize::from);
    for group in targets.chunks(side_by_side) {
        let running: Vec<_> = group
            .iter()
            .map(|target| (target, target.start(settings, &programs, seconds)))
            .collect();
        for (target, child) in running {
            outcome = outcome.and(target.finish(child));
        }
    }
    outcome
}

/// A target's name and the directories of its seeds.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    name: String,
    seeds: Vec<String>,
}

impl Target {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t').map(str::to_owned);
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some(Self {
            name,
            seeds: fields.filter(|seeds| !seeds.is_empty()).collect(),
        })
    }

    /// What libFuzzer finds goes to `fuzz/corpus`, a crash to `fuzz/artifacts`; git ignores both.
    fn start(&self, settings: &Settings, programs: &Path, seconds: u32) -> std::io::Result<Child> {
        let artifacts = format!("fuzz/artifacts/{}/", self.name);
        let corpus = format!("fuzz/corpus/{}", self.name);
        for folder in [&artifacts, &corpus] {
            std::fs::create_dir_all(settings.root.join(folder))?;
        }
        let mut command = Command::new(programs.join(&self.name));
        command.current_dir(&settings.root).arg(&corpus).args(&self.seeds);
        command.args([
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={artifacts}"),
            "-timeout=10".into(),
        ]);
        let dictionary = format!("fuzz/dictionaries/{}.dict", self.name);
        if settings.root.join(&dictionary).is_file() {
            command.arg(format!("-dict={dictionary}"));
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// Waits, and shows libFuzzer's words only if it found something.
    fn finish(&self, child: std::io::Result<Child>) -> Outcome {
        match child.and_then(Child::wait_with_output) {
            Ok(output) => {
                let words = String::from_utf8_lossy(&output.stderr);
                if output.status.success() {
                    println!(
                        "{}: {}",
                        self.name,
                        words.lines().rfind(|line| line.starts_with("Done")).unwrap_or("done")
                    );
                    return Outcome::passed(1);
                }
                println!("{words}");
                Outcome::failed(format!("{}: its input is in fuzz/artifacts/{}/", self.name, self.name))
            }
            Err(error) => Outcome::failed(format!("{} cannot be run: {error}", self.name)),
        }
    }
}

/// The targets as the fuzz package itself names them.
fn targets(settings: &Settings) -> Result<Vec<Target>, String> {
    let output = settings
        .cargo(&[
            "run",
            "--quiet",
            "--locked",
            "--package",
            "hyaline-fuzz",
            "--example",
            "targets",
        ])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("the list of targets: {error}"))?;
    let targets: Vec<_> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(Target::parse)
        .collect();
    if targets.is_empty() {
        Err("there is no list of targets".into())
    } else {
        Ok(targets)
    }
}

/// The platform that cargo-fuzz builds for, which is a part of the path.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or("x86_64-unknown-linux-gnu")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_list() {
        let target = Target {
            name: "sdp".into(),
            seeds: vec!["fixtures/sdp".into(), "fuzz/seeds/sdp".into()],
        };
        assert_eq!(Target::parse("sdp\tfixtures/sdp\tfuzz/seeds/sdp"), Some(target));
        assert_eq!(
            Target::parse("sdp\t"),
            Some(Target {
                name: "sdp".into(),
                seeds: Vec::new()
            })
        );
        assert_eq!(Target::parse(""), None);
    }
}

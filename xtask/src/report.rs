use std::time::{Duration, Instant};

use crate::stage::{Settings, Stage};

/// What came of a stage, or of a part of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// What failed, each by a name that can be looked for above; on further lines, what it said.
    pub(crate) failures: Vec<String>,
}

impl Outcome {
    pub(crate) fn passed(passed: usize) -> Self {
        Self {
            passed,
            ..Self::default()
        }
    }

    pub(crate) fn failed(what: String) -> Self {
        Self {
            passed: 0,
            failed: 1,
            failures: vec![what],
        }
    }

    /// Both.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self
    }
}

/// The stages that ran.
#[derive(Debug, Default)]
pub(crate) struct Report {
    stages: Vec<(&'static str, Duration, Outcome)>,
}

impl Report {
    /// Runs a stage. The next one runs whatever came of this one: a run shows all that is wrong, not only the first
    /// thing.
    pub(crate) fn run(&mut self, stage: &Stage, settings: &Settings) {
        println!("\n=== {}: {}", stage.name, stage.about);
        let begin = Instant::now();
        let outcome = (stage.run)(settings);
        let took = begin.elapsed();
        println!(
            "=== {}: {} passed, {} failed in {} s",
            stage.name,
            outcome.passed,
            outcome.failed,
            seconds(took)
        );
        self.stages.push((stage.name, took, outcome));
    }

    pub(crate) fn is_green(&self) -> bool {
        self.stages.iter().all(|(_, _, outcome)| outcome.failed == 0)
    }

    /// Seconds and results of each stage, what failed, and a closing line.
    pub(crate) fn print(&self) {
        println!("\n{:10} {:>8} {:>8} {:>8}", "stage", "seconds", "passed", "failed");
        for (name, took, outcome) in &self.stages {
            println!(
                "{name:10} {:>8} {:>8} {:>8}",
                seconds(*took),
                outcome.passed,
                outcome.failed
            );
        }
        for (name, _, outcome) in &self.stages {
            for failure in &outcome.failures {
                println!("FAILED {name}: {failure}");
            }
        }
        let took = self.stages.iter().map(|(_, took, _)| *took).sum();
        let passed: usize = self.stages.iter().map(|(_, _, outcome)| outcome.passed).sum();
        let failed: usize = self.stages.iter().map(|(_, _, outcome)| outcome.failed).sum();
        println!("\n{passed} passed, {failed} failed in {} s", seconds(took));
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1}", took.as_secs_f64())
}

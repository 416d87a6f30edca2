use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// One thing to measure. `run` does it for a batch and tells what one item cost, in nanoseconds.
pub(crate) struct Case<'a> {
    pub(crate) name: String,
    /// The case, by its place in the list, that this one is a multiple of.
    pub(crate) floor: Option<usize>,
    pub(crate) run: Box<dyn FnMut() -> f64 + 'a>,
}

/// Runs all cases in turn, `rounds` times, and prints each one's median and the median of its ratios to its floor in
/// the same round.
pub(crate) fn compare(rounds: usize, cases: &mut [Case<'_>]) {
    let mut runs: Vec<_> = cases.iter_mut().map(|case| &mut case.run).collect();
    let times = interleave(rounds, &mut runs);
    println!("{:56} {:>8} {:>10}", "", "ns", "of floor");
    for (case, own) in cases.iter().zip(&times) {
        let ratio = case.floor.map_or(String::new(), |floor| {
            let ratios = own.iter().zip(&times[floor]).map(|(own, floor)| own / floor);
            format!("{:.3}", median(ratios.collect()))
        });
        println!("{:56} {:>8.0} {:>10}", case.name, median(own.clone()), ratio);
    }
}

/// Runs all cases in turn, `rounds` times after a few for warming up; what each gave in each round.
pub(crate) fn interleave(rounds: usize, cases: &mut [impl FnMut() -> f64]) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(rounds); cases.len()];
    for round in 0..rounds + 3 {
        for (case, times) in cases.iter_mut().zip(&mut times) {
            let time = case();
            // The first rounds warm up caches and branch predictors.
            if round >= 3 {
                times.push(time);
            }
        }
    }
    times
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time that this thread has used.
pub(crate) fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

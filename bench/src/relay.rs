//! What it costs a TURN server to relay UDP, beside coturn: each is a process of its own, on the loopback interface.
//!
//! Both get the same load in turns: packets of 1200 bytes, as many from clients to peers (ChannelData) as back, at
//! times that are random (a Poisson process) but the same for both. Single packets are sent by one call each, bursts as
//! one message (`UDP_SEGMENT`), as browsers and media servers do. Clients and peers receive one datagram at a time (no
//! `UDP_GRO`), so that what joins packets on the way out has to split them again, as it would for most networks.
//!
//! Counted is the CPU time of the whole process, kernel included, divided by the packets that arrived unchanged. On the
//! loopback interface a sender pays for the receiver's half of the kernel's work too: both servers do. The floor tells
//! what that and receiving come to without a server around them.

mod floor;
mod flow;
mod load;
mod servers;

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use crate::rounds::median;
use flow::Flow;
use load::{Arrivals, Load};
use servers::{Process, Program};

/// Packets a second through the server, in both directions together.
const RATE: u32 = 40_000;
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_millis(2500);

const LOADS: [(Load, f64); 3] = [
    (
        Load {
            name: "1 flow, single packets",
            flows: 1,
            burst: 1,
        },
        0.5,
    ),
    (
        Load {
            name: "100 flows, bursts of 8",
            flows: 100,
            burst: 8,
        },
        0.5,
    ),
    (
        Load {
            name: "100 flows, single packets",
            flows: 100,
            burst: 1,
        },
        0.8,
    ),
];

/// `rate` is what the command line says, in packets a second.
pub(crate) fn run(rate: Option<&str>) -> ExitCode {
    let rate = rate.map_or(Ok(RATE), |rate| rate.parse::<NonZeroU32>().map(NonZeroU32::get));
    let result = match rate {
        Ok(rate) => compare(rate),
        Err(_) => Err("relay takes a number of packets a second, such as 40000.".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn compare(rate: u32) -> Result<(), String> {
    let programs = [Program::hyaline()?, Program::coturn()?];
    let apart = servers::cpus_apart();
    println!(
        "CPU of a TURN server per relayed packet of {} bytes, {rate} packets a second in both directions together",
        flow::PAYLOAD
    );
    println!(
        "{}\n",
        if apart {
            "server and load have a CPU each"
        } else {
            "there is one CPU for all"
        }
    );
    for burst in [1, flow::MAX_BURST] {
        let time = floor::measure(burst).map_err(|error| format!("The floor cannot be measured: {error}."))?;
        println!("floor, the two calls alone, {burst} in a message: {time:.0} ns");
    }
    println!();
    for (load, goal) in LOADS {
        println!("{}", load.name);
        let rounds = measure(&programs, load, rate)?;
        print(&programs, &rounds, goal);
    }
    Ok(())
}

/// A server with its flows.
struct House {
    flows: Vec<Flow>,
    process: Process,
}

/// Runs one load on both servers in turns.
fn measure(programs: &[Program; 2], load: Load, rate: u32) -> Result<Vec<[Cost; 2]>, String> {
    let mut houses = Vec::new();
    for program in programs {
        let process = program.start()?;
        let flows = (0..load.flows).map(|number| Flow::open(process.address(), number));
        let flows = flows.collect::<Result<_, _>>();
        let flows = flows.map_err(|problem| format!("{} {problem}", program.name()))?;
        houses.push(House { flows, process });
    }
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let mut costs = Vec::with_capacity(2);
        for house in &houses {
            let mut arrivals = Arrivals::new(round as u64, rate / load.burst as u32);
            load::offer(&house.flows, load, WARM_UP, &mut arrivals);
            let before = house.process.used()?;
            let offered = load::offer(&house.flows, load, MEASURED, &mut arrivals);
            costs.push(Cost::new(&offered, house.process.used()? - before));
        }
        rounds.push(costs.try_into().map_err(|_| "There are two servers.")?);
    }
    Ok(rounds)
}

/// What one round cost one server.
#[derive(Clone, Copy)]
struct Cost {
    /// Nanoseconds per packet that arrived.
    time: f64,
    /// Packets that did not arrive.
    lost: u64,
    sent: u64,
    /// How often the load was held up, and sent later than it should have.
    held_up: u64,
}

impl Cost {
    fn new(offered: &load::Offered, used: Duration) -> Self {
        Self {
            time: used.as_nanos() as f64 / offered.arrived.max(1) as f64,
            lost: offered.sent.saturating_sub(offered.arrived),
            sent: offered.sent,
            held_up: offered.held_up,
        }
    }
}

fn print(programs: &[Program; 2], rounds: &[[Cost; 2]], goal: f64) {
    for (which, program) in programs.iter().enumerate() {
        let costs = || rounds.iter().map(|round| round[which]);
        let sum = |of: fn(Cost) -> u64| costs().map(of).sum::<u64>();
        println!(
            "  {:16} {} ns   lost {} of {}, held up {} times",
            program.name(),
            spread(costs().map(|cost| cost.time).collect(), 0),
            sum(|cost| cost.lost),
            sum(|cost| cost.sent),
            sum(|cost| cost.held_up),
        );
    }
    let ratios: Vec<f64> = rounds.iter().map(|[ours, theirs]| ours.time / theirs.time).collect();
    let verdict = if median(ratios.clone()) <= goal {
        "met"
    } else {
        "missed"
    };
    println!("  {:16} {}      goal {goal}: {verdict}\n", "ratio", spread(ratios, 2));
}

/// The median, and the least and the most.
fn spread(values: Vec<f64>, digits: usize) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{:7.digits$} ({least:.digits$}-{most:.digits$})", median(values))
}

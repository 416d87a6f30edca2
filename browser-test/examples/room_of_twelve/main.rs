//! Twelve in one room: three Chromium pages, one Firefox and eight headless guests who speak in turns. Prints what everybody
//! received, and what the server's worker needed for a packet that a guest received; fails when somebody has a complaint.
//!
//! `cargo run --release -p hyaline-browser-test --example room_of_twelve -- [SECONDS]`, by default ten minutes.

use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use browser_test::{Browser, Kind, Namespace, Options, Page};
use guest::{Guest, Media, Report, Room};
use hyaline_server::Server;

const GUESTS: usize = 8;
const JOINS: usize = 20;
const TOP_K: usize = 3;
/// How long each guest speaks.
const TURN: Duration = Duration::from_secs(5);
const BROWSERS: [(Kind, &str); 4] = [
    (Kind::Chromium, "Ada"),
    (Kind::Chromium, "Bob"),
    (Kind::Chromium, "Cleo"),
    (Kind::Firefox, "Dan"),
];
/// How many others' pictures a page plays.
const PLAYED: &str = "(async () => {
    const stats = [...(await hyaline.room.getStats()).values()];
    return stats.filter(entry => entry.type === 'inbound-rtp' && entry.kind === 'video' && entry.framesDecoded > 0).length;
})()";

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(600), |text| text.parse())?;
    let network = Namespace::with_address(Ipv4Addr::new(10, 55, 0, 2))?;
    let options = hyaline_server::Options {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        workers: NonZeroUsize::MIN,
        ..hyaline_server::Options::default()
    };
    let server = network.run(|| Server::start(&options))??;
    let origin = format!("http://{}", server.http_addr());
    let room: Room = format!("{origin}/r/tea").parse()?;
    let media = Arc::new(Media::built_in());
    let join = |name: &str| network.run(|| Guest::join(&room, name, Arc::clone(&media)));

    let mut pages: Vec<(Browser, Page)> = Vec::new();
    for (kind, name) in BROWSERS {
        let browser = Browser::launch(kind, &Options::within(&network))?;
        let page = browser.open(&format!("{origin}/r/tea?name={name}&join=1"))?;
        page.wait_for("document.body.dataset.path === 'connected'", Duration::from_secs(30))?;
        pages.push((browser, page));
    }
    let mut guests = Vec::new();
    for number in 1..=GUESTS {
        guests.push(join(&format!("Guest {number}"))??);
    }
    let others = GUESTS + BROWSERS.len() - 1;
    for (_, page) in &pages {
        page.wait_for(&format!("(await ({PLAYED})) >= {others}"), Duration::from_secs(60))?;
    }
    println!("everybody plays everybody");

    let (cpu, packets, start) = (worker_cpu()?, received(&guests), Instant::now());
    let end = start + Duration::from_secs(seconds);
    while Instant::now() < end {
        let speaker = (start.elapsed().as_secs() / TURN.as_secs()) as usize % GUESTS;
        for (number, guest) in guests.iter().enumerate() {
            guest.speak(number == speaker);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let (cpu, packets) = (worker_cpu()? - cpu, received(&guests) - packets);
    // The pages get as much as the guests do: all receive all others.
    let all = packets * (GUESTS + BROWSERS.len()) as u64 / GUESTS as u64;
    println!("the worker took {cpu:?} of CPU in {:?}", start.elapsed());
    println!(
        "that is {} ns for each of some {all} packets to viewers",
        cpu.as_nanos() / u128::from(all.max(1))
    );

    let mut complaints = Vec::new();
    for (browser, page) in &pages {
        let played = page.evaluate(PLAYED)?;
        println!("{}: plays {played} pictures", browser.kind());
    }
    let mut times = Vec::new();
    for number in 0..JOINS {
        let guest = join(&format!("Late {number}"))??;
        let patience = Instant::now() + Duration::from_secs(10);
        let all_here =
            |report: &Report| !report.pictures.is_empty() && report.pictures.iter().all(|(_, time)| time.is_some());
        while !all_here(&guest.report()) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(20));
        }
        let report = guest.leave();
        println!("{report}");
        times.extend(report.pictures.iter().map(|(_, time)| time.unwrap_or(Duration::MAX)));
        complaints.extend(report.complaints());
    }
    times.sort_unstable();
    let p95 = times.get(times.len() * 95 / 100).copied().unwrap_or(Duration::MAX);
    println!("from join to the first picture, 95 % of {}: {p95:?}", times.len());
    if p95 >= Duration::from_secs(2) {
        complaints.push(format!("first pictures take {p95:?}"));
    }
    for guest in guests {
        let report = guest.leave();
        println!("{report}");
        if report.most_heard > TOP_K {
            complaints.push(format!("{} heard {} at once", report.name, report.most_heard));
        }
        complaints.extend(report.complaints());
    }
    server.shutdown();
    if complaints.is_empty() {
        return Ok(());
    }
    Err(complaints.join("\n").into())
}

/// The packets that the guests have received.
fn received(guests: &[Guest]) -> u64 {
    let slots = guests.iter().flat_map(|guest| guest.report().slots);
    slots.map(|slot| slot.packets).sum()
}

/// What the thread of the only worker, which is one of this process, has used.
fn worker_cpu() -> Result<Duration, Box<dyn Error>> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.starts_with("worker-") {
            // Nanoseconds on a CPU come first.
            let spent = fs::read_to_string(task.join("schedstat"))?;
            let spent = spent.split_whitespace().next().ok_or("schedstat is empty")?;
            return Ok(Duration::from_nanos(spent.parse()?));
        }
    }
    Err("there is no worker".into())
}

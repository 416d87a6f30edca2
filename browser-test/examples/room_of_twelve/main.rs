//! Twelve in one room: three Chromium pages, one Firefox and eight headless guests who speak in turns; then twenty more
//! who come and go. At last the pages make room for four more guests, and twenty pages come and go, of one browser at a
//! time: two cores do not carry five. Browsers stand back for the server and the guests (`AHEAD`). Prints what
//! everybody received, and what the server's worker needed for a packet that somebody received; fails when
//!
//! - somebody does not play everybody in view, which all are: fewer than there are tiles;
//! - somebody receives the sound of more than three;
//! - a new speaker is not heard by all within 300 ms;
//! - those who come wait longer for first pictures than 2 s, at the 95th percentile: guests for what can be decoded,
//!   pages for what they show;
//! - a guest has another complaint: lost packets, time that goes back, pictures that begin without a key frame.
//!
//! `cargo run --release -p hyaline-browser-test --example room_of_twelve -- [SECONDS]`, by default ten minutes.

mod late;
mod processor;
mod viewer;

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use browser_test::{Browser, Kind, Namespace};
use guest::{Guest, Media, Report, Room};
use hyaline_server::Server;

use crate::late::Late;
use crate::processor::{Spent, load};
use crate::viewer::{Viewer, waiting};

const BROWSERS: [(Kind, &str); 4] = [
    (Kind::Chromium, "Ada"),
    (Kind::Chromium, "Bob"),
    (Kind::Chromium, "Cleo"),
    (Kind::Firefox, "Dan"),
];
const GUESTS: usize = 8;
/// Whom each of them sees: fewer than there are tiles (`docs/sfu.md`), so all are in view.
const OTHERS: usize = BROWSERS.len() + GUESTS - 1;
/// No server shares its machine with those who look. Four browsers wait for two cores; the server, and the guests by
/// whom it is measured, do not wait for them, nor for the processes that Chromium puts at -8 (`nice(1)`).
const AHEAD: i32 = -10;
/// How many are heard at once. Nobody is pinned, and there is no screen.
const TOP_K: usize = 3;
const JOINS: usize = 20;
/// How long each guest speaks.
const TURN: Duration = Duration::from_secs(5);
/// A new speaker is heard by all within this time.
const HEARD: Duration = Duration::from_millis(300);
/// First pictures are there within this time, 95 % of them.
const SEEN: Duration = Duration::from_secs(2);
/// How long one waits for what should long be there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks at who is heard.
const LOOK: Duration = Duration::from_millis(10);
/// Pages are asked so often whether everything moves.
const INSPECTION: Duration = Duration::from_secs(30);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(600), |text| text.parse())?;
    // All threads are made later, and inherit it.
    rustix::process::setpriority_process(None, AHEAD)?;
    let network = Namespace::with_address(Ipv4Addr::new(10, 55, 0, 2))?;
    let options = hyaline_server::Options {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        workers: NonZeroUsize::MIN,
        ..hyaline_server::Options::default()
    };
    let server = network.run(|| Server::start(&options))??;
    let url = format!("http://{}/r/tea", server.http_addr());
    let mut party = Party::gather(&network, &url)?;
    // Whatever goes wrong, what the guests have received is told.
    let noise = party.make_noise();
    party.note(noise);
    let talk = party.talk(Duration::from_secs(seconds));
    party.note(talk);
    let more = party.welcome_more();
    party.note(more);
    let pages = party.welcome_pages(&url);
    party.note(pages);
    let complaints = party.disperse();
    server.shutdown();
    for complaint in &complaints {
        println!("! {complaint}");
    }
    Ok(ExitCode::from(u8::from(!complaints.is_empty())))
}

/// The twelve.
struct Party<'a> {
    network: &'a Namespace,
    room: Room,
    media: Arc<Media>,
    viewers: Vec<Viewer>,
    guests: Vec<Guest>,
    /// What each guest's sections with pictures had at the last inspection.
    frames: Vec<BTreeMap<String, u64>>,
    /// For how long the machine let this process wait, at most.
    held_up: Duration,
    complaints: Vec<String>,
}

impl<'a> Party<'a> {
    /// Brings all together, until everybody plays everybody.
    fn gather(network: &'a Namespace, url: &str) -> Result<Self, Box<dyn Error>> {
        let mut party = Self {
            network,
            room: url.parse()?,
            media: Arc::new(Media::built_in()),
            viewers: Vec::new(),
            guests: Vec::new(),
            frames: Vec::new(),
            held_up: Duration::ZERO,
            complaints: Vec::new(),
        };
        // A browser takes long to start beside others that show a room.
        let launch = |(kind, name)| Browser::launch(kind, &waiting(network)).map(|browser| (browser, name));
        let browsers: Vec<_> = BROWSERS.into_iter().map(launch).collect::<Result<_, _>>()?;
        for (browser, name) in browsers {
            party.viewers.push(Viewer::join(browser, name, url)?);
        }
        for number in 1..=GUESTS {
            let guest = party.join(&format!("Guest {number}"))?;
            party.guests.push(guest);
        }
        let start = Instant::now();
        for viewer in &party.viewers {
            while viewer.shown()? < OTHERS {
                if start.elapsed() > 6 * PATIENCE {
                    return Err(format!("{} plays {} of {OTHERS}", viewer.name, viewer.shown()?).into());
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        println!("everybody plays everybody, load {}", load());
        Ok(party)
    }

    fn join(&self, name: &str) -> Result<Guest, Box<dyn Error>> {
        let join = || Guest::join(&self.room, name, Arc::clone(&self.media));
        Ok(self.network.run(join)??)
    }

    fn note(&mut self, result: Result<(), Box<dyn Error>>) {
        self.complaints.extend(result.err().map(|error| error.to_string()));
    }

    /// Lets all microphones of the pages beep, and some guests speak; then there is silence.
    fn make_noise(&mut self) -> Result<(), Box<dyn Error>> {
        for guest in self.guests.iter().take(TOP_K) {
            guest.speak(true);
        }
        self.inspect()?;
        std::thread::sleep(2 * TURN);
        self.inspect()?;
        for guest in &self.guests {
            guest.speak(false);
        }
        // Who begins to speak while three do has to wait for one of them, or to lead him clearly: that is no matter of
        // time.
        for viewer in &self.viewers {
            viewer.mute()?;
        }
        std::thread::sleep(TURN);
        Ok(())
    }

    /// Lets the guests speak in turns, and looks at what all receive meanwhile.
    fn talk(&mut self, time: Duration) -> Result<(), Box<dyn Error>> {
        self.inspect()?;
        let (spent, packets, start) = (Spent::now()?, self.packets()?, Instant::now());
        let mut heard = Vec::new();
        let mut inspected = start;
        for turn in 0.. {
            let begin = Instant::now();
            if begin >= start + time {
                break;
            }
            heard.extend(self.give_the_floor(turn % GUESTS));
            if inspected.elapsed() >= INSPECTION {
                self.inspect()?;
                inspected = Instant::now();
            }
            std::thread::sleep((begin + TURN).saturating_duration_since(Instant::now()));
        }
        let (spent, packets, took) = (Spent::now()?.since(spent), self.packets()? - packets, start.elapsed());
        // Not if nothing can have come yet.
        if inspected.elapsed() >= TURN {
            self.inspect()?;
        }
        println!("{took:.0?} of talk, load {}", load());
        let per_packet = |time: Duration| time.as_nanos() / u128::from(packets.max(1));
        println!(
            "the worker took {:.2?} of CPU ({:.1} %), of it {:.2?} outside of the kernel, for {packets} packets that were received: {} ns each, {} ns outside of the kernel",
            spent.all,
            100.0 * spent.all.as_secs_f64() / took.as_secs_f64(),
            spent.user,
            per_packet(spent.all),
            per_packet(spent.user),
        );
        heard.sort_unstable();
        let longest = heard.last().copied().unwrap_or(Duration::MAX);
        println!(
            "a new speaker is heard after {:.0?} (median), {:.0?} (95 %), {longest:.0?} at most, of {}",
            percentile(&heard, 50),
            percentile(&heard, 95),
            heard.len()
        );
        println!("the machine held this process up for {:.0?} at most", self.held_up);
        let late = heard.iter().filter(|time| **time >= HEARD).count();
        if late > 0 {
            self.complaints.push(format!(
                "a new speaker was heard too late {late} times, after {longest:.0?} at most"
            ));
        }
        Ok(())
    }

    /// One of the guests speaks from now on, and alone: after which time each of the other guests hears it.
    fn give_the_floor(&mut self, speaker: usize) -> Vec<Duration> {
        for (number, guest) in self.guests.iter().enumerate() {
            guest.speak(number == speaker);
        }
        let name = format!("Guest {}", speaker + 1);
        let mut deaf: Vec<&Guest> = self.guests.iter().collect();
        deaf.remove(speaker);
        let (start, mut times) = (Instant::now(), Vec::new());
        while !deaf.is_empty() && start.elapsed() < TURN {
            let before = Instant::now();
            std::thread::sleep(LOOK);
            self.held_up = self.held_up.max(before.elapsed().saturating_sub(LOOK));
            deaf.retain(|guest| {
                let hears = guest.report().heard.contains(&name);
                if hears {
                    times.push(start.elapsed());
                }
                !hears
            });
        }
        times.extend(deaf.iter().map(|_| Duration::MAX));
        times
    }

    /// Whether all pictures have moved since the last time, and how many were heard at once.
    fn inspect(&mut self) -> Result<(), Box<dyn Error>> {
        for viewer in &mut self.viewers {
            let Some(change) = viewer.change()? else { continue };
            let who = format!("{} ({})", viewer.name, viewer.kind());
            println!("{who}: {} pictures move, {:.2} voices", change.moving, change.voices);
            if change.moving < OTHERS {
                self.complaints
                    .push(format!("{who} plays {} of {OTHERS}", change.moving));
            }
            if change.voices_so_far > TOP_K as f64 {
                self.complaints
                    .push(format!("{who} receives the sound of {:.2}", change.voices_so_far));
            }
        }
        let frames: Vec<BTreeMap<String, u64>> = self.guests.iter().map(|guest| frames(&guest.report())).collect();
        for (number, (now, then)) in frames.iter().zip(&self.frames).enumerate() {
            let moving = now.iter().filter(|(mid, frames)| then.get(*mid) < Some(frames)).count();
            if moving < OTHERS {
                self.complaints
                    .push(format!("Guest {} plays {moving} of {OTHERS}", number + 1));
            }
        }
        self.frames = frames;
        Ok(())
    }

    /// The packets that all have received.
    fn packets(&self) -> Result<u64, Box<dyn Error>> {
        let mut packets = 0;
        for viewer in &self.viewers {
            packets += viewer.packets()?;
        }
        let slots = self.guests.iter().flat_map(|guest| guest.report().slots);
        Ok(packets + slots.map(|slot| slot.packets).sum::<u64>())
    }

    /// Twenty more, one after the other.
    fn welcome_more(&mut self) -> Result<(), Box<dyn Error>> {
        let mut times = Vec::new();
        for number in 1..=JOINS {
            let guest = self.join(&format!("Late {number}"))?;
            let start = Instant::now();
            while !sees_all(&guest.report()) && start.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(20));
            }
            let report = guest.leave();
            let mut complaints = report.complaints();
            if !sees_all(&report) {
                for viewer in &self.viewers {
                    let sent = viewer.sent().unwrap_or_else(|error| error.to_string());
                    println!("{}: {sent}", viewer.name);
                }
                complaints.push(format!("{} does not see all", report.name));
            }
            if !complaints.is_empty() {
                println!("{report}");
            }
            times.extend(report.pictures.iter().map(|(_, time)| time.unwrap_or(Duration::MAX)));
            self.complaints.extend(complaints);
        }
        self.judge_first_pictures("guests", times);
        Ok(())
    }

    /// Twenty pages, one after the other, when the pages that were there have made room for as many guests.
    fn welcome_pages(&mut self, url: &str) -> Result<(), Box<dyn Error>> {
        for viewer in self.viewers.drain(..) {
            viewer.leave()?;
        }
        for number in GUESTS + 1..=OTHERS + 1 {
            let guest = self.join(&format!("Guest {number}"))?;
            self.guests.push(guest);
        }
        std::thread::sleep(TURN);
        for kind in [Kind::Chromium, Kind::Firefox] {
            let late = Late::new(kind, self.network)?;
            let mut times = Vec::new();
            for _ in 0..JOINS / 2 {
                times.extend(late.come(url, self.guests.len(), PATIENCE)?);
            }
            self.judge_first_pictures(&format!("pages of {}", late.kind()), times);
        }
        Ok(())
    }

    fn judge_first_pictures(&mut self, whose: &str, mut times: Vec<Duration>) {
        times.sort_unstable();
        let most = percentile(&times, 95);
        println!(
            "from join to first pictures of {whose}: {:.0?} (median), {most:.0?} (95 %), {:.0?} at most, of {}, load {}",
            percentile(&times, 50),
            percentile(&times, 100),
            times.len(),
            load()
        );
        if most >= SEEN {
            self.complaints
                .push(format!("95 % of the first pictures of {whose} take {most:?}"));
        }
    }

    /// Sends all home: what there is to complain about.
    fn disperse(mut self) -> Vec<String> {
        for guest in self.guests {
            let report = guest.leave();
            println!("{report}");
            if report.most_heard > TOP_K {
                self.complaints
                    .push(format!("{} heard {} at once", report.name, report.most_heard));
            }
            self.complaints.extend(report.complaints());
        }
        self.complaints
    }
}

/// Frames by section, of those that carry somebody's picture.
fn frames(report: &Report) -> BTreeMap<String, u64> {
    let slots = report
        .slots
        .iter()
        .filter(|slot| slot.video && slot.participant.is_some());
    slots.map(|slot| (slot.mid.clone(), slot.frames)).collect()
}

/// Whether the first pictures of all who were there have come.
fn sees_all(report: &Report) -> bool {
    report.pictures.len() > OTHERS && report.pictures.iter().all(|(_, time)| time.is_some())
}

/// Of times in order.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(place).copied().unwrap_or(Duration::MAX)
}

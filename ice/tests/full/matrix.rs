//! Every kind of access to the internet against every other, with and without TURN: which pair is selected, and how
//! soon.
//!
//! 20 runs of each cell; `cargo xtask matrix` makes it 1000 and prints the tables.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ice::{Agent, CandidateKind, Config, GatheringState, Role};
use netsim::shapes::{Access, Pair, PairConfig, pair};
use netsim::{Direction, EndpointId, Link, Loss, Sim};
use turn::testing::TurnServer;
use wire::Path;

use crate::shell::Shell;
use crate::world::World;

/// The candidates of the selected pair: Host, Server-reflexive, Peer-reflexive or Relayed, each as the other end knows
/// it. The left end, which controls, has the row and the first letter; the columns are in the order of the rows.
type Table = [[&'static str; 8]; 8];

/// No hole can be punched from a mapping that depends on the destination to a filter that asks for the port (RFC 5128
/// §3.3). Such a mapping is another one towards the peer than towards the STUN server: the peer learns it from the
/// checks.
const WITHOUT_TURN: Table = [
    /* open        */ ["HH", "HS", "HS", "HS", "HP", "HP", "HS", "--"],
    /* eim/eif     */ ["SH", "SS", "SS", "SS", "SP", "SP", "SS", "--"],
    /* eim/adf     */ ["SH", "SS", "SS", "SS", "SP", "SP", "SS", "--"],
    /* eim/apdf    */ ["SH", "SS", "SS", "SS", "--", "--", "SS", "--"],
    /* adm/apdf    */ ["PH", "PS", "PS", "--", "--", "--", "--", "--"],
    /* apdm/apdf   */ ["PH", "PS", "PS", "--", "--", "--", "--", "--"],
    /* double      */ ["SH", "SS", "SS", "SS", "--", "--", "SS", "--"],
    /* udp-blocked */ ["--", "--", "--", "--", "--", "--", "--", "--"],
];

/// One relayed candidate is enough: a pair of two is worse than a pair with one (RFC 8445 §6.1.2.3). Whose it is, where
/// both ends have one, follows from the priorities at the end in control: to it, the pair of the peer's relayed
/// candidate begins at a host candidate of its own (§6.1.2.4), while that of its own ends at a reflexive one of the
/// peer's, which is less. An address-dependent mapping is the same towards relays and STUN server, which share an
/// address here: the peer knows it as server-reflexive.
const WITH_TURN: Table = [
    /* open        */ ["HH", "HS", "HS", "HS", "HP", "HP", "HS", "HR"],
    /* eim/eif     */ ["SH", "SS", "SS", "SS", "SP", "SP", "SS", "SR"],
    /* eim/adf     */ ["SH", "SS", "SS", "SS", "SP", "SP", "SS", "SR"],
    /* eim/apdf    */ ["SH", "SS", "SS", "SS", "SR", "SR", "SS", "SR"],
    /* adm/apdf    */ ["PH", "PS", "PS", "SR", "SR", "SR", "SR", "SR"],
    /* apdm/apdf   */ ["PH", "PS", "PS", "PR", "PR", "PR", "PR", "PR"],
    /* double      */ ["SH", "SS", "SS", "SS", "SR", "SR", "SS", "SR"],
    /* udp-blocked */ ["RH", "RS", "RS", "RS", "RS", "RP", "RS", "RR"],
];

/// The time between two checks (RFC 8445 §14.2), which is the longest that is waited for anything but an answer.
const TA: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
struct Cell {
    access: [Access; 2],
    turn: bool,
    /// Whether both ends have signalled `renomination`, or neither.
    renomination: bool,
    /// The ends have no candidates but relayed ones.
    relay_only: bool,
    /// Out of [`Table`].
    expected: &'static str,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = if self.turn { "with" } else { "without" };
        write!(f, "{} {} {with} TURN", self.access[0], self.access[1])
    }
}

/// How often a cell is run.
fn runs(usual: u64) -> u64 {
    std::env::var("HYALINE_MATRIX_RUNS").map_or(usual, |runs| {
        runs.parse()
            .expect("HYALINE_MATRIX_RUNS is a number: how often each cell is run")
    })
}

/// The share of datagrams that is lost on each end's link, so that between the ends it is as many as told.
fn loss_of_one(between: f64) -> Loss {
    if between > 0.0 {
        Loss::Random(1.0 - (1.0 - between).sqrt())
    } else {
        Loss::None
    }
}

impl Cell {
    fn meets(&self) -> bool {
        self.expected != "--"
    }

    fn is_direct(&self) -> bool {
        self.meets() && !self.expected.contains('R')
    }

    /// Two agents with one server, which gather.
    fn build(&self, run: u64, loss: f64) -> (World, EndpointId<TurnServer>) {
        let [left, right] = self.access;
        let mut config = PairConfig::new(left, right);
        config.access = Link::symmetric(Direction {
            delay: Duration::from_millis(10),
            loss: loss_of_one(loss),
            ..Direction::default()
        });
        let mut net = pair(run, config);
        // The simulation goes to the world, the rest stays.
        let mut sim = std::mem::replace(&mut net.sim, Sim::new(0));
        let Pair { server, .. } = net;
        let listener: SocketAddr = (net.server_addresses[0], 3478).into();
        let seed = sim.next_seed();
        let turn = sim.add_endpoint(server, "turn", TurnServer::new(listener, seed, sim.now()));
        sim.sockets(turn).bind_udp(listener).unwrap();
        sim.sockets(turn).listen_tcp(listener).unwrap();
        let config = |role| Config {
            stun_servers: vec![listener],
            renomination: self.renomination,
            // Of four requests, as many as are sent in the 5 s of the default, now and then none is answered.
            gathering_timeout: if loss > 0.0 {
                Duration::from_millis(39_500)
            } else {
                Duration::from_secs(5)
            },
            ..Config::full(role)
        };
        let configs = [config(Role::Controlling), config(Role::Controlled)];
        let mut world = World::new(sim, [net.left.host, net.right.host], configs);
        for (end, peer) in [&net.left, &net.right].into_iter().enumerate() {
            let ip = peer.addresses[0];
            if !self.relay_only {
                world.bind(end, (ip, 5000).into(), u16::MAX);
            }
            if !self.turn {
                world.agent_mut(end).end_of_local_candidates();
                continue;
            }
            let (id, seed, now) = (world.ends[end], world.sim.next_seed(), world.sim.now());
            if self.access[end] == Access::UdpBlocked {
                world.sim.get_mut(id).turn.allocate_over_tcp(ip, listener, seed);
            } else {
                let local = world.sim.sockets(id).bind_udp((ip, 5001).into()).unwrap();
                world.sim.get_mut(id).turn.allocate(now, local, listener, seed);
            }
        }
        (world, turn)
    }

    /// From one end to the other and back: what [`PairConfig`] and the shapes say.
    fn round_trip(&self, relayed: bool) -> Duration {
        let way = |access: Access| if access == Access::Open { 10 } else { 11 };
        let server = if relayed { 2 * 5 } else { 0 };
        Duration::from_millis(2 * (way(self.access[0]) + server + way(self.access[1])))
    }
}

/// What the two ends send to.
fn kinds(world: &World) -> String {
    let letter = |end: usize| {
        let other = world.agent(1 - end);
        let path = other.selected()?;
        let mut candidates = other.remote_candidates().iter();
        let candidate = candidates.find(|candidate| candidate.address == path.remote)?;
        Some(match candidate.kind {
            CandidateKind::Host => 'H',
            CandidateKind::ServerReflexive => 'S',
            CandidateKind::PeerReflexive => 'P',
            CandidateKind::Relayed => 'R',
        })
    };
    [0, 1].map(|end| letter(end).unwrap_or('-')).iter().collect()
}

/// How long a run took until the first pair could be used, and until one was nominated on both sides.
#[derive(Debug, Clone, Copy)]
struct Times {
    usable: Duration,
    nominated: Duration,
}

fn agent(sim: &Sim, end: EndpointId<Shell>) -> &Agent {
    &sim.get(end).agent
}

fn has_nominated(agent: &Agent) -> bool {
    agent.pairs().any(|pair| pair.selected && pair.nominated)
}

/// Runs until it is so, and gives the time.
fn until(world: &mut World, done: impl Fn(&Sim, [EndpointId<Shell>; 2]) -> bool) -> Result<Instant, String> {
    let ends = world.ends;
    let so = world
        .sim
        .run_until(Duration::from_secs(10), |sim| done(sim, ends))
        .unwrap();
    if so {
        Ok(world.sim.now())
    } else {
        Err("it does not connect within 10 s".to_owned())
    }
}

fn check(what: &str, so: bool) -> Result<(), String> {
    if so { Ok(()) } else { Err(what.to_owned()) }
}

/// One run in which nothing is lost. Time is counted from the moment on at which both ends have the other's credentials
/// and all of its candidates, which is one moment for both, after both have gathered.
fn run_without_loss(cell: &Cell, run: u64) -> Result<Option<Times>, String> {
    let (mut world, turn) = cell.build(run, 0.0);
    until(&mut world, |sim, ends| {
        ends.iter()
            .all(|end| agent(sim, *end).gathering_state() == GatheringState::Complete)
    })?;
    let now = world.sim.now();
    let allocations = if cell.turn { 2 } else { 0 };
    check(
        "not all have an allocation",
        world.sim.get(turn).allocations(now) == allocations,
    )?;
    world.signal();
    world.post();
    let begin = world.sim.now();
    if cell.relay_only {
        // What DTLS would say first.
        for end in world.ends {
            world.sim.get_mut(end).to_send = 1;
        }
    }
    if !cell.meets() {
        world.sim.run_for(Duration::from_secs(10)).unwrap();
        check("it connects", kinds(&world) == "--")?;
        return Ok(None);
    }
    let usable = until(&mut world, |sim, ends| {
        ends.iter().any(|end| agent(sim, *end).selected().is_some())
    })?;
    let first = [0, 1]
        .into_iter()
        .find_map(|end| Some((end, world.agent(end).selected()?)));
    let (first, path) = first.ok_or("no pair can be used")?;
    let led = until(&mut world, |sim, ends| agent(sim, ends[0]).selected().is_some())?;
    let nominated = until(&mut world, |sim, ends| {
        ends.iter().all(|end| has_nominated(agent(sim, *end)))
    })?;
    let selected = [0, 1].map(|end| world.agent(end).selected());
    world.sim.run_for(Duration::from_secs(3)).unwrap();
    check(
        "it moves later",
        [0, 1].map(|end| world.agent(end).selected()) == selected,
    )?;
    let kinds = kinds(&world);
    if kinds != cell.expected {
        return Err(format!("the pair is {kinds}"));
    }
    if cell.relay_only {
        check_media(&world, usable)?;
    }
    if run.is_multiple_of(RUNS_OF_A_CELL) {
        world.assert_same_pair();
    }
    let server = world.sim.get(turn).address();
    let relayed = |path: Path| [path.local.ip(), path.remote.ip()].contains(&server.ip());
    let round_trip = cell.round_trip(relayed(path));
    let sent = paced(&world, first, path, begin)?;
    check(
        "the first pair takes more than one round trip",
        usable - sent <= round_trip,
    )?;
    let controlling = cell.round_trip(cell.expected.contains('R'));
    // Where only one end's checks pass at first, the other's follow them: half a round trip later, and when it is their
    // turn.
    check(
        "the controlling end follows too late",
        led - usable <= controlling / 2 + TA,
    )?;
    let hold = if cell.renomination {
        // A better pair whose answer may be on its way holds the nomination back, for Ta at most.
        TA
    } else {
        // For two round trips of those that work and Ta, from its first check, whose turn may come after Ta.
        2 * cell.round_trip(cell.turn) + 2 * TA
    };
    check(
        "the nomination takes more than one round trip and what better pairs may need",
        nominated - led <= controlling + hold,
    )?;
    if cell.relay_only {
        check("it takes more than one round trip", usable - begin <= controlling)?;
        check(
            "the nomination takes more than two",
            nominated - begin <= 2 * controlling,
        )?;
    }
    Ok(Some(Times {
        usable: usable - begin,
        nominated: nominated - begin,
    }))
}

/// What the ends had to say left as soon as a pair could be used, and has arrived.
fn check_media(world: &World, usable: Instant) -> Result<(), String> {
    let ends = world.ends.map(|end| world.sim.get(end));
    let first = ends.iter().flat_map(|end| &end.left).min();
    check("media does not leave at once", first == Some(&usable))?;
    check("media is lost", ends.iter().all(|end| end.got.len() == 1))
}

/// When an end first checked the path that worked. Until then it checks at once and every Ta, waiting for nothing else.
fn paced(world: &World, end: usize, path: Path, begin: Instant) -> Result<Instant, String> {
    let requests = world.sim.get(world.ends[end]).requests.iter();
    let mut before = begin;
    for (at, to) in requests.filter(|(at, _)| *at >= begin) {
        let wait = *at - before;
        check("a check waits longer than Ta", wait <= TA)?;
        if *to == path {
            return Ok(*at);
        }
        before = *at;
    }
    Err("a pair works without a check".to_owned())
}

/// One run in which a fifth of the datagrams between the ends is lost, and of those of gathering; the ends tell each
/// other their candidates as they find them, which takes 50 ms. Time is counted from the start, in steps of 10 ms. Then
/// whether the pair is a direct one, for which it has ten seconds more.
fn run_with_loss(cell: &Cell, run: u64) -> Result<(Times, bool), String> {
    let (mut world, _) = cell.build(run, 0.2);
    world.signalling = Duration::from_millis(50);
    world.signal();
    let begin = world.sim.elapsed();
    let limit = Duration::from_secs(60);
    let found = world.run_until(limit, |world| {
        [0, 1].iter().any(|end| world.agent(*end).selected().is_some())
    });
    let usable = world.sim.elapsed() - begin;
    let nominated = world.run_until(limit, World::have_concluded);
    let times = Times {
        usable,
        nominated: world.sim.elapsed() - begin,
    };
    check("it does not connect", found && nominated)?;
    let is_direct = |world: &World| {
        let kinds = kinds(world);
        !kinds.contains(['R', '-'])
    };
    let direct = cell.is_direct() && world.run_until(Duration::from_secs(10), is_direct);
    Ok((times, direct))
}

/// What came of all runs of a table.
struct Report {
    title: String,
    text: String,
    failures: Vec<String>,
    cells: usize,
}

impl Report {
    fn new(title: &str, runs: u64) -> Self {
        let mut text = format!(
            "\n{title}, {runs} runs of each cell: pair, median/worst ms to the first usable pair, and to nomination\n"
        );
        text += &format!("{:12}", "");
        for access in Access::ALL {
            text += &format!("{access:^24}");
        }
        Self {
            title: title.to_owned(),
            text,
            failures: Vec::new(),
            cells: 0,
        }
    }

    fn row(&mut self, left: Access) {
        self.text += &format!("\n{left:12}");
    }

    fn add(&mut self, cell: &Cell, times: &[Times], failures: &[(u64, String)]) {
        let median_and_worst = |time: fn(&Times) -> Duration| {
            let mut all: Vec<_> = times.iter().map(|times| time(times).as_millis()).collect();
            all.sort_unstable();
            let median = all.get(all.len() / 2).copied().unwrap_or_default();
            format!("{median}/{}", all.last().copied().unwrap_or_default())
        };
        let mut text = cell.expected.to_owned();
        if !times.is_empty() {
            text += &format!(
                " {} {}",
                median_and_worst(|times| times.usable),
                median_and_worst(|times| times.nominated)
            );
        }
        if let Some((run, why)) = failures.first() {
            text = format!("{} FAILED", cell.expected);
            self.failures.push(format!(
                "{cell}: {} failed, the first is run {run}: {why}",
                failures.len()
            ));
        }
        self.text += &format!("{text:^24}");
        self.cells += 1;
        // Of long work, which is not captured, one sees where it is.
        println!("{}: {} of 64 cells", self.title, self.cells);
    }

    /// Prints the table, and fails if something is not as it should be.
    fn finish(self) {
        println!("{}\n", self.text);
        assert!(
            self.failures.is_empty(),
            "{}:\n{}",
            self.title,
            self.failures.join("\n")
        );
    }
}

fn cells(table: &Table, turn: bool) -> impl Iterator<Item = (usize, Cell)> {
    (0..64).map(move |at| {
        let (row, column) = (at / 8, at % 8);
        let cell = Cell {
            access: [Access::ALL[row], Access::ALL[column]],
            turn,
            renomination: true,
            relay_only: false,
            expected: table[row][column],
        };
        (at, cell)
    })
}

/// More than anybody runs.
const RUNS_OF_A_CELL: u64 = 1_000_000;

/// The number of a run: cells do not share their dice.
fn number(cell: usize, run: u64) -> u64 {
    cell as u64 * RUNS_OF_A_CELL + run
}

fn without_loss(table: &Table, turn: bool, renomination: bool) {
    let runs = runs(20);
    let title = match (turn, renomination) {
        (true, true) => "With TURN",
        (false, true) => "Without TURN",
        (true, false) => "With TURN, without renomination",
        (false, false) => "Without TURN, without renomination",
    };
    let mut report = Report::new(title, runs);
    for (at, cell) in cells(table, turn) {
        let cell = Cell { renomination, ..cell };
        let (mut times, mut failures) = (Vec::new(), Vec::new());
        for run in 0..runs {
            match run_without_loss(&cell, number(at, run)) {
                Ok(took) => times.extend(took),
                Err(why) => failures.push((run, why)),
            }
        }
        if at % 8 == 0 {
            report.row(cell.access[0]);
        }
        report.add(&cell, &times, &failures);
    }
    report.finish();
}

fn with_loss(table: &Table, turn: bool) {
    let runs = runs(20);
    let title = if turn {
        "With TURN, 20 % lost"
    } else {
        "Without TURN, 20 % lost"
    };
    let mut report = Report::new(title, runs);
    let (mut direct, mut all) = (0_u64, 0_u64);
    for (at, cell) in cells(table, turn) {
        let (mut times, mut failures) = (Vec::new(), Vec::new());
        let runs = if cell.meets() { runs } else { 0 };
        for run in 0..runs {
            match run_with_loss(&cell, number(at, run)) {
                Ok((took, is_direct)) => {
                    times.push(took);
                    all += u64::from(cell.is_direct());
                    direct += u64::from(is_direct);
                }
                Err(why) => failures.push((run, why)),
            }
        }
        if at % 8 == 0 {
            report.row(cell.access[0]);
        }
        report.add(&cell, &times, &failures);
    }
    report.text += &format!("\n{direct} of {all} are direct that can be");
    if direct * 1000 < all * 995 {
        report
            .failures
            .push(format!("only {direct} of {all} are direct that can be"));
    }
    report.finish();
}

#[test]
fn all_meet_as_the_table_says() {
    without_loss(&WITHOUT_TURN, false, true);
}

#[test]
fn with_a_relay_all_meet() {
    without_loss(&WITH_TURN, true, true);
}

/// The first pair that is nominated is the last one then (RFC 8445 §8.1.1): a better one that is open holds it back for
/// longer, which costs time where it leads nowhere.
#[test]
fn without_renomination_all_meet_as_well() {
    without_loss(&WITHOUT_TURN, false, false);
}

#[test]
fn without_renomination_nobody_takes_a_relay_that_needs_none() {
    without_loss(&WITH_TURN, true, false);
}

/// Each kind of access towards its like, where a policy lets relays alone be used: media can leave after one round
/// trip, and after one more the pair is nominated on both sides.
#[test]
fn between_relays_media_leaves_after_one_round_trip() {
    let runs = runs(20);
    let mut failures = Vec::new();
    for (at, access) in Access::ALL.into_iter().enumerate() {
        for renomination in [true, false] {
            let cell = Cell {
                access: [access; 2],
                turn: true,
                renomination,
                relay_only: true,
                expected: "RR",
            };
            let mut worst = None;
            for run in 0..runs {
                match run_without_loss(&cell, number(at, run)) {
                    Ok(took) => worst = worst.max(took.map(|times| (times.usable, times.nominated))),
                    Err(why) => failures.push(format!("{cell}, renomination {renomination}, run {run}: {why}")),
                }
            }
            println!(
                "{cell}, relays alone, renomination {renomination}: {worst:?} to the first pair and to nomination"
            );
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn loss_keeps_nobody_apart() {
    with_loss(&WITHOUT_TURN, false);
}

#[test]
fn loss_makes_nobody_take_a_relay() {
    with_loss(&WITH_TURN, true);
}

/// Cells by row and column, and runs of them, that did not connect once. Where it was a STUN server that was asked too
/// seldom, the first end had no candidate that the peer could reach; over TCP, what netsim had sent again was never
/// taken as acknowledged.
#[test]
fn runs_that_did_not_connect_once() {
    let without = [(10, 848), (30, 976)];
    let with = [(23, 375), (39, 784), (47, 649), (59, 884), (61, 476)];
    for (turn, table, runs) in [(false, &WITHOUT_TURN, &without[..]), (true, &WITH_TURN, &with[..])] {
        for (at, cell) in cells(table, turn) {
            for (_, run) in runs.iter().filter(|(cell, _)| *cell == at) {
                let outcome = run_with_loss(&cell, number(at, *run));
                assert!(outcome.is_ok(), "{cell}, run {run}: {outcome:?}");
            }
        }
    }
}

//! A fleet that lost power together: real agents, in virtual time, against a server with a limit.
//!
//! All start at the same moment, bring up the network, log in, poll and report their inventory. The server takes so many requests in a
//! second and keeps so many waiting; what is more it turns away, in one of several ways, or it is away at first. What must hold:
//!
//! - All are served, and in not much more time than the server needs for so many requests.
//! - After the first minute no two are in step: they do not go on coming together.
//! - The server is not asked much more than it can answer: what waits is bounded, and so is what is turned away.
//!
//! `.ci/fleet` does it with 100,000 and draws the plot.

extern crate std;

use core::time::Duration;
use std::boxed::Box;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt::Write as _;
use std::println;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::config::Config;
use super::event::Event;
use super::session::TRIES;
use super::{Agent, Done, Io, Lost, Memory, Now, Requests, Setup};
use crate::api::inventory::Value;
use crate::api::key::DigestSignature;
use crate::net::Url;

/// Time there and back.
const ROUND_TRIP: u64 = 50;
/// Requests that one client makes at its start: login, poll, inventory.
const REQUESTS: u64 = 3;
/// Seconds that the plot shows, and that a fleet is looked at.
const SHOWN: usize = 3600;

/// How the server turns away what it cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// 429.
    TooMany,
    /// 429, and everyone is told to come back after a minute.
    RetryAfter,
    /// 503 of a gateway.
    Unavailable,
    /// No connection.
    Refused,
    /// As `Refused`; and the server is away for the first ten minutes.
    Away,
}

impl Limit {
    const ALL: [Limit; 5] = [
        Limit::TooMany,
        Limit::RetryAfter,
        Limit::Unavailable,
        Limit::Refused,
        Limit::Away,
    ];

    const fn answer(self) -> Option<&'static str> {
        match self {
            Limit::TooMany => Some("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"),
            Limit::RetryAfter => Some("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"),
            Limit::Unavailable => Some("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
            Limit::Refused | Limit::Away => None,
        }
    }

    /// Milliseconds for which there is no server.
    const fn away(self) -> u64 {
        match self {
            Limit::TooMany | Limit::RetryAfter | Limit::Unavailable | Limit::Refused => 0,
            Limit::Away => 600_000,
        }
    }
}

/// A server that answers one request after the other.
struct Server {
    limit: Limit,
    /// Requests in a second.
    rate: u64,
    /// When all that it has taken is answered, in microseconds.
    busy_until: u64,
    /// The longest that a request has waited, in milliseconds.
    longest_wait: u64,
    turned_away: u64,
}

impl Server {
    /// More than this it does not keep waiting.
    const LONGEST_WAIT: u64 = 10_000;

    fn is_full(&self, now: u64) -> bool {
        now < self.limit.away() || self.busy_until / 1000 > now + Server::LONGEST_WAIT
    }

    /// Takes so many requests; in how many milliseconds they are done.
    fn take(&mut self, now: u64, requests: u64) -> u64 {
        self.busy_until = self.busy_until.max(now * 1000) + requests * 1_000_000 / self.rate;
        let wait = self.busy_until / 1000 - now;
        self.longest_wait = self.longest_wait.max(wait);
        wait
    }

    /// When the connection is open, or known not to be. A server without an answer for those that it turns away takes a connection when
    /// it has time for all that will come on it.
    fn connect(&mut self, now: u64) -> (u64, Result<(), Lost>) {
        if self.limit.answer().is_some() {
            return (now + ROUND_TRIP, Ok(()));
        }
        if self.is_full(now) {
            self.turned_away += 1;
            return (now + ROUND_TRIP, Err(Lost::Connect));
        }
        (now + self.take(now, REQUESTS) + ROUND_TRIP, Ok(()))
    }

    /// When the request is answered, and with what.
    fn answer(&mut self, now: u64, request: &str) -> (u64, &'static str) {
        if self.is_full(now)
            && let Some(answer) = self.limit.answer()
        {
            self.turned_away += 1;
            return (now + ROUND_TRIP, answer);
        }
        let wait = match self.limit.answer() {
            Some(_) => self.take(now, 1),
            None => 0,
        };
        let answer = if request.contains("/auth_requests ") {
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nt"
        } else if request.contains("/inventory/") {
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        } else {
            "HTTP/1.1 204 No Content\r\n\r\n"
        };
        (now + wait + ROUND_TRIP, answer)
    }
}

/// What a client waits for.
#[derive(Clone, Copy)]
enum Waits {
    /// For time to pass.
    Time,
    Connection(Result<(), Lost>),
    Answer(&'static str),
}

/// One device.
struct Device {
    agent: Agent<'static>,
    token: [u8; 4],
    link: [u8; 16],
    window: [u8; 320],
    front: [u8; 192],
    installed_len: usize,
    block: [u8; 32],
    /// The path of the request that is not answered yet.
    request: String,
    waits: Waits,
    /// When it last came, with a pause between, the latest first.
    came: [u64; 3],
    served: Option<u64>,
}

impl Device {
    fn new(setup: Setup<'static>) -> Device {
        Device {
            agent: Agent::new(setup),
            token: [0; 4],
            link: [0; 16],
            window: [0; 320],
            front: [0; 192],
            installed_len: 0,
            block: [0; 32],
            request: String::new(),
            waits: Waits::Time,
            came: [0; 3],
            served: None,
        }
    }

    /// Goes on until it waits for something; when that is.
    fn go_on(&mut self, now: u64, fleet: &mut Fleet) -> u64 {
        let mut memory = Memory {
            token: &mut self.token,
            link: &mut self.link,
            link_len: 0,
            window: &mut self.window,
            front: &mut self.front,
            installed_len: self.installed_len,
            spare: &mut [],
            block: &mut self.block,
        };
        let time = Now::new(Duration::from_millis(now), None);
        match core::mem::replace(&mut self.waits, Waits::Time) {
            Waits::Time => {}
            Waits::Connection(result) => self.agent.done(time, &mut memory, Done::Connected(result)),
            Waits::Answer(answer) => {
                memory.window[..answer.len()].copy_from_slice(answer.as_bytes());
                self.agent.done(time, &mut memory, Done::Received(Ok(answer.len())));
            }
        }
        let until = loop {
            let done = match self.agent.next(time, Requests::NONE, &mut memory) {
                Io::NetworkUp => Done::Network(true),
                Io::NetworkDown => Done::NetworkDown,
                Io::Connect(..) => {
                    fleet.came(now, &mut self.came);
                    let (when, result) = fleet.server.connect(now);
                    self.waits = Waits::Connection(result);
                    break when;
                }
                Io::Send(_, bytes, _) => {
                    if self.request.is_empty() {
                        let text = core::str::from_utf8(bytes).expect("a request is text");
                        self.request = text.lines().next().expect("a request has a line").into();
                    }
                    Done::Sent(Ok(()))
                }
                Io::Receive(..) => {
                    let request = core::mem::take(&mut self.request);
                    let (when, answer) = fleet.server.answer(now, &request);
                    self.waits = Waits::Answer(answer);
                    break when;
                }
                Io::Sign(_) => Done::Signed(DigestSignature::from_numbers(&[1; 64])),
                Io::Inventory(mut writer, _) => {
                    writer.push("n", Value::Text("1")).expect("there is room");
                    Done::Inventory {
                        attributes: writer.len(),
                        len: writer.finish().len(),
                    }
                }
                Io::Read(..) => Done::Read(Ok(None)),
                Io::Write(..) => Done::Written(Ok(())),
                Io::Sleep(duration) => {
                    break now + duration.expect("it wakes up again").as_millis() as u64;
                }
                Io::Tell(event) => {
                    if let Event::InventorySent { .. } = event {
                        self.served.get_or_insert(now);
                    }
                    continue;
                }
                Io::Call(..)
                | Io::Download
                | Io::HandOver { .. }
                | Io::Complete
                | Io::Broken
                | Io::Restart
                | Io::Stop => {
                    panic!("there is no deployment")
                }
            };
            self.agent.done(time, &mut memory, done);
        };
        self.installed_len = memory.installed_len;
        until
    }
}

/// What is seen of all devices.
struct Fleet {
    server: Server,
    /// Connections opened in each second.
    came: Vec<u64>,
}

impl Fleet {
    fn came(&mut self, now: u64, device: &mut [u64; 3]) {
        if let Some(count) = self.came.get_mut((now / 1000) as usize) {
            *count += 1;
        }
        let [first, second, _] = *device;
        // Tries of the same request, one after the other, are one.
        if first == 0 || now > first + 10_000 {
            *device = [now, first, second];
        }
    }
}

/// How it went.
struct Outcome {
    limit: Limit,
    /// Connections opened in each second.
    came: Vec<u64>,
    /// When the last device was served, in milliseconds.
    served: u64,
    longest_wait: u64,
    turned_away: u64,
    /// The most devices whose last three connections came together, each within 10 ms, later than in the first minute.
    in_step: usize,
}

fn run(devices: u64, rate: u64, limit: Limit) -> Outcome {
    let config: &'static Config<'static> = Box::leak(Box::new(Config::new("http://s", "t")));
    let setup = |seed| Setup {
        config,
        url: Url::parse(config.server_url).expect("a URL"),
        identity: &[("m", "1")],
        point: &[4; 65],
        modules: &[],
        seed,
        report_len: 160,
    };
    let mut fleet = Fleet {
        server: Server {
            limit,
            rate,
            busy_until: 0,
            longest_wait: 0,
            turned_away: 0,
        },
        came: vec![0; SHOWN],
    };
    let mut all: Vec<_> = (0..devices)
        // Each has its own random number at the start.
        .map(|device| Device::new(setup((device.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32)))
        .collect();
    let mut due: BinaryHeap<_> = (0..devices).map(|device| Reverse((0, device))).collect();
    let mut steps: HashMap<[u64; 3], usize> = HashMap::new();
    while let Some(Reverse((now, number))) = due.pop() {
        if now >= SHOWN as u64 * 1000 {
            break;
        }
        let device = &mut all[number as usize];
        let before = device.came;
        let until = device.go_on(now, &mut fleet);
        if device.came != before && device.came[2] > 60_000 {
            *steps.entry(device.came.map(|time| time / 10)).or_default() += 1;
        }
        due.push(Reverse((until.max(now), number)));
    }
    let served = all.iter().map(|device| device.served.unwrap_or(u64::MAX)).max();
    Outcome {
        limit,
        came: fleet.came,
        served: served.unwrap_or(0),
        longest_wait: fleet.server.longest_wait,
        turned_away: fleet.server.turned_away,
        in_step: steps.into_values().max().unwrap_or(0),
    }
}

/// A server that needs five minutes for so many.
fn runs(devices: u64) -> Vec<Outcome> {
    let rate = devices * REQUESTS / 300;
    let outcomes = Limit::ALL.map(|limit| {
        let outcome = run(devices, rate, limit);
        let later = outcome.came.iter().skip(60).max().copied().unwrap_or(0);
        println!(
            "{devices} devices, {rate} requests in a second, {limit:?}: all served after {} s, at most {} ms waited for, {} times \
             turned away, {} connections in the first second, at most {later} in a second after the first minute, {} in step",
            outcome.served / 1000,
            outcome.longest_wait,
            outcome.turned_away,
            outcome.came.first().copied().unwrap_or(0),
            outcome.in_step,
        );
        // Five minutes of work; and what it takes until all have tried again.
        let enough = 300_000 + limit.away() + 25 * 60_000;
        assert!(outcome.served < enough, "{limit:?}: the last is served after {} ms", outcome.served);
        assert!(outcome.longest_wait <= Server::LONGEST_WAIT + 1000, "{limit:?}");
        assert!(outcome.in_step <= 1, "{limit:?}: {} in step", outcome.in_step);
        // The first retry comes within a quarter of a minute, so with a tenth of them in a second at most. What has no answer is tried
        // some times more before the pause.
        let tries = if limit.answer().is_some() { 1 } else { u64::from(TRIES) };
        assert!(later <= tries * devices / 8, "{limit:?}: {later} connections in a second");
        assert!(outcome.turned_away <= tries * devices * 8, "{limit:?}");
        outcome
    });
    outcomes.into()
}

/// Connections in each second, a line for each way to be turned away.
fn plot(devices: u64, outcomes: &[Outcome]) -> String {
    const WIDTH: usize = 900;
    const HEIGHT: usize = 320;
    const COLORS: [&str; 5] = ["#1b6ca8", "#c0392b", "#27864a", "#8e44ad", "#b9770e"];
    let seconds = SHOWN / 2;
    let counts = |outcome: &Outcome| outcome.came.iter().skip(1).take(seconds).copied().collect::<Vec<_>>();
    let highest = outcomes.iter().flat_map(counts).max().unwrap_or(1).max(1);
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"60\" y=\"18\">{devices} devices that lost power together: connections in each second, the first left out</text>",
        WIDTH + 90,
        HEIGHT + 80
    );
    for minute in (0..=seconds / 60).step_by(5) {
        let x = 60 + minute * 60 * WIDTH / seconds;
        let _ = writeln!(
            svg,
            "<path d=\"M{x} 30V{bottom}\" stroke=\"#ddd\"/><text x=\"{x}\" y=\"{label}\" text-anchor=\"middle\">{minute} min</text>",
            bottom = HEIGHT + 30,
            label = HEIGHT + 46
        );
    }
    for part in 0..=4 {
        let y = HEIGHT + 30 - part * HEIGHT / 4;
        let count = highest * part as u64 / 4;
        let _ = writeln!(
            svg,
            "<path d=\"M60 {y}H{}\" stroke=\"#ddd\"/><text x=\"54\" y=\"{}\" text-anchor=\"end\">{count}</text>",
            WIDTH + 60,
            y + 4
        );
    }
    for (outcome, color) in outcomes.iter().zip(COLORS) {
        let mut path = String::new();
        for (second, count) in counts(outcome).into_iter().enumerate() {
            let (x, y) = (
                60 + second * WIDTH / seconds,
                HEIGHT + 30 - (count * HEIGHT as u64 / highest) as usize,
            );
            let _ = write!(path, "{}{x} {y}", if second == 0 { 'M' } else { 'L' });
        }
        let _ = writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\"/>");
    }
    for (place, (outcome, color)) in outcomes.iter().zip(COLORS).enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" fill=\"{color}\">{:?}: all after {} min</text>",
            60 + place * 180,
            HEIGHT + 68,
            outcome.limit,
            outcome.served.div_ceil(60_000)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// A thousand; `.ci/fleet` names the plot's file in `MENDER_FLEET_PLOT`, for which there are a hundred thousand.
#[test]
fn a_fleet_that_lost_power_together_spreads_and_is_served() {
    let path = std::env::var_os("MENDER_FLEET_PLOT");
    let devices = if path.is_some() { 100_000 } else { 1000 };
    let outcomes = runs(devices);
    let drawn = plot(devices, &outcomes);
    assert_eq!(drawn.matches("fill=\"none\"").count(), Limit::ALL.len());
    if let Some(path) = path {
        std::fs::write(path, drawn).expect("the plot can be written");
    }
}

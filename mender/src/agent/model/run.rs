//! An agent, the memory that is lent to it, and the world around it: one step after the other, through the agent's own surface.

extern crate std;

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::boxed::Box;
use std::hash::DefaultHasher;
use std::string::String;
use std::vec;

use super::device::Kind;
use super::print::{Needs, Print};
use super::server::{Answer, Request};
use super::world::{Answers, Asked, Bounds, OLD_NAME, Op, Outcome, World};
use crate::agent::config::Config;
use crate::agent::deployment::{Module, Trouble};
use crate::agent::event::Event;
use crate::agent::schedule::STORAGE_FAULTS;
use crate::agent::{Agent, Done, Fault, Io, Lost, Memory, Now, Requests, Setup};
use crate::api::key::DigestSignature;
use crate::artifact::{Event as Found, Limits, Parser};
use crate::net::Url;
use crate::update_module::Failure;

/// The clock's tick. Whoever sleeps wakes at the next one, so that the jitter of pauses makes no different worlds.
pub(super) const TICK: u64 = 100_000;
/// Pauses between tries are at least this long; those of a request that is tried again in place are shorter.
pub(super) const LONG: Duration = Duration::from_secs(45);

/// What all runs of an exploration share.
pub(super) struct Fixture {
    setup: Setup<'static>,
    /// Has read an artifact's header.
    artifact: Parser<'static>,
}

impl Fixture {
    /// Lives as long as the tests: an agent borrows its configuration.
    pub(super) fn new(kind: Kind, limit: u8) -> &'static Fixture {
        let config = Box::leak(Box::new(Config {
            artifact_name: OLD_NAME,
            // All pauses are over at the next tick, but for `Retry-After`; the gate has room for two tries.
            retry_cap: Duration::from_secs(90),
            network_retry: Duration::from_secs(60),
            commit_timeout: Duration::from_secs(150),
            inventory_interval: None,
            transition_limit: limit,
            ..Config::new("http://s", "nrf52840dk")
        }));
        let bytes: &[u8] = match kind {
            Kind::NoPayload => include_bytes!("../../../../tests/vectors/artifacts/ok/bootstrap-null.mender"),
            Kind::Module { .. } => include_bytes!("../../../../tests/vectors/artifacts/ok/none-1b.mender"),
        };
        let mut artifact = Parser::new(Limits::DEFAULT, Box::leak(vec![0; 8192].into_boxed_slice()));
        let mut rest = bytes;
        loop {
            let (consumed, found) = artifact.feed(rest).expect("a good artifact");
            rest = &rest[consumed..];
            if let Found::Header = found {
                break;
            }
        }
        Box::leak(Box::new(Fixture {
            setup: Setup {
                config,
                url: Url::parse(config.server_url).expect("a URL"),
                identity: &[("m", "1")],
                point: &[4; 65],
                modules: kind.modules(),
                seed: 0,
                report_len: 128,
            },
            artifact,
        }))
    }
}

/// The lent memory.
#[derive(Clone, Hash)]
struct Lent {
    token: [u8; 4],
    link: [u8; 32],
    link_len: usize,
    window: [u8; 1024],
    front: [u8; 768],
    installed_len: usize,
    block: [u8; 256],
}

impl Lent {
    /// Spoils what is not looked at again, so that it does not make runs different, and whoever looks at it all the same goes astray.
    /// The window never is: whatever is sent is written anew, and what is received comes into it.
    fn forget(&mut self, needs: Needs) {
        self.window.fill(SPOILT);
        self.link[self.link_len..].fill(SPOILT);
        if !needs.spare {
            self.front[self.installed_len..].fill(SPOILT);
        }
        if !needs.block {
            self.block.fill(SPOILT);
        }
    }

    fn memory(&mut self) -> Memory<'_> {
        Memory {
            token: &mut self.token,
            link: &mut self.link,
            link_len: self.link_len,
            window: &mut self.window,
            front: &mut self.front,
            installed_len: self.installed_len,
            spare: &mut [],
            block: &mut self.block,
        }
    }
}

/// In the place of what nobody looks at again. No record, no text.
const SPOILT: u8 = 0xee;

/// What follows a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    On,
    /// Nothing was decided of what is asked for.
    Choice(Asked),
    /// The device restarts.
    Reset,
}

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Run {
    fixture: &'static Fixture,
    agent: Agent<'static>,
    lent: Lent,
    pub(super) world: World,
    /// Milliseconds since the device started.
    clock: u64,
}

impl Run {
    /// The device starts.
    pub(super) fn boot(fixture: &'static Fixture, world: World) -> Run {
        Run {
            fixture,
            agent: Agent::new(fixture.setup),
            lent: Lent {
                token: [0; 4],
                link: [0; 32],
                link_len: 0,
                window: [0; 1024],
                front: [0; 768],
                installed_len: 0,
                block: [0; 256],
            },
            world,
            clock: 0,
        }
    }

    /// Two runs with the same one have the same future.
    pub(super) fn fingerprint(&mut self, print: &mut Print) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(print.of(&self.agent, self.clock));
        self.lent.forget(print.needs());
        self.lent.hash(&mut hasher);
        self.world.hash(&mut hasher);
        hasher.finish()
    }

    fn now(&self) -> Now {
        // The time of day is always the same: log entries do not make worlds different.
        Now::new(
            Duration::from_millis(self.clock),
            Some(Duration::from_secs(1_700_000_000)),
        )
    }

    /// Asks the agent, lets `decide` say what comes of it, and does that. Without a decision nothing is done, and the run must not
    /// go on.
    pub(super) fn step(&mut self, decide: impl FnOnce(&World, Asked) -> Option<Outcome>) -> After {
        let now = self.now();
        let mut memory = self.lent.memory();
        let around = Around {
            fixture: self.fixture,
            world: &mut self.world,
            clock: &mut self.clock,
        };
        let after = around.turn(&mut self.agent, &mut memory, now, decide);
        (self.lent.link_len, self.lent.installed_len) = (memory.link_len, memory.installed_len);
        after
    }

    /// The name that the agent has of what runs, and tells in polls.
    pub(super) fn own_name(&mut self) -> String {
        self.lent
            .memory()
            .installed()
            .artifact_name()
            .unwrap_or(OLD_NAME)
            .into()
    }

    /// The name that the next poll tells, everything going well.
    pub(super) fn polled_name(&self) -> String {
        let mut run = self.clone();
        for _ in 0..60 {
            let now = run.now();
            let mut copy = run.clone();
            if let Io::Send(_, bytes, _) = copy.agent.next(now, Requests::NONE, &mut copy.lent.memory())
                && let Request::Poll = Request::of(bytes)
            {
                let text = core::str::from_utf8(bytes).expect("a request is text");
                let (_, name) = text
                    .split_once("\"artifact_name\":\"")
                    .unwrap_or_else(|| panic!("a poll tells the name: {text}\n{:?}", self.world));
                return name.split('"').next().unwrap_or("").into();
            }
            let after = run.step(|world, asked| world.outcomes(asked, QUIET).first().copied());
            assert_eq!(after, After::On);
        }
        panic!("no poll follows the end");
    }
}

/// Nothing goes wrong.
const QUIET: Bounds = Bounds {
    faults: 0,
    resets: 0,
    answers: Answers::Few,
    failures: 0,
    downloads: true,
    culprit: None,
    limit: 28,
};

/// What is around an agent and its memory.
struct Around<'r> {
    fixture: &'static Fixture,
    world: &'r mut World,
    clock: &'r mut u64,
}

/// What is asked for, as far as it matters to the world.
fn asked_of(io: &Io<'_>) -> Asked {
    match io {
        Io::NetworkUp => Asked::NetworkUp,
        Io::NetworkDown => Asked::NetworkDown,
        Io::Connect(..) => Asked::Connect,
        Io::Send(_, bytes, is_last) => {
            assert!(is_last, "the window has room for each request");
            Asked::Send(Request::of(bytes))
        }
        Io::Receive(..) => Asked::Receive,
        Io::Sign(_) => Asked::Sign,
        Io::Inventory(..) => Asked::Inventory,
        Io::Read(key, _) => Asked::Read(*key),
        Io::Write(key, _) => Asked::Write(*key),
        Io::Call(_, state) => Asked::Call(*state),
        Io::Download => Asked::Download,
        Io::Restart => Asked::Restart,
        Io::Sleep(duration) => Asked::Sleep {
            long: duration.expect("it wakes up again") >= LONG,
        },
        Io::Tell(Event::Finished(_)) => Asked::Finished,
        Io::Tell(_) => Asked::Tell,
        Io::HandOver { .. } | Io::Complete | Io::Broken | Io::Stop => panic!("not asked for here"),
    }
}

impl Around<'_> {
    fn turn(
        self,
        agent: &mut Agent<'static>,
        memory: &mut Memory<'_>,
        now: Now,
        decide: impl FnOnce(&World, Asked) -> Option<Outcome>,
    ) -> After {
        let Around { fixture, world, clock } = self;
        let io = agent.next(now, Requests::NONE, memory);
        let asked = asked_of(&io);
        let Some(outcome) = decide(world, asked) else {
            return After::Choice(asked);
        };
        let (fails, after) = match outcome {
            Outcome::Fails { after } => (true, after),
            Outcome::Good | Outcome::Lost | Outcome::Answer(_) | Outcome::NoDownload { .. } | Outcome::Restarts => {
                (false, true)
            }
            Outcome::Crashes => (false, false),
        };
        let done = match io {
            Io::NetworkUp => Done::Network(outcome != Outcome::Lost),
            Io::NetworkDown => Done::NetworkDown,
            Io::Connect(..) if outcome == Outcome::Lost => Done::Connected(Err(Lost::Connect)),
            Io::Connect(..) => Done::Connected(Ok(())),
            Io::Send(..) if outcome == Outcome::Lost => Done::Sent(Err(Lost::Io)),
            Io::Send(..) => {
                if let Asked::Send(request) = asked {
                    world.server.pending = Some(request);
                }
                Done::Sent(Ok(()))
            }
            Io::Receive(_, buffer) => {
                let Outcome::Answer(answer) = outcome else {
                    panic!("an answer is received");
                };
                Done::Received(receive(world, answer).map(|bytes| {
                    buffer[..bytes.len()].copy_from_slice(bytes.as_bytes());
                    bytes.len()
                }))
            }
            Io::Sign(_) => Done::Signed(DigestSignature::from_numbers(&[1; 64])),
            Io::Inventory(writer, _) => Done::Inventory {
                attributes: 0,
                len: writer.finish().len(),
            },
            Io::Read(key, _) if fails => {
                world.fail(Op::Read, key, false);
                for _ in 0..STORAGE_FAULTS {
                    agent.done(now, memory, Done::Read(Err(Fault::Backend)));
                    let Io::Read(again, _) = agent.next(now, Requests::NONE, memory) else {
                        panic!("it is tried again at once");
                    };
                    assert_eq!(again, key);
                }
                Done::Read(Err(Fault::Backend))
            }
            Io::Read(key, buffer) => Done::Read(Ok(world.record(key).map(|record| {
                buffer[..record.len()].copy_from_slice(record);
                record.len()
            }))),
            Io::Write(key, record) => {
                if after {
                    world.store(key, record);
                }
                if fails {
                    world.fail(Op::Write, key, after);
                    for _ in 0..STORAGE_FAULTS {
                        agent.done(now, memory, Done::Written(Err(Fault::Backend)));
                        let Io::Write(again, record) = agent.next(now, Requests::NONE, memory) else {
                            panic!("it is tried again at once");
                        };
                        assert_eq!(again, key);
                        if after {
                            world.store(key, record);
                        }
                    }
                }
                Done::Written(if fails { Err(Fault::Backend) } else { Ok(()) })
            }
            Io::Call(_, state) => {
                let called = world.call(state, outcome);
                if let Outcome::Restarts | Outcome::Crashes = outcome {
                    return After::Reset;
                }
                Done::Called(called.then_some(()).ok_or_else(|| Failure::new("failed")))
            }
            Io::Download => {
                download(fixture, agent, memory, now, outcome);
                return After::On;
            }
            Io::Restart | Io::Sleep(_) if outcome == Outcome::Restarts => return After::Reset,
            Io::Restart => return After::On,
            Io::Sleep(duration) => {
                world.software.restarting = false;
                let millis = duration.expect("it wakes up again").as_millis() as u64;
                *clock = (*clock + millis).next_multiple_of(TICK);
                return After::On;
            }
            Io::Tell(event) => {
                world.told(&event);
                return After::On;
            }
            Io::HandOver { .. } | Io::Complete | Io::Broken | Io::Stop => panic!("not asked for here"),
        };
        let (is_written, is_exchanged) = (
            matches!(done, Done::Written(Ok(()))),
            matches!(done, Done::Received(_) | Done::Sent(_)),
        );
        agent.done(now, memory, done);
        // What nobody reads again is wiped (a record that could not be written is tried again): it would make runs different that are not.
        if is_written {
            memory.block.fill(0);
        }
        if is_exchanged {
            memory.window.fill(0);
        }
        After::On
    }
}

/// The server answers.
fn receive(world: &mut World, answer: Answer) -> Result<&'static str, Lost> {
    let request = world.server.pending.take().expect("an answer without a request");
    let acts = answer.is_act();
    match request {
        Request::Poll => world.server.offered |= acts,
        Request::Status(report) if acts => world.taken(report),
        Request::Status(_) | Request::Login | Request::Log => {}
    }
    answer.bytes(request).ok_or(answer.lost())
}

/// The artifact comes, or not.
fn download(
    fixture: &'static Fixture,
    agent: &mut Agent<'static>,
    memory: &mut Memory<'_>,
    now: Now,
    outcome: Outcome,
) {
    let header = fixture.artifact.header().expect("the header was read");
    let module = Module::find(fixture.setup.modules, header.payload_type().unwrap_or(""));
    let (block, installed) = memory.record();
    let (module, result) = match outcome {
        Outcome::NoDownload { known: false } => (Module::None, Err(Trouble::Unfinished)),
        Outcome::NoDownload { known: true } => (module, Err(Trouble::Module(Failure::new("failed")))),
        Outcome::Good
        | Outcome::Lost
        | Outcome::Answer(_)
        | Outcome::Fails { .. }
        | Outcome::Restarts
        | Outcome::Crashes => (module, agent.record(block, &header, installed).ok_or(Trouble::Record)),
    };
    agent.downloaded(now, memory, module, result);
}

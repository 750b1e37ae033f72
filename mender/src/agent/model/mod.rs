//! Everything that can happen: agent, machine, module, server, storage and resets together, walked through without a gap.

extern crate std;

mod device;
mod explore;
mod print;
mod run;
mod server;
mod world;

use std::format;

use device::Kind;
use explore::{Explorer, Report, say};
use run::Fixture;
use world::{Bounds, World};

fn explore(kind: Kind, bounds: Bounds) -> Report {
    let fixture = Fixture::new(kind, bounds.limit);
    let started = std::time::Instant::now();
    let report = Explorer::new(fixture, bounds).explore([World::new(kind, bounds)]);
    say(&format!("{kind:?} {:?}", started.elapsed()), bounds, &report);
    report
}

#[test]
fn first() {
    let n = |name: &str, or: u8| std::env::var(name).ok().map_or(or, |v| v.parse().unwrap());
    for kind in Kind::ALL {
        let report = explore(
            kind,
            Bounds {
                faults: n("FAULTS", 0),
                resets: n("RESETS", 0),
                all_answers: n("ALL", 0) > 0,
                failures: n("FAILURES", 1),
                limit: n("LIMIT", 28),
            },
        );
        if n("WAYS", 0) > 0 {
        for (fault, lie, _, way) in &report.lies {
            std::println!("{fault:?} {lie:?}\n{way}");
        }
        }
    }
}

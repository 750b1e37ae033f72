//! Updates whose board loses its power at moments by chance, and what must be so after each. Depends on `bench`, `story`.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use mender::rand_core::Rng;
use mender_testkit::device::SeededRng;
use mender_testkit::server::{DeviceId, Status};

use crate::bench::{Bench, Setup, artifact_name};
use crate::story::{TABLE, expect};

/// What is deployed in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The release that does not run.
    Image,
    /// The release that reaches nobody, and is rolled back.
    Faulty,
    /// A table.
    Table,
}

/// What the board has when nothing is under way.
#[derive(Clone, Debug)]
struct Present {
    /// Of the two releases that work, by its place in the list.
    release: usize,
    artifact: String,
    table: Vec<u8>,
}

/// Plays so many rounds. The seed says what is deployed and when the power is cut; not when the board gets to what.
///
/// # Errors
///
/// The first round after which something is not as it must be.
pub fn play(setup: &Setup, rounds: u32, seed: u64) -> Result<(), Box<dyn Error>> {
    let mut bench = Bench::new(setup)?;
    let mut chance = SeededRng::new(seed);
    bench.switch_on()?;
    let device = bench.accept()?;
    for (index, release) in bench.images.releases.clone().iter().enumerate() {
        bench.upload(&release_name(index), setup.bootloader.artifact_type(), &release.bytes)?;
    }
    let mut present = Present {
        release: 0,
        artifact: release_name(0),
        table: crate::bench::FIRST_TABLE.to_vec(),
    };
    // How long each takes that nobody disturbs.
    let mut lasts = BTreeMap::new();
    for kind in [Kind::Image, Kind::Table, Kind::Faulty] {
        let mut start = Instant::now();
        let mut begun = |bench: &mut Bench| {
            bench.begun()?;
            start = Instant::now();
            Ok(())
        };
        let status = round(&mut bench, &device, &mut present, kind, "quiet", &mut begun)?;
        let expected = match kind {
            Kind::Image | Kind::Table => Status::Success,
            Kind::Faulty => Status::Failure,
        };
        expect("a deployment that nobody disturbs", status, expected)?;
        lasts.insert(kind, start.elapsed());
    }
    let mut struck = BTreeMap::<String, u32>::new();
    for number in 1..=rounds {
        let kind = match chance.next_u32() % 10 {
            0 => Kind::Faulty,
            1 | 2 => Kind::Table,
            _ => Kind::Image,
        };
        let all = lasts[&kind].as_micros() as u64;
        let mut cut = |bench: &mut Bench| {
            bench.begun()?;
            // One cut, in every fourth round a second one, and so on.
            loop {
                bench.listen(Duration::from_micros(chance.next_u64() % all))?;
                bench.cut_power();
                *struck.entry(bench.watch.doing.clone()).or_default() += 1;
                bench.switch_on()?;
                if !chance.next_u32().is_multiple_of(4) {
                    return Ok(());
                }
            }
        };
        let name = format!("{seed}-{number}");
        let status = round(&mut bench, &device, &mut present, kind, &name, &mut cut)
            .map_err(|error| format!("round {number} of seed {seed} ({kind:?}): {error}"))?;
        let cuts: u32 = struck.values().sum();
        if number % 10 == 0 || number == rounds {
            bench.terminal.line(format_args!(
                "round {number}: {kind:?}, {status}; release {} runs; {cuts} cuts so far",
                present.release + 1
            ));
        }
    }
    let boots = bench.watch.boots.len();
    let cuts: u32 = struck.values().sum();
    bench.terminal.line(format_args!(
        "{rounds} rounds, {cuts} cuts, {boots} starts: always a firmware, and the one that the server knows of"
    ));
    for (doing, count) in struck {
        bench.terminal.line(format_args!("{count:6} cuts in {doing}"));
    }
    Ok(())
}

fn release_name(index: usize) -> String {
    format!("release-{}", index + 1)
}

/// One deployment with its cuts, and what must be so afterwards.
fn round(
    bench: &mut Bench,
    device: &DeviceId,
    present: &mut Present,
    kind: Kind,
    name: &str,
    cut: &mut dyn FnMut(&mut Bench) -> Result<(), Box<dyn Error>>,
) -> Result<Status, Box<dyn Error>> {
    let mut next = present.clone();
    match kind {
        Kind::Image => {
            next.release = 1 - present.release;
            next.artifact = release_name(next.release);
        }
        Kind::Faulty => next.artifact = release_name(2),
        Kind::Table => {
            next.artifact = format!("calibration-{name}");
            next.table = next.artifact.clone().into_bytes();
            bench.upload(&next.artifact, TABLE, &next.table)?;
        }
    }
    if next.artifact == present.artifact {
        return Err("the server would not deploy what the board has".into());
    }
    let deployment = bench.deploy(&next.artifact, device)?;
    cut(bench)?;
    let status = bench.outcome(&deployment, device)?;
    match (status, kind) {
        (Status::Success, Kind::Image | Kind::Table) => *present = next,
        (Status::Failure, Kind::Image | Kind::Table | Kind::Faulty) => {}
        (other, _) => return Err(format!("the deployment ended with {other}").into()),
    }
    let name = bench.until("the inventory says what runs", |server, _| {
        (artifact_name(server, device)? == present.artifact).then_some(())
    });
    name.map_err(|error| format!("{status}, {}: {error}", present.artifact))?;
    let version = format!("{}", present.release + 1);
    expect("the release that runs", bench.watch.version(), Some(version.as_str()))?;
    let is_there = bench.flash.runs(&bench.images.releases[present.release])?;
    expect("ACTIVE has the image", is_there, true)?;
    let table = bench.flash.table()?;
    let sum = calibration::image(1, &present.table, |_, _| {});
    expect(
        "the calibration table",
        (table.len as usize, table.sum),
        (present.table.len(), sum),
    )?;
    expect(
        "violations of the protocol",
        bench.site.server.server().violations().len(),
        0,
    )?;
    Ok(status)
}

//! The demo: an update that stays, one that is taken back, and one without a restart. Depends on `bench`.

use std::error::Error;

use mender_testkit::server::Status;

use crate::bench::{Bench, Setup, artifact_name};
use crate::images::{Bootloader, Image};
use crate::watch::Boot;

/// Those that `calibration` takes.
pub const TABLE: &str = "calibration-table";
const SECOND_TABLE: [u8; 200] = [2; 200];

/// Tells it, and checks all of it; what was measured is in the bench's watch.
///
/// # Errors
///
/// What did not come as it must.
pub fn tell(setup: &Setup) -> Result<Bench, Box<dyn Error>> {
    let mut bench = Bench::new(setup)?;
    let url = &bench.site.url;
    bench
        .terminal
        .say("server", format_args!("listens; for the board it is {url}"));
    let sizes = |name: &str, image: &Image| {
        let Image { text, data, bss, .. } = image;
        let line = format!("{name}: {text} bytes of code and constants, RAM for statics {data} + {bss}");
        bench.terminal.say("runner", line);
    };
    sizes("bootloader", &bench.images.bootloader);
    sizes("firmware", &bench.images.releases[0]);
    bench.switch_on()?;
    let device = bench.accept()?;

    let image = setup.bootloader.artifact_type();
    let [_, second, third] = bench.images.releases.clone();
    bench.upload("release-2", image, &second.bytes)?;
    let deployment = bench.deploy("release-2", &device)?;
    let outcome = bench.outcome(&deployment, &device)?;
    expect("the update", outcome, Status::Success)?;

    bench.upload("release-3", image, &third.bytes)?;
    let deployment = bench.deploy("release-3", &device)?;
    let outcome = bench.outcome(&deployment, &device)?;
    expect("the update that reaches nobody", outcome, Status::Failure)?;
    print_log(&bench, &deployment, &device)?;

    bench.upload("calibration-2", TABLE, &SECOND_TABLE)?;
    let deployment = bench.deploy("calibration-2", &device)?;
    let outcome = bench.outcome(&deployment, &device)?;
    expect("the calibration table", outcome, Status::Success)?;

    let boot = |state: &str, version: &str| Boot {
        state: state.to_owned(),
        version: version.to_owned(),
    };
    let expected = [
        boot("boot", "1"),
        boot("swap", "2"),
        boot("swap", "3"),
        boot("swap", "2"),
    ];
    expect("the boots", bench.watch.boots.as_slice(), &expected)?;
    expect("release 2 is in ACTIVE", bench.flash.runs(&second)?, true)?;

    bench.terminal.say("runner", "cuts the power");
    bench.cut_power();
    bench.switch_on()?;
    let name = bench.until("the inventory after the last start", |server, watch| {
        watch.is_idle.then(|| artifact_name(server, &device))?
    })?;
    // What the bootloader remembers of the swap back.
    let state = match setup.bootloader {
        Bootloader::EmbassyBoot => "revert",
        Bootloader::Mcuboot { .. } => "boot",
    };
    expect("the last boot", bench.watch.boots.last(), Some(&boot(state, "2")))?;
    expect("the artifact's name", name.as_str(), "calibration-2")?;
    let table = bench.flash.table()?;
    expect("the table's length", table.len as usize, SECOND_TABLE.len())?;
    expect(
        "the table that the firmware found",
        bench.watch.table,
        Some((2, table.sum)),
    )?;
    let violations = bench.site.server.server().violations().len();
    expect("violations of the protocol", violations, 0)?;
    bench.terminal.say("runner", "all is as it must be");
    Ok(bench)
}

fn print_log(
    bench: &Bench,
    deployment: &mender_testkit::server::DeploymentId,
    device: &mender_testkit::server::DeviceId,
) -> Result<(), String> {
    let server = bench.site.server.server();
    let log = server
        .device_deployment(deployment, device)
        .and_then(|deployment| deployment.log.as_deref());
    let log = log.unwrap_or_default();
    for line in log {
        bench
            .terminal
            .say("server", format_args!("log: {}: {}", line.level, line.message));
    }
    expect("the deployment's log is empty", log.is_empty(), false)
}

/// What must be.
///
/// # Errors
///
/// What is instead.
pub fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: found {found:?}, expected {expected:?}"))
    }
}

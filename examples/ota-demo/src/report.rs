//! The end: a table of what the server recorded and what it cost, and whether all of it is as it must be.

use std::fmt::Debug;

use mender_testkit::bootloader::SwapType;
use mender_testkit::server::{Acceptance, DeploymentId, DeviceId, Server, Status, Time};

use crate::board::Boot;
use crate::chip::{self, Flash, SLOT0, SLOT1};
use crate::device::MAC;
use crate::firmware::FAULT;
use crate::release::{Release, show};
use crate::story::{Plan, Spent};
use crate::terminal::Terminal;

/// A deployment that is over.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub id: DeploymentId,
}

/// All that is known at the end.
pub struct Facts<'a> {
    pub plan: &'a Plan,
    pub server: &'a Server,
    pub device: &'a DeviceId,
    /// The good one and the faulty one.
    pub deployed: [Deployed; 2],
    pub boots: Vec<Boot>,
    /// After the registration, and after each deployment.
    pub spent: [Spent; 3],
    /// A time of the server's as seconds since the start.
    pub seconds: &'a dyn Fn(Time) -> f64,
}

/// Prints the tables and gives what is not as it must be.
///
/// # Errors
///
/// The flash's file cannot be read.
pub fn print(facts: &Facts<'_>, terminal: &Terminal) -> Result<Vec<String>, String> {
    terminal.line("\nWhat the server recorded");
    for (release, deployed) in releases(facts).into_iter().zip(&facts.deployed) {
        print_deployment(facts, release, deployed, terminal);
    }
    let inventory = |name| inventory(facts, name).unwrap_or_else(|| "nothing".to_owned());
    terminal.line(format_args!(
        "  inventory: artifact_name {}, firmware_version {}",
        inventory("artifact_name"),
        inventory("firmware_version")
    ));

    terminal.line("\nWhat is on the board");
    for (number, slot) in [SLOT0, SLOT1].iter().enumerate() {
        let image = facts.plan.chip.image_in(slot)?;
        let version = image.map_or_else(|| "no image".to_owned(), |image| show(image.version));
        let role = if number == 0 { "runs" } else { "does not run" };
        terminal.line(format_args!("  slot {number}: {version}, {role}"));
    }

    terminal.line("\nWhat it took (flash: the bootloader's swaps included; connections and requests: polls included)");
    print_costs(&facts.spent, terminal);

    let checks = check(facts)?;
    if checks.failed.is_empty() {
        terminal.line(format_args!(
            "\nBoth updates ended as they must; {} facts checked.",
            checks.count
        ));
    } else {
        let (failed, count) = (checks.failed.len(), checks.count);
        terminal.line(format_args!(
            "\nNOT as it must be: {failed} of {count} facts, see standard error."
        ));
    }
    Ok(checks.failed)
}

fn releases<'a>(facts: &Facts<'a>) -> [&'a Release; 2] {
    [&facts.plan.good, &facts.plan.faulty]
}

fn print_deployment(facts: &Facts<'_>, release: &Release, deployed: &Deployed, terminal: &Terminal) {
    let (name, version) = (&release.name, show(release.version()));
    let Some(known) = facts.server.device_deployment(&deployed.id, facts.device) else {
        terminal.line(format_args!("  {name} ({version}): nothing"));
        return;
    };
    terminal.line(format_args!("  {name} ({version}): {}", known.status));
    for report in &known.reports {
        let seconds = (facts.seconds)(report.time);
        terminal.line(format_args!("  {seconds:6.2} s  {}", report.status));
    }
}

fn print_costs(spent: &[Spent; 3], terminal: &Terminal) {
    terminal
        .line("                 boots  flash writes  bytes written  sectors erased  connections: API, store  requests");
    let [registered, good, faulty] = spent;
    let rows = [
        ("registration", registered, &Spent::default()),
        ("the update", good, registered),
        ("the rollback", faulty, good),
        ("together", faulty, &Spent::default()),
    ];
    for (name, to, from) in rows {
        terminal.line(format_args!(
            "  {name:<13}{:>7}{:>14}{:>15}{:>16}{:>18}{:>7}{:>10}",
            to.boots - from.boots,
            to.flash.writes - from.flash.writes,
            to.flash.bytes_written - from.flash.bytes_written,
            to.flash.erases - from.flash.erases,
            to.api_connections - from.api_connections,
            to.store_connections - from.store_connections,
            to.requests - from.requests,
        ));
    }
}

fn inventory(facts: &Facts<'_>, name: &str) -> Option<String> {
    let value = facts.server.inventory(facts.device)?.value(name)?;
    value.as_str().map(str::to_owned)
}

#[derive(Debug, Default)]
struct Checks {
    count: usize,
    failed: Vec<String>,
}

impl Checks {
    fn equal<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        self.count += 1;
        if found != expected {
            self.failed
                .push(format!("{what}: found {found:?}, expected {expected:?}"));
        }
    }
}

/// Looks at everything that there is to see from outside.
fn check(facts: &Facts<'_>) -> Result<Checks, String> {
    let mut checks = Checks::default();
    check_deployments(facts, &mut checks);
    check_server(facts, &mut checks);
    check_board(facts, &mut checks)?;
    Ok(checks)
}

fn check_deployments(facts: &Facts<'_>, checks: &mut Checks) {
    use Status::{Downloading, Failure, Installing, Rebooting, Success};
    let expected = [
        (vec![Downloading, Installing, Rebooting, Installing, Success], None),
        (
            vec![Downloading, Installing, Rebooting, Failure],
            Some(vec![format!("error verify_reboot: {FAULT}")]),
        ),
    ];
    // What the server knew of the board when it offered the deployment.
    let ran_before = [&facts.plan.first.name, &facts.plan.good.name];
    let deployments = releases(facts).into_iter().zip(&facts.deployed);
    for (((release, deployed), (statuses, log)), ran_before) in deployments.zip(expected).zip(ran_before) {
        let name = &release.name;
        let known = facts.server.device_deployment(&deployed.id, facts.device);
        // With repetitions: no status may be reported twice in a row.
        let reported = known.map(|known| known.reports.iter().map(|report| report.status).collect());
        checks.equal(&format!("statuses of {name} in order"), reported, Some(statuses));
        let found = known.and_then(|known| {
            let line = |line: &mender_testkit::server::LogMessage| format!("{} {}", line.level, line.message);
            Some(known.log.as_ref()?.iter().map(line).collect::<Vec<_>>())
        });
        checks.equal(&format!("deployment log of {name}"), found, log);
        let polled = known.and_then(|known| Some(&known.poll.as_ref()?.artifact_name));
        checks.equal(&format!("artifact before {name}"), polled, Some(ran_before));
    }
}

fn check_server(facts: &Facts<'_>, checks: &mut Checks) {
    for (key, value) in &facts.plan.good.provides {
        checks.equal(
            &format!("{key} in the server's inventory"),
            inventory(facts, key),
            Some(value.clone()),
        );
    }
    checks.equal(
        "device_type in the server's inventory",
        inventory(facts, "device_type"),
        Some(facts.plan.device_type.clone()),
    );
    checks.equal(
        "firmware_version in the server's inventory",
        inventory(facts, "firmware_version"),
        Some(show(facts.plan.good.version())),
    );
    checks.equal("devices on the server", facts.server.devices().count(), 1);
    let device = facts.server.find_device("mac", MAC);
    checks.equal(
        "acceptance of the device",
        device.map(|device| device.acceptance()),
        Some(Acceptance::Accepted),
    );
    // The key has survived all restarts.
    checks.equal(
        "keys of the device",
        device.map(|device| device.auth_set_count()),
        Some(1),
    );
    checks.equal(
        "logins of the new firmware before its commit",
        logins_before_commit(facts) > 0,
        true,
    );
    if let Some(whole_len) = facts.plan.good.whole_len {
        let len = facts.plan.good.artifact.len();
        checks.equal("a patch below a quarter of the whole image", len * 4 < whole_len, true);
    }
    checks.equal("violations of the protocol", facts.server.violations(), &[]);
}

/// Logins between the restart into the good firmware and its report from there.
fn logins_before_commit(facts: &Facts<'_>) -> usize {
    let [good, _] = &facts.deployed;
    let Some(known) = facts.server.device_deployment(&good.id, facts.device) else {
        return 0;
    };
    let mut after_reboot = known
        .reports
        .iter()
        .skip_while(|report| report.status != Status::Rebooting);
    let (Some(reboot), Some(commit)) = (after_reboot.next(), after_reboot.next()) else {
        return 0;
    };
    let logins = facts.server.requests().iter().filter(|request| {
        request.path().ends_with("/authentication/auth_requests")
            && request.status == Some(200)
            && (reboot.time..=commit.time).contains(&request.time)
    });
    logins.count()
}

fn check_board(facts: &Facts<'_>, checks: &mut Checks) -> Result<(), String> {
    let Plan {
        first,
        good,
        faulty,
        chip,
        device_type: _,
        tls: _,
    } = facts.plan;
    let boot = |release: &Release, swapped| (show(release.version()), swapped);
    let expected = [
        boot(first, SwapType::None),
        boot(good, SwapType::Test),
        boot(faulty, SwapType::Test),
        boot(good, SwapType::Revert),
    ];
    let boots: Vec<_> = facts
        .boots
        .iter()
        .map(|boot| (show(boot.version), boot.swapped))
        .collect();
    checks.equal("boots", boots.as_slice(), &expected);
    for (slot, release, what) in [
        (SLOT0, good, "SHA-256 of the image in slot 0"),
        (SLOT1, faulty, "SHA-256 of the image in slot 1"),
    ] {
        let found = chip.image_in(&slot)?.map(|image| hex(&image.hash));
        checks.equal(what, found, Some(hex(&release.image_info.hash)));
    }
    // A board that is switched on again: from the file alone, on a copy.
    let flash = Flash::from_bytes(&tool_style::file::read(chip.file())?);
    let outcome = chip::bootloader().boot(&flash).map_err(|error| error.to_string())?;
    checks.equal(
        "the next boot",
        outcome.ran.map(|version| (show(version), outcome.swapped)),
        Some(boot(good, SwapType::None)),
    );
    checks.equal("violations of the flash's rules", chip.violations(), Vec::new());
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

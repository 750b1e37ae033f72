//! What an update costs in flash operations of the module, the bootloader's not counted: sectors erased, writes and bytes
//! written, for each mode and phase, held to the bound that the module's documentation states.
//!
//! `cargo test -p mender-modules --test mcuboot costs -- --nocapture` prints the table.

use std::fmt;

use mender::UpdateModule;
use mender::update_module::{CallbackState, Payload};
use mender_modules::mcuboot::{DirectXip, Mode, Overwrite, SwapMove, SwapOffset, SwapScratch};
use mender_testkit::flash::Counters;
use mender_testkit::image::{ImageBuilder, Version};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, TestMode, V1, V2};
use crate::geometry;

const SECTOR: usize = 4096;
const IMAGE_LEN: usize = 64 * 1024;
/// The client's blocks of network data, by default.
const CHUNK_LEN: usize = 512;

/// What was done in a phase of a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    erased: u64,
    writes: u64,
    bytes: u64,
}

impl Cost {
    const NOTHING: Cost = Cost::new(0, 0, 0);

    const fn new(erased: u64, writes: u64, bytes: u64) -> Cost {
        Cost { erased, writes, bytes }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3} {:>4} {:>6}", self.erased, self.writes, self.bytes)
    }
}

/// The phases of all flows. In those after a failed update the module writes only if it has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Costs {
    download: Cost,
    install: Cost,
    /// Verify_reboot, commit and cleanup.
    commit: Cost,
    /// The new software never got to its commit: rollback, rollback_verify_reboot, failure and cleanup.
    rollback: Option<Cost>,
    /// The same, after the commit.
    rollback_after_commit: Option<Cost>,
    /// The restart after install did not happen: rollback, if the mode has one, failure and cleanup.
    failure: Cost,
}

fn file(version: Version) -> Vec<u8> {
    ImageBuilder::new(version)
        .header_len(0x200)
        .image_len(IMAGE_LEN)
        .build()
}

/// Runs a phase and gives what it cost. No sector is erased twice within one.
fn phase<const WRITE: usize, M: TestMode>(device: &Device<WRITE, SECTOR, M>, run: impl FnOnce()) -> Cost {
    let before = (device.flash.counters(), device.flash.sector_erases());
    run();
    let (from, to): (Counters, Counters) = (before.0, device.flash.counters());
    let erased = device.flash.sector_erases();
    for (sector, (before, after)) in before.1.iter().zip(&erased).enumerate() {
        assert!(
            after - before <= 1,
            "sector {sector} was erased {} times",
            after - before
        );
    }
    Cost {
        erased: to.erases - from.erases,
        writes: to.writes - from.writes,
        bytes: to.bytes_written - from.bytes_written,
    }
}

/// What follows a start of the firmware: a module that knows nothing but the flash.
fn call<const WRITE: usize, M: TestMode>(device: &Device<WRITE, SECTOR, M>, states: &[CallbackState]) -> Cost {
    let mut module = device.module();
    phase(device, || {
        for state in states {
            block_on(module.call(*state)).unwrap_or_else(|failure| panic!("{state:?}: {}", failure.as_str()));
        }
    })
}

fn measure<const WRITE: usize, M: TestMode>(sectors: (u32, u32)) -> Costs {
    use CallbackState::{Cleanup, Commit, Failure, Install, Reboot, Rollback, RollbackVerifyReboot, VerifyReboot};
    // A new device for each flow, in slot 0 an image of the same length.
    let received = || {
        let device = geometry::blank::<WRITE, SECTOR, M>(sectors, 8.max(WRITE as u32));
        device.program(&file(V1));
        assert_eq!(device.boots().ran, Some(V1));
        let mut module = device.module();
        device.flash.reset_counters();
        let download = phase(&device, || {
            let mut source = MemoryPayload::new("zephyr-image", CHUNK_LEN).file("app.bin", file(V2));
            block_on(module.download(&mut Payload::new(&mut source))).unwrap();
        });
        let install = phase(&device, || {
            block_on(module.call(Install)).unwrap();
            block_on(module.call(Reboot)).unwrap();
        });
        // Over both phases too.
        assert!(device.flash.sector_erases().iter().all(|erases| *erases <= 1));
        (device, download, install)
    };

    let (device, download, install) = received();
    assert_eq!(device.boots().ran, Some(V2));
    let commit = call(&device, &[VerifyReboot, Commit, Cleanup]);
    assert_eq!(device.boots().ran, Some(V2));

    let after_boot = |committed: bool| {
        let (device, ..) = received();
        assert_eq!(device.boots().ran, Some(V2));
        call(&device, &[VerifyReboot]);
        if committed {
            call(&device, &[Commit]);
        }
        let back = call(&device, &[Rollback]);
        assert_eq!(device.boots().ran, Some(V1));
        let checked = call(&device, &[RollbackVerifyReboot, Failure, Cleanup]);
        assert_eq!(checked, Cost::NOTHING);
        assert_eq!(device.boots().ran, Some(V1));
        back
    };

    let (device, ..) = received();
    let failure = if M::REVERTS {
        call(&device, &[Rollback, RollbackVerifyReboot, Failure, Cleanup])
    } else {
        call(&device, &[Failure, Cleanup])
    };
    assert_eq!(device.boots().ran, Some(V1));
    assert_eq!(device.flash.violations(), []);

    Costs {
        download,
        install,
        commit,
        rollback: M::REVERTS.then(|| after_boot(false)),
        rollback_after_commit: M::REVERTS.then(|| after_boot(true)),
        failure,
    }
}

/// The bound: each sector of the image once, one for the trailer, one for the note and what a download after a restart needs, one for
/// the first sector (offset); every byte of the image once, the note (swap modes) and the mark; the file's hash, and a mark for each
/// sector. Installing writes the magic, committing a cell.
fn bound<const WRITE: usize, M: Mode>(has_note: bool, has_mark: bool, is_offset: bool) -> Costs {
    // All but direct-xip can go on after a restart.
    let goes_on = has_mark && cfg!(feature = "resume");
    let count = |condition: bool| u64::from(condition);
    let cell = WRITE as u64;
    let note = 48_u64.next_multiple_of(cell) * count(has_note);
    let mark = cell * count(has_mark);
    // Two operations for the first chunk, as its first 32 bytes are looked at alone.
    let image_writes = (IMAGE_LEN / CHUNK_LEN + 1) as u64;
    let magic = 16_u64.next_multiple_of(cell.max(8));
    let sectors = (IMAGE_LEN / SECTOR) as u64;
    let resumed = (32 + sectors * cell.max(4)) * count(goes_on);
    Costs {
        download: Cost::new(
            sectors + 1 + count(has_note || goes_on) + count(is_offset),
            image_writes + (1 + sectors) * count(goes_on) + count(has_note) + count(has_mark),
            IMAGE_LEN as u64 + resumed + note + mark,
        ),
        install: Cost::new(0, 1, magic),
        commit: Cost::new(0, 1, cell),
        rollback: M::REVERTS.then_some(Cost::NOTHING),
        rollback_after_commit: M::REVERTS.then_some(if has_note {
            // A request: its cells and the magic in an erased sector.
            Cost::new(1, 3, 2 * cell + magic)
        } else {
            // Direct-xip: the own trailer goes.
            Cost::new(1, 0, 0)
        }),
        // The header of the image that never ran, and its trailer.
        failure: Cost::new(2, 0, 0),
    }
}

fn row(name: &str, unit: usize, costs: &Costs) {
    let or_none = |cost: Option<Cost>| cost.map_or_else(|| "              -".into(), |cost| cost.to_string());
    println!(
        "{name:<12}{unit:>2} | {} | {} | {} | {} | {} | {}",
        costs.download,
        costs.install,
        costs.commit,
        or_none(costs.rollback),
        or_none(costs.rollback_after_commit),
        costs.failure,
    );
}

fn unit<const WRITE: usize>() {
    fn mode<const WRITE: usize, M: TestMode>(name: &str, kind: (bool, bool, bool)) {
        let slot1 = if kind.2 { 25 } else { 24 };
        let costs = measure::<WRITE, M>((24, slot1));
        row(name, WRITE, &costs);
        assert_eq!(costs, bound::<WRITE, M>(kind.0, kind.1, kind.2), "{name}, {WRITE}");
    }
    mode::<WRITE, SwapMove>("move", (true, true, false));
    mode::<WRITE, SwapOffset>("offset", (true, true, true));
    mode::<WRITE, SwapScratch>("scratch", (true, true, false));
    mode::<WRITE, Overwrite>("overwrite", (false, true, false));
    mode::<WRITE, DirectXip>("direct-xip", (false, false, false));
}

#[test]
fn each_phase_costs_what_is_stated() {
    println!(
        "image of 64 KiB, sectors of 4 KiB, chunks of {CHUNK_LEN} bytes; each: sectors erased, writes, bytes written"
    );
    println!(
        "mode      unit |        download |         install |          commit | rollback (test) | (after commit)  | failed install"
    );
    unit::<4>();
    unit::<8>();
    // The bound holds with every other unit too.
    unit::<1>();
    unit::<2>();
    unit::<16>();
    unit::<32>();
}

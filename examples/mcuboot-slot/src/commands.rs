//! The commands: load the dump, run the module on it, store it.

use std::ops::Range;
use std::path::Path;

use mender::update_module::Payload;
use mender_modules::mcuboot::{
    self, Content, DirectXip, Error, Inspection, NextBoot, Overwrite, Request, SwapMove, SwapOffset, SwapScratch,
    ZephyrImage,
};
use mender_testkit::bootloader::Trailer;
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use serde_json::Value;
use tool_style::{Wrong, file};

use crate::dump::Slot;
use crate::layout::{Layout, Mode};
use crate::{Command, Kind, report};

type Module<M> = ZephyrImage<Slot, Slot, fn(), 4096, M>;

/// Runs a command and gives the state after it.
pub fn run(layout: &Layout, command: &Command) -> Result<Value, Wrong> {
    match layout.mode {
        Mode::Move => run_in(SwapMove, layout, command),
        Mode::Offset => run_in(SwapOffset, layout, command),
        Mode::Scratch => run_in(SwapScratch, layout, command),
        Mode::Overwrite => run_in(Overwrite, layout, command),
        Mode::DirectXip => run_in(DirectXip, layout, command),
    }
}

fn run_in<M: mcuboot::Mode>(mode: M, layout: &Layout, command: &Command) -> Result<Value, Wrong> {
    let (dump, change) = match command {
        Command::State { dump } => (dump, None),
        Command::Install { change, .. }
        | Command::Request { change, .. }
        | Command::Confirm { change }
        | Command::Revert { change } => (&change.dump, Some(change)),
    };
    let failed = |error: String| Wrong::Failed(file::of(dump, error));
    let mut flash = file::read(dump)?;
    let area = |name: &str, range: &Range<usize>| match flash.get(range.clone()) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Err(failed(format!(
            "{name} ends at {:#x}, the dump at {:#x}: is the layout right, and --base?",
            range.end,
            flash.len()
        ))),
    };
    let before = [area("slot 0", &layout.slot0)?, area("slot 1", &layout.slot1)?];
    let scratch = match &layout.scratch {
        Some(range) => Some(area("the scratch area", range)?),
        None => None,
    };
    let scratch_magic = match &scratch {
        Some(area) if area.len() < 64 => return Err(layout.wrong("the scratch area is no sector")),
        Some(area) => Some(Trailer::read_aligned(area, layout.max_align).magic),
        None => None,
    };

    let [slot0, slot1] = before.clone();
    let mut state = inspect(&mut module(mode, layout, slot0, slot1)?).map_err(failed)?;
    let Some(change) = change else {
        let mut report = report::state(layout, &state, scratch_magic);
        report::name_other_alignment(&mut report, layout, &before);
        return Ok(report);
    };
    if report::coming(&state, scratch_magic) == NextBoot::Resume {
        return Err(failed(
            "a swap was interrupted, and both slots are half done: start the device, so that the bootloader \
             finishes it, or program a whole image"
                .into(),
        ));
    }

    // Direct-xip: the module takes the slot that runs for the primary one, and that is not always slot 0.
    let flipped = match layout.running {
        Some(slot) => slot == 1,
        None => layout.mode == Mode::DirectXip && report::runs_secondary(layout, &state),
    };
    let ordered = |[first, second]: [Vec<u8>; 2]| if flipped { [second, first] } else { [first, second] };
    let [primary, secondary] = ordered(before.clone());
    let mut worker = module(mode, layout, primary, secondary)?;
    perform(&mut worker, command, dump)?;
    let (Slot(primary), Slot(secondary)) = worker.release();
    let after = ordered([primary, secondary]);
    let changed = after != before;

    let [slot0, slot1] = after;
    flash[layout.slot0.clone()].copy_from_slice(&slot0);
    flash[layout.slot1.clone()].copy_from_slice(&slot1);
    state = inspect(&mut module(mode, layout, slot0, slot1)?).map_err(failed)?;
    if let (Command::Revert { .. }, false) = (command, changed || goes_back(&state)) {
        return Err(failed(match state.next {
            NextBoot::Test | NextBoot::Permanent | NextBoot::Overwrite | NextBoot::Secondary => {
                "the request in slot 1 is not one of this module: install an image, which removes it".into()
            }
            NextBoot::Unchanged
            | NextBoot::Resume
            | NextBoot::Revert
            | NextBoot::Refuse
            | NextBoot::EraseAndSecondary
            | NextBoot::Nothing => {
                // Which image runs is told by the other one too; without an intact one the answer below is a guess.
                let (number, other) = if flipped {
                    (0, state.primary)
                } else {
                    (1, state.secondary)
                };
                if let Content::Damaged { fault, .. } = other.at_start {
                    return Err(failed(format!(
                        "cannot go back: the image in slot {number} is damaged: {fault}"
                    )));
                }
                let [primary, secondary] = ordered(before);
                let why = block_on(module(mode, layout, primary, secondary)?.check_swapped());
                let why = why.err().map_or_else(String::new, |error| format!(": {error}"));
                format!("there is no update to go back from{why}")
            }
        }));
    }
    change.keep(&flash, changed)?;
    let mut report = report::state(layout, &state, scratch_magic);
    report["changed"] = changed.into();
    Ok(report)
}

fn perform<M: mcuboot::Mode>(worker: &mut Module<M>, command: &Command, dump: &Path) -> Result<(), Wrong> {
    let done: Result<(), Error> = match command {
        Command::State { .. } => Ok(()),
        Command::Install { image, .. } => {
            let name = image.display().to_string();
            let bytes = file::read(image)?;
            let mut payload = MemoryPayload::new("zephyr-image", 4096).file(&name, bytes);
            let written = block_on(worker.write_slot(&mut Payload::new(&mut payload)));
            return Ok(written.map_err(|error| file::of(dump, format_args!("{name} cannot be installed: {error}")))?);
        }
        Command::Request { kind, .. } => block_on(worker.request(match kind {
            Kind::Test => Request::Test,
            Kind::Permanent => Request::Permanent,
        })),
        Command::Confirm { .. } => block_on(worker.confirm_running()),
        Command::Revert { .. } => block_on(worker.request_revert()),
    };
    Ok(done.map_err(|error| file::of(dump, error))?)
}

/// Whether the next boot brings the old image back.
fn goes_back(state: &Inspection) -> bool {
    match state.next {
        // The last two are direct-xip's: the slot under test is erased.
        NextBoot::Revert | NextBoot::EraseAndSecondary | NextBoot::Refuse => true,
        NextBoot::Unchanged
        | NextBoot::Resume
        | NextBoot::Test
        | NextBoot::Permanent
        | NextBoot::Overwrite
        | NextBoot::Secondary
        | NextBoot::Nothing => false,
    }
}

fn module<M: mcuboot::Mode>(
    mode: M,
    layout: &Layout,
    primary: Vec<u8>,
    secondary: Vec<u8>,
) -> Result<Module<M>, Wrong> {
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| layout.wrong("a slot of 4 GiB or more"));
    let said = mcuboot::Layout {
        mode,
        primary_len: len(&primary)?,
        secondary_len: len(&secondary)?,
        sector_len: layout.sector_len,
        write_len: layout.write_len,
        max_align: layout.max_align,
        max_img_sectors: layout.max_img_sectors,
    };
    let module = Module::with_buffer(said, Slot(primary), Slot(secondary), || ())
        .map_err(|error| layout.wrong(format_args!("the layout cannot be: {error}")))?;
    Ok(match layout.compare_builds {
        true => module.comparing_build_numbers(),
        false => module,
    })
}

fn inspect<M: mcuboot::Mode>(module: &mut Module<M>) -> Result<Inspection, String> {
    block_on(module.inspect()).map_err(|error| error.to_string())
}

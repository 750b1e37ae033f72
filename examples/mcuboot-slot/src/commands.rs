//! The commands: load the dump, run the module on it, store it.

use std::fs;
use std::path::Path;

use mender::update_module::Payload;
use mender_modules::mcuboot::{
    self, DirectXip, Error, Overwrite, Request, SwapMove, SwapOffset, SwapScratch, ZephyrImage,
};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use serde_json::Value;

use crate::dump::{Slot, SlotError};
use crate::layout::{Layout, Mode};
use crate::{Command, Kind, report};

type Module<M> = ZephyrImage<Slot, Slot, fn(), 4096, M>;

/// Runs a command and gives the state after it.
pub fn run(layout: &Layout, command: &Command) -> Result<Value, String> {
    match layout.mode {
        Mode::Move => run_in(SwapMove, layout, command),
        Mode::Offset => run_in(SwapOffset, layout, command),
        Mode::Scratch => run_in(SwapScratch, layout, command),
        Mode::Overwrite => run_in(Overwrite, layout, command),
        Mode::DirectXip => run_in(DirectXip, layout, command),
    }
}

fn run_in<M: mcuboot::Mode>(mode: M, layout: &Layout, command: &Command) -> Result<Value, String> {
    let (Command::State { dump }
    | Command::Install { dump, .. }
    | Command::Request { dump, .. }
    | Command::Confirm { dump }) = command;
    let mut flash = fs::read(dump).map_err(|error| format!("{}: {error}", dump.display()))?;
    let slot = |name: &str, range: &std::ops::Range<usize>| match flash.get(range.clone()) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Err(format!(
            "{}: {name} ends at {:#x}, the dump at {:#x}: is the layout right, and --base?",
            dump.display(),
            range.end,
            flash.len()
        )),
    };
    let slots = [slot("slot 0", &layout.slot0)?, slot("slot 1", &layout.slot1)?];
    let [mut slot0, mut slot1] = slots.clone();

    // Direct-xip: the module takes the slot that runs for the primary one, and that is not always slot 0.
    let mut running = 0;
    if layout.mode == Mode::DirectXip {
        let state = inspect(&mut module(mode, layout, slot0.clone(), slot1.clone())?)?;
        if report::runs_secondary(&state) {
            running = 1;
        }
    }
    let mut flipped = Layout {
        slot0: layout.slot0.clone(),
        slot1: layout.slot1.clone(),
        ..*layout
    };
    let changes = !matches!(command, Command::State { .. });
    if changes && running == 1 {
        std::mem::swap(&mut slot0, &mut slot1);
        std::mem::swap(&mut flipped.slot0, &mut flipped.slot1);
    }
    let mut worker = module(mode, &flipped, slot0, slot1)?;
    let done = match command {
        Command::State { .. } => Ok(()),
        Command::Install { image, .. } => {
            let name = image.display().to_string();
            let bytes = fs::read(image).map_err(|error| format!("{name}: {error}"))?;
            let mut payload = MemoryPayload::new("zephyr-image", 4096).file(&name, bytes);
            block_on(worker.write_slot(&mut Payload::new(&mut payload)))
        }
        Command::Request { kind, .. } => block_on(worker.request(match kind {
            Kind::Test => Request::Test,
            Kind::Permanent => Request::Permanent,
        })),
        Command::Confirm { .. } => block_on(worker.confirm_running()),
    };
    done.map_err(|error| explain(&error))?;

    if !changes {
        return Ok(report::state(layout, &inspect(&mut worker)?));
    }
    let (mut first, mut second) = content(worker);
    if running == 1 {
        std::mem::swap(&mut first, &mut second);
    }
    let state = inspect(&mut module(mode, layout, first.clone(), second.clone())?)?;
    flash[layout.slot0.clone()].copy_from_slice(&first);
    flash[layout.slot1.clone()].copy_from_slice(&second);
    if [first, second] != slots {
        store(dump, &flash)?;
    }
    Ok(report::state(layout, &state))
}

/// Both slots as the module leaves them.
fn content<M: mcuboot::Mode>(module: Module<M>) -> (Vec<u8>, Vec<u8>) {
    let (primary, secondary) = module.release();
    (primary.0, secondary.0)
}

fn module<M: mcuboot::Mode>(mode: M, layout: &Layout, slot0: Vec<u8>, slot1: Vec<u8>) -> Result<Module<M>, String> {
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| "a slot of 4 GiB or more".to_string());
    let layout = mcuboot::Layout {
        mode,
        primary_len: len(&slot0)?,
        secondary_len: len(&slot1)?,
        sector_len: layout.sector_len,
        write_len: layout.write_len,
        max_align: layout.max_align,
        max_img_sectors: layout.max_img_sectors,
    };
    Module::new(layout, Slot(slot0), Slot(slot1), || ()).map_err(|error| format!("the layout cannot be: {error}"))
}

fn inspect<M: mcuboot::Mode>(module: &mut Module<M>) -> Result<mcuboot::Inspection, String> {
    block_on(module.inspect()).map_err(|error| explain(&error))
}

fn explain(error: &Error<SlotError, SlotError>) -> String {
    error.to_string()
}

/// Replaces the file as a whole, so that an interrupted run leaves the old one.
fn store(dump: &Path, flash: &[u8]) -> Result<(), String> {
    let mut name = dump.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let failed = |error| format!("{}: {error}", new.display());
    fs::write(new, flash).map_err(failed)?;
    fs::rename(new, dump).map_err(failed)
}

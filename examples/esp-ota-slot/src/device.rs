//! The dump as a device: its flash, its bootloader, its update module.

use mender_modules::esp_ota::{Bootloader, Entry, EspOta, Slot, State};
use mender_testkit::esp_idf::{EspApp, EspIdf, is_startable};
use mender_testkit::flash::{Partition, Rewrites, SimFlash};
use pollster::block_on;
use serde_json::{Value, json};

use crate::table::Table;

type Flash = SimFlash<4, 4096>;
type Part = Partition<4, 4096>;

pub struct Device {
    flash: Flash,
    bootloader: EspIdf,
    running: Option<EspApp>,
}

impl Device {
    pub fn new(dump: &[u8], table: u32, rollback: bool, running: Option<u8>) -> Result<Device, String> {
        if dump.is_empty() || !dump.len().is_multiple_of(4096) {
            return Err("not a whole number of sectors of 4096 bytes".into());
        }
        let table = Table::read(dump.get(table as usize..).unwrap_or_default(), dump.len())?;
        let flash = Flash::from_bytes(dump);
        flash.set_rewrites(Rewrites::ClearBits);
        // All images are for one chip: the first that is there says which.
        let chip = table.slots.iter().chain(&table.factory).find_map(|slot| {
            let header = dump.get(slot.start as usize..)?.first_chunk::<24>()?;
            (header[0] == 0xe9).then(|| u16::from_le_bytes([header[12], header[13]]))
        });
        let mut device = Device {
            flash,
            bootloader: EspIdf {
                rollback,
                chip: chip.unwrap_or(u16::MAX),
                otadata: table.otadata,
                slots: table.slots,
                factory: table.factory,
            },
            running: running.map(|slot| EspApp::Ota(slot.into())),
        };
        if device.running.is_none() {
            device.running = device.starts(false);
        }
        Ok(device)
    }

    /// What the bootloader starts, with rollback or without; the flash stays as it is.
    fn starts(&self, rollback: bool) -> Option<EspApp> {
        let bootloader = EspIdf {
            rollback,
            ..self.bootloader.clone()
        };
        // Nothing is cut, so it cannot fail.
        bootloader.boot(&self.flash.fork()).ok().flatten()
    }

    fn module(&self) -> Result<EspOta<Part, Part, fn()>, String> {
        let running = match self.running {
            Some(EspApp::Ota(0)) => Slot::Ota0,
            Some(EspApp::Ota(_)) => Slot::Ota1,
            Some(EspApp::Factory) => return Err("the factory app runs: the module has no part in that".into()),
            None => return Err("no image can be started: write one into a slot".into()),
        };
        let how = if self.bootloader.rollback {
            Bootloader::Reverts
        } else {
            Bootloader::Keeps
        };
        let part = |range: &std::ops::Range<u32>| self.flash.partition(range.clone());
        let slots = self.bootloader.slots.each_ref().map(part);
        EspOta::new(slots, part(&self.bootloader.otadata), running, how, (|| ()) as fn())
            .map_err(|error| error.to_string())
    }

    pub fn request(&self) -> Result<(), String> {
        block_on(self.module()?.request()).map_err(|error| error.to_string())
    }

    pub fn confirm(&self) -> Result<(), String> {
        block_on(self.module()?.confirm()).map_err(|error| error.to_string())
    }

    pub fn revert(&self) -> Result<(), String> {
        block_on(self.module()?.request_old()).map_err(|error| error.to_string())
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.flash.to_bytes()
    }

    fn entries(&self) -> [Entry; 2] {
        let content = self.flash.to_bytes();
        let at = |index: usize| {
            let start = self.bootloader.otadata.start as usize + index * 4096;
            let bytes = content.get(start..).and_then(|bytes| bytes.first_chunk());
            Entry::read(bytes.unwrap_or(&[0xff; 32]))
        };
        [at(0), at(1)]
    }

    /// All that there is to say.
    pub fn report(&self) -> Value {
        let entries = self.entries();
        let content = self.flash.to_bytes();
        let image = |slot: &std::ops::Range<u32>| {
            let slot = &content[slot.start as usize..slot.end as usize];
            let text = |at: usize| {
                let bytes: Vec<u8> = slot[at..at + 32]
                    .iter()
                    .copied()
                    .take_while(|byte| *byte != 0)
                    .collect();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            let is_app = slot.starts_with(&[0xe9]) && slot[32..36] == 0xabcd_5432_u32.to_le_bytes();
            if !is_app {
                return Value::Null;
            }
            json!({
                "project": text(0x50),
                "version": text(0x30),
                "startable": is_startable(slot, self.bootloader.chip),
            })
        };
        let next = self.starts(self.bootloader.rollback);
        let [ota_0, ota_1] = &self.bootloader.slots;
        let mut report = json!({
            "otadata": entries.each_ref().map(entry),
            "ota_0": image(ota_0),
            "ota_1": image(ota_1),
            "runs": self.running.map(name),
            "next_boot": next.map(name),
            "next_boot_why": self.why(&entries, next),
        });
        if let Some(factory) = &self.bootloader.factory {
            report["factory"] = image(factory);
        }
        report
    }

    fn why(&self, entries: &[Entry; 2], next: Option<EspApp>) -> String {
        let Some(next) = next else {
            return "no image can be started".into();
        };
        let given_up = |entry: &Entry| self.bootloader.rollback && entry.is_valid() && entry.state == State::Pending;
        let valid = |entry: &&Entry| entry.is_valid() && !given_up(entry);
        let mut selected: Option<&Entry> = None;
        for entry in entries.iter().filter(valid) {
            if selected.is_none_or(|best| entry.seq > best.seq) {
                selected = Some(entry);
            }
        }
        let before = if entries.iter().any(given_up) {
            "an image under test was not confirmed, its entry will be aborted; "
        } else {
            ""
        };
        let why = match selected {
            None => "no entry of otadata is valid".into(),
            Some(entry) if app(entry) == next => {
                let is_new = entry.state == State::New;
                let then = match (is_new, self.bootloader.rollback) {
                    (true, true) => ", for one boot unless it is confirmed",
                    (true, false) => ", and the boots after it too: the bootloader has no rollback",
                    (false, _) => "",
                };
                format!("the entry {} selects it{then}", entry.seq)
            }
            Some(entry) => format!(
                "the entry {} selects {}, which cannot be started",
                entry.seq,
                name(app(entry))
            ),
        };
        format!("{before}{why}")
    }
}

fn app(entry: &Entry) -> EspApp {
    EspApp::Ota(usize::from(entry.slot() == Slot::Ota1))
}

fn name(app: EspApp) -> &'static str {
    match app {
        EspApp::Factory => "factory",
        EspApp::Ota(0) => "ota_0",
        EspApp::Ota(_) => "ota_1",
    }
}

fn entry(entry: &Entry) -> Value {
    if entry.seq == u32::MAX {
        return Value::Null;
    }
    let state = match entry.state {
        State::New => "new",
        State::Pending => "pending verify",
        State::Valid => "valid",
        State::Invalid => "invalid",
        State::Aborted => "aborted",
        State::Other(u32::MAX) => "undefined",
        State::Other(_) => "unknown",
    };
    json!({
        "seq": entry.seq,
        "slot": name(app(entry)),
        "state": state,
        "checksum_is_right": entry.crc_is_right,
    })
}

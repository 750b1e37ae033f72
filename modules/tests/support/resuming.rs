//! A download that a restart has cut short: what every module has to do then, with whatever bootloader.

use std::ops::Range;

use mender::update_module::PayloadError;
use mender_testkit::flash::{CutAt, PowerCut, SimFlash};
use mender_testkit::payload::MemoryPayload;

/// A device with a module that goes on with downloads. Versions are 1, which runs, 2 and 3.
pub trait Resumes<const WRITE: usize, const SECTOR: usize>: Sized {
    /// The payload type.
    const TYPE: &'static str;
    /// Length of the payload's chunks.
    const CHUNK_LEN: usize;
    /// So many bytes are written at once.
    const BLOCK_LEN: usize;
    /// What is erased beside the sectors of the image when a download goes on.
    const ERASES_AROUND: usize;

    /// Version 1 runs, after an update.
    fn updated() -> Self;
    /// Another device with the same flash content.
    fn copy(&self) -> Self;
    fn flash(&self) -> &SimFlash<WRITE, SECTOR>;
    /// Of several sectors.
    fn file(version: u8) -> Vec<u8>;
    fn payload(file: &[u8]) -> MemoryPayload {
        MemoryPayload::new(Self::TYPE, Self::CHUNK_LEN).file("app.bin", file)
    }
    /// Downloads after a start of the firmware.
    fn downloads(&self, source: &mut MemoryPayload) -> Result<(), String>;
    /// One start of the device; what runs then.
    fn boots(&mut self) -> Option<u8>;
    /// Installs what was received, sees that it runs and can be gone back from, and confirms it.
    fn installs(&self, version: u8, case: &str);
    /// Where the bytes of this offset in the file are.
    fn offset(&self, at: u32) -> u32;
    /// Flash operations of a download that goes on, a cut of which may cost all marks; of one that was whole but for its end, if so.
    fn weak(of_last: bool) -> Range<u64>;
}

/// Downloads; how many bytes came.
pub fn receive<const WRITE: usize, const SECTOR: usize, D: Resumes<WRITE, SECTOR>>(
    device: &D,
    mut source: MemoryPayload,
) -> (Result<(), String>, usize) {
    let done = device.downloads(&mut source);
    (done, source.handed_out())
}

/// A device on which a download of version 2 broke after so many bytes.
pub fn broken_at<const WRITE: usize, const SECTOR: usize, D: Resumes<WRITE, SECTOR>>(at: usize) -> D {
    let device = D::updated();
    let source = D::payload(&D::file(2)).breaks_after(at, PayloadError::Connection);
    let broken = Err(PayloadError::Connection.to_string());
    assert_eq!(receive(&device, source), (broken, at));
    device
}

fn is_installed<const WRITE: usize, const SECTOR: usize, D: Resumes<WRITE, SECTOR>>(
    device: &D,
    version: u8,
    case: &str,
) {
    device.installs(version, case);
    assert_eq!(device.flash().violations(), [], "{case}");
}

/// Broken after so many bytes, a download fetches what is not in whole sectors.
pub fn goes_on<const WRITE: usize, const SECTOR: usize, D: Resumes<WRITE, SECTOR>>(at: usize) {
    let case = format!("units of {WRITE}, broken at {at}");
    let (device, file) = (broken_at::<WRITE, SECTOR, D>(at), D::file(2));
    device.flash().reset_counters();
    let (done, came) = receive(&device, D::payload(&file));
    done.unwrap();
    // What is not a whole block is not written.
    let in_flash = at / D::BLOCK_LEN * D::BLOCK_LEN / SECTOR * SECTOR;
    assert_eq!(came, file.len() - in_flash, "{case}");
    if in_flash > 0 {
        let sectors = file.len().div_ceil(SECTOR) - in_flash / SECTOR;
        let erases = device.flash().counters().erases as usize;
        assert_eq!(erases, sectors + D::ERASES_AROUND, "{case}");
    }
    is_installed(&device, 2, &case);
}

/// A cut at every flash operation: at most one sector comes again, and what had not been written when the power went. A second cut, while a
/// download that goes on erases its marks, costs all of them.
pub fn every_cut<const WRITE: usize, const SECTOR: usize, D: Resumes<WRITE, SECTOR>>(name: &str) {
    let file = D::file(2);
    let (mut again, mut lost, mut seeds) = (0, 0, 0..);
    let old = D::updated();
    let clean = old.copy();
    clean.flash().reset_counters();
    receive(&clean, D::payload(&file)).0.unwrap();
    let operations = clean.flash().operations();
    for operation in 1..=operations {
        for at in [
            CutAt::Before,
            CutAt::After,
            CutAt::Within {
                seed: seeds.next().unwrap(),
            },
        ] {
            let case = format!("{name}, {at:?} {operation}");
            let cut = |device: &mut D, operation| {
                device.flash().reset_counters();
                device.flash().cut_power(PowerCut { operation, at });
                let (done, came) = receive(device, D::payload(&file));
                device.flash().restore_power();
                assert_eq!(device.boots(), Some(1), "{case}");
                (done.is_err(), came)
            };
            let mut device = old.copy();
            let (is_broken, before) = cut(&mut device, operation);
            assert!(is_broken, "{case}");
            // What came when the last sector was begun: a chunk, and what is less than a block.
            let most = file.len() - before + SECTOR + D::CHUNK_LEN + D::BLOCK_LEN;

            // And another one, early in what follows.
            let mut second = device.copy();
            let early = 1 + operation % 7;
            let (is_broken, _) = cut(&mut second, early);
            let (done, came) = receive(&second, D::payload(&file));
            done.unwrap();
            if came > most {
                let weak = D::weak(operation + 2 > operations);
                assert!(
                    is_broken && weak.contains(&early),
                    "{case}, then {early}: {came} after {before}"
                );
                lost += 1;
            }
            is_installed(&second, 2, &case);

            let (done, came) = receive(&device, D::payload(&file));
            done.unwrap();
            assert!(came <= most, "{case}: {came} after {before}");
            again = again.max(came + before - file.len());
            is_installed(&device, 2, &case);
        }
    }
    println!(
        "{name}: {operations} operations, at most {again} bytes again; after a second cut all of them {lost} times"
    );
}

/// What was begun of another file is of no use.
pub fn another<const WRITE: usize, const SECTOR: usize, D: Resumes<WRITE, SECTOR>>() {
    let case = format!("units of {WRITE}");
    let begun = SECTOR * 7 / 2;
    let device = broken_at::<WRITE, SECTOR, D>(begun);
    let source = D::payload(&D::file(3)).breaks_after(SECTOR + 1, PayloadError::Connection);
    let (done, came) = receive(&device, source);
    assert_eq!((done.is_err(), came), (true, SECTOR + 1), "{case}");
    let (done, came) = receive(&device, D::payload(&D::file(2)));
    assert_eq!((done, came), (Ok(()), D::file(2).len()), "{case}");
    is_installed(&device, 2, &case);

    // Every cut while the room is made: the first file goes on from where it was, or from its beginning.
    let began = broken_at::<WRITE, SECTOR, D>(begun);
    for operation in 1..=8 {
        for at in [CutAt::Before, CutAt::After, CutAt::Within { seed: operation }] {
            let device = began.copy();
            device.flash().cut_power(PowerCut { operation, at });
            assert!(receive(&device, D::payload(&D::file(3))).0.is_err());
            device.flash().restore_power();
            for version in [2, 3] {
                let device = device.copy();
                receive(&device, D::payload(&D::file(version))).0.unwrap();
                is_installed(&device, version, &case);
            }
        }
    }
}

/// Bytes in flash that are not the file's: the download fails, and the next one begins anew.
pub fn damaged<const WRITE: usize, const SECTOR: usize, D: Resumes<WRITE, SECTOR>>() {
    let case = format!("units of {WRITE}");
    let device = broken_at::<WRITE, SECTOR, D>(SECTOR * 7 / 2);
    device.flash().patch(device.offset(700), &[0x11, 0x22]);
    let (done, _) = receive(&device, D::payload(&D::file(2)));
    assert_eq!(done, Err(PayloadError::Artifact.to_string()), "{case}");
    let (done, came) = receive(&device, D::payload(&D::file(2)));
    assert_eq!((done, came), (Ok(()), D::file(2).len()), "{case}");
    is_installed(&device, 2, &case);
}

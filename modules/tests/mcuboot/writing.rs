//! How an image gets into slot 1: chunks, units, erases.

use embedded_storage_async::nor_flash::NorFlashErrorKind;
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use mender::UpdateModule;
use mender::update_module::{CallbackState, Payload};
use mender_modules::mcuboot::ZephyrImage;
use mender_testkit::flash::Partition;
use mender_testkit::image::{ImageBuilder, ImageInfo};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::device::{Device, Small, V1, V2, download, image, without_marks};

fn any_chunk_length<const WRITE: usize>() {
    let file = ImageBuilder::new(V2).image_len(9_999).header_len(512).build();
    for chunk_len in [1, 7, 31, 32, 33, 512, 4096, 100_000] {
        let device = Device::<WRITE, 4096>::factory();
        device.flash.reset_counters();
        let source = MemoryPayload::new("zephyr-image", chunk_len).file("app.bin", file.clone());
        download(&mut device.module(), source).unwrap();
        let mut slot = device.slot(1);
        without_marks(&mut slot, 4096, WRITE);
        assert!(slot[..file.len()] == file, "chunks of {chunk_len}, unit {WRITE}");
        // The note is in the sector below the trailer's.
        let note = slot.len() - 2 * 4096;
        assert!(slot[file.len()..note].iter().all(|b| *b == 0xff));
        assert_eq!(slot[note..note + 16], *b"mender new image");
        assert_eq!(slot[note + 16..note + 48], ImageInfo::parse(&file).unwrap().hash);
        assert!(slot[note + 48..slot.len() - 40].iter().all(|b| *b == 0xff));
        assert_eq!(device.flash.violations(), []);
        let counters = device.flash.counters();
        assert_eq!(
            counters.erases, 5,
            "three sectors of data, the note's and the trailer's"
        );
        let padded = file.len().next_multiple_of(WRITE);
        assert_eq!(
            counters.bytes_written as usize,
            padded
                + 48
                + WRITE
                + if cfg!(feature = "resume") {
                    32 + 2 * WRITE.max(4)
                } else {
                    0
                },
            "every byte once, the note and the mark; for a download after a restart the file's hash, and a mark for each whole sector"
        );
        if chunk_len >= 4096 {
            let chunks = file.len().div_ceil(chunk_len) as u64;
            assert!(
                counters.writes <= 2 * chunks + 8,
                "{} writes: runs go out whole",
                counters.writes
            );
        }
    }
}

#[test]
fn chunks_of_any_length_arrive() {
    any_chunk_length::<1>();
    any_chunk_length::<2>();
    any_chunk_length::<4>();
    any_chunk_length::<8>();
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::with_cases(64)
    })]
    #[test]
    fn images_of_any_length_arrive(body_len in 0usize..5000, chunk_len in 1usize..700, header_len in 32u16..400) {
        let file = ImageBuilder::new(V2).header_len(header_len).body_len(body_len).build();
        let device = Small::factory();
        let source = MemoryPayload::new("zephyr-image", chunk_len).file("app.bin", file.clone());
        download(&mut device.module(), source).unwrap();
        prop_assert!(device.slot(1)[..file.len()] == file);
        prop_assert_eq!(device.flash.violations(), []);
        block_on(device.module().request_swap()).unwrap();
        prop_assert_eq!(device.boots().ran, Some(V2));
    }
}

/// The whole success path through the trait, as the client drives it, with the flash operations that it costs.
#[test]
fn an_update_erases_no_sector_twice() {
    let device = Small::updated();
    device.flash.reset_counters();
    let mut module = device.module();
    let mut source = MemoryPayload::new("zephyr-image", 512).file("app.bin", image(V2));
    block_on(module.download(&mut Payload::new(&mut source))).unwrap();
    for state in [CallbackState::Install, CallbackState::Reboot] {
        block_on(module.call(state)).unwrap();
    }
    let before_boot = device.flash.sector_erases();
    assert!(before_boot.iter().all(|n| *n <= 1), "{before_boot:?}");
    assert_eq!(
        before_boot.iter().sum::<u32>(),
        image(V2).len().div_ceil(512) as u32 + 2
    );
    assert_eq!(device.boots().ran, Some(V2));
    device.flash.reset_counters();
    let mut module = device.module();
    for state in [
        CallbackState::VerifyReboot,
        CallbackState::Commit,
        CallbackState::Cleanup,
    ] {
        block_on(module.call(state)).unwrap();
    }
    let counters = device.flash.counters();
    assert_eq!(
        (counters.writes, counters.bytes_written, counters.erases),
        (1, 8, 0),
        "one cell after the boot"
    );
    assert_eq!(device.boots().ran, Some(V2));
    assert_eq!((device.version(0), device.version(1)), (Some(V2), Some(V1)));
    assert_eq!(device.flash.violations(), []);
}

/// Flash that can only be read in words, and says so when it is not.
struct Words<F>(F);

impl<F: ErrorType> ErrorType for Words<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for Words<F> {
    const READ_SIZE: usize = 4;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        assert!(
            offset.is_multiple_of(4) && bytes.len().is_multiple_of(4),
            "{} bytes at {offset}",
            bytes.len()
        );
        self.0.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> NorFlash for Words<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.0.erase(from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.0.write(offset, bytes).await
    }
}

#[test]
fn flash_with_a_read_unit_is_read_in_units() {
    for image_len in 1000..1010 {
        let device = Device::<4, 512>::factory();
        let layout = device.boot.layout();
        let slot = |range: &std::ops::Range<u32>| Words(device.flash.partition(range.clone()));
        let module = || {
            ZephyrImage::<_, _, fn(), 64>::with_buffer(device.layout(), slot(&layout.slot0), slot(&layout.slot1), || ())
                .unwrap()
        };
        let file = ImageBuilder::new(V2)
            .protected_tlv(0xa0, &[1; 3])
            .image_len(image_len)
            .build();
        let source = MemoryPayload::new("zephyr-image", 100).file("app.bin", file);
        download(&mut module(), source).unwrap();
        block_on(module().request_swap()).unwrap();
        assert_eq!(device.boots().ran, Some(V2));
        block_on(module().check_swapped()).unwrap();
        block_on(module().confirm()).unwrap();
    }
}

#[test]
fn flash_errors_reach_the_caller_by_their_kind() {
    let device = Small::factory();
    device.flash.switch_off();
    let error = block_on(device.module().check_swapped()).unwrap_err();
    assert_eq!(error.to_string(), "flash of slot 1: Other");
    let mut module = device.module();
    let failure = block_on(module.call(CallbackState::Commit)).unwrap_err();
    assert_eq!(failure.as_str(), "flash of slot 1: Other");
}

#[test]
fn restart_is_asked_for() {
    let device = Small::factory();
    let layout = device.boot.layout();
    let restarts = std::sync::atomic::AtomicU32::new(0);
    let restart = || {
        restarts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let slot = |range: &std::ops::Range<u32>| device.flash.partition(range.clone());
    let mut module = ZephyrImage::new(device.layout(), slot(&layout.slot0), slot(&layout.slot1), restart).unwrap();
    block_on(module.call(CallbackState::Reboot)).unwrap();
    block_on(module.call(CallbackState::RollbackReboot)).unwrap();
    assert_eq!(restarts.into_inner(), 2);
}

/// The client may run on an executor that moves tasks between threads.
#[test]
fn futures_are_send() {
    fn is_send(_: impl Send) {}
    let device = Small::factory();
    let mut module = device.module();
    let mut source = MemoryPayload::new("zephyr-image", 1);
    is_send(module.write_slot(&mut Payload::new(&mut source)));
    is_send(module.request_swap());
    is_send(module.check_swapped());
    is_send(module.confirm());
    is_send(module.request_revert());
    is_send(module.check_reverted());
    is_send(module.discard());
}

#[test]
fn futures_are_small() {
    let device = Small::factory();
    let mut module = device.module();
    let mut source = MemoryPayload::new("zephyr-image", 1);
    let mut payload = Payload::new(&mut source);
    let len = size_of_val(&module.write_slot(&mut payload));
    // The state of the larger hash functions, and the rest of such a hash.
    let more = if cfg!(feature = "sha512") { 128 } else { 0 };
    assert!(len <= 1024 + more, "{len} bytes");
    type Real = ZephyrImage<Partition<8, 512>, Partition<8, 512>, fn()>;
    let own = size_of::<Real>() - 2 * size_of::<Partition<8, 512>>() - 256;
    assert!(own <= 200, "{own} bytes");
}

#[test]
fn display_texts_fit_into_a_failure() {
    use mender_modules::mcuboot::{Error, ImageFault, OldRuns};
    let faults = [
        ImageFault::NotAnImage,
        ImageFault::HeaderLen,
        ImageFault::TooLarge {
            len: u64::from(u32::MAX),
            room: u32::MAX,
        },
        ImageFault::Truncated,
        ImageFault::Encoded,
        ImageFault::NotBootable,
        ImageFault::LoadsToRam,
        ImageFault::Tlv,
        ImageFault::NoHash,
        ImageFault::WrongHash,
    ];
    let old = [
        OldRuns::NotRequested,
        OldRuns::Pending,
        OldRuns::Refused,
        OldRuns::Reverted,
        OldRuns::NotSwapped,
    ];
    let mut all: Vec<Error> = vec![
        Error::NoFile,
        Error::SecondFile,
        Error::RunningUnconfirmed,
        Error::NotReceived,
        Error::NotKept { slot: 1 },
        Error::AlreadyConfirmed,
        Error::Unconfirmable,
        Error::NewRuns,
    ];
    let kinds = [
        NorFlashErrorKind::NotAligned,
        NorFlashErrorKind::OutOfBounds,
        NorFlashErrorKind::Other,
    ];
    all.extend(kinds.map(|kind| Error::Flash { slot: 1, kind }));
    all.extend(faults.map(Error::Image));
    all.extend(old.map(Error::OldRuns));
    for error in all {
        let text = error.to_string();
        assert!(
            text.len() <= mender::update_module::FAILURE_TEXT_LEN,
            "{} bytes: {text}",
            text.len()
        );
    }
}

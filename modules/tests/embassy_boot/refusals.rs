//! What a download and an install refuse, what is written, and the module's own shape.

use embassy_boot::{BootLoader, BootLoaderConfig, FirmwareUpdaterConfig, State};
use embedded_storage_async::nor_flash::NorFlashErrorKind;
use mender::UpdateModule;
use mender::update_module::{CallbackState, FAILURE_TEXT_LEN, Payload, PayloadError};
use mender_modules::embassy_boot::{EmbassyBoot, Error, ImageType, LayoutError, OldRuns, Partition, assert_partitions};
use mender_testkit::flash::{CutAt, FlashError, PowerCut, Rewrites, SimFlash};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use proptest::prelude::*;

use crate::area::Area;
use crate::device::{Device, Flash, Module, PAGES, SECTOR, download, image};
use crate::stuck::Stuck;

fn payload() -> MemoryPayload {
    MemoryPayload::new("embassy-boot-image", 100)
}

#[test]
fn unfit_payloads_cost_no_write() {
    let device = Device::<4>::updated();
    device.flash.reset_counters();
    let room = device.record();
    assert_eq!(device.module().max_image_len(), room);
    let long = vec![0; room as usize + 1];
    let len = u64::from(room) + 1;
    assert_eq!(device.download(&long), Err(Error::TooLarge { len, room }));
    assert_eq!(device.download(&[]), Err(Error::Empty));
    assert_eq!(download(&mut device.module(), payload()), Err(Error::NoFile));
    assert_eq!(device.flash.operations(), 0);
    let broken = payload().breaks_after(0, PayloadError::Artifact);
    assert_eq!(
        download(&mut device.module(), broken),
        Err(Error::Payload(PayloadError::Artifact))
    );
    assert_eq!(device.flash.operations(), 0);
}

#[test]
fn a_second_file_leaves_nothing_to_install() {
    let device = Device::<4>::factory();
    let two = payload().file("a", image(2)).file("b", [1]);
    assert_eq!(download(&mut device.module(), two), Err(Error::SecondFile));
    assert_eq!(block_on(device.module().request_swap()), Err(Error::NotReceived));
}

#[test]
fn the_longest_image_fits() {
    let device = Device::<8>::factory();
    let long: Vec<u8> = (0..device.record()).map(|at| (at * 7) as u8).collect();
    device.download(&long).unwrap();
    block_on(device.module().request_swap()).unwrap();
    device.boots().unwrap();
    assert!(device.active().to_bytes().starts_with(&long));
    block_on(device.module().check_swapped()).unwrap();
    device.boots().unwrap();
    assert_eq!(device.runs(), Some(1));
}

#[test]
fn flash_that_does_not_keep_its_content_is_found_out() {
    let device = Device::<4>::factory();
    // Between download and install.
    device.download(&image(2)).unwrap();
    device.flash.patch(device.dfu().range().start + 1000, &[0xff]);
    assert_eq!(block_on(device.module().request_swap()), Err(Error::NotReceived));
    // A programmer has changed what runs: the record is of another device, so to say.
    device.download(&image(2)).unwrap();
    device.flash.patch(device.active().range().start, &image(3));
    assert_eq!(block_on(device.module().request_swap()), Err(Error::NotReceived));
    // Any byte of the record.
    for at in 0..96 {
        let device = Device::<4>::factory();
        device.download(&image(2)).unwrap();
        let offset = device.dfu().range().start + device.record() + at;
        let byte = device.flash.to_bytes()[offset as usize];
        device.flash.patch(offset, &[byte ^ 0x10]);
        assert_eq!(
            block_on(device.module().request_swap()),
            Err(Error::NotReceived),
            "byte {at}"
        );
    }
}

/// Chips with error correction take each word once, and none that an erase was cut in.
#[test]
fn no_word_is_written_twice() {
    let device = Device::<8>::updated();
    device.flash.set_rewrites(Rewrites::Refuse);
    device.updates_to(2);
    block_on(device.module().confirm()).unwrap();
    block_on(device.module().request_revert()).unwrap();
    device.boots().unwrap();
    assert_eq!(device.runs(), Some(1));
    device.updates_to(3);
    assert_eq!(device.flash.violations(), []);

    // STATE as left by an erase that was cut. embassy-boot writes the word beside the magic before the next erase.
    for seed in 0..50 {
        let device = Device::<8>::updated();
        device.flash.set_rewrites(Rewrites::Refuse);
        device.download(&image(2)).unwrap();
        device.flash.cut_power(PowerCut {
            operation: 1,
            at: CutAt::Within { seed },
        });
        block_on(device.module().request_swap()).unwrap_err();
        device.flash.restore_power();
        assert_eq!(device.boots(), Ok(State::Boot), "seed {seed}");
        device.updates_to(2);
        assert_eq!(device.flash.violations(), [], "seed {seed}");
    }
}

#[test]
fn what_was_written_is_read_back() {
    let record = Device::<4>::factory().record() as usize;
    for offset in [0, 1000, image(2).len() - 1, record, record + 95] {
        let device = Device::<4>::factory();
        let config = FirmwareUpdaterConfig {
            dfu: Stuck {
                flash: device.dfu(),
                offset,
                bits: 1,
            },
            state: device.state(),
        };
        let mut module = EmbassyBoot::<_, _, _, fn()>::new(config, device.active(), || ()).unwrap();
        let mut source = payload().file("app.bin", image(2));
        let result = block_on(module.write_dfu(&mut Payload::new(&mut source)));
        assert_eq!(result, Err(Error::NotKept(Partition::Dfu)), "{offset}");
    }
    // The words of STATE.
    for offset in [0, 1] {
        let device = Device::<4>::factory();
        let config = FirmwareUpdaterConfig {
            dfu: device.dfu(),
            state: Stuck {
                flash: device.state(),
                offset,
                bits: 1,
            },
        };
        let mut module = EmbassyBoot::<_, _, _, fn()>::new(config, device.active(), || ()).unwrap();
        let mut source = payload().file("app.bin", image(2));
        block_on(module.write_dfu(&mut Payload::new(&mut source))).unwrap();
        assert_eq!(block_on(module.request_swap()), Err(Error::NotKept(Partition::State)));
    }
}

#[test]
fn partitions_that_the_bootloader_cannot_use_are_refused() {
    let device = Device::<4>::factory();
    let sector = SECTOR as u32;
    let part = |pages: u32| device.flash.partition(0..pages * sector);
    type Of<const W: usize> = EmbassyBoot<Flash<W>, Flash<W>, Flash<W>, fn()>;
    let new = |active, dfu, state| {
        let config = FirmwareUpdaterConfig {
            dfu: part(dfu),
            state: part(state),
        };
        Of::<4>::new(config, part(active), || ()).err()
    };
    assert_eq!(new(6, 7, 1), None);
    assert_eq!(new(6, 9, 1), None);
    assert_eq!(new(6, 6, 1), Some(LayoutError::DfuTooShort));
    assert_eq!(new(7, 6, 1), Some(LayoutError::DfuTooShort));
    assert_eq!(new(0, 6, 1), Some(LayoutError::ActiveTooShort));
    assert_eq!(new(1, 2, 1), Some(LayoutError::ActiveTooShort));
    assert_eq!(new(2, 3, 1), None);
    assert_eq!(new(6, 7, 0), Some(LayoutError::StateTooShort));
    // Two words and four for each page: 512 bytes are 16 words of 32.
    let device = Device::<32>::factory();
    let new = |pages: u32| {
        let part = |pages: u32| device.flash.partition(0..pages * sector);
        let config = FirmwareUpdaterConfig {
            dfu: part(pages + 1),
            state: part(1),
        };
        Of::<32>::new(config, part(pages), || ()).err()
    };
    assert_eq!(new(3), None);
    assert_eq!(new(4), Some(LayoutError::StateTooShort));
    for error in [
        LayoutError::PartOfPage,
        LayoutError::DfuTooShort,
        LayoutError::StateTooShort,
        LayoutError::ActiveTooShort,
        LayoutError::TooLong,
    ] {
        assert!(!error.to_string().is_empty());
    }
}

/// What is refused at the start can be refused by the compiler.
#[test]
fn the_compiler_refuses_the_same_partitions() {
    const { assert_partitions::<Flash<4>, Flash<4>, Flash<4>>(6 * SECTOR as u32, 7 * SECTOR as u32, SECTOR as u32) };
    let message = |active: usize, dfu: usize, state: usize| {
        let lengths = [active, dfu, state].map(|bytes| bytes as u32);
        let asserted = std::panic::catch_unwind(|| {
            let [active, dfu, state] = lengths;
            assert_partitions::<Flash<4>, Flash<4>, Flash<4>>(active, dfu, state);
        });
        asserted.err().map(|message| *message.downcast::<String>().unwrap())
    };
    let page = SECTOR;
    for (lengths, expected) in [
        ([6 * page, 9 * page, page], None),
        ([6 * page, 6 * page, page], Some(LayoutError::DfuTooShort)),
        ([6 * page + 1, 9 * page, page], Some(LayoutError::PartOfPage)),
        ([0, 6 * page, page], Some(LayoutError::ActiveTooShort)),
        ([6 * page, 7 * page, 4 * 26], Some(LayoutError::StateTooShort)),
    ] {
        let [active, dfu, state] = lengths;
        assert_eq!(
            message(active, dfu, state),
            expected.map(|error| error.to_string()),
            "{lengths:?}"
        );
    }
}

/// embassy-boot takes a STATE that ends with its last step. Where power is lost just after the progress was marked as not
/// valid, it then copies a page of the old image over the new one; the module refuses such partitions.
#[test]
fn a_state_without_a_word_to_spare_is_refused() {
    const PAGES: u32 = 3;
    const PAGE: u32 = 64;
    const WORD: u32 = 32;
    for (spare, is_right) in [(0, false), (1, true)] {
        let state_len = (2 + 4 * PAGES) * WORD + spare * 2 * WORD;
        let flash = SimFlash::<32, 64>::new(20);
        flash.set_rewrites(Rewrites::ClearBits);
        let state = (2 * PAGES + 1) * PAGE;
        let active = || flash.partition(0..PAGES * PAGE);
        let dfu = || flash.partition(PAGES * PAGE..state);
        let state = || flash.partition(state..state + state_len);
        let config = FirmwareUpdaterConfig {
            dfu: dfu(),
            state: state(),
        };
        let module = EmbassyBoot::<_, _, _, fn()>::new(config, active(), || ());
        assert_eq!(module.err(), (!is_right).then_some(LayoutError::StateTooShort));

        flash.patch(0, &[1; 3 * 64]);
        flash.patch(PAGES * PAGE, &[2; 3 * 64]);
        let boot = || {
            let mut boot = BootLoader::new(BootLoaderConfig {
                active: Area::<32, 64, 64>(active()),
                dfu: Area::<32, 64, 64>(dfu()),
                state: Area::<32, 64, 64>(state()),
            });
            boot.prepare_boot(&mut [0; 64]).unwrap()
        };
        flash.patch(state().range().start, &[0xf0; 32]);
        assert_eq!(boot(), State::Swap);
        assert_eq!(active().to_bytes(), [2; 3 * 64]);
        // A confirmation, as embassy-boot begins it.
        flash.patch(state().range().start + WORD, &[0; 32]);
        boot();
        assert_eq!(active().to_bytes() == [2; 3 * 64], is_right);
    }
}

#[test]
fn flash_errors_reach_the_caller_with_their_text() {
    let device = Device::<4>::updated();
    let mut module = device.module();
    device.flash.switch_off();
    let error = Error::Flash(Partition::State, NorFlashErrorKind::Other);
    assert_eq!(block_on(module.check_swapped()), Err(error));
    let failure = block_on(module.call(CallbackState::Commit)).unwrap_err();
    assert_eq!(failure.as_str(), "flash of STATE: Other");
    assert_eq!(device.flash.write_now(0, &[]), Err(FlashError::PowerLost));
}

#[test]
fn restart_is_asked_for() {
    let device = Device::<4>::factory();
    let restarts = std::sync::atomic::AtomicU32::new(0);
    let restart = || {
        restarts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let config = FirmwareUpdaterConfig {
        dfu: device.dfu(),
        state: device.state(),
    };
    let mut module = EmbassyBoot::<_, _, _, _>::new(config, device.active(), restart).unwrap();
    block_on(module.call(CallbackState::Reboot)).unwrap();
    block_on(module.call(CallbackState::RollbackReboot)).unwrap();
    assert_eq!(restarts.into_inner(), 2);
}

#[test]
fn the_table_says_what_the_module_does() {
    let table = Module::<4>::DESCRIPTOR;
    assert_eq!(table.artifact_type, "embassy-boot-image");
    assert!(table.requires_reboot && table.supports_rollback);
    assert!(CallbackState::ALL.iter().all(|state| table.states.contains(*state)));

    enum Other {}
    impl ImageType for Other {
        const NAME: &'static str = "radio-image";
    }
    type Radio = EmbassyBoot<Flash<4>, Flash<4>, Flash<4>, fn(), Other>;
    assert_eq!(Radio::DESCRIPTOR.artifact_type, "radio-image");
}

/// The client may run on an executor that moves tasks between threads.
#[test]
fn futures_are_send_and_small() {
    fn len(future: impl Send) -> usize {
        size_of_val(&future)
    }
    let device = Device::<4>::factory();
    let mut module = device.module();
    let mut source = payload();
    let mut payload = Payload::new(&mut source);
    let download = len(module.write_dfu(&mut payload));
    assert!(download <= 1024, "{download} bytes");
    for len in [
        len(module.request_swap()),
        len(module.check_swapped()),
        len(module.confirm()),
        len(module.request_revert()),
        len(module.restart_into_old()),
        len(module.check_reverted()),
        len(module.discard()),
    ] {
        assert!(len <= 1024, "{len} bytes");
    }
    let own = size_of::<Module<4>>() - 3 * size_of::<Flash<4>>() - 64;
    assert!(own <= 200, "{own} bytes");
}

#[test]
fn display_texts_fit_into_a_failure() {
    let mut all = vec![
        Error::Payload(PayloadError::Connection),
        Error::NoFile,
        Error::SecondFile,
        Error::Empty,
        Error::TooLarge {
            len: u64::from(u32::MAX),
            room: u32::MAX,
        },
        Error::RunningUnconfirmed,
        Error::NotReceived,
        Error::Damaged,
        Error::AlreadyConfirmed,
        Error::CannotGoBack,
        Error::NewRuns,
    ];
    for part in [Partition::Active, Partition::Dfu, Partition::State] {
        all.push(Error::NotKept(part));
        all.push(Error::Flash(part, NorFlashErrorKind::OutOfBounds));
    }
    let old = [
        OldRuns::NotReceived,
        OldRuns::NotRequested,
        OldRuns::Pending,
        OldRuns::Reverted,
    ];
    all.extend(old.map(Error::OldRuns));
    for error in all {
        let text = error.to_string();
        assert!(text.len() <= FAILURE_TEXT_LEN, "{} bytes: {text}", text.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn any_image_in_any_chunks_arrives(
        image in proptest::collection::vec(any::<u8>(), 1..(PAGES as usize * SECTOR - 96)),
        chunk_len in 1usize..700,
    ) {
        let device = Device::<4>::updated();
        let source = MemoryPayload::new("embassy-boot-image", chunk_len).file("app.bin", image.clone());
        download(&mut device.module(), source).unwrap();
        prop_assert!(device.dfu().to_bytes().starts_with(&image));
        block_on(device.module().request_swap()).unwrap();
        device.boots().unwrap();
        prop_assert!(device.active().to_bytes().starts_with(&image));
        block_on(device.module().check_swapped()).unwrap();
        device.boots().unwrap();
        block_on(device.module().check_reverted()).unwrap();
        prop_assert_eq!(device.runs(), Some(1));
        prop_assert_eq!(device.flash.violations(), []);
    }
}

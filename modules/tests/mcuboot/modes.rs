//! Which image runs and how to go back, in the modes that `running.rs` does not cover: one walk along the rows of the table in
//! the module's documentation for each, from every start that leaves another trailer.

use mender::UpdateModule;
use mender::update_module::CallbackState;
use mender_modules::mcuboot::{
    Content, DirectXip, Error, ImageFault, Mode, NextBoot, OldRuns, Overwrite, SwapMove, SwapOffset, SwapScratch,
};
use mender_testkit::bootloader::{self, Flag, Magic};
use mender_testkit::image::{ImageBuilder, Version};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::device::{Device, Module, Small, TestMode, V1, V2, V3, download, image};
use crate::geometry;

type In<M> = Device<8, 512, M>;

fn starts<M: TestMode>() -> Vec<In<M>> {
    vec![In::factory(), In::updated(), In::reverted()]
}

fn each<M: TestMode>(test: impl Fn(In<M>)) {
    starts::<M>().into_iter().for_each(test);
}

fn goes_back<M: TestMode>(device: &In<M>) {
    block_on(device.module().request_revert()).unwrap();
    block_on(device.module().request_revert()).unwrap();
    assert_eq!(device.boots().ran, Some(V1));
    block_on(device.module().check_reverted()).unwrap();
    block_on(device.module().discard()).unwrap();
    block_on(device.module().discard()).unwrap();
    for _ in 0..2 {
        assert_eq!(device.boots().ran, Some(V1));
    }
    device.install(V3);
    assert_eq!(device.boots().ran, Some(V3));
    block_on(device.module().check_swapped()).unwrap();
    assert_eq!(device.flash.violations(), []);
}

fn old_runs<M: TestMode>(device: &In<M>, why: OldRuns) {
    assert_eq!(block_on(device.module().check_swapped()), Err(Error::OldRuns(why)));
    assert_eq!(block_on(device.module().confirm()), Err(Error::OldRuns(why)));
}

fn rows<M: TestMode>() {
    let in_place = M::default().of_mode() == bootloader::Mode::DirectXip;
    each::<M>(|device| {
        device.download(&image(V2)).unwrap();
        old_runs(&device, OldRuns::NotRequested);
        assert_eq!(device.boots().ran, Some(V1));
        // Direct-xip does not leave an image without a trailer alone.
        old_runs(
            &device,
            if in_place {
                OldRuns::Erased
            } else {
                OldRuns::NotRequested
            },
        );
        goes_back(&device);
    });
    each::<M>(|device| {
        device.install(V2);
        old_runs(&device, OldRuns::Pending);
        let pending = OldRuns::Pending;
        assert_eq!(block_on(device.module().check_reverted()), Err(Error::OldRuns(pending)));
        goes_back(&device);
    });
    each::<M>(|device| {
        device.install(V2);
        block_on(device.module().discard()).unwrap();
        assert_eq!(device.boots().ran, Some(V1));
        goes_back(&device);
    });
    // Under test.
    each::<M>(|device| {
        device.install(V2);
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().check_swapped()).unwrap();
        assert_eq!(device.download(&image(V3)), Err(Error::RunningUnconfirmed));
        assert_eq!(block_on(device.module().check_reverted()), Err(Error::NewRuns));
        goes_back(&device);
    });
    // Confirmed.
    each::<M>(|device| {
        device.install(V2);
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().confirm()).unwrap();
        block_on(device.module().confirm()).unwrap();
        let before = device.flash.to_bytes();
        block_on(device.module().discard()).unwrap();
        assert!(device.flash.to_bytes() == before);
        for _ in 0..2 {
            assert_eq!(device.boots().ran, Some(V2));
        }
        assert_eq!(block_on(device.module().check_swapped()), Err(Error::AlreadyConfirmed));
        assert_eq!(block_on(device.module().check_reverted()), Err(Error::NewRuns));
        goes_back(&device);
    });
    // The confirmation was torn.
    each::<M>(|device| {
        device.install(V2);
        assert_eq!(device.boots().ran, Some(V2));
        let (running, _) = device.slots();
        device.flash.patch(running.end - 24, &[0x81]);
        assert_eq!(block_on(device.module().check_swapped()), Err(Error::Unconfirmable));
        assert_eq!(block_on(device.module().confirm()), Err(Error::Unconfirmable));
        goes_back(&device);
    });
    // Refused, for example because of its signature.
    each::<M>(|device| {
        let device = In {
            boot: device.boot.clone().refusing(V2),
            ..device.clone()
        };
        device.install(V2);
        let boot = device.boots();
        assert_eq!((boot.ran, boot.refused), (Some(V1), true));
        assert!(matches!(
            block_on(device.module().check_swapped()),
            Err(Error::OldRuns(
                OldRuns::Refused | OldRuns::NotSwapped | OldRuns::Reverted | OldRuns::Erased
            ))
        ));
        goes_back(&device);
    });
    // The old image is gone.
    each::<M>(|device| {
        device.install(V2);
        assert_eq!(device.boots().ran, Some(V2));
        let (_, other) = device.slots();
        device.flash.patch(other.start + 100, &[0]);
        let lost = Err(Error::CannotGoBack(ImageFault::WrongHash));
        assert_eq!(block_on(device.module().check_swapped()), lost);
        assert_eq!(block_on(device.module().request_revert()), lost);
    });
}

trait OfMode: TestMode {
    fn of_mode(self) -> bootloader::Mode {
        Self::of_bootloader(0..0)
    }
}

impl<M: TestMode> OfMode for M {}

#[test]
fn rows_of_swap_using_move() {
    rows::<SwapMove>();
}

#[test]
fn rows_of_swap_using_offset() {
    rows::<SwapOffset>();
}

#[test]
fn rows_of_swap_using_scratch() {
    rows::<SwapScratch>();
}

#[test]
fn rows_of_direct_xip() {
    rows::<DirectXip>();
}

#[test]
fn rows_of_overwrite_only() {
    for fast in [true, false] {
        for start in [In::<Overwrite>::factory(), In::updated()] {
            let device = In {
                boot: start.boot.clone().with_mode(bootloader::Mode::Overwrite { fast }),
                ..start
            };
            device.download(&image(V2)).unwrap();
            assert_eq!(device.boots().ran, Some(V1));
            old_runs(&device, OldRuns::NotRequested);
            device.install(V2);
            old_runs(&device, OldRuns::Pending);

            let refusing = In {
                boot: device.boot.clone().refusing(V2),
                ..device.copy()
            };
            assert!(refusing.boots().refused);
            old_runs(&refusing, OldRuns::Refused);

            assert_eq!(device.boots().ran, Some(V2));
            block_on(device.module().check_swapped()).unwrap();
            block_on(device.module().confirm()).unwrap();
            block_on(device.module().confirm()).unwrap();
            assert_eq!(block_on(device.module().check_swapped()), Err(Error::AlreadyConfirmed));
            assert_eq!(block_on(device.module().request_revert()), Err(Error::NoWayBack));
            block_on(device.module().discard()).unwrap();
            assert_eq!(device.boots().ran, Some(V2));
            device.install(V3);
            assert_eq!(device.boots().ran, Some(V3));
            assert_eq!(device.flash.violations(), []);
        }
    }
}

/// Overwrite-only: an image of one sector, or slots of two, leave nothing in slot 1 that tells which image runs.
#[test]
fn one_sector_of_overwrite_only_is_marked() {
    let build = |len| move |version| ImageBuilder::new(version).image_len(len).build();
    for (len, sectors) in [(400, 16), (512, 16), (530, 16), (544, 16), (500, 2), (900, 2)] {
        for fast in [true, false] {
            let image = build(len);
            let mut device = geometry::blank::<8, 512, Overwrite>((sectors, sectors), 8);
            device.boot = device.boot.with_mode(bootloader::Mode::Overwrite { fast });
            device.program(&image(V1));
            assert_eq!(device.boots().ran, Some(V1));
            let install = |device: &In<Overwrite>, version| {
                let mut module = device.module();
                let source = MemoryPayload::new("zephyr-image", 1000).file("app.bin", image(version));
                download(&mut module, source).unwrap();
                block_on(module.request_swap()).unwrap();
            };
            for (old, new) in [(V1, V2), (V2, V3)] {
                install(&device, new);
                let refusing = In {
                    boot: device.boot.clone().refusing(new),
                    ..device.copy()
                };
                assert_eq!(refusing.boots().ran, Some(old));
                old_runs(&refusing, OldRuns::Refused);
                assert_eq!(device.boots().ran, Some(new));
                block_on(device.module().check_swapped()).unwrap();
                device.flash.reset_counters();
                block_on(device.module().confirm()).unwrap();
                // An erase and a write more than for other images, once.
                let marked = u64::from(len < 544 || sectors == 2);
                let counters = device.flash.counters();
                assert_eq!(
                    (counters.erases, counters.writes),
                    (marked, 1 + marked),
                    "{len}, {sectors}"
                );
                block_on(device.module().confirm()).unwrap();
                assert_eq!(block_on(device.module().check_swapped()), Err(Error::AlreadyConfirmed));
                block_on(device.module().discard()).unwrap();
                assert_eq!(device.flash.counters().erases, marked);
                assert_eq!(block_on(device.module().request_swap()), Err(Error::NotReceived));
                assert_eq!(device.boots().ran, Some(new));
            }
            assert_eq!(device.flash.violations(), []);
        }
    }
}

/// Overwrite-only: what tells later that the new image runs is that it is not confirmed; so the old one must be.
#[test]
fn an_unconfirmed_image_is_confirmed_before_it_is_overwritten() {
    let device = In::<Overwrite>::updated();
    device.install(V2);
    assert_eq!(device.boots().ran, Some(V2));
    assert_eq!(device.trailer(0).image_ok, Flag::Unset);
    device.download(&image(V3)).unwrap();
    assert_eq!(device.trailer(0).image_ok, Flag::Set);
    old_runs(&device, OldRuns::NotRequested);
}

/// The client's whole knowledge of the module, in each mode.
#[test]
fn what_a_mode_can_do_is_in_its_descriptor() {
    use CallbackState::{
        Cleanup, Commit, Failure, Install, Reboot, Rollback, RollbackReboot, RollbackVerifyReboot, VerifyReboot,
    };
    fn table<M: Mode>() -> (bool, Vec<CallbackState>) {
        let descriptor = <Module<8, 512, M> as UpdateModule>::DESCRIPTOR;
        assert_eq!(descriptor.artifact_type, "zephyr-image");
        assert!(descriptor.requires_reboot);
        assert_eq!(descriptor.supports_rollback, M::REVERTS);
        let states = CallbackState::ALL.into_iter();
        (
            descriptor.supports_rollback,
            states.filter(|state| descriptor.states.contains(*state)).collect(),
        )
    }
    let reverts = (
        true,
        vec![
            Install,
            Reboot,
            VerifyReboot,
            Commit,
            Cleanup,
            Rollback,
            RollbackReboot,
            RollbackVerifyReboot,
            Failure,
        ],
    );
    assert_eq!(table::<SwapMove>(), reverts);
    assert_eq!(table::<SwapOffset>(), reverts);
    assert_eq!(table::<SwapScratch>(), reverts);
    assert_eq!(table::<DirectXip>(), reverts);
    let one_way = vec![Install, Reboot, VerifyReboot, Commit, Cleanup, Failure];
    assert_eq!(table::<Overwrite>(), (false, one_way));
}

/// Images of exactly the largest size, whose end shares a sector with the trailer in some modes.
fn largest<M: TestMode>(goes_back: Result<(), ImageFault>) {
    let device = In::<M>::updated();
    let room = device.layout().max_image_len() as usize;
    assert_eq!(room as u32, device.boot.max_image_len(8, 512));
    let built = |version, len| ImageBuilder::new(version).image_len(len).build();
    let too_large = device.download(&built(V2, room + 1));
    assert!(matches!(too_large, Err(Error::Image(ImageFault::TooLarge { .. }))));
    for version in [V2, V3] {
        device.flash.reset_counters();
        let mut module = device.module();
        let source = MemoryPayload::new("zephyr-image", 500).file("app.bin", built(version, room));
        download(&mut module, source).unwrap();
        block_on(module.request_swap()).unwrap();
        assert!(device.flash.sector_erases().iter().all(|n| *n <= 1));
        assert_eq!(device.boots().ran, Some(version));
        block_on(device.module().check_swapped()).unwrap();
        block_on(device.module().confirm()).unwrap();
        assert_eq!(device.boots().ran, Some(version));
    }
    if M::REVERTS {
        let back = block_on(device.module().request_revert());
        assert_eq!(back, goes_back.map_err(Error::CannotGoBack));
        let wanted = if goes_back.is_ok() { V2 } else { V3 };
        assert_eq!(device.boots().ran, Some(wanted));
    }
    assert_eq!(device.flash.violations(), []);
}

#[test]
fn the_largest_images_can_be_installed() {
    largest::<SwapMove>(Ok(()));
    largest::<SwapOffset>(Ok(()));
    largest::<SwapScratch>(Ok(()));
    largest::<Overwrite>(Ok(()));
    // The running image's end cannot be erased with its trailer.
    largest::<DirectXip>(Err(ImageFault::SharesTrailer));
}

/// Direct-xip: an old image that the new one's slot could not hold is as good as any other.
#[test]
fn each_slot_of_direct_xip_has_its_own_limit() {
    let version = |major| Version::new(major, 0, 0);
    let built = |major, len| ImageBuilder::new(version(major)).image_len(len).build();
    // Slot 0 is the longer one, then slot 1, from which the device runs after an update.
    for (sectors, in_slot1) in [((16, 10), false), ((10, 16), true)] {
        let device = geometry::blank::<8, 512, DirectXip>(sectors, 8);
        let install = |major: u8, len: usize| {
            let mut module = device.module();
            let source = MemoryPayload::new("zephyr-image", 1000).file("app.bin", built(major, len));
            download(&mut module, source).unwrap();
            block_on(module.request_swap()).unwrap();
            assert_eq!(device.boots().ran, Some(version(major)));
        };
        let (long, short) = (15 * 512 + 472, 9 * 512 + 472);
        // A sector less than the largest one, which can go back by its trailer only under test.
        let (old, new) = (15 * 512, 9 * 512);
        if in_slot1 {
            device.program(&built(1, 1000));
            assert_eq!(device.boots().ran, Some(V1));
            install(2, old);
            block_on(device.module().confirm()).unwrap();
        } else {
            device.program(&built(2, old));
            assert_eq!(device.boots().ran, Some(V2));
        }

        // What runs may be longer than what may come.
        assert_eq!(device.layout().max_image_len() as usize, short);
        let mut module = device.module();
        let source = MemoryPayload::new("zephyr-image", 1000).file("app.bin", built(3, short + 1));
        let too_large = ImageFault::TooLarge {
            len: short as u64 + 1,
            room: short as u32,
        };
        assert_eq!(download(&mut module, source), Err(Error::Image(too_large)));
        let state = block_on(module.inspect()).unwrap();
        assert!(matches!(state.primary.at_start, Content::Intact(image) if image.len as usize == old));

        install(3, new);
        let under_test = device.copy();
        block_on(device.module().check_swapped()).unwrap();
        let state = block_on(device.module().inspect()).unwrap();
        assert!(matches!(state.secondary.at_start, Content::Intact(image) if image.len as usize == old));
        block_on(device.module().request_revert()).unwrap();
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().check_reverted()).unwrap();

        let device = under_test;
        block_on(device.module().confirm()).unwrap();
        block_on(device.module().confirm()).unwrap();
        assert_eq!(block_on(device.module().check_swapped()), Err(Error::AlreadyConfirmed));
        let confirmed = device.copy();
        block_on(device.module().request_revert()).unwrap();
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().check_reverted()).unwrap();
        block_on(device.module().discard()).unwrap();
        assert_eq!(device.boots().ran, Some(V2));

        // Next the longer slot is written, up to its own limit, and what would be too large for the other one goes back.
        let device = confirmed;
        assert_eq!(device.boots().ran, Some(V3));
        assert_eq!(device.layout().max_image_len() as usize, long);
        let mut module = device.module();
        let source = MemoryPayload::new("zephyr-image", 1000).file("app.bin", built(4, old));
        download(&mut module, source).unwrap();
        block_on(module.request_swap()).unwrap();
        assert_eq!(device.boots().ran, Some(version(4)));
        block_on(device.module().confirm()).unwrap();
        block_on(device.module().request_revert()).unwrap();
        assert_eq!(device.boots().ran, Some(V3));
        block_on(device.module().check_reverted()).unwrap();
        assert_eq!(device.flash.violations(), []);
    }
}

#[test]
fn versions_are_refused_before_anything_is_erased() {
    let device = Small::updated();
    let older = image(Version::new(0, 9, 9));
    device.flash.reset_counters();
    let mut module = device.module().refusing_downgrades();
    let source = MemoryPayload::new("zephyr-image", 10).file("app.bin", older.clone());
    let error = download(&mut module, source).unwrap_err();
    assert_eq!(error.to_string(), "1.0.0+0 runs, and the older 0.9.9+0 is refused");
    assert_eq!(device.flash.operations(), 0);
    let source = MemoryPayload::new("zephyr-image", 10).file("app.bin", image(V1));
    download(&mut module, source).unwrap();
    device.download(&older).unwrap();

    let device = In::<DirectXip>::updated();
    device.flash.reset_counters();
    let build = |build| ImageBuilder::new(Version { build, ..V1 }).build();
    for file in [&older, &image(V1), &build(7)] {
        let error = device.download(file).unwrap_err();
        assert!(matches!(error, Error::NotNewer { .. }), "{error}");
        assert!(error.to_string().len() <= 96);
    }
    assert_eq!(device.flash.operations(), 0);
    let source = MemoryPayload::new("zephyr-image", 10).file("app.bin", build(7));
    download(&mut device.module().comparing_build_numbers(), source).unwrap();
}

#[test]
fn the_same_image_can_be_refused_without_a_write() {
    for chunk_len in [1, 33, 512, 10_000] {
        let device = Small::updated();
        device.flash.reset_counters();
        let offer = |file: Vec<u8>| {
            let source = MemoryPayload::new("zephyr-image", chunk_len).file("app.bin", file);
            download(&mut device.module().refusing_same_image(), source)
        };
        assert_eq!(offer(image(V1)), Err(Error::SameImage));
        assert_eq!(device.flash.operations(), 0);
        // Cut short, so not the same.
        let len = image(V1).len();
        assert!(matches!(offer(image(V1)[..len - 1].to_vec()), Err(Error::Image(_))));
        assert_eq!(device.flash.operations(), 0);

        // Another body behind the same header, equal for a while: the equal part comes from slot 0.
        let body = |last: u8| {
            let mut body = vec![3; 1400];
            body.push(last);
            ImageBuilder::new(V2).body(body).build()
        };
        device.download(&body(1)).unwrap();
        block_on(device.module().request_swap()).unwrap();
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().confirm()).unwrap();
        assert_eq!(offer(body(1)), Err(Error::SameImage));
        device.flash.reset_counters();
        offer(body(2)).unwrap();
        assert!(device.slot(1).starts_with(&body(2)));
        assert!(device.flash.sector_erases().iter().all(|n| *n <= 1));
        assert_eq!(device.flash.violations(), []);
    }
}

#[test]
fn an_image_for_another_place_is_refused() {
    let device = In::<DirectXip>::updated();
    let mut linked = ImageBuilder::new(V2).flags(0x100).build();
    linked[4..8].copy_from_slice(&0x0804_0000u32.to_le_bytes());
    device.flash.reset_counters();
    let source = || MemoryPayload::new("zephyr-image", 100).file("app.bin", linked.clone());
    let error = download(&mut device.module().at_address(0x0802_0000), source()).unwrap_err();
    assert!(error.to_string().contains("linked for 0x8040000"), "{error}");
    assert_eq!(device.flash.operations(), 0);
    // Its hash is wrong by now, but the address is right.
    let error = download(&mut device.module().at_address(0x0804_0000), source()).unwrap_err();
    assert_eq!(error, Error::Image(ImageFault::WrongHash));
}

/// Direct-xip: without a confirmed trailer the bootloader would erase the image to go back to.
#[test]
fn direct_xip_wants_a_confirmed_image_to_go_back_to() {
    let device = In::<DirectXip>::blank();
    device.flash.patch(device.boot.layout().slot0.start, &image(V1));
    assert_eq!(device.download(&image(V2)), Err(Error::RunningUnconfirmed));

    let device = In::<DirectXip>::factory();
    device.install(V2);
    assert_eq!(device.boots().slot, 1);
    device.flash.patch(device.boot.layout().slot0.end - 16, &[0]);
    assert_eq!(device.trailer(0).magic, Magic::Bad);
    let lost = Err(Error::CannotGoBack(ImageFault::NotConfirmed));
    assert_eq!(block_on(device.module().check_swapped()), lost);
    // A reset between download and install: nobody knows any more what is in the slot.
    let device = In::<DirectXip>::factory();
    device.download(&image(V2)).unwrap();
    assert_eq!(block_on(device.module().request_swap()), Err(Error::NotReceived));
}

/// A bootloader whose power was cut on the way back may leave the old image under test: see "Limits".
#[test]
fn an_unsettled_way_back_is_settled() {
    let device = Small::factory();
    device.install(V2);
    assert_eq!(device.boots().ran, Some(V2));
    block_on(device.module().confirm()).unwrap();
    block_on(device.module().request_revert()).unwrap();
    // The erase of the request is torn: image_ok is gone, the magic still there.
    device.flash.patch(device.boot.layout().slot1.end - 40, &[0xff; 24]);
    let boot = device.boots();
    assert_eq!((boot.ran, boot.swapped), (Some(V1), bootloader::SwapType::Test));
    assert_eq!(block_on(device.module().inspect()).unwrap().next, NextBoot::Revert);
    old_runs(&device, OldRuns::Unsettled);
    block_on(device.module().check_reverted()).unwrap();
    for _ in 0..2 {
        assert_eq!(device.boots().ran, Some(V1));
    }
    block_on(device.module().check_reverted()).unwrap();
}

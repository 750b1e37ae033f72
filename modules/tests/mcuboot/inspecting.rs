//! What `inspect` says of the next boot: every row of bootutil's decision tables, swaps that were interrupted, trailers as
//! imgtool writes them.

use mender_modules::mcuboot::{
    Content, DirectXip, Flag, Inspection, Magic, Mode, NextBoot, Overwrite, SwapInfo, SwapMove, SwapOffset,
    SwapScratch, ZephyrImage,
};
use mender_testkit::bootloader::{self, SwapType};
use mender_testkit::flash::{CutAt, FlashError, PowerCut};
use pollster::block_on;

use crate::device::{Device, TestMode, V1, V2, image};
use crate::geometry;
use crate::golden::{self, file};

fn inspect<const WRITE: usize, const SECTOR: usize, M: TestMode>(device: &Device<WRITE, SECTOR, M>) -> Inspection {
    block_on(device.module().inspect()).unwrap()
}

fn set_trailer<M: TestMode>(device: &Device<8, 512, M>, end: u32, [magic, image_ok, copy_done]: &[&str; 3]) {
    match *magic {
        "good" => device.flash.patch(end - 16, &bootloader::MAGIC),
        "bad" => device.flash.patch(end - 16, &[0x5a; 16]),
        _ => {}
    }
    for (word, from_end) in [(image_ok, 24), (copy_done, 32)] {
        match *word {
            "set" => device.flash.patch(end - from_end, &[0x01]),
            "bad" => device.flash.patch(end - from_end, &[0x5a]),
            _ => {}
        }
    }
}

/// All 729 combinations of both trailers, with intact images in both slots.
fn decisions<M: TestMode>(table: &str) {
    let device = Device::<8, 512, M>::blank();
    let layout = device.boot.layout().clone();
    let is_offset = *device.boot.mode() == bootloader::Mode::Offset;
    device.flash.patch(layout.slot0.start, &image(V1));
    let with_image_at = |offset: u32| {
        let device = device.copy();
        device.flash.patch(layout.slot1.start + offset, &image(V2));
        device.flash.to_bytes()
    };
    let (at_start, at_second_sector) = (with_image_at(0), with_image_at(512));
    let overwrites = matches!(device.boot.mode(), bootloader::Mode::Overwrite { .. });

    let text = String::from_utf8(file(table)).unwrap();
    let mut seen = 0;
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let set_trailers = |image_at_second_sector: bool| {
            device.flash.load(if image_at_second_sector {
                &at_second_sector
            } else {
                &at_start
            });
            let [p_magic, p_ok, p_done, s_magic, s_ok, s_done, _] = fields[..] else {
                panic!("{line}")
            };
            set_trailer(&device, layout.slot0.end, &[p_magic, p_ok, p_done]);
            set_trailer(&device, layout.slot1.end, &[s_magic, s_ok, s_done]);
        };
        if is_offset && fields[6] == "revert" {
            // A request to revert to an image in the place of a new one: golden case n31.
            set_trailers(true);
            assert_eq!(inspect(&device).next, NextBoot::Nothing, "{line}");
            assert_eq!(device.boots().ran, None, "{line}");
        }
        set_trailers(is_offset && fields[6] != "revert");
        let (next, swapped) = match fields[6] {
            "test" | "perm" if overwrites => (NextBoot::Overwrite, None),
            "revert" if overwrites => (NextBoot::Unchanged, Some(SwapType::None)),
            "test" => (NextBoot::Test, Some(SwapType::Test)),
            "perm" => (NextBoot::Permanent, Some(SwapType::Permanent)),
            "revert" => (NextBoot::Revert, Some(SwapType::Revert)),
            "none" => (NextBoot::Unchanged, Some(SwapType::None)),
            other => panic!("{other}"),
        };
        assert_eq!(inspect(&device).next, next, "{:?}: {line}", M::default());
        // And that is what comes.
        let outcome = device.boots();
        let ran = match next {
            NextBoot::Unchanged => V1,
            _ => V2,
        };
        assert_eq!(outcome.ran, Some(ran), "{:?}: {line}", M::default());
        assert!(swapped.is_none_or(|swapped| swapped == outcome.swapped), "{line}");
        seen += 1;
    }
    assert_eq!(seen, 729);
}

#[test]
fn the_next_boot_is_that_of_bootutils_tables() {
    decisions::<SwapMove>("swap_type-move-scratch-overwrite.tsv");
    decisions::<SwapScratch>("swap_type-move-scratch-overwrite.tsv");
    decisions::<Overwrite>("swap_type-move-scratch-overwrite.tsv");
    decisions::<SwapOffset>("swap_type-offset.tsv");
}

/// Direct-xip: all trailers of both slots, either version the higher one or both equal, each image intact or not.
#[test]
fn the_slot_that_starts_in_place_is_the_bootloaders() {
    let device = Device::<8, 512, DirectXip>::blank();
    let layout = device.boot.layout().clone();
    let words = |mut number: usize| {
        [
            ["good", "bad", "unset"],
            ["set", "bad", "unset"],
            ["set", "bad", "unset"],
        ]
        .map(|words| {
            let word = words[number % 3];
            number /= 3;
            word
        })
    };
    let mut seen = [0; 5];
    for (first, second) in [(V1, V2), (V2, V1), (V1, V1)] {
        for damaged in [None, Some(layout.slot0.start), Some(layout.slot1.start)] {
            let base = Device::<8, 512, DirectXip>::blank();
            base.flash.patch(layout.slot0.start, &image(first));
            base.flash.patch(layout.slot1.start, &image(second));
            if let Some(start) = damaged {
                base.flash.patch(start + 100, &[0]);
            }
            let base = base.flash.to_bytes();
            for trailers in 0..27 * 27 {
                device.flash.load(&base);
                device.running.set(0);
                set_trailer(&device, layout.slot0.end, &words(trailers % 27));
                set_trailer(&device, layout.slot1.end, &words(trailers / 27));
                let next = inspect(&device).next;
                let outcome = device.boots();
                let erased = |range: &std::ops::Range<u32>| device.flash.is_blank(range.clone());
                let place = (
                    outcome.ran.map(|_| outcome.slot),
                    erased(&layout.slot0),
                    erased(&layout.slot1),
                );
                let (right, kind) = match next {
                    NextBoot::Unchanged => (place == (Some(0), false, false), 0),
                    NextBoot::Refuse => (place == (Some(0), false, true), 1),
                    NextBoot::Secondary => (place == (Some(1), false, false), 2),
                    NextBoot::EraseAndSecondary => (place == (Some(1), true, false), 3),
                    NextBoot::Nothing => (place.0.is_none(), 4),
                    other => panic!("{other:?}"),
                };
                let case = format!(
                    "{first} {second} {damaged:?} {:?} {:?}",
                    words(trailers % 27),
                    words(trailers / 27)
                );
                assert!(right, "{case}: {next:?}, but {outcome:?}");
                seen[kind] += 1;
            }
        }
    }
    assert!(seen.iter().all(|seen| *seen > 10), "{seen:?}");
}

/// A power cut at every operation of a swap: what is said of the next boot is what it does.
fn interrupted<M: TestMode>(confirmed: Option<bool>) {
    let start = Device::<8, 512, M>::updated();
    start.install(V2);
    if let Some(confirmed) = confirmed {
        // The swap back: a revert, or the way back after a confirmation.
        assert_eq!(start.boots().ran, Some(V2));
        if confirmed {
            block_on(start.module().confirm()).unwrap();
            block_on(start.module().request_revert()).unwrap();
        }
    }
    let clean = start.copy();
    clean.flash.reset_counters();
    clean.boots();
    let mut resumed = 0;
    for operation in 1..=clean.flash.operations() {
        let mut ats = vec![CutAt::Before, CutAt::After];
        ats.extend((0..4).map(|seed| CutAt::Within { seed }));
        for at in ats {
            let device = start.copy();
            device.flash.cut_power(PowerCut { operation, at });
            assert_eq!(device.try_boot(), Err(FlashError::PowerLost));
            device.flash.restore_power();
            let state = inspect(&device);
            let before = device.flash.to_bytes();
            let outcome = device.boots();
            let right = match state.next {
                NextBoot::Resume => outcome.resumed || outcome.swapped != SwapType::None,
                NextBoot::Test => outcome.swapped == SwapType::Test,
                NextBoot::Permanent => outcome.swapped == SwapType::Permanent,
                NextBoot::Revert => outcome.swapped == SwapType::Revert,
                NextBoot::Unchanged => (outcome.swapped, outcome.resumed) == (SwapType::None, false),
                NextBoot::Refuse => outcome.refused,
                NextBoot::Overwrite | NextBoot::Secondary | NextBoot::EraseAndSecondary | NextBoot::Nothing => false,
            };
            // While the sectors of slot 0's trailer change places the record of the swap is in the scratch area.
            let elsewhere = match device.boot.mode() {
                bootloader::Mode::Scratch { scratch } => {
                    let area = &before[scratch.start as usize..scratch.end as usize];
                    device.boot.trailer(area).magic == bootloader::Magic::Good
                }
                _ => false,
            };
            assert!(
                right || elsewhere,
                "{:?} {confirmed:?} {operation} {at:?}: {state:?}, but {outcome:?}",
                M::default()
            );
            resumed += u32::from(state.next == NextBoot::Resume);
        }
    }
    assert!(resumed > 30, "{resumed}");
}

#[test]
fn an_interrupted_swap_is_recognised() {
    for confirmed in [None, Some(false), Some(true)] {
        interrupted::<SwapMove>(confirmed);
        interrupted::<SwapOffset>(confirmed);
        interrupted::<SwapScratch>(confirmed);
    }
}

/// Images padded to a slot by imgtool, as a programmer may put them into either slot. The trailer is seen with the right
/// `BOOT_MAX_ALIGN` only.
fn padded<const WRITE: usize>(name: &str, max_align: u32) {
    let bytes = file(&format!("images/{name}"));
    let confirmed = name.contains("confirm");
    let device = geometry::blank::<WRITE, 4096, SwapMove>((8, 8), max_align);
    let (slot0, slot1) = (device.boot.layout().slot0.clone(), device.boot.layout().slot1.clone());
    device.flash.patch(slot0.start, &bytes);
    let state = inspect(&device);
    assert_eq!(state.primary.magic, Magic::Good, "{name}");
    assert_eq!(state.primary.image_ok == Flag::Set, confirmed, "{name}");
    assert_eq!(
        (state.primary.copy_done, state.primary.swap_info),
        (Flag::Unset, SwapInfo::None)
    );
    assert_eq!(state.next, NextBoot::Unchanged);
    assert_eq!(device.boots().ran.unwrap().to_string(), "1.1.0+0");
    for other in [8, 16, 32] {
        let mut layout = device.layout();
        layout.max_align = other;
        layout.write_len = 1;
        let (slot0, slot1) = (
            device.flash.partition(slot0.clone()),
            device.flash.partition(slot1.clone()),
        );
        if WRITE as u32 <= other {
            let mut module = ZephyrImage::<_, _, fn(), 64>::with_buffer(layout, slot0, slot1, || ()).unwrap();
            let magic = block_on(module.inspect()).unwrap().primary.magic;
            assert_eq!(magic == Magic::Good, other == max_align, "{name}, {other}");
            assert_ne!(magic, Magic::Unset, "{name}, {other}");
        }
    }

    let device = geometry::blank::<WRITE, 4096, SwapMove>((8, 8), max_align);
    device.program(&file("images/v1.0.0.bin"));
    device.flash.patch(slot1.start, &bytes);
    let wanted = if confirmed {
        (NextBoot::Permanent, SwapType::Permanent)
    } else {
        (NextBoot::Test, SwapType::Test)
    };
    assert_eq!((inspect(&device).next, device.boots().swapped), wanted, "{name}");
}

#[test]
fn padded_images_are_requests() {
    padded::<8>("v1.1.0-pad-a8.bin.gz", 8);
    padded::<8>("v1.1.0-confirm-a8.bin.gz", 8);
    padded::<16>("v1.1.0-confirm-a16.bin.gz", 16);
    padded::<32>("v1.1.0-confirm-a32.bin.gz", 32);
}

/// Every trailer cell of every stored golden state means to the module what its bytes say. Returns the number of cells.
fn cells<const WRITE: usize, M: TestMode>(folder: &str) -> usize {
    let table = String::from_utf8(file(&format!("{folder}/trailers.tsv"))).unwrap();
    let mut last: Option<(&str, Inspection, u32)> = None;
    let mut seen = 0;
    for line in table.lines().skip(1) {
        let [state, slot, field, _, _, _, hex] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (inspection, max_align) = match &last {
            Some((of, inspection, max_align)) if *of == state => (*inspection, *max_align),
            _ => {
                let device = golden::device::<WRITE, M>(folder, state);
                let now = (inspect(&device), device.boot.max_align());
                last = Some((state, now.0, now.1));
                now
            }
        };
        let slot = if slot == "0" {
            inspection.primary
        } else {
            inspection.secondary
        };
        let case = format!("{folder}: {line}");
        let cell: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let flag = match cell[0] {
            0x01 => Flag::Set,
            0xff => Flag::Unset,
            _ => Flag::Bad,
        };
        match field {
            "image_ok" => assert_eq!(slot.image_ok, flag, "{case}"),
            "copy_done" => assert_eq!(slot.copy_done, flag, "{case}"),
            "swap_info" => {
                let (kind, number) = match (cell[0] & 0x0f, cell[0] >> 4) {
                    (2, number) => (SwapInfo::Test, number),
                    (3, number) => (SwapInfo::Permanent, number),
                    (4, number) => (SwapInfo::Revert, number),
                    _ => (SwapInfo::None, 0),
                };
                assert_eq!((slot.swap_info, slot.image_number), (kind, number), "{case}");
            }
            "magic" => {
                let stored = &cell[cell.len() - 16..];
                let magic = if *stored == bootloader::magic(max_align) {
                    Magic::Good
                } else if stored.iter().all(|byte| *byte == 0xff) {
                    Magic::Unset
                } else {
                    Magic::Bad
                };
                assert_eq!(slot.magic, magic, "{case}");
            }
            // The bootloader's own.
            _ => continue,
        }
        seen += 1;
    }
    seen
}

#[test]
fn golden_trailers_are_decoded() {
    let seen = [
        cells::<8, SwapMove>("move-a8"),
        cells::<4, SwapMove>("move-a4"),
        cells::<1, SwapMove>("move-a1"),
        cells::<16, SwapMove>("move-a16"),
        cells::<32, SwapMove>("move-a32"),
        cells::<4, SwapMove>("move-a4-max16"),
        cells::<8, SwapOffset>("offset-a8"),
        cells::<16, SwapOffset>("offset-a16"),
        cells::<4, SwapOffset>("offset-a4-equal-slots"),
        cells::<8, SwapScratch>("scratch-a8"),
        cells::<8, Overwrite>("overwrite-fast-a8"),
        cells::<32, Overwrite>("overwrite-fast-a32"),
        cells::<4, Overwrite>("overwrite-a4"),
        cells::<8, DirectXip>("xip-revert-a8"),
        cells::<8, SwapMove>("negative-move-a8"),
        cells::<16, SwapOffset>("negative-offset-a16"),
        cells::<8, Overwrite>("negative-overwrite-fast-a8"),
    ];
    assert!(seen.iter().all(|seen| *seen >= 48), "{seen:?}");
}

/// swap_info: the kind in the low nibble, the image number in the high one; what stands for no kind is none.
#[test]
fn the_cell_swap_info_holds_kind_and_image_number() {
    let device = Device::<8, 512, SwapMove>::factory();
    let cell = device.boot.layout().slot1.end - 40;
    for byte in 0..=0xff_u8 {
        device.flash.patch(cell, &[byte]);
        let kind = match byte & 0x0f {
            2 => SwapInfo::Test,
            3 => SwapInfo::Permanent,
            4 => SwapInfo::Revert,
            _ => SwapInfo::None,
        };
        let number = if kind == SwapInfo::None { 0 } else { byte >> 4 };
        let state = inspect(&device);
        assert_eq!(
            (state.secondary.swap_info, state.secondary.image_number),
            (kind, number)
        );
        assert_eq!(state.next, NextBoot::Unchanged, "it decides nothing");
    }
}

/// Only the first byte of a flag's cell counts.
#[test]
fn a_flag_is_its_first_byte() {
    fn check<M: Mode + TestMode>() {
        let device = Device::<8, 512, M>::factory();
        let end = device.boot.layout().slot1.end;
        for byte in 0..=0xff_u8 {
            let flag = match byte {
                0x01 => Flag::Set,
                0xff => Flag::Unset,
                _ => Flag::Bad,
            };
            for rest in [0x00, 0x01, 0xff] {
                let cell = [byte, rest, rest, rest, rest, rest, rest, rest];
                device.flash.patch(end - 24, &cell);
                device.flash.patch(end - 32, &cell);
                let state = inspect(&device).secondary;
                assert_eq!((state.image_ok, state.copy_done), (flag, flag), "{cell:?}");
                assert_eq!(state.at_start, Content::Empty);
            }
        }
    }
    check::<SwapMove>();
}

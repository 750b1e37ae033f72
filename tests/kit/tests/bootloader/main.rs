//! The bootloader model against golden states of the real `bootutil`, and under power cuts.

mod golden;

use std::ops::Range;

use golden::Folder;
use mender_testkit::bootloader::{Flag, MAGIC, Magic, Mcuboot, Mode, SwapType, Trailer, decide, decide_offset};
use mender_testkit::flash::{CutAt, FlashError, PowerCut, SimFlash};
use mender_testkit::image::header_version;

fn the_decision_is_bootutils(name: &str, decide: fn(&Trailer, &Trailer) -> SwapType) {
    let table = golden::table(name);
    assert_eq!(table.len(), 729);
    for row in table {
        let trailer = |slot: &str| Trailer {
            magic: magic(&row[&format!("{slot}_magic")]),
            image_ok: flag(&row[&format!("{slot}_image_ok")]),
            copy_done: flag(&row[&format!("{slot}_copy_done")]),
            swap_type: SwapType::None,
        };
        assert_eq!(
            decide(&trailer("p"), &trailer("s")),
            swap_type(&row["swap_type"]),
            "{row:?}"
        );
    }
}

#[test]
fn the_decision_is_bootutils_for_all_trailers() {
    the_decision_is_bootutils("swap_type-move-scratch-overwrite.tsv", decide);
    the_decision_is_bootutils("swap_type-offset.tsv", decide_offset);
}

fn magic(word: &str) -> Magic {
    match word {
        "good" => Magic::Good,
        "unset" => Magic::Unset,
        "bad" => Magic::Bad,
        other => panic!("{other}"),
    }
}

fn flag(word: &str) -> Flag {
    match word {
        "set" => Flag::Set,
        "unset" => Flag::Unset,
        "bad" => Flag::Bad,
        other => panic!("{other}"),
    }
}

fn swap_type(word: &str) -> SwapType {
    match word {
        "none" => SwapType::None,
        "test" => SwapType::Test,
        "perm" => SwapType::Permanent,
        "revert" => SwapType::Revert,
        other => panic!("{other}"),
    }
}

/// What bootutil reports of both trailers, before and after every call whose flash content is known.
#[test]
fn trailers_are_decoded_as_bootutil_does() {
    let mut seen = 0;
    for name in FOLDERS {
        let folder = Folder::open(name);
        let boot = folder.bootloader();
        for step in &folder.steps {
            let states = [("before", step["start"].as_str()), ("after", step["state"].as_str())];
            for (when, state) in states {
                let report = &step["report"][when];
                let Some(flash) = state.filter(|_| report.is_object()).and_then(|s| folder.flash(s)) else {
                    continue;
                };
                let (slot0, slot1) = (&boot.layout().slot0, &boot.layout().slot1);
                let mut trailers = Vec::new();
                for (slot, range) in [("slot0", slot0), ("slot1", slot1)] {
                    let trailer = boot.trailer(&flash[range.start as usize..range.end as usize]);
                    let told = &report[slot];
                    let word = |field: &str| told[field].as_str().unwrap();
                    let case = format!("{name}/{state:?}, {slot}");
                    assert_eq!(trailer.magic, magic(word("magic")), "{case}");
                    assert_eq!(trailer.image_ok, flag(word("image_ok")), "{case}");
                    assert_eq!(trailer.copy_done, flag(word("copy_done")), "{case}");
                    assert_eq!(trailer.swap_type, swap_type(word("swap_info_type")), "{case}");
                    trailers.push(trailer);
                    seen += 1;
                }
                if let Some(decision) = report["swap_type"].as_str() {
                    assert_eq!(
                        boot.decide(&trailers[0], &trailers[1]),
                        swap_type(decision),
                        "{name}/{state:?}"
                    );
                }
            }
        }
    }
    assert!(seen > 1000, "{seen}");
}

/// Every cell of every stored state is where the table says, and means what its first byte says.
#[test]
fn every_cell_is_decoded() {
    let mut seen = 0;
    for name in FOLDERS {
        let folder = Folder::open(name);
        let boot = folder.bootloader();
        let mut state = (String::new(), Vec::new());
        for row in golden::table(&format!("{name}/trailers.tsv")) {
            if row["state"] != state.0 {
                state = (row["state"].clone(), folder.flash(&row["state"]).expect("stored"));
            }
            let layout = boot.layout();
            let range = if row["slot"] == "0" {
                &layout.slot0
            } else {
                &layout.slot1
            };
            let slot = &state.1[range.start as usize..range.end as usize];
            let case = format!("{name}: {row:?}");
            let (at, from_end) = (&row["off_in_slot"], &row["off_from_end"]);
            let at: usize = at.parse().unwrap();
            assert_eq!(slot.len() - at, from_end.parse::<usize>().unwrap(), "{case}");
            let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
            assert_eq!(
                hex(&slot[at..at + row["cell_hex"].len() / 2]),
                row["cell_hex"],
                "{case}"
            );
            let of_byte = match slot[at] {
                0x01 => Flag::Set,
                0xff => Flag::Unset,
                _ => Flag::Bad,
            };
            let trailer = boot.trailer(slot);
            match row["field"].as_str() {
                "image_ok" => assert_eq!(trailer.image_ok, of_byte, "{case}"),
                "copy_done" => assert_eq!(trailer.copy_done, of_byte, "{case}"),
                "swap_info" => {
                    let kind = [SwapType::Test, SwapType::Permanent, SwapType::Revert];
                    let number = usize::from(slot[at] & 0x0f);
                    let kind = number.checked_sub(2).and_then(|n| kind.get(n));
                    assert_eq!(trailer.swap_type, *kind.unwrap_or(&SwapType::None), "{case}");
                }
                "magic" => {
                    let good = slot[at..].ends_with(&mender_testkit::bootloader::magic(boot.max_align()));
                    assert_eq!(trailer.magic == Magic::Good, good, "{case}");
                }
                _ => continue,
            }
            seen += 1;
        }
    }
    assert!(seen > 1000, "{seen}");
}

const FOLDERS: [&str; 17] = [
    "move-a8",
    "move-a4",
    "move-a1",
    "move-a16",
    "move-a32",
    "move-a4-max16",
    "offset-a8",
    "offset-a16",
    "offset-a4-equal-slots",
    "scratch-a8",
    "overwrite-fast-a8",
    "overwrite-fast-a32",
    "overwrite-a4",
    "xip-revert-a8",
    "negative-move-a8",
    "negative-offset-a16",
    "negative-overwrite-fast-a8",
];

/// Boots from every golden state that is known, and compares slots, version and kind of swap. Returns their number.
fn boots_as_bootutil<const WRITE: usize>(folder: &Folder) -> usize {
    let boot = folder.bootloader();
    let mut done = 0;
    for step in &folder.steps {
        let name = step["state"].as_str().unwrap();
        if step["command"] != "boot" || step["exit"] == 7 {
            continue;
        }
        let Some(start) = folder.flash(step["start"].as_str().unwrap()) else {
            // What a power cut within bootutil's own sequence left is not stored.
            assert!(name.starts_with('p'), "{name}");
            continue;
        };
        let flash = SimFlash::<WRITE, 4096>::from_bytes(&start);
        let outcome = boot
            .boot(&flash)
            .unwrap_or_else(|error| panic!("{}/{name}: {error}", folder.name));
        assert_eq!(flash.violations(), [], "{}/{name}", folder.name);

        let report = &step["report"];
        let ran = outcome.ran.map(|version| version.to_string());
        assert_eq!(
            ran.as_deref(),
            report["boots"]["version"].as_str(),
            "{}/{name}",
            folder.name
        );
        if ran.is_some() {
            assert_eq!(report["boots"]["slot"], outcome.slot, "{}/{name}", folder.name);
        }
        let swapped = match outcome.swapped {
            SwapType::None => "none",
            SwapType::Test => "test",
            SwapType::Permanent => "perm",
            SwapType::Revert => "revert",
        };
        assert_eq!(report["swap_performed"], swapped, "{}/{name}", folder.name);

        let after = flash.to_bytes();
        if let Some(wanted) = folder.flash(name) {
            let differs = after.iter().zip(&wanted).position(|(a, b)| a != b);
            assert_eq!(differs, None, "{}/{name}: first difference", folder.name);
        }
        slots_are(&flash, &boot, step, &format!("{}/{name}", folder.name));
        assert_eq!(after[..4096], start[..4096], "{}/{name}: the guard region", folder.name);
        done += 1;
    }
    done
}

fn slots_are<const WRITE: usize>(flash: &SimFlash<WRITE, 4096>, boot: &Mcuboot, step: &serde_json::Value, case: &str) {
    let bytes = flash.to_bytes();
    let layout = boot.layout();
    for (field, slot) in [("sha256_slot0", &layout.slot0), ("sha256_slot1", &layout.slot1)] {
        let slot = &bytes[slot.start as usize..slot.end as usize];
        assert_eq!(step[field], golden::sha256(slot), "{case}: {field}");
    }
}

/// A swap that is cut at any operation, and finished by the next boot, ends in what bootutil leaves of one that was cut.
fn cut_swaps_end_as_bootutils<const WRITE: usize>(name: &'static str) {
    let folder = Folder::open(name);
    let boot = folder.bootloader();
    let (mut golden, mut cuts) = (0, 0);
    for end in &folder.steps {
        let Some(start) = end["state"]
            .as_str()
            .and_then(|state| state.strip_suffix(".after.boot"))
        else {
            continue;
        };
        if !start.starts_with('p') {
            continue;
        }
        golden += 1;
        let start = folder.flash(start).expect("stored");
        for operation in 1.. {
            let flash = SimFlash::<WRITE, 4096>::from_bytes(&start);
            flash.cut_power(PowerCut {
                operation,
                at: CutAt::Before,
            });
            let first = boot.boot(&flash);
            if flash.power_is_on() {
                first.expect("nothing else is in the way");
                break;
            }
            flash.restore_power();
            let outcome = boot.boot(&flash).expect("it goes on");
            assert_eq!(
                outcome.ran.map(|version| version.to_string()).as_deref(),
                end["report"]["boots"]["version"].as_str()
            );
            slots_are(&flash, &boot, end, &format!("{name}, cut {operation}"));
            cuts += 1;
        }
    }
    assert!(golden >= 3 && cuts > 20 * golden, "{name}: {golden}, {cuts}");
}

/// Where bootutil was cut within a swap: how many operations it had done, and after how many of the model's the flash holds the
/// same.
fn contents_within_a_swap<const WRITE: usize>(name: &'static str) -> Vec<(usize, Option<usize>)> {
    let folder = Folder::open(name);
    let boot = folder.bootloader();
    let start = folder.flash("p01-swap-cut-3").expect("stored");
    let mut seen = Vec::new();
    for operation in 1.. {
        let flash = SimFlash::<WRITE, 4096>::from_bytes(&start);
        flash.cut_power(PowerCut {
            operation,
            at: CutAt::Before,
        });
        if boot.boot(&flash).is_ok() {
            break;
        }
        let bytes = flash.to_bytes();
        let layout = boot.layout();
        let slot = |slot: &Range<u32>| golden::sha256(&bytes[slot.start as usize..slot.end as usize]);
        seen.push((slot(&layout.slot0), slot(&layout.slot1)));
    }
    let cuts = folder.steps.iter().filter_map(|step| {
        let cut = step["state"]
            .as_str()?
            .strip_suffix(".after")?
            .rsplit_once("swap-cut-")?
            .1;
        let position = seen.iter().position(|(slot0, slot1)| {
            (&step["sha256_slot0"], &step["sha256_slot1"]) == (&slot0[..].into(), &slot1[..].into())
        });
        Some((cut.parse().unwrap(), position))
    });
    cuts.collect()
}

#[test]
fn contents_within_swaps_are_bootutils() {
    let same = |numbers: &[usize]| {
        numbers
            .iter()
            .map(|number| (*number, Some(*number)))
            .collect::<Vec<_>>()
    };
    assert_eq!(contents_within_a_swap::<8>("negative-move-a8"), same(&[3, 12, 25, 40]));
    assert_eq!(contents_within_a_swap::<16>("negative-offset-a16"), same(&[3, 14, 30]));
}

#[test]
fn swaps_that_were_cut_end_in_bootutils_flash_contents() {
    cut_swaps_end_as_bootutils::<8>("negative-move-a8");
    cut_swaps_end_as_bootutils::<16>("negative-offset-a16");
}

fn boots_of(name: &'static str) -> usize {
    let folder = Folder::open(name);
    match folder.write_len() {
        1 => boots_as_bootutil::<1>(&folder),
        4 => boots_as_bootutil::<4>(&folder),
        8 => boots_as_bootutil::<8>(&folder),
        16 => boots_as_bootutil::<16>(&folder),
        32 => boots_as_bootutil::<32>(&folder),
        other => panic!("{other}"),
    }
}

#[test]
fn boots_end_in_bootutils_flash_contents() {
    for name in FOLDERS {
        let boots = match name {
            "xip-revert-a8" => 6,
            "negative-move-a8" => 25,
            "negative-offset-a16" => 29,
            "negative-overwrite-fast-a8" => 24,
            _ => 10,
        };
        assert_eq!(boots_of(name), boots, "{name}");
    }
}

#[test]
fn the_largest_image_is_that_of_bootutil() {
    for name in FOLDERS {
        let folder = Folder::open(name);
        assert_eq!(
            u64::from(folder.bootloader().max_image_len(folder.write_len(), 4096)),
            folder.max_image_len(),
            "{name}"
        );
    }
    for row in golden::table("layouts.tsv") {
        let number = |name: &str| row[name].parse::<u32>().unwrap();
        let slot1_end = number("slot0_size") + number("slot1_size");
        let mode = match row["mode"].as_str() {
            "move" => Mode::Move,
            "offset" => Mode::Offset,
            "scratch" => Mode::Scratch {
                scratch: slot1_end..slot1_end + 8192,
            },
            "overwrite-fast" => Mode::Overwrite { fast: true },
            other => panic!("{other}"),
        };
        let boot = Mcuboot::new(mender_testkit::bootloader::Layout {
            slot0: 0..number("slot0_size"),
            slot1: number("slot0_size")..slot1_end,
            max_img_sectors: number("max_sectors"),
        })
        .with_mode(mode)
        .with_max_align(number("max_align"));
        assert_eq!(
            boot.max_image_len(number("align"), number("sector")),
            number("bootutil_max_image_size"),
            "{row:?}"
        );
    }
}

/// Cuts a boot at every operation in several ways, and the repetition once more at a place that depends on the seed.
/// `runs` and `slot1_holds`: the versions afterwards, the latter at this offset of slot 1.
fn survives_cuts(name: &'static str, state: &str, runs: &str, slot1_holds: (usize, &str)) {
    let folder = Folder::open(name);
    let boot = folder.bootloader();
    let start = folder.flash(state).unwrap();
    let clean = SimFlash::<8, 4096>::from_bytes(&start);
    boot.boot(&clean).unwrap();
    let wanted = clean.to_bytes();
    let operations = clean.operations();
    assert!(operations > 20, "{operations} operations are no swap");
    let under_test =
        |flash: &SimFlash<8, 4096>| state == "02-pending-test" && boot.decision(flash).unwrap() == SwapType::Revert;
    for operation in 1..=operations {
        for how in 0..6 {
            let at = match how {
                0 => CutAt::Before,
                1 => CutAt::After,
                _ => CutAt::Within {
                    seed: operation * 31 + how,
                },
            };
            let flash = SimFlash::<8, 4096>::from_bytes(&start);
            flash.cut_power(PowerCut { operation, at });
            assert_eq!(boot.boot(&flash), Err(FlashError::PowerLost));
            flash.restore_power();
            if under_test(&flash) {
                assert_eq!(operation, operations, "only the last write ends the swap");
                continue;
            }
            let mut outcome = Err(FlashError::PowerLost);
            // Two cuts close to each other can make bootutil forget a revert: with move and offset it protects the revert by a
            // request in slot 1, but not once the magic of that one is torn; with scratch by a record in the scratch area (from
            // the sixth operation on), which it erases and writes again.
            let slot1 = &boot.layout().slot1;
            let torn = boot
                .trailer(&flash.to_bytes()[slot1.start as usize..slot1.end as usize])
                .magic
                == Magic::Bad;
            let unprotected = match boot.mode() {
                Mode::Scratch { .. } => state == "03-booted-test" && (6..12).contains(&operation),
                _ => torn,
            };
            if how >= 4 && !unprotected {
                flash.cut_power(PowerCut {
                    operation: 1 + operation * how % 7,
                    at,
                });
                outcome = boot.boot(&flash);
                flash.restore_power();
            }
            // A second cut may have come after the end of the shorter second run.
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(_) if under_test(&flash) => continue,
                Err(_) => boot.boot(&flash).unwrap(),
            };
            let case = format!("{name}, {state}, cut at {operation}, {at:?}, variant {how}");
            assert_eq!(flash.violations(), [], "{case}");
            assert_eq!(outcome.ran.unwrap().to_string(), runs, "{case}");
            let after = flash.to_bytes();
            let layout = boot.layout();
            let (slot0, slot1) = (&layout.slot0, &layout.slot1);
            let (at, version) = slot1_holds;
            assert_eq!(
                header_version(&after[slot1.start as usize + at..]).unwrap().to_string(),
                version,
                "{case}"
            );
            // Slot 1 as a whole, and the images in slot 0; its trailer may tell of the cut.
            let slot1 = slot1.start as usize..slot1.end as usize;
            assert_eq!(after[slot1.clone()], wanted[slot1], "{case}");
            let room = boot.max_image_len(8, 4096) as usize;
            let slot0 = slot0.start as usize..slot0.end as usize;
            assert_eq!(after[slot0.clone()][..room], wanted[slot0.clone()][..room], "{case}");
            assert_eq!(after[slot0.end - 16..slot0.end], MAGIC, "{case}");
        }
    }
}

#[test]
fn a_test_swap_survives_power_cuts() {
    for name in ["move-a8", "offset-a8", "scratch-a8"] {
        survives_cuts(name, "02-pending-test", "1.1.0+0", (0, "1.0.0+0"));
    }
}

#[test]
fn a_permanent_swap_survives_power_cuts() {
    for name in ["move-a8", "offset-a8", "scratch-a8"] {
        survives_cuts(name, "06-pending-perm", "1.1.0+0", (0, "1.0.0+0"));
    }
}

#[test]
fn a_revert_survives_power_cuts() {
    for (name, at) in [("move-a8", 0), ("offset-a8", 4096), ("scratch-a8", 0)] {
        survives_cuts(name, "03-booted-test", "1.0.0+0", (at, "1.1.0+0"));
    }
}

/// What bootutil never swaps is no layout for a test either.
fn boots_with_slots(mode: Mode, slot0: u32, slot1: u32) {
    let boot = Mcuboot::new(mender_testkit::bootloader::Layout {
        slot0: 0..slot0 * 4096,
        slot1: slot0 * 4096..(slot0 + slot1) * 4096,
        max_img_sectors: 4,
    })
    .with_mode(mode);
    let _ = boot.boot(&SimFlash::<8, 4096>::new(9));
}

#[test]
#[should_panic(expected = "slots of 4 and 5 sectors, but BOOT_MAX_IMG_SECTORS = 4")]
fn the_spare_sector_counts() {
    boots_with_slots(Mode::Offset, 4, 5);
}

#[test]
#[should_panic(expected = "slots of 3 and 4 sectors are not compatible")]
fn overwriting_needs_slots_of_the_same_length() {
    boots_with_slots(Mode::Overwrite { fast: true }, 3, 4);
}

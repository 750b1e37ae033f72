//! The bootloader model against golden states of the real `bootutil`, and under power cuts.

mod golden;

use golden::Folder;
use mender_testkit::bootloader::{Flag, MAGIC, Magic, Mcuboot, SwapType, Trailer, decide};
use mender_testkit::flash::{CutAt, FlashError, PowerCut, SimFlash};
use mender_testkit::image::header_version;

#[test]
fn the_decision_is_bootutils_for_all_trailers() {
    let magic = |word: &str| match word {
        "good" => Magic::Good,
        "unset" => Magic::Unset,
        "bad" => Magic::Bad,
        other => panic!("{other}"),
    };
    let flag = |word: &str| match word {
        "set" => Flag::Set,
        "unset" => Flag::Unset,
        "bad" => Flag::Bad,
        other => panic!("{other}"),
    };
    let table = golden::table("swap_type-move-scratch-overwrite.tsv");
    assert_eq!(table.len(), 729);
    for row in table {
        let trailer = |slot: &str| Trailer {
            magic: magic(&row[&format!("{slot}_magic")]),
            image_ok: flag(&row[&format!("{slot}_image_ok")]),
            copy_done: flag(&row[&format!("{slot}_copy_done")]),
            swap_type: SwapType::None,
        };
        let wanted = match row["swap_type"].as_str() {
            "none" => SwapType::None,
            "test" => SwapType::Test,
            "perm" => SwapType::Permanent,
            "revert" => SwapType::Revert,
            other => panic!("{other}"),
        };
        assert_eq!(decide(&trailer("p"), &trailer("s")), wanted, "{row:?}");
    }
}

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
        let swapped = match outcome.swapped {
            SwapType::None => "none",
            SwapType::Test => "test",
            SwapType::Permanent => "perm",
            SwapType::Revert => "revert",
        };
        assert_eq!(report["swap_performed"], swapped, "{}/{name}", folder.name);

        let after = flash.to_bytes();
        let slot = |range: &std::ops::Range<u32>| after[range.start as usize..range.end as usize].to_vec();
        let layout = boot.layout();
        if let Some(wanted) = folder.flash(name) {
            let differs = after.iter().zip(&wanted).position(|(a, b)| a != b);
            assert_eq!(differs, None, "{}/{name}: first difference", folder.name);
        }
        assert_eq!(
            step["sha256_slot0"],
            golden::sha256(&slot(&layout.slot0)),
            "{}/{name}: slot 0",
            folder.name
        );
        assert_eq!(
            step["sha256_slot1"],
            golden::sha256(&slot(&layout.slot1)),
            "{}/{name}: slot 1",
            folder.name
        );
        assert_eq!(after[..4096], start[..4096], "{}/{name}: the guard region", folder.name);
        done += 1;
    }
    done
}

#[test]
fn boots_end_in_bootutils_flash_contents() {
    assert_eq!(boots_as_bootutil::<8>(&Folder::open("move-a8")), 10);
    assert_eq!(boots_as_bootutil::<4>(&Folder::open("move-a4")), 10);
    assert_eq!(boots_as_bootutil::<1>(&Folder::open("move-a1")), 10);
}

#[test]
fn odd_states_are_treated_as_bootutil_does() {
    assert_eq!(boots_as_bootutil::<8>(&Folder::open("negative-move-a8")), 25);
}

#[test]
fn the_largest_image_is_that_of_bootutil() {
    for name in ["move-a8", "move-a4", "move-a1"] {
        let folder = Folder::open(name);
        let write_len = name.trim_start_matches("move-a").parse().unwrap();
        assert_eq!(
            u64::from(folder.bootloader().max_image_len(write_len, 4096)),
            folder.max_image_len()
        );
    }
    for row in golden::table("layouts.tsv") {
        if row["mode"] != "move" || row["max_align"] != "8" {
            continue;
        }
        let number = |name: &str| row[name].parse::<u32>().unwrap();
        let boot = Mcuboot::new(mender_testkit::bootloader::Layout {
            slot0: 0..number("slot0_size"),
            slot1: number("slot0_size")..number("slot0_size") + number("slot1_size"),
            max_img_sectors: number("max_sectors"),
        });
        assert_eq!(
            boot.max_image_len(number("align"), number("sector")),
            number("bootutil_max_image_size"),
            "{row:?}"
        );
    }
}

/// Cuts a boot at every operation in several ways, and the repetition once more at a place that depends on the seed.
fn survives_cuts(state: &str, runs: &str, slot1_holds: &str) {
    let folder = Folder::open("move-a8");
    let boot = folder.bootloader();
    let start = folder.flash(state).unwrap();
    let clean = SimFlash::<8, 4096>::from_bytes(&start);
    boot.boot(&clean).unwrap();
    let wanted = clean.to_bytes();
    let operations = clean.operations();
    assert!(operations > 20, "{operations} operations are no swap");
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
            if state == "02-pending-test" && boot.decision(&flash).unwrap() == SwapType::Revert {
                assert_eq!(operation, operations, "only the last write ends the swap");
                continue;
            }
            let mut outcome = Err(FlashError::PowerLost);
            if how >= 4 {
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
                Err(_) if state == "02-pending-test" && boot.decision(&flash).unwrap() == SwapType::Revert => continue,
                Err(_) => boot.boot(&flash).unwrap(),
            };
            let case = format!("{state}, cut at {operation}, {at:?}, variant {how}");
            assert_eq!(flash.violations(), [], "{case}");
            assert_eq!(outcome.ran.unwrap().to_string(), runs, "{case}");
            let after = flash.to_bytes();
            let layout = boot.layout();
            let (slot0, slot1) = (layout.slot0.start as usize, layout.slot1.start as usize);
            assert_eq!(
                header_version(&after[slot1..]).unwrap().to_string(),
                slot1_holds,
                "{case}"
            );
            // Slot 1 as a whole, and the images in slot 0; its trailer may tell of the cut.
            assert_eq!(after[slot1..slot1 + 0x8000], wanted[slot1..slot1 + 0x8000], "{case}");
            assert_eq!(after[slot0..slot0 + 0x6000], wanted[slot0..slot0 + 0x6000], "{case}");
            assert_eq!(after[slot0 + 0x7ff0..slot0 + 0x8000], MAGIC, "{case}");
        }
    }
}

#[test]
fn a_test_swap_survives_power_cuts() {
    survives_cuts("02-pending-test", "1.1.0+0", "1.0.0+0");
}

#[test]
fn a_permanent_swap_survives_power_cuts() {
    survives_cuts("06-pending-perm", "1.1.0+0", "1.0.0+0");
}

#[test]
fn a_revert_survives_power_cuts() {
    survives_cuts("03-booted-test", "1.0.0+0", "1.1.0+0");
}

//! What `state` says.

use serde_json::Value;

use crate::{Dump, FOLDERS, golden, json, state_after, vectors};

/// Before each golden boot: the trailers as bootutil reads them, and what it then did.
#[test]
fn the_state_is_what_bootutil_sees_and_does() {
    let mut seen = 0;
    for folder in FOLDERS {
        let mode = json(vectors().join(folder).join("layout.json"))["mode"].clone();
        for step in json(vectors().join(folder).join("steps.json")).as_array().unwrap() {
            let (Some("boot"), Some(start)) = (step["command"].as_str(), step["start"].as_str()) else {
                continue;
            };
            let report = &step["report"];
            if step["exit"] == 7 || golden(folder, start).is_none() {
                continue;
            }
            let case = format!("{folder}/{start}");
            let dump = Dump::of(folder, start);
            let state = state_after(folder, &["state"], &dump);
            for slot in ["slot0", "slot1"] {
                let (told, seen) = (&state[slot]["trailer"], &report["before"][slot]);
                for field in ["magic", "image_ok", "copy_done"] {
                    assert_eq!(told[field], seen[field], "{case}, {slot}, {field}");
                }
                let kind = match seen["swap_info_type"].as_str().unwrap() {
                    "perm" => "permanent",
                    other => other,
                };
                assert_eq!(told["swap_info"], kind, "{case}, {slot}");
                let version = |content: &Value| content["version"].clone();
                assert_eq!(version(&state[slot]["image"]), seen["header_at_0"], "{case}, {slot}");
                if !seen["header_at_sector1"].is_null() && slot == "slot1" {
                    assert_eq!(
                        version(&state[slot]["image_at_second_sector"]),
                        seen["header_at_sector1"],
                        "{case}"
                    );
                }
            }

            let performed = report["swap_performed"].as_str().unwrap();
            let boots = &report["boots"];
            let next = state["next_boot"].as_str().unwrap();
            let right = match (performed, next) {
                ("test" | "perm", "overwrite") => mode.as_str().unwrap().starts_with("overwrite"),
                ("test", "test") | ("perm", "permanent") | ("revert", "revert") => true,
                ("none" | "revert", "nothing") => boots.is_null(),
                ("none", "unchanged") => boots["slot"] == 0 || start.starts_with("04"),
                ("none", "refuse") => boots["slot"] == 0,
                ("none", "secondary") => boots["slot"] == 1,
                _ => false,
            };
            assert!(right, "{case}: {next}, but bootutil: {performed}, {boots}");
            assert!(dump.bytes() == golden(folder, start).unwrap(), "{case}: only read");
            seen += 1;
        }
    }
    assert_eq!(
        seen, 214,
        "every boot but those after a cut within bootutil, whose flash is not stored"
    );
}

#[test]
fn damage_is_named() {
    let dump = Dump::of("negative-move-a8", "n04-body-bit");
    let state = state_after("negative-move-a8", &["state"], &dump);
    assert_eq!(state["slot1"]["image"]["intact"], false);
    assert_eq!(state["slot1"]["image"]["fault"], "the image's hash is wrong");
    assert_eq!(state["slot0"]["image"]["intact"], true);
    assert_eq!(state["next_boot"], "refuse");
}

/// The most likely mistake in a layout: every magic is bad then, and nothing is ever requested.
#[test]
fn the_magic_of_another_alignment_is_named() {
    for (folder, other) in [
        ("negative-move-a8", 16),
        ("negative-offset-a16", 8),
        ("negative-overwrite-fast-a8", 16),
    ] {
        let dump = Dump::of(folder, "n18-trailer-magic-other-align");
        let trailer = &state_after(folder, &["state"], &dump)["slot1"]["trailer"];
        assert_eq!(trailer["magic"], "bad", "{folder}");
        assert_eq!(trailer["magic_is_of_max_align"], other, "{folder}");
    }
    let dump = Dump::of("negative-move-a8", "n16-trailer-magic-bit");
    let trailer = &state_after("negative-move-a8", &["state"], &dump)["slot1"]["trailer"];
    assert_eq!(trailer["magic"], "bad");
    assert_eq!(trailer["magic_is_of_max_align"], Value::Null);
}

/// Images with SHA-384 and SHA-512, and one with a signature alone: a dump of a device that starts such an image says so.
#[test]
fn images_with_other_hashes_boot() {
    let layout = json(vectors().join("move-a8/layout.json"));
    let number = |area: &str, field: &str| layout[area][field].as_u64().unwrap() as usize;
    let (slot0, slot1) = (number("slot0", "offset"), number("slot1", "offset"));
    let end = slot1 + number("slot1", "size");
    for (name, key) in [
        ("v1.3.0-ecdsa-p384.bin", "sha384_begins"),
        ("v1.3.1-ed25519-sha512.bin", "sha512_begins"),
        ("v1.3.2-ed25519-pure.bin", "sha512_begins"),
    ] {
        let image = std::fs::read(vectors().join("hashes").join(name)).unwrap();
        let dump = |image: &[u8]| {
            let mut flash = vec![0xff; end + 4096];
            flash[slot0..slot0 + image.len()].copy_from_slice(image);
            flash[slot1..slot1 + image.len()].copy_from_slice(image);
            flash[end - 16..end].copy_from_slice(&mender_testkit::bootloader::MAGIC);
            Dump::new(name, &flash)
        };
        let state = state_after("move-a8", &["state"], &dump(&image));
        let told = &state["slot0"]["image"];
        assert_eq!(told["intact"], true, "{name}: {state:#}");
        assert_eq!(told["length"], image.len(), "{name}");
        assert_eq!(told[key].as_str().map(str::len), Some(64), "{name}");
        assert_eq!(state["next_boot"], "test", "{name}");

        let mut damaged = image.clone();
        damaged[100] ^= 1;
        let state = state_after("move-a8", &["state"], &dump(&damaged));
        assert_eq!(state["slot1"]["image"]["intact"], false, "{name}");
        assert_eq!(state["next_boot"], "nothing", "{name}");

        // Without its hash: only the bootloader can tell, if there is a pure signature.
        let mut without = image;
        without[32 + 1500 + 4] = 0xa0;
        let state = state_after("move-a8", &["state"], &dump(&without));
        let (intact, next) = match name.contains("pure") {
            true => (Value::Null, "test"),
            false => (false.into(), "nothing"),
        };
        assert_eq!(state["slot0"]["image"]["intact"], intact, "{name}");
        assert_eq!(state["next_boot"], next, "{name}");
    }
}

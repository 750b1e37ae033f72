//! The model of ESP-IDF's bootloader against boots of the real one's functions.

use mender_testkit::esp_idf::{EspApp, EspIdf, EspImage, OtaEntry, is_startable};
use mender_testkit::flash::{Rewrites, SimFlash};

const SECTOR: u32 = 4096;

/// `seq:state`, `!` for a wrong checksum; or `erased`.
fn entry(text: &str) -> [u8; 32] {
    let Some((seq, state)) = text.trim_end_matches('!').split_once(':') else {
        assert_eq!(text, "erased");
        return [0xff; 32];
    };
    let state = match state {
        "N" => 0,
        "P" => 1,
        "V" => 2,
        "I" => 3,
        "A" => 4,
        "U" => u32::MAX,
        number => number.parse().expect("a state"),
    };
    let mut entry = OtaEntry::new(seq.parse().expect("a number"), state);
    if text.ends_with('!') {
        entry.crc ^= 1;
    }
    entry.to_bytes()
}

#[test]
fn boots_are_the_real_ones() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/esp-ota/boots.csv");
    let table = std::fs::read_to_string(path).unwrap();
    let good = EspImage::new([vec![1; 64]]).to_bytes();
    let mut boots = 0;
    for line in table.lines().skip(1) {
        let [rollback, factory, entry0, entry1, ota_0, ota_1, started, after0, after1] =
            line.split(',').collect::<Vec<_>>()[..]
        else {
            panic!("{line}");
        };
        let flash = SimFlash::<4, { SECTOR as usize }>::new(5);
        flash.set_rewrites(Rewrites::ClearBits);
        let bootloader = EspIdf {
            rollback: rollback == "on",
            chip: 5,
            otadata: 0..2 * SECTOR,
            slots: [2 * SECTOR..3 * SECTOR, 3 * SECTOR..4 * SECTOR],
            factory: (factory == "yes").then_some(4 * SECTOR..5 * SECTOR),
        };
        let mut content = vec![0xff; 5 * SECTOR as usize];
        content[..32].copy_from_slice(&entry(entry0));
        content[SECTOR as usize..][..32].copy_from_slice(&entry(entry1));
        for (slot, image) in [(2, ota_0), (3, ota_1), (4, "good")] {
            let at = slot * SECTOR as usize;
            content[at..at + good.len()].copy_from_slice(&good);
            // A bad image has the right length and magic.
            if image == "bad" {
                content[at + 40] ^= 1;
            }
        }
        flash.load(&content);
        let app = match bootloader.boot(&flash).unwrap() {
            Some(EspApp::Factory) => "factory",
            Some(EspApp::Ota(0)) => "ota_0",
            Some(EspApp::Ota(_)) => "ota_1",
            None => "none",
        };
        assert_eq!(app, started, "{line}");
        let content = flash.to_bytes();
        assert_eq!(content[..32], entry(after0), "{line}");
        assert_eq!(content[SECTOR as usize..][..32], entry(after1), "{line}");
        assert_eq!(flash.violations(), [], "{line}");
        boots += 1;
    }
    println!("{boots} boots");
    assert_eq!(boots, 6742);
}

#[test]
fn a_spoilt_image_is_not_started() {
    let good = EspImage::new([vec![1; 64], vec![2; 32]]).to_bytes();
    assert!(is_startable(&good, 5) && !is_startable(&good, 9));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(!is_startable(&bad, 5), "byte {at}");
    }
    assert!(!is_startable(&good[..good.len() - 1], 5));
    let mut longer = good;
    longer.resize(4096, 0xff);
    assert!(is_startable(&longer, 5));
}

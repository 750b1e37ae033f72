//! Records in flash: what they cost, where their limits are, and damage.

mod storage_support;

use embedded_storage_async::nor_flash::NorFlash;
use mender::storage::{
    FlashError, FlashRange, FlashRangeError, FlashScratch, FlashSetupError, FlashStorage, LogSlot, ReadError,
    RecordKey, Storage, WriteError,
};
use pollster::block_on;
use proptest::prelude::*;
use storage_support::{Counts, SimFlash};

type Flash = SimFlash<4, 4096>;

fn open<'b, F: NorFlash + Clone>(
    flash: &F,
    range: std::ops::Range<u32>,
    scratch: &'b mut FlashScratch<1024>,
) -> FlashStorage<'b, F> {
    FlashStorage::new(flash.clone(), FlashRange::try_new(range).unwrap(), scratch.as_mut()).unwrap()
}

fn read(storage: &mut impl Storage, key: RecordKey) -> Option<Vec<u8>> {
    let mut buffer = [0; 2048];
    block_on(storage.read(key, &mut buffer))
        .unwrap()
        .map(|len| buffer[..len].to_vec())
}

#[test]
fn records_survive_a_reboot_and_stay_apart() {
    let flash = Flash::new(4);
    let mut scratch = FlashScratch::new();
    let mut storage = open(&flash, 0x1000..0x3000, &mut scratch);
    for key in RecordKey::all() {
        assert_eq!(read(&mut storage, key), None);
        block_on(storage.write(key, &[key.number(); 7])).unwrap();
    }
    block_on(storage.write(RecordKey::State, b"")).unwrap();
    block_on(storage.remove(RecordKey::Deployment)).unwrap();
    let mut storage = open(&flash, 0x1000..0x3000, &mut scratch);
    for key in RecordKey::all() {
        let expected = match key {
            RecordKey::State => Some(vec![]),
            RecordKey::Deployment => None,
            RecordKey::DeviceKey | RecordKey::Installed | RecordKey::Log(_) => Some(vec![key.number(); 7]),
        };
        assert_eq!(read(&mut storage, key), expected, "{key:?}");
    }
    let bytes = flash.bytes();
    assert!(bytes[..0x1000].iter().chain(&bytes[0x3000..]).all(|&byte| byte == 0xff));
}

#[test]
fn what_a_write_costs() {
    let flash = Flash::new(2);
    let mut scratch = FlashScratch::new();
    let mut storage = open(&flash, 0..0x2000, &mut scratch);
    let mut cost = |work: &mut dyn FnMut(&mut FlashStorage<'_, Flash>)| {
        let before = flash.counts();
        work(&mut storage);
        let after = flash.counts();
        assert_eq!(after.erases, before.erases);
        after.written_bytes - before.written_bytes
    };
    // The first write also marks the page as used: a word.
    assert_eq!(
        cost(&mut |storage| block_on(storage.write(RecordKey::State, &[1; 7])).unwrap()),
        4 + 16
    );
    for (record_len, expected) in [(0, 12), (3, 12), (4, 16), (7, 16), (20, 32), (200, 212)] {
        let work = &mut |storage: &mut FlashStorage<'_, Flash>| {
            block_on(storage.write(RecordKey::Deployment, &vec![5; record_len])).unwrap();
        };
        assert_eq!(cost(work), expected, "{record_len}");
        // The same again is stored already.
        assert_eq!(cost(work), 0);
    }
    let remove = &mut |storage: &mut FlashStorage<'_, Flash>| block_on(storage.remove(RecordKey::Deployment)).unwrap();
    assert_eq!(cost(remove), 12);
    assert_eq!(cost(remove), 0);
    assert_eq!(
        cost(&mut |storage| block_on(storage.remove(RecordKey::DeviceKey)).unwrap()),
        0
    );
    assert_eq!(cost(&mut |storage| drop(read(storage, RecordKey::State))), 0);
}

#[test]
fn all_pages_wear_alike() {
    let flash = Flash::new(3);
    let mut scratch = FlashScratch::new();
    let mut storage = open(&flash, 0..0x3000, &mut scratch);
    for index in 0..2000_u32 {
        block_on(storage.write(RecordKey::State, &index.to_le_bytes())).unwrap();
    }
    // 16 bytes an item, 3992 bytes a page.
    let Counts { erases, .. } = flash.counts();
    assert!((6..=8).contains(&erases), "{erases}");
    assert_eq!(
        read(&mut storage, RecordKey::State),
        Some(1999_u32.to_le_bytes().into())
    );
}

#[test]
fn short_buffers_and_long_records_are_told() {
    let flash = Flash::new(2);
    let mut scratch = FlashScratch::new();
    let mut storage = open(&flash, 0..0x2000, &mut scratch);
    let key = RecordKey::Installed;
    block_on(storage.write(key, &[1; 100])).unwrap();
    assert_eq!(
        block_on(storage.read(key, &mut [0; 99])),
        Err(ReadError::TooSmall { needed: 100 })
    );
    assert_eq!(block_on(storage.read(key, &mut [0; 100])), Ok(Some(100)));
    assert_eq!(storage.max_record_len(), 1023);
    let max_len = 1023;
    assert_eq!(
        block_on(storage.write(key, &[1; 1024])),
        Err(WriteError::TooLong { max_len })
    );
    assert_eq!(read(&mut storage, key), Some(vec![1; 100]));
    block_on(storage.write(key, &[2; 1023])).unwrap();
    assert_eq!(read(&mut storage, key), Some(vec![2; 1023]));

    // Software with less memory finds the long record.
    let mut short = [0; 512];
    let mut storage = FlashStorage::new(flash, FlashRange::new(0..0x2000), &mut short).unwrap();
    let error = block_on(storage.read(RecordKey::State, &mut [0; 8]));
    assert_eq!(
        error,
        Err(ReadError::Backend(FlashError::ScratchTooShort { needed: 1024 }))
    );
}

#[test]
fn a_page_limits_records_too() {
    let flash = SimFlash::<4, 304>::new(2);
    let mut scratch = FlashScratch::new();
    let mut storage = open(&flash, 0..608, &mut scratch);
    // 304 less announcements (96), markers (8) and the item's head (8) and number.
    assert_eq!(storage.max_record_len(), 191);
    block_on(storage.write(RecordKey::State, &[3; 191])).unwrap();
    // There is no room for the old and the new one.
    assert_eq!(
        block_on(storage.write(RecordKey::State, &[4; 191])),
        Err(WriteError::Full)
    );
    assert_eq!(read(&mut storage, RecordKey::State), Some(vec![3; 191]));
}

#[test]
fn a_full_storage_keeps_what_it_has() {
    let flash = SimFlash::<4, 304>::new(2);
    let mut scratch = FlashScratch::new();
    let mut storage = open(&flash, 0..608, &mut scratch);
    block_on(storage.write(RecordKey::DeviceKey, &[1; 90])).unwrap();
    block_on(storage.write(RecordKey::Installed, &[2; 60])).unwrap();
    assert_eq!(
        block_on(storage.write(RecordKey::Deployment, &[3; 60])),
        Err(WriteError::Full)
    );
    let mut storage = open(&flash, 0..608, &mut scratch);
    assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(vec![1; 90]));
    assert_eq!(read(&mut storage, RecordKey::Installed), Some(vec![2; 60]));
    assert_eq!(read(&mut storage, RecordKey::Deployment), None);
    block_on(storage.write(RecordKey::State, &[4; 3])).unwrap();
    block_on(storage.remove(RecordKey::Installed)).unwrap();
    block_on(storage.write(RecordKey::Deployment, &[3; 40])).unwrap();
    assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(vec![1; 90]));
    assert_eq!(read(&mut storage, RecordKey::Deployment), Some(vec![3; 40]));
}

#[test]
fn ranges_are_checked() {
    let check = |range| FlashRange::<Flash>::try_new(range).err();
    assert_eq!(check(0..0x2000), None);
    assert_eq!(check(0x3000..0x7000), None);
    assert_eq!(check(0..0x1000), Some(FlashRangeError::TooSmall));
    assert_eq!(check(0x1000..0x1000), Some(FlashRangeError::TooSmall));
    assert_eq!(check(4..0x2000), Some(FlashRangeError::Unaligned));
    assert_eq!(check(0..0x2004), Some(FlashRangeError::Unaligned));
    #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
    let reversed = 0x2000..0;
    assert_eq!(check(reversed), Some(FlashRangeError::Unaligned));
    assert_eq!(
        FlashRange::<SimFlash<4, 64>>::try_new(0..128).err(),
        Some(FlashRangeError::Geometry)
    );
    assert_eq!(
        FlashRange::<SimFlash<64, 4096>>::try_new(0..8192).err(),
        Some(FlashRangeError::Geometry)
    );
    let range = const { FlashRange::<Flash>::new(0x2000..0x5000) };
    assert_eq!(format!("{range:?}"), "FlashRange(0x2000..0x5000)");
    let mut scratch = FlashScratch::<64>::new();
    let capacity = 0x4000;
    let error = FlashStorage::new(Flash::new(4), range, scratch.as_mut()).err();
    assert_eq!(error, Some(FlashSetupError::BeyondFlash { capacity }));
    let error = FlashStorage::new(Flash::new(5), range, &mut [0; 3]).err();
    assert_eq!(error, Some(FlashSetupError::ScratchTooShort));
}

#[test]
fn erasing_makes_any_content_usable() {
    for content in [&[0][..], &[0xa5], &[1, 2, 3, 4, 5, 6, 7], &[0xff, 0]] {
        let flash = Flash::new(2);
        flash.fill(content);
        let mut scratch = FlashScratch::new();
        let mut storage = open(&flash, 0..0x2000, &mut scratch);
        block_on(storage.erase_all()).unwrap();
        for key in RecordKey::all() {
            assert_eq!(read(&mut storage, key), None);
        }
        block_on(storage.write(RecordKey::State, b"x")).unwrap();
        let mut storage = open(&flash, 0..0x2000, &mut scratch);
        assert_eq!(read(&mut storage, RecordKey::State), Some(b"x".to_vec()));
    }
}

#[test]
fn the_trait_works_through_a_reference() {
    let flash = Flash::new(2);
    let mut scratch = FlashScratch::new();
    let mut storage = open(&flash, 0..0x2000, &mut scratch);
    let slot = RecordKey::Log(LogSlot::FIRST);
    fn write_through(mut storage: impl Storage, key: RecordKey) {
        block_on(storage.write(key, b"line")).unwrap();
    }
    write_through(&mut storage, slot);
    assert_eq!(read(&mut &mut storage, slot), Some(b"line".to_vec()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Nothing that flash can hold makes a call panic or run for ever.
    #[test]
    fn damaged_flash_never_panics(
        damage in proptest::collection::vec((0_usize..608, any::<u8>()), 0..40),
        everything in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..608)),
    ) {
        let flash = SimFlash::<1, 304>::new(2);
        let mut scratch = FlashScratch::new();
        let mut storage = open(&flash, 0..608, &mut scratch);
        for index in 0..12 {
            block_on(storage.write(RecordKey::State, &[index; 20])).unwrap();
            block_on(storage.write(RecordKey::DeviceKey, &[index; 9])).unwrap();
        }
        flash.be_lenient();
        if let Some(everything) = everything {
            flash.fill(&everything);
        }
        for (at, value) in damage {
            flash.set_byte(at, value);
        }
        let mut storage = open(&flash, 0..608, &mut scratch);
        for key in RecordKey::all() {
            let _ = block_on(storage.read(key, &mut [0; 300]));
        }
        let _ = block_on(storage.remove(RecordKey::State));
        block_on(storage.erase_all()).unwrap();
        block_on(storage.write(RecordKey::State, b"again")).unwrap();
        prop_assert_eq!(read(&mut storage, RecordKey::State), Some(b"again".to_vec()));
    }

    /// Any sequence of calls is the same as on a map in memory.
    #[test]
    fn behaves_like_a_map(
        work in proptest::collection::vec((0_usize..20, proptest::option::of(0_usize..40), any::<bool>()), 1..150),
    ) {
        let flash = SimFlash::<8, 1024>::new(3);
        let mut scratch = FlashScratch::new();
        let mut storage = open(&flash, 0..3072, &mut scratch);
        let keys: Vec<_> = RecordKey::all().collect();
        let mut model = std::collections::BTreeMap::new();
        for (step, (key, record_len, reboot)) in work.into_iter().enumerate() {
            match record_len {
                Some(len) => {
                    let record = vec![step as u8; len];
                    block_on(storage.write(keys[key], &record)).unwrap();
                    model.insert(key, record);
                }
                None => {
                    block_on(storage.remove(keys[key])).unwrap();
                    model.remove(&key);
                }
            }
            if reboot {
                drop(storage);
                storage = open(&flash, 0..3072, &mut scratch);
            }
            prop_assert_eq!(read(&mut storage, keys[key]), model.get(&key).cloned());
        }
        for (index, key) in keys.iter().enumerate() {
            prop_assert_eq!(read(&mut storage, *key), model.get(&index).cloned());
        }
    }
}

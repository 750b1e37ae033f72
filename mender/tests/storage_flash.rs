//! Records in flash: what they cost, where their limits are, and damage.

mod storage_support;

use embedded_storage_async::nor_flash::NorFlash;
use mender::storage::{
    FlashRange, FlashRangeError, FlashSetupError, FlashStorage, LogSlot, ReadError, RecordKey, Storage, WriteError,
};
use pollster::block_on;
use proptest::prelude::*;
use storage_support::{Counts, SimFlash};

type Flash = SimFlash<4, 4096>;

fn open<F: NorFlash + Clone>(flash: &F, range: std::ops::Range<u32>) -> FlashStorage<F> {
    FlashStorage::new(flash.clone(), FlashRange::try_new(range).unwrap()).unwrap()
}

fn read(storage: &mut impl Storage, key: RecordKey) -> Option<Vec<u8>> {
    let mut buffer = [0; 4096];
    block_on(storage.read(key, &mut buffer))
        .unwrap()
        .map(|len| buffer[..len].to_vec())
}

#[test]
fn records_survive_a_reboot_and_stay_apart() {
    let flash = Flash::new(4);
    let mut storage = open(&flash, 0x1000..0x3000);
    for key in RecordKey::all() {
        assert_eq!(read(&mut storage, key), None);
        block_on(storage.write(key, &[key.number(); 7])).unwrap();
    }
    block_on(storage.write(RecordKey::State, b"")).unwrap();
    block_on(storage.remove(RecordKey::Deployment)).unwrap();
    let mut storage = open(&flash, 0x1000..0x3000);
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
    let mut storage = open(&flash, 0..0x2000);
    let mut cost = |work: &mut dyn FnMut(&mut FlashStorage<Flash>)| {
        let before = flash.counts();
        work(&mut storage);
        let after = flash.counts();
        assert_eq!(after.erases, before.erases);
        after.written_bytes - before.written_bytes
    };
    // The first write also marks the half as used: 8 bytes.
    assert_eq!(
        cost(&mut |storage| block_on(storage.write(RecordKey::State, &[1; 7])).unwrap()),
        8 + 16
    );
    for (record_len, expected) in [(0, 8), (1, 8), (2, 12), (5, 12), (6, 16), (7, 16), (20, 28), (200, 208)] {
        let work = &mut |storage: &mut FlashStorage<Flash>| {
            block_on(storage.write(RecordKey::Deployment, &vec![5; record_len])).unwrap();
        };
        assert_eq!(cost(work), expected, "{record_len}");
        // The same again is stored already.
        assert_eq!(cost(work), 0);
    }
    let remove = &mut |storage: &mut FlashStorage<Flash>| block_on(storage.remove(RecordKey::Deployment)).unwrap();
    assert_eq!(cost(remove), 8);
    assert_eq!(cost(remove), 0);
    assert_eq!(
        cost(&mut |storage| block_on(storage.remove(RecordKey::DeviceKey)).unwrap()),
        0
    );
    assert_eq!(cost(&mut |storage| drop(read(storage, RecordKey::State))), 0);
}

#[test]
fn all_pages_wear_alike() {
    let flash = Flash::new(4);
    let mut storage = open(&flash, 0..0x4000);
    for index in 0..2000_u32 {
        block_on(storage.write(RecordKey::State, &index.to_le_bytes())).unwrap();
        if index % 7 == 0 {
            storage = open(&flash, 0..0x4000);
        }
    }
    // 12 bytes an item, 8184 bytes a half beside its head: 682 writes an erase of two pages.
    let Counts { erases, .. } = flash.counts();
    assert_eq!(erases, 2000 / 682 * 2);
    assert_eq!(flash.page_erases(), [1, 1, 1, 1]);
    assert_eq!(
        read(&mut storage, RecordKey::State),
        Some(1999_u32.to_le_bytes().into())
    );
}

#[test]
fn short_buffers_and_long_records_are_told() {
    let flash = Flash::new(2);
    let mut storage = open(&flash, 0..0x2000);
    let key = RecordKey::Installed;
    block_on(storage.write(key, &[1; 100])).unwrap();
    assert_eq!(
        block_on(storage.read(key, &mut [0; 99])),
        Err(ReadError::TooSmall { needed: 100 })
    );
    assert_eq!(block_on(storage.read(key, &mut [0; 100])), Ok(Some(100)));
    // A half less its head and the item's.
    let max_len = 4096 - 8 - 7;
    assert_eq!(storage.max_record_len(), max_len);
    assert_eq!(
        block_on(storage.write(key, &vec![1; max_len + 1])),
        Err(WriteError::TooLong { max_len })
    );
    assert_eq!(read(&mut storage, key), Some(vec![1; 100]));
    block_on(storage.write(key, &vec![2; max_len])).unwrap();
    assert_eq!(read(&mut storage, key), Some(vec![2; max_len]));
}

#[test]
fn a_record_that_fills_a_half_can_be_replaced() {
    let flash = SimFlash::<4, 304>::new(2);
    let mut storage = open(&flash, 0..608);
    assert_eq!(storage.max_record_len(), 289);
    for content in 0..5 {
        block_on(storage.write(RecordKey::State, &[content; 289])).unwrap();
        assert_eq!(read(&mut storage, RecordKey::State), Some(vec![content; 289]));
    }
    assert_eq!(
        block_on(storage.write(RecordKey::DeviceKey, &[])),
        Err(WriteError::Full)
    );
    block_on(storage.remove(RecordKey::State)).unwrap();
    block_on(storage.write(RecordKey::DeviceKey, &[])).unwrap();
    assert_eq!(read(&mut storage, RecordKey::State), None);
    assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(vec![]));
}

#[test]
fn a_full_storage_keeps_what_it_has_and_is_not_worn() {
    let flash = SimFlash::<4, 192>::new(2);
    let mut storage = open(&flash, 0..384);
    block_on(storage.write(RecordKey::DeviceKey, &[1; 90])).unwrap();
    block_on(storage.write(RecordKey::Installed, &[2; 60])).unwrap();
    for _ in 0..3 {
        assert_eq!(
            block_on(storage.write(RecordKey::Deployment, &[3; 60])),
            Err(WriteError::Full)
        );
    }
    assert_eq!(flash.counts().erases, 0);
    let mut storage = open(&flash, 0..384);
    assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(vec![1; 90]));
    assert_eq!(read(&mut storage, RecordKey::Installed), Some(vec![2; 60]));
    assert_eq!(read(&mut storage, RecordKey::Deployment), None);
    block_on(storage.write(RecordKey::State, &[4; 3])).unwrap();
    block_on(storage.remove(RecordKey::Installed)).unwrap();
    block_on(storage.write(RecordKey::Deployment, &[3; 60])).unwrap();
    assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(vec![1; 90]));
    assert_eq!(read(&mut storage, RecordKey::Deployment), Some(vec![3; 60]));
}

#[test]
fn ranges_are_checked() {
    let check = |range| FlashRange::<Flash>::try_new(range).err();
    assert_eq!(check(0..0x2000), None);
    assert_eq!(check(0x3000..0x7000), None);
    assert_eq!(check(0x3000..0x6000), Some(FlashRangeError::OddPages));
    assert_eq!(check(0..0x1000), Some(FlashRangeError::TooSmall));
    assert_eq!(check(0x1000..0x1000), Some(FlashRangeError::TooSmall));
    assert_eq!(check(4..0x2000), Some(FlashRangeError::Unaligned));
    assert_eq!(check(0..0x2004), Some(FlashRangeError::Unaligned));
    #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
    let reversed = 0x2000..0;
    assert_eq!(check(reversed), Some(FlashRangeError::Unaligned));
    assert_eq!(
        FlashRange::<SimFlash<4, 12>>::try_new(0..24).err(),
        Some(FlashRangeError::TooSmall)
    );
    assert_eq!(FlashRange::<SimFlash<4, 12>>::try_new(0..48).err(), None);
    assert_eq!(
        FlashRange::<SimFlash<4, 66>>::try_new(0..132).err(),
        Some(FlashRangeError::Geometry)
    );
    assert_eq!(
        FlashRange::<SimFlash<64, 4096>>::try_new(0..8192).err(),
        Some(FlashRangeError::Geometry)
    );
    let range = const { FlashRange::<Flash>::new(0x2000..0x6000) };
    assert_eq!(format!("{range:?}"), "FlashRange(0x2000..0x6000)");
    let capacity = 0x4000;
    let error = FlashStorage::new(Flash::new(4), range).err();
    assert_eq!(error, Some(FlashSetupError::BeyondFlash { capacity }));
    assert!(FlashStorage::new(Flash::new(6), range).is_ok());
}

#[test]
fn erasing_makes_any_content_usable() {
    for content in [&[0][..], &[0xa5], &[1, 2, 3, 4, 5, 6, 7], &[0xff, 0]] {
        let flash = Flash::new(2);
        flash.fill(content);
        let mut storage = open(&flash, 0..0x2000);
        block_on(storage.erase_all()).unwrap();
        for key in RecordKey::all() {
            assert_eq!(read(&mut storage, key), None);
        }
        block_on(storage.write(RecordKey::State, b"x")).unwrap();
        let mut storage = open(&flash, 0..0x2000);
        assert_eq!(read(&mut storage, RecordKey::State), Some(b"x".to_vec()));
    }
}

#[test]
fn the_trait_works_through_a_reference() {
    let flash = Flash::new(2);
    let mut storage = open(&flash, 0..0x2000);
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
        let mut storage = open(&flash, 0..608);
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
        let mut storage = open(&flash, 0..608);
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
        let flash = SimFlash::<8, 1024>::new(2);
        let mut storage = open(&flash, 0..2048);
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
                storage = open(&flash, 0..2048);
            }
            prop_assert_eq!(read(&mut storage, keys[key]), model.get(&key).cloned());
        }
        for (index, key) in keys.iter().enumerate() {
            prop_assert_eq!(read(&mut storage, *key), model.get(&index).cloned());
        }
    }
}

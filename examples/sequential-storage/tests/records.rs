//! The promises of `Storage`, on a simulated flash.

use embassy_futures::block_on;
use mender::storage::{ReadError, RecordKey, Storage, WriteError};
use mender_testkit::flash::SimFlash;
use records_on_sequential_storage::{MapRecords, WrongRange};

type Flash = SimFlash<4, 4096>;

fn read(storage: &mut impl Storage, key: RecordKey) -> Option<Vec<u8>> {
    let mut buffer = [0; 256];
    let len = block_on(storage.read(key, &mut buffer)).unwrap_or_else(|error| panic!("{error}"))?;
    Some(buffer[..len].to_vec())
}

#[test]
fn records_survive_a_restart() {
    let flash = Flash::new(2);
    let mut scratch = [0; 256];
    let mut storage = MapRecords::new(flash.clone(), 0..0x2000, &mut scratch).unwrap();
    for round in 0..100_u8 {
        for key in RecordKey::all() {
            block_on(storage.write(key, &[round; 20])).unwrap();
        }
    }
    block_on(storage.write(RecordKey::State, &[])).unwrap();
    block_on(storage.remove(RecordKey::Deployment)).unwrap();
    let mut storage = MapRecords::new(flash.clone(), 0..0x2000, &mut scratch).unwrap();
    assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(vec![99; 20]));
    assert_eq!(read(&mut storage, RecordKey::State), Some(vec![]));
    assert_eq!(read(&mut storage, RecordKey::Deployment), None);

    // What is stored already costs nothing.
    flash.reset_counters();
    block_on(storage.write(RecordKey::State, &[])).unwrap();
    block_on(storage.remove(RecordKey::Deployment)).unwrap();
    assert_eq!(flash.counters().bytes_written, 0);

    block_on(storage.erase_all()).unwrap();
    assert_eq!(read(&mut storage, RecordKey::DeviceKey), None);
}

#[test]
fn limits_are_told() {
    let mut scratch = [0; 64];
    assert_eq!(
        MapRecords::new(Flash::new(2), 0..0x800, &mut scratch).err(),
        Some(WrongRange)
    );
    let mut storage = MapRecords::new(Flash::new(2), 0..0x2000, &mut scratch).unwrap();
    let key = RecordKey::Installed;
    assert_eq!(
        block_on(storage.write(key, &[1; 63])),
        Err(WriteError::TooLong { max_len: 62 })
    );
    block_on(storage.write(key, &[1; 60])).unwrap();
    assert_eq!(
        block_on(storage.read(key, &mut [0; 9])),
        Err(ReadError::TooSmall { needed: 60 })
    );
    assert_eq!(read(&mut storage, key), Some(vec![1; 60]));
}

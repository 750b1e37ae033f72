//! A `FlashStorage` over any content of its flash: no panic, an end, and what was written is read back, whatever else is there.

use mender::storage::{FlashError, FlashRange, FlashStorage, LogSlot, ReadError, RecordKey, Storage, WriteError};
use pollster::block_on;

use crate::nor::{Never, Nor};

/// The first byte chooses the chip, the next one says how many bytes of operations follow; the rest is the flash.
pub fn flash(bytes: &[u8]) {
    let Some((&[chip, operations], rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let (operations, content) = rest.split_at(usize::from(operations % 32).min(rest.len()));
    match chip % 4 {
        0 => run::<1, 64>(operations, content),
        1 => run::<4, 128>(operations, content),
        2 => run::<8, 96>(operations, content),
        _ => run::<32, 256>(operations, content),
    }
}

const SLOTS: [u8; 2] = [0, 15];

/// What a record reads as; `Err` if it is damaged.
type Found = Result<Option<Vec<u8>>, ()>;

fn keys() -> [RecordKey; 6] {
    let [first, last] = SLOTS.map(|slot| RecordKey::Log(LogSlot::new(slot).expect("below 16")));
    [
        RecordKey::DeviceKey,
        RecordKey::Installed,
        RecordKey::Deployment,
        RecordKey::State,
        first,
        last,
    ]
}

fn run<const WRITE: usize, const PAGE: usize>(operations: &[u8], content: &[u8]) {
    let flash = Nor::<WRITE, PAGE>::new(4, content);
    let range = FlashRange::try_new(0..4 * PAGE as u32).expect("whole pages");
    let mut storage = FlashStorage::new(flash, range).expect("it has the room");
    let mut before = read_all(&mut storage);
    for (at, operation) in (0_u8..).zip(operations) {
        let which = usize::from(operation & 7);
        let record: Vec<u8> = (0..operation >> 3).map(|index| index.wrapping_mul(7) ^ at).collect();
        let key = keys().get(which).copied();
        let (wanted, done) = match key {
            None if which == 6 => (None, block_on(storage.erase_all())),
            None => {
                let long = vec![at; 2 * PAGE];
                let refused = block_on(storage.write(RecordKey::State, &long));
                assert!(matches!(refused, Err(WriteError::TooLong { .. })), "{refused:?}");
                continue;
            }
            Some(key) if record.is_empty() => (None, block_on(storage.remove(key))),
            Some(key) => {
                let done = block_on(storage.write(key, &record));
                (Some(record), done)
            }
        };
        let after = read_all(&mut storage);
        check(key, wanted.as_deref(), &done, &before, &after);
        before = after;
    }
    assert_eq!(
        storage.into_flash().rewrites,
        0,
        "a word was written that was not erased"
    );
}

fn check(
    key: Option<RecordKey>,
    wanted: Option<&[u8]>,
    done: &Result<(), WriteError<FlashError<Never>>>,
    before: &[Found; 6],
    after: &[Found; 6],
) {
    for ((name, before), after) in keys().iter().zip(before).zip(after) {
        let is_meant = key.is_none_or(|key| key == *name);
        match (is_meant, done) {
            (true, Ok(())) => assert_eq!(
                after.as_ref().map(Option::as_deref),
                Ok(wanted),
                "{name:?} after {done:?}"
            ),
            (true, Err(_)) => assert!(
                after == before || after.as_ref().map(Option::as_deref) == Ok(wanted),
                "{name:?} after {done:?}: neither the old nor the new"
            ),
            // A record that was found stays; one that may be lost may be found to be so.
            (false, _) if matches!(before, Ok(Some(_))) => assert_eq!(after, before, "{name:?} after {key:?} {done:?}"),
            (false, _) => assert!(
                !matches!(after, Ok(Some(_))),
                "{name:?} came from nowhere after {key:?}"
            ),
        }
    }
}

fn read_all<const WRITE: usize, const PAGE: usize>(storage: &mut FlashStorage<Nor<WRITE, PAGE>>) -> [Found; 6] {
    keys().map(|key| {
        let mut memory = vec![0; 4 * PAGE];
        match block_on(storage.read(key, &mut memory)) {
            Ok(None) => Ok(None),
            Ok(Some(len)) => {
                if len > 0 {
                    let needed = block_on(storage.read(key, &mut memory[..len - 1]));
                    assert!(
                        matches!(needed, Err(ReadError::TooSmall { needed }) if needed == len),
                        "{needed:?}"
                    );
                }
                let read = block_on(storage.read(key, &mut memory));
                assert!(matches!(read, Ok(Some(again)) if again == len), "{read:?}");
                memory.truncate(len);
                Ok(Some(memory))
            }
            Err(ReadError::Corrupt) => Err(()),
            Err(error) => panic!("{error:?}"),
        }
    })
}

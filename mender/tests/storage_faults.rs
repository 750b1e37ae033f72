//! Flash that fails, forgets or is foreign, and futures that are dropped.

mod storage_support;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_storage_async::nor_flash::NorFlash;
use mender::storage::{FlashError, FlashRange, FlashStorage, LogSlot, ReadError, RecordKey, Storage, WriteError};
use pollster::block_on;
use storage_support::wrapped::{Failed, Wrapped};
use storage_support::{SimFlash, image};

type Flash = SimFlash<4, 256>;

fn open<F: NorFlash + Clone>(flash: &F) -> FlashStorage<F> {
    let range = FlashRange::try_new(0..2 * F::ERASE_SIZE as u32).unwrap();
    FlashStorage::new(flash.clone(), range).unwrap()
}

fn read(storage: &mut impl Storage, key: RecordKey) -> Option<Vec<u8>> {
    let mut buffer = [0; 1024];
    let len = block_on(storage.read(key, &mut buffer)).unwrap_or_else(|error| panic!("{error}"))?;
    Some(buffer[..len].to_vec())
}

fn write(storage: &mut impl Storage, key: RecordKey, record: &[u8]) {
    block_on(storage.write(key, record)).unwrap_or_else(|error| panic!("{error}"));
}

/// Writes until a move to the other half is the next thing to happen.
fn fill_half(flash: &Flash) {
    for count in 0.. {
        let before = (flash.bytes(), flash.counts().erases);
        write(&mut open(flash), RecordKey::State, &[count; 5]);
        if flash.counts().erases > before.1 {
            flash.fill(&before.0);
            return;
        }
    }
}

#[test]
fn the_format_is_as_documented() {
    let flash = Flash::new(2);
    let mut storage = open(&flash);
    write(&mut storage, RecordKey::DeviceKey, b"key");
    write(&mut storage, RecordKey::State, &[]);
    write(&mut storage, RecordKey::State, &[1; 40]);
    block_on(storage.remove(RecordKey::State)).unwrap();
    let items: [(u8, &[u8]); 4] = [(1, b"key"), (4, &[]), (4, &[1; 40]), (0x84, &[])];
    let first = image::half(1, 4, 256, &items);
    assert_eq!(flash.bytes(), [first, vec![0xff; 256]].concat());
    assert_eq!(image::head(1), [1, 0, 0, 1, 0xfe, 0xff, 0xff, 0xfe]);

    write(&mut storage, RecordKey::Installed, &[2; 100]);
    write(&mut storage, RecordKey::Deployment, &[3; 60]);
    // The last one moves: first itself, then the others by their numbers.
    let items: [(u8, &[u8]); 3] = [(3, &[3; 60]), (1, b"key"), (2, &[2; 100])];
    assert_eq!(flash.bytes()[256..], image::half(2, 4, 256, &items));
}

#[test]
fn records_of_newer_software_are_kept() {
    let flash = Flash::new(2);
    let items: [(u8, &[u8]); 5] = [(127, b"future"), (1, b"key"), (5, b"gone"), (0x85, &[]), (126, &[])];
    flash.fill(&[image::half(7, 4, 256, &items), image::half(6, 4, 256, &[(1, b"old")])].concat());
    flash.be_lenient();
    for round in 0..100 {
        write(&mut open(&flash), RecordKey::State, &[round; 20]);
    }
    let expected: [(u8, &[u8]); 3] = [(1, b"key"), (126, &[]), (127, b"future")];
    let bytes = flash.bytes();
    let newest = if bytes[0] > bytes[256] {
        &bytes[..256]
    } else {
        &bytes[256..]
    };
    let items: Vec<(u8, &[u8])> = std::iter::once((4, &newest[15..35])).chain(expected).collect();
    assert!(newest.starts_with(&image::half(newest[0].into(), 4, 100, &items)[..72]));
}

/// Each read of each call in turn: the error is reported, and nothing wrong is kept in memory.
#[test]
fn a_read_that_fails_once_does_no_harm() {
    let flash = Flash::new(2);
    write(&mut open(&flash), RecordKey::DeviceKey, b"key");
    fill_half(&flash);
    let bytes = flash.bytes();
    let last = read(&mut open(&flash), RecordKey::State).unwrap();
    for after in 0..400 {
        flash.fill(&bytes);
        let wrapped = Wrapped::<_>::new(flash.clone());
        let mut storage = open(&wrapped);
        wrapped.habits.failing_read.set(Some(after));
        let got = block_on(storage.read(RecordKey::State, &mut [0; 9]));
        assert!(matches!(
            got,
            Ok(Some(5)) | Err(ReadError::Backend(FlashError::Flash(Failed::Read)))
        ));
        let left = wrapped.habits.failing_read.take();
        assert_eq!(read(&mut storage, RecordKey::State).as_ref(), Some(&last));
        wrapped.habits.failing_read.set(left);
        let written = block_on(storage.write(RecordKey::State, b"new"));
        assert!(matches!(
            written,
            Ok(()) | Err(WriteError::Backend(FlashError::Flash(Failed::Read)))
        ));
        wrapped.habits.failing_read.set(None);
        let found = read(&mut storage, RecordKey::State).unwrap();
        assert!(found == last && written.is_err() || found == b"new");
        assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(b"key".to_vec()));
        write(&mut storage, RecordKey::State, b"newer");
        assert_eq!(read(&mut open(&flash), RecordKey::State), Some(b"newer".to_vec()));
        assert_eq!(read(&mut open(&flash), RecordKey::DeviceKey), Some(b"key".to_vec()));
    }
}

#[test]
fn an_erase_that_fails_for_good_stops_no_read() {
    let flash = Flash::new(2);
    write(&mut open(&flash), RecordKey::DeviceKey, b"key");
    fill_half(&flash);
    let last = read(&mut open(&flash), RecordKey::State);
    let wrapped = Wrapped::<_>::new(flash.clone());
    wrapped.habits.erase_fails.set(true);
    let mut storage = open(&wrapped);
    for _ in 0..3 {
        let error = block_on(storage.write(RecordKey::State, &[0xee; 5]));
        assert_eq!(error, Err(WriteError::Backend(FlashError::Flash(Failed::Erase))));
        assert_eq!(read(&mut storage, RecordKey::State), last);
        assert_eq!(read(&mut open(&wrapped), RecordKey::DeviceKey), Some(b"key".to_vec()));
        write(&mut storage, RecordKey::DeviceKey, b"key");
    }
    wrapped.habits.erase_fails.set(false);
    write(&mut storage, RecordKey::State, &[0xee; 5]);
    assert_eq!(read(&mut storage, RecordKey::State), Some(vec![0xee; 5]));
}

/// Flash that does not take a write: the record goes to the other half, or is reported as not stored.
#[test]
fn only_what_can_be_read_back_is_stored() {
    let flash = Flash::new(2);
    write(&mut open(&flash), RecordKey::DeviceKey, b"key");
    let wrapped = Wrapped::<_>::new(flash.clone());
    let mut storage = open(&wrapped);
    // Somebody has cleared bits where the next item goes, since the range was looked at.
    assert_eq!(read(&mut storage, RecordKey::State), None);
    flash.set_byte(20, 0);
    flash.be_lenient();
    write(&mut storage, RecordKey::State, b"moved");
    assert_eq!(flash.counts().erases, 1);
    assert_eq!(read(&mut open(&flash), RecordKey::State), Some(b"moved".to_vec()));

    write(&mut storage, RecordKey::State, b"before");
    wrapped.habits.dead_from.set(Some(0));
    for _ in 0..2 {
        let error = block_on(storage.write(RecordKey::State, b"lost"));
        assert_eq!(error, Err(WriteError::Backend(FlashError::NotStored)));
        assert_eq!(read(&mut storage, RecordKey::State), Some(b"before".to_vec()));
    }
    wrapped.habits.dead_from.set(None);
    wrapped.habits.write_fails.set(true);
    let error = block_on(storage.write(RecordKey::State, b"lost"));
    assert_eq!(error, Err(WriteError::Backend(FlashError::Flash(Failed::Write))));
    wrapped.habits.write_fails.set(false);
    assert_eq!(read(&mut open(&flash), RecordKey::State), Some(b"before".to_vec()));
    write(&mut storage, RecordKey::State, b"after");
    assert_eq!(read(&mut open(&flash), RecordKey::State), Some(b"after".to_vec()));
}

#[test]
fn foreign_content_is_refused_until_it_is_erased() {
    let pattern: Vec<u8> = (0..512).map(|at| (at * 7 % 251) as u8).collect();
    let mut other_version = image::half(3, 4, 256, &[(1, b"key")]);
    (other_version[3], other_version[7]) = (2, !2);
    // The markers and first item of another map of records.
    let mut map = [vec![0; 4], pattern[..60].to_vec()].concat();
    map.resize(512, 0xff);
    let mut no_head = [image::half(1, 4, 256, &[(1, b"key")]), vec![0xff; 256]].concat();
    no_head[1] = 0x55;
    let mut in_second = vec![0xff; 512];
    in_second[511] = 0xfe;
    let contents = [
        pattern.clone(),
        vec![0; 512],
        vec![0xa5; 512],
        [other_version.clone(), vec![0xff; 256]].concat(),
        [vec![0xff; 256], other_version].concat(),
        map,
        no_head,
        in_second,
    ];
    for content in contents {
        let flash = Flash::new(2);
        flash.fill(&content);
        let mut storage = open(&flash);
        for _ in 0..2 {
            let key = RecordKey::DeviceKey;
            assert_eq!(block_on(storage.read(key, &mut [0; 64])), Err(ReadError::Corrupt));
            assert_eq!(block_on(storage.write(key, b"key")), Err(WriteError::Corrupt));
            assert_eq!(block_on(storage.remove(key)), Err(WriteError::Corrupt));
        }
        assert_eq!(flash.bytes(), content, "nothing was touched");
        block_on(storage.erase_all()).unwrap();
        assert_eq!(read(&mut storage, RecordKey::DeviceKey), None);
        write(&mut storage, RecordKey::DeviceKey, b"key");
        assert_eq!(read(&mut open(&flash), RecordKey::DeviceKey), Some(b"key".to_vec()));
    }
}

/// Bits that change by themselves, in an item that is not the last.
#[test]
fn a_damaged_item_is_told_and_hides_no_other() {
    let items: [(u8, &[u8]); 4] = [(1, b"key"), (2, b"release"), (3, &[]), (4, b"state")];
    let whole = [image::half(5, 4, 256, &items), vec![0xff; 256]].concat();
    // Key, length, CRC and record of the second item, which begins at 20.
    for at in 20..34 {
        let mut image = whole.clone();
        image[at] ^= 0x11;
        let flash = Flash::new(2);
        flash.fill(&image);
        let mut storage = open(&flash);
        assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(b"key".to_vec()));
        assert_eq!(read(&mut storage, RecordKey::Deployment), Some(vec![]));
        assert_eq!(read(&mut storage, RecordKey::State), Some(b"state".to_vec()));
        let error = block_on(storage.read(RecordKey::Installed, &mut [0; 64]));
        assert_eq!(error, Err(ReadError::Corrupt), "{at}");
        write(&mut storage, RecordKey::Installed, b"again");
        assert_eq!(flash.counts().erases, 1);
        let mut storage = open(&flash);
        assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(b"key".to_vec()));
        assert_eq!(read(&mut storage, RecordKey::Installed), Some(b"again".to_vec()));
        assert_eq!(read(&mut storage, RecordKey::State), Some(b"state".to_vec()));
        assert_eq!(read(&mut storage, RecordKey::Log(LogSlot::FIRST)), None);
    }
}

/// An item's bytes in another place, or of another life of the half, are no item.
#[test]
fn stale_bytes_are_no_item() {
    let items: [(u8, &[u8]); 2] = [(1, b"stale"), (2, b"stale")];
    let stale = image::half(1, 4, 256, &items);
    for shift in [0, 4, 12, 16] {
        let mut bytes = image::half(3, 4, 256, &[(1, b"key")]);
        bytes[40 + shift..64 + shift].copy_from_slice(&stale[8..32]);
        let flash = Flash::new(2);
        flash.fill(&[bytes, vec![0xff; 256]].concat());
        let mut storage = open(&flash);
        assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(b"key".to_vec()));
        assert_eq!(read(&mut storage, RecordKey::Installed), None);
    }
}

#[test]
fn chips_that_erase_to_zero_work_if_that_is_said() {
    let flash = Wrapped::<_>::new(SimFlash::<4, 128>::new(2));
    flash.habits.erases_to_zero.set(true);
    let range = const { FlashRange::new(0..256) };
    let mut storage = FlashStorage::new(flash.clone(), range.erased_to_zero()).unwrap();
    assert_eq!(read(&mut storage, RecordKey::State), None);
    for count in 0..100 {
        write(&mut storage, RecordKey::State, &[count; 9]);
        write(&mut storage, RecordKey::DeviceKey, b"key");
        storage = FlashStorage::new(flash.clone(), range.erased_to_zero()).unwrap();
        assert_eq!(read(&mut storage, RecordKey::State), Some(vec![count; 9]));
    }
    assert_eq!(read(&mut storage, RecordKey::DeviceKey), Some(b"key".to_vec()));
    block_on(storage.erase_all()).unwrap();
    assert_eq!(read(&mut storage, RecordKey::DeviceKey), None);

    // Not said: refused.
    let flash = Wrapped::<_>::new(SimFlash::<4, 128>::new(2));
    flash.habits.erases_to_zero.set(true);
    flash.flash.be_lenient();
    let mut storage = FlashStorage::new(flash.clone(), range).unwrap();
    assert_eq!(
        block_on(storage.read(RecordKey::State, &mut [0; 9])),
        Err(ReadError::Corrupt)
    );
    assert_eq!(
        block_on(storage.write(RecordKey::State, b"x")),
        Err(WriteError::Corrupt)
    );
    assert_eq!(
        block_on(storage.erase_all()),
        Err(WriteError::Backend(FlashError::NotStored))
    );
    assert_eq!(
        block_on(storage.read(RecordKey::State, &mut [0; 9])),
        Err(ReadError::Corrupt)
    );
}

/// Polls a future so many times; what it returned, if it did.
fn poll_times<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// A call is dropped at each place where it waits; the same storage goes on.
#[test]
fn a_dropped_future_is_like_a_power_cut() {
    let flash = Flash::new(2);
    write(&mut open(&flash), RecordKey::DeviceKey, b"key");
    fill_half(&flash);
    let full = flash.bytes();
    let last = read(&mut open(&flash), RecordKey::State).unwrap();
    for start in [vec![0xff; 512], full] {
        let is_new = start[0] == 0xff;
        let old = (!is_new).then_some(last.as_slice());
        for kind in 0..3 {
            for times in 1.. {
                flash.fill(&start);
                let wrapped = Wrapped::<_>::new(flash.clone());
                wrapped.habits.waits.set(true);
                let mut storage = open(&wrapped);
                let done = match kind {
                    0 => poll_times(storage.write(RecordKey::State, b"new"), times),
                    1 => poll_times(storage.remove(RecordKey::State), times),
                    _ => poll_times(storage.erase_all(), times),
                };
                wrapped.habits.waits.set(false);
                let found = read(&mut storage, RecordKey::State);
                let new = (kind == 0).then_some(&b"new"[..]);
                assert!(found.as_deref() == old && done.is_none() || found.as_deref() == new);
                let key = read(&mut storage, RecordKey::DeviceKey);
                let all_gone = kind == 2 && found.is_none();
                assert_eq!(key.is_some(), !is_new && !all_gone);
                assert_eq!(read(&mut open(&flash), RecordKey::State), found);
                write(&mut storage, RecordKey::State, b"newer");
                assert_eq!(read(&mut open(&flash), RecordKey::State), Some(b"newer".to_vec()));
                assert_eq!(read(&mut open(&flash), RecordKey::DeviceKey), key);
                if done.is_some() {
                    break;
                }
            }
        }
    }
}

/// Nothing of the old records is left in the flash, and a cut leaves all or none of them.
#[test]
fn erasing_everything_is_safe_and_thorough() {
    use storage_support::Torn;

    let flash = Flash::new(2);
    write(&mut open(&flash), RecordKey::DeviceKey, b"secret");
    fill_half(&flash);
    write(&mut open(&flash), RecordKey::State, &[1; 5]);
    let before = flash.bytes();
    for operation in 0..4 {
        for torn in Torn::ALL {
            flash.fill(&before);
            flash.cut(operation, torn);
            let done = block_on(open(&flash).erase_all()).is_ok();
            assert_eq!(flash.reboot(), !done);
            let key = read(&mut open(&flash), RecordKey::DeviceKey);
            let state = read(&mut open(&flash), RecordKey::State);
            assert_eq!(key.is_some(), state.is_some());
            block_on(open(&flash).erase_all()).unwrap();
            assert_eq!(read(&mut open(&flash), RecordKey::DeviceKey), None);
            assert!(!flash.bytes().windows(6).any(|bytes| bytes == b"secret"));
        }
    }
}

/// All sizes of words to write and to read, and of pages.
#[test]
fn every_geometry() {
    fn check<const W: usize, const P: usize, const READ: usize>() {
        let flash = Wrapped::<_, READ>::new(SimFlash::<W, P>::new(8));
        for (start, pages) in [(0, 2), (2, 4), (0, 8)] {
            let range = FlashRange::try_new((start * P) as u32..((start + pages) * P) as u32).unwrap();
            let mut storage = FlashStorage::new(flash.clone(), range).unwrap();
            block_on(storage.erase_all()).unwrap();
            let max_len = storage.max_record_len();
            assert!(pages * P / 2 - max_len <= 32 + 7);
            write(&mut storage, RecordKey::Installed, &vec![7; max_len]);
            assert_eq!(read(&mut storage, RecordKey::Installed), Some(vec![7; max_len]));
            assert!(matches!(
                block_on(storage.write(RecordKey::State, &vec![0; max_len + 1])),
                Err(WriteError::TooLong { .. })
            ));
            let erases = flash.flash.page_erases();
            for count in 0..60_usize {
                let record = vec![count as u8; count % 50 * max_len / 100];
                write(&mut storage, RecordKey::Installed, &record);
                storage = FlashStorage::new(flash.clone(), range).unwrap();
                assert_eq!(read(&mut storage, RecordKey::Installed), Some(record));
            }
            let wear: Vec<_> = (start..start + pages)
                .map(|page| flash.flash.page_erases()[page] - erases[page])
                .collect();
            let (least, most) = (wear.iter().min().unwrap(), wear.iter().max().unwrap());
            assert!(*most > 5 && most - least <= 1, "{wear:?}");
        }
    }
    check::<1, 64, 1>();
    check::<1, 256, 1>();
    check::<1, 128, 4>();
    check::<2, 64, 2>();
    check::<2, 128, 8>();
    check::<3, 96, 1>();
    check::<4, 64, 4>();
    check::<4, 128, 1>();
    check::<4, 128, 32>();
    check::<8, 64, 8>();
    check::<8, 256, 1>();
    check::<12, 96, 4>();
    check::<16, 128, 1>();
    check::<16, 128, 16>();
    check::<24, 96, 1>();
    check::<32, 128, 1>();
    check::<32, 256, 32>();
}

/// Bits that something else has cleared, in flash that is in use or before it is opened: what is told to be stored can be read.
#[test]
fn a_write_that_succeeds_can_be_read_whatever_bits_were_cleared() {
    let mut random = 1_u32;
    let mut next = move |below: u32| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random % below
    };
    let (mut stored, mut refused) = (0, 0);
    for round in 0..4000_u32 {
        let flash = Flash::new(2);
        flash.be_lenient();
        let mut storage = open(&flash);
        for step in 0..12_u8 {
            if next(3) == 0 {
                storage = open(&flash);
            }
            for _ in 0..next(4) {
                // Mostly where the heads are, or near the items.
                let at = [next(512), next(2) * 256 + next(8), next(2) * 256 + next(64)][next(3) as usize] as usize;
                let mask = if next(2) == 0 { next(256) as u8 } else { !(1 << next(8)) };
                flash.set_byte(at, flash.bytes()[at] & mask);
            }
            let record = vec![step; next(60) as usize];
            let key = [RecordKey::State, RecordKey::Installed][next(2) as usize];
            match block_on(storage.write(key, &record)) {
                Ok(()) => {
                    stored += 1;
                    let mut buffer = [0; 64];
                    let found = block_on(open(&flash).read(key, &mut buffer));
                    assert_eq!(found, Ok(Some(record.len())), "round {round}, step {step}");
                    assert_eq!(buffer[..record.len()], record, "round {round}, step {step}");
                }
                Err(_) => {
                    refused += 1;
                    let _ = block_on(storage.erase_all());
                }
            }
        }
    }
    assert!(stored > 10_000 && refused > 100, "{stored} stored, {refused} refused");
}

//! What a torn write leaves is never taken for something good, and never hides or harms anything else: all values of each
//! torn byte, of items and heads, on flash with words of 1 to 32 bytes.

mod storage_support;

use std::collections::BTreeMap;

use mender::storage::{FlashRange, FlashStorage, LogSlot, ReadError, RecordKey, Storage, WriteError};
use pollster::block_on;
use storage_support::{SimFlash, Torn, image};

type Model = BTreeMap<u8, Vec<u8>>;
type Step<'r> = (RecordKey, Option<&'r [u8]>);

const LOG: RecordKey = RecordKey::Log(LogSlot::FIRST);

fn open<const W: usize, const P: usize>(flash: &SimFlash<W, P>) -> FlashStorage<SimFlash<W, P>> {
    FlashStorage::new(flash.clone(), FlashRange::try_new(0..2 * P as u32).unwrap()).unwrap()
}

fn load<const W: usize, const P: usize>(bytes: &[u8]) -> SimFlash<W, P> {
    let flash = SimFlash::new(2);
    flash.fill(bytes);
    flash
}

fn apply<S: Storage>(storage: &mut S, (key, record): Step<'_>) {
    match record {
        Some(record) => block_on(storage.write(key, record)).unwrap(),
        None => block_on(storage.remove(key)).unwrap(),
    }
}

fn after(model: &Model, (key, record): Step<'_>) -> Model {
    let mut model = model.clone();
    match record {
        Some(record) => model.insert(key.number(), record.to_vec()),
        None => model.remove(&key.number()),
    };
    model
}

fn contents<const W: usize, const P: usize>(flash: &SimFlash<W, P>) -> Model {
    let mut storage = open(flash);
    let mut buffer = [0; 512];
    let mut model = Model::new();
    for key in [
        RecordKey::DeviceKey,
        RecordKey::Installed,
        RecordKey::Deployment,
        RecordKey::State,
        LOG,
    ] {
        if let Some(len) = block_on(storage.read(key, &mut buffer)).unwrap() {
            model.insert(key.number(), buffer[..len].to_vec());
        }
    }
    model
}

/// Images of a write that was torn within one byte: that byte has any value, and the bytes behind it are erased, or written
/// already.
fn torn_images(old: &[u8], new: &[u8], mut check: impl FnMut(&[u8])) {
    let changed = |at: &usize| old[*at] != new[*at];
    let start = (0..old.len()).find(changed).unwrap();
    let end = (0..old.len()).rfind(changed).unwrap() + 1;
    for at in start..end {
        for value in 0..=u8::MAX {
            for rest in [old, new] {
                let mut image = [&new[..at], &rest[at..]].concat();
                image[at] = value;
                check(&image);
            }
        }
    }
}

/// A flash with some records, as the steps leave it.
fn filled<const W: usize, const P: usize>() -> (SimFlash<W, P>, Model) {
    let flash = SimFlash::new(2);
    let mut storage = open(&flash);
    let mut model = Model::new();
    for step in [
        (RecordKey::DeviceKey, Some(&[0xd0; 9][..])),
        (RecordKey::State, Some(&[1])),
        (LOG, Some(b"line")),
        (RecordKey::Deployment, Some(&[])),
    ] {
        apply(&mut storage, step);
        model = after(&model, step);
    }
    (flash, model)
}

/// Tears the write of each kind of item, then writes others.
fn every_torn_item<const W: usize, const P: usize>() {
    let (flash, model) = filled::<W, P>();
    let old = flash.bytes();
    let embedded = image::half(1, W, 64, &[(1, b"an item in a record")])[8..40].to_vec();
    let steps: [Step<'_>; 8] = [
        (RecordKey::State, Some(&[])),
        (RecordKey::State, Some(&[2])),
        (RecordKey::State, Some(&[2, 0xff, 0xff])),
        (RecordKey::Deployment, Some(&[0xff; 6])),
        (RecordKey::Installed, Some(b"release-17")),
        (RecordKey::Installed, Some(&embedded)),
        (RecordKey::DeviceKey, None),
        (LOG, None),
    ];
    for step in steps {
        let flash = load::<W, P>(&old);
        apply(&mut open(&flash), step);
        let new = flash.bytes();
        let expected = after(&model, step);
        let mut next = 0;
        torn_images(&old, &new, |image| {
            let flash = load::<W, P>(image);
            let found = contents(&flash);
            if found != model {
                // Whatever is in the padding.
                assert_eq!(found, expected);
                let item_end = 7 + step.1.map_or(0, <[u8]>::len);
                let start = (0..old.len()).find(|at| old[*at] != new[*at]).unwrap();
                assert_eq!(image[..start + item_end], new[..start + item_end]);
            }
            // Another item follows, of all that there are in turn.
            next += 1;
            let follower = [
                (RecordKey::State, Some(&[9; 3][..])),
                (RecordKey::Deployment, None),
                (RecordKey::Installed, Some(b"x")),
            ][next % 3];
            apply(&mut open(&flash), follower);
            let found = after(&found, follower);
            assert_eq!(contents(&flash), found);
            let last = (RecordKey::DeviceKey, Some(&b"another"[..]));
            apply(&mut open(&flash), last);
            assert_eq!(contents(&flash), after(&found, last));
        });
    }
}

#[test]
fn torn_items_with_words_of_1_byte() {
    every_torn_item::<1, 256>();
}

#[test]
fn torn_items_with_words_of_2_bytes() {
    every_torn_item::<2, 256>();
}

#[test]
fn torn_items_with_words_of_4_bytes() {
    every_torn_item::<4, 256>();
}

#[test]
fn torn_items_with_words_of_8_bytes() {
    every_torn_item::<8, 256>();
}

#[test]
fn torn_items_with_words_of_16_bytes() {
    every_torn_item::<16, 256>();
}

#[test]
fn torn_items_with_words_of_32_bytes() {
    every_torn_item::<32, 512>();
}

/// An item of which all but the last byte of its head was written, and a next item that begins with this very byte.
#[test]
fn no_item_completes_the_one_before() {
    for record_len in 0..40_u8 {
        let (flash, model) = filled::<1, 512>();
        let old = flash.bytes();
        // Of all contents one whose CRC ends with the number of the next item.
        let record = (0..=u8::MAX).map(|fill| vec![fill; record_len.into()]).find(|record| {
            let flash = load::<1, 512>(&old);
            apply(&mut open(&flash), (RecordKey::Installed, Some(record)));
            let new = flash.bytes();
            let start = (0..old.len()).find(|at| old[*at] != new[*at]).unwrap();
            new[start + 6] == RecordKey::State.number()
        });
        let Some(record) = record else { continue };
        let flash = load::<1, 512>(&old);
        apply(&mut open(&flash), (RecordKey::Installed, Some(&record)));
        let mut torn = flash.bytes();
        let start = (0..old.len()).find(|at| old[*at] != torn[*at]).unwrap();
        torn[start + 6..].fill(0xff);
        let flash = load::<1, 512>(&torn);
        let next = (RecordKey::State, Some(&b"acknowledged"[..]));
        apply(&mut open(&flash), next);
        assert_eq!(contents(&flash), after(&model, next));
        assert_eq!(flash.bytes()[..512], torn[..512], "nothing is written behind damage");
    }
}

/// The move to the other half, with its head torn.
fn every_torn_head<const W: usize, const P: usize>() {
    let (flash, mut model) = filled::<W, P>();
    let step: Step<'_> = (RecordKey::Installed, Some(&[7; 20]));
    // Until the next write moves.
    for count in 0..=u8::MAX {
        let before = flash.bytes();
        let erases = flash.counts().erases;
        let content = [count; 20];
        let fill: Step<'_> = (RecordKey::Installed, Some(&content));
        apply(&mut open(&flash), fill);
        if flash.counts().erases > erases {
            flash.fill(&before);
            break;
        }
        model = after(&model, fill);
    }
    let before = flash.bytes();
    let words = flash.counts().words;
    apply(&mut open(&flash), step);
    let new = flash.bytes();
    let head_words = 8_usize.div_ceil(W.max(4)) * (W.max(4) / W);
    let operations = 1 + flash.counts().words - words;
    flash.fill(&before);
    flash.cut(operations - head_words, Torn::Nothing);
    block_on(open(&flash).write(step.0, step.1.unwrap())).unwrap_err();
    assert!(flash.reboot());
    let old = flash.bytes();
    let differ = (0..2 * P).filter(|at| old[*at] != new[*at]).count();
    assert_eq!(differ, 6, "of the head of number 2 two bytes are as if erased");
    assert_eq!(contents(&flash), model);
    torn_images(&old, &new, |image| {
        let flash = load::<W, P>(image);
        let expected = if image == new {
            after(&model, step)
        } else {
            model.clone()
        };
        assert_eq!(contents(&flash), expected);
        apply(&mut open(&flash), step);
        assert_eq!(contents(&flash), after(&model, step));
    });
}

#[test]
fn torn_heads() {
    every_torn_head::<1, 256>();
    every_torn_head::<2, 256>();
    every_torn_head::<4, 256>();
    every_torn_head::<8, 256>();
    every_torn_head::<16, 256>();
    every_torn_head::<32, 512>();
}

/// The first write ever, with its head torn, and the second attempt's too.
#[test]
fn a_range_whose_first_heads_are_torn_recovers() {
    fn check<const W: usize>() {
        let blank = vec![0xff; 512];
        let head = image::head(1);
        let step: Step<'_> = (RecordKey::DeviceKey, Some(b"key"));
        let torn = |at: usize, value: u8| {
            let mut torn = [&head[..at], &[0xff; 8][at..]].concat();
            torn[at] = value;
            torn
        };
        let usable = |image: &[u8]| {
            let flash = load::<W, 256>(image);
            assert_eq!(contents(&flash), Model::new());
            apply(&mut open(&flash), step);
            assert_eq!(contents(&flash), after(&Model::new(), step));
        };
        for at in 0..8 {
            for value in 0..=u8::MAX {
                let mut image = blank.clone();
                image[..8].copy_from_slice(&torn(at, value));
                if value & head[at] == head[at] {
                    usable(&image);
                    for (at, byte) in head.iter().enumerate() {
                        image[256..264].copy_from_slice(&torn(at, byte | 0x80));
                        usable(&image);
                    }
                    // The erase of the first half was torn then.
                    for (at, byte) in image[..256].iter_mut().enumerate() {
                        *byte = at as u8 ^ value;
                    }
                    if image[256..264] != [0xff; 8] {
                        usable(&image);
                    }
                } else {
                    // No write of ours leaves that.
                    let flash = load::<W, 256>(&image);
                    let error = block_on(open(&flash).read(step.0, &mut [0; 9]));
                    assert_eq!(error, Err(ReadError::Corrupt));
                    let error = block_on(open(&flash).write(step.0, b"key"));
                    assert_eq!(error, Err(WriteError::Corrupt));
                    assert_eq!(flash.bytes(), image);
                }
            }
        }
    }
    check::<1>();
    check::<4>();
    check::<8>();
    check::<32>();
}

/// The same with real cuts, one after the other, until one attempt gets through.
#[test]
fn cuts_in_the_first_write_of_all() {
    for cuts in 0..Torn::ALL.len().pow(3) {
        let flash = SimFlash::<4, 128>::new(2);
        let mut rest = cuts;
        for operation in 0..6 {
            let torn = Torn::ALL[rest % Torn::ALL.len()];
            rest /= Torn::ALL.len();
            flash.cut(operation % 3, torn);
            let _ = block_on(open(&flash).write(RecordKey::DeviceKey, b"key"));
            flash.reboot();
            let found = contents(&flash);
            let (old, new) = (Model::new(), Model::from([(1, b"key".to_vec())]));
            assert!(found == old || found == new, "{found:?}");
        }
        apply(&mut open(&flash), (RecordKey::DeviceKey, Some(b"key")));
        assert_eq!(contents(&flash).len(), 1);
    }
}

/// Any mixture of old, erased and cleared bits in the half that was being erased.
#[test]
fn a_half_erased_half_is_never_in_use() {
    let mut random = 1_u32;
    let mut draw = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    };
    for round in 0..2000 {
        let items: [(u8, &[u8]); 2] = [(1, b"old"), (4, b"old too")];
        let used = image::half(round + 2, 4, 256, &[(1, b"new")]);
        let mut erased = image::half(round + 1, 4, 256, &items);
        for byte in &mut erased {
            match round % 3 {
                0 => *byte |= draw(),
                1 => *byte = *byte & draw() | draw() & draw(),
                _ if draw() > 128 => *byte = 0xff,
                _ => {}
            }
        }
        let image = if round % 2 == 0 { [used, erased] } else { [erased, used] }.concat();
        let flash = load::<4, 256>(&image);
        assert_eq!(contents(&flash), Model::from([(1, b"new".to_vec())]));
    }
}

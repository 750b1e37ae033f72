//! Power is lost at every single word and erase of a long sequence of writes, and leaves every kind of half-done
//! operation. Afterwards every record reads as before the interrupted call or as after it, and goes on doing so.

mod storage_support;

use std::collections::BTreeMap;

use mender::storage::{FlashRange, FlashStorage, LogSlot, RecordKey, Storage};
use pollster::block_on;
use proptest::prelude::*;
use storage_support::{SimFlash, Torn};

/// The workload uses the first records only.
const KEYS: usize = 4 + 3;

type Model = BTreeMap<u8, Vec<u8>>;

/// What the client does, over and over: a deployment with states and log lines, beside records that never change.
fn workload(rounds: u8) -> Vec<(RecordKey, Option<Vec<u8>>)> {
    let log = |index| RecordKey::Log(LogSlot::new(index).unwrap());
    let mut steps = vec![
        (RecordKey::DeviceKey, Some(vec![0xd0; 32])),
        (RecordKey::Installed, Some(b"release-0".to_vec())),
    ];
    for round in 0..rounds {
        steps.push((RecordKey::Deployment, Some(vec![round; 37])));
        for state in 0..4 {
            steps.push((RecordKey::State, Some(vec![round, state])));
        }
        steps.push((log(round % 3), Some(vec![0x40 + round; 11 + usize::from(round)])));
        steps.push((
            RecordKey::Installed,
            Some(format!("release-{}", round + 1).into_bytes()),
        ));
        steps.push((RecordKey::Deployment, None));
        steps.push((log(round % 3), None));
        steps.push((RecordKey::State, Some(vec![])));
    }
    steps
}

fn open<const W: usize, const P: usize>(flash: &SimFlash<W, P>, pages: usize) -> FlashStorage<SimFlash<W, P>> {
    let range = FlashRange::try_new(0..(pages * P) as u32).unwrap();
    FlashStorage::new(flash.clone(), range).unwrap()
}

fn apply<S: Storage>(storage: &mut S, (key, record): &(RecordKey, Option<Vec<u8>>)) -> Result<(), ()> {
    match record {
        Some(record) => block_on(storage.write(*key, record)).map_err(drop),
        None => block_on(storage.remove(*key)).map_err(drop),
    }
}

fn expect(model: &mut Model, (key, record): &(RecordKey, Option<Vec<u8>>)) {
    match record {
        Some(record) => model.insert(key.number(), record.clone()),
        None => model.remove(&key.number()),
    };
}

fn contents<S: Storage>(storage: &mut S) -> Result<Model, String> {
    let mut model = Model::new();
    for key in RecordKey::all().take(KEYS) {
        let mut buffer = [0; 128];
        let read = block_on(storage.read(key, &mut buffer)).map_err(|error| error.to_string())?;
        if let Some(len) = read {
            model.insert(key.number(), buffer[..len].to_vec());
        }
    }
    Ok(model)
}

/// The flash between two steps of the workload.
struct Snapshot {
    bytes: Vec<u8>,
    model: Model,
    operations: usize,
}

/// Runs the workload without a cut.
fn snapshots<const W: usize, const P: usize>(pages: usize, rounds: u8) -> Vec<Snapshot> {
    let flash = SimFlash::<W, P>::new(pages);
    let mut storage = open(&flash, pages);
    let mut model = Model::new();
    let mut snapshots = Vec::new();
    for step in workload(rounds) {
        let counts = flash.counts();
        snapshots.push(Snapshot {
            bytes: flash.bytes(),
            model: model.clone(),
            operations: counts.words + counts.erases,
        });
        apply(&mut storage, &step).unwrap();
        expect(&mut model, &step);
    }
    let counts = flash.counts();
    assert!(
        counts.erases >= 2 * pages,
        "the workload uses both halves again: {counts:?}"
    );
    snapshots
}

/// Runs steps of the workload with the cuts, rebooting after each; returns how many cuts there were.
fn run_with_cuts<const W: usize, const P: usize>(
    flash: &SimFlash<W, P>,
    pages: usize,
    mut model: Model,
    steps: &[(RecordKey, Option<Vec<u8>>)],
    cuts: &[(usize, Torn)],
) -> usize {
    let mut cuts = cuts.iter();
    let mut arm = || {
        if let Some(&(after, torn)) = cuts.next() {
            flash.cut(after, torn);
        }
    };
    let mut happened = 0;
    arm();
    let mut storage = open(flash, pages);
    for step in steps {
        while apply(&mut storage, step).is_err() {
            assert!(flash.reboot(), "an error without a power cut");
            happened += 1;
            let mut either = model.clone();
            expect(&mut either, step);
            // The cut may be followed by others, while it is being repaired.
            let found = loop {
                arm();
                drop(storage);
                storage = open(flash, pages);
                let found = contents(&mut storage);
                if !flash.reboot() {
                    break found.expect("readable after a power cut");
                }
                happened += 1;
            };
            assert!(
                found == model || found == either,
                "found {found:?}\nold {model:?}\nnew {either:?}"
            );
            drop(storage);
            storage = open(flash, pages);
            assert_eq!(contents(&mut storage).as_ref(), Ok(&found), "what was seen once stays");
            model = found;
            arm();
        }
        expect(&mut model, step);
    }
    // A cut that was not reached is void.
    flash.reboot();
    drop(storage);
    assert_eq!(contents(&mut open(flash, pages)), Ok(model));
    happened
}

/// Cuts each operation of each step, and goes on for more than a page afterwards.
fn every_cut<const W: usize, const P: usize>(pages: usize, rounds: u8) {
    const STEPS_AFTERWARDS: usize = 12;
    let steps = workload(rounds);
    let snapshots = snapshots::<W, P>(pages, rounds);
    for (index, pair) in snapshots.windows(2).enumerate() {
        let [before, after] = pair else { unreachable!() };
        let steps = &steps[index..steps.len().min(index + 1 + STEPS_AFTERWARDS)];
        for at in 0..after.operations - before.operations {
            for torn in Torn::ALL {
                let run = || {
                    let flash = SimFlash::<W, P>::new(pages);
                    flash.fill(&before.bytes);
                    run_with_cuts(&flash, pages, before.model.clone(), steps, &[(at, torn)])
                };
                match std::panic::catch_unwind(run) {
                    Ok(happened) => assert_eq!(happened, 1, "step {index}, operation {at}, {torn:?}"),
                    Err(_) => {
                        panic!("cut in step {index} at operation {at}, {torn:?}, words of {W}, {pages} pages of {P}")
                    }
                }
            }
        }
    }
}

#[test]
fn every_cut_with_words_of_4_bytes_and_two_pages() {
    every_cut::<4, 256>(2, 5);
}

#[test]
fn every_cut_with_words_of_1_byte_and_two_pages() {
    every_cut::<1, 160>(2, 4);
}

#[test]
fn every_cut_with_words_of_2_bytes_and_six_pages() {
    every_cut::<2, 64>(6, 7);
}

#[test]
fn every_cut_with_words_of_8_bytes_and_four_pages() {
    every_cut::<8, 128>(4, 7);
}

#[test]
fn every_cut_with_words_of_16_bytes_and_four_pages() {
    every_cut::<16, 192>(4, 9);
}

#[test]
fn every_cut_with_words_of_32_bytes_and_two_pages() {
    every_cut::<32, 512>(2, 7);
}

/// Records of any of the workload's keys, written or removed.
fn any_steps() -> impl Strategy<Value = Vec<(RecordKey, Option<Vec<u8>>)>> {
    let key = proptest::sample::select(RecordKey::all().take(KEYS).collect::<Vec<_>>());
    let record = proptest::option::weighted(0.8, proptest::collection::vec(any::<u8>(), 0..25));
    proptest::collection::vec((key, record), 1..80)
}

fn any_torn() -> impl Strategy<Value = Torn> {
    proptest::sample::select(Torn::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Cut after cut, also while the last one is being repaired.
    #[test]
    fn repeated_cuts(cuts in proptest::collection::vec((0_usize..40, any_torn()), 1..30)) {
        run_with_cuts(&SimFlash::<4, 256>::new(2), 2, Model::new(), &workload(4), &cuts);
        run_with_cuts(&SimFlash::<8, 128>::new(4), 4, Model::new(), &workload(6), &cuts);
    }

    /// Any records, and cut after cut, on flash of all kinds: as a map in memory.
    #[test]
    fn any_work_under_any_cuts(
        steps in any_steps(),
        cuts in proptest::collection::vec((0_usize..60, any_torn()), 1..40),
    ) {
        run_with_cuts(&SimFlash::<1, 256>::new(2), 2, Model::new(), &steps, &cuts);
        run_with_cuts(&SimFlash::<2, 64>::new(8), 8, Model::new(), &steps, &cuts);
        run_with_cuts(&SimFlash::<4, 256>::new(2), 2, Model::new(), &steps, &cuts);
        run_with_cuts(&SimFlash::<8, 128>::new(6), 6, Model::new(), &steps, &cuts);
        run_with_cuts(&SimFlash::<16, 384>::new(2), 2, Model::new(), &steps, &cuts);
        run_with_cuts(&SimFlash::<32, 512>::new(2), 2, Model::new(), &steps, &cuts);
    }
}

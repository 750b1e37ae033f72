//! The rules, counters and power cuts of the simulated flash.

use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};
use mender_testkit::flash::{Counters, CutAt, FlashError, Operation, Partition, PowerCut, Rewrites, SimFlash};
use pollster::block_on;

type Flash = SimFlash<4, 64>;

fn is_send<T: Send + Clone + 'static>(_: &T) {}

#[test]
fn handles_can_be_sent_and_see_one_chip() {
    let flash = Flash::new(4);
    is_send(&flash);
    let mut low = flash.partition(0..128);
    let mut high = flash.partition(128..256);
    is_send(&low);
    assert_eq!(
        (
            low.capacity(),
            Partition::<4, 64>::WRITE_SIZE,
            Partition::<4, 64>::ERASE_SIZE
        ),
        (128, 4, 64)
    );
    block_on(async {
        high.write(64, &[1, 2, 3, 4]).await.unwrap();
        let mut bytes = [0; 4];
        high.clone().read(64, &mut bytes).await.unwrap();
        assert_eq!(bytes, [1, 2, 3, 4]);
        flash.clone().read(192, &mut bytes).await.unwrap();
        assert_eq!(bytes, [1, 2, 3, 4]);
        low.write(0, &[5; 8]).await.unwrap();
        high.erase(64, 128).await.unwrap();
        assert_eq!(high.to_bytes(), [0xff; 128]);
        assert_eq!(low.to_bytes()[..8], [5; 8]);
    });
    assert_eq!(
        flash.counters(),
        Counters {
            reads: 2,
            writes: 2,
            bytes_written: 12,
            erases: 1
        }
    );
    assert_eq!(flash.sector_erases(), [0, 0, 0, 1]);
    assert_eq!(flash.operations(), 3);
    flash.reset_counters();
    assert_eq!(
        (flash.counters(), flash.sector_erases()),
        (Counters::default(), vec![0; 4])
    );
}

#[test]
fn wrong_use_is_an_error_and_recorded_and_changes_nothing() {
    let flash = Flash::new(2);
    let mut half = flash.partition(64..128);
    let content = flash.to_bytes();
    let results = block_on(async {
        [
            half.write(2, &[0; 4]).await,
            half.write(0, &[0; 3]).await,
            half.write(64, &[0; 4]).await,
            half.write(u32::MAX - 3, &[0; 8]).await,
            half.erase(0, 32).await,
            half.erase(0, 128).await,
            half.read(60, &mut [0; 5]).await,
            flash.clone().erase(64, 0).await,
        ]
    });
    let wanted = [
        FlashError::NotAligned {
            offset: 66,
            len: 4,
            unit: 4,
        },
        FlashError::NotAligned {
            offset: 64,
            len: 3,
            unit: 4,
        },
        FlashError::OutOfBounds { offset: 64, len: 4 },
        FlashError::OutOfBounds {
            offset: u32::MAX - 3,
            len: 8,
        },
        FlashError::NotAligned {
            offset: 64,
            len: 32,
            unit: 64,
        },
        FlashError::OutOfBounds { offset: 0, len: 128 },
        FlashError::OutOfBounds { offset: 60, len: 5 },
        FlashError::OutOfBounds { offset: 64, len: 0 },
    ];
    assert_eq!(results, wanted.clone().map(Err));
    assert_eq!(flash.violations(), wanted);
    assert_eq!(flash.to_bytes(), content);
    assert_eq!(flash.operations(), 0);
}

#[test]
fn a_word_is_written_once_between_erases() {
    let flash = Flash::new(1);
    flash.write_now(0, &[0xff; 4]).unwrap();
    assert_eq!(flash.write_now(0, &[0; 4]), Err(FlashError::NotErased { offset: 0 }));
    flash.erase_now(0..64).unwrap();
    flash.write_now(0, &[0xf0; 4]).unwrap();

    flash.set_rewrites(Rewrites::ClearBits);
    flash.write_now(0, &[0x10; 4]).unwrap();
    assert_eq!(
        flash.write_now(0, &[0x10, 0x18, 0, 0]),
        Err(FlashError::SetsBits { offset: 1 })
    );
    assert_eq!(flash.to_bytes()[..4], [0x10; 4]);

    let loaded = Flash::from_bytes(&flash.to_bytes());
    assert_eq!(loaded.write_now(0, &[0; 4]), Err(FlashError::NotErased { offset: 0 }));
    loaded.write_now(4, &[0; 4]).unwrap();
}

#[test]
fn power_goes_at_the_chosen_operation_and_stays_away() {
    for (at, written) in [(CutAt::Before, 0xff), (CutAt::After, 0)] {
        let flash = Flash::new(2);
        flash.cut_power(PowerCut { operation: 3, at });
        flash.write_now(0, &[0; 4]).unwrap();
        flash.erase_now(64..128).unwrap();
        assert!(flash.power_is_on());
        assert_eq!(flash.write_now(8, &[0; 4]), Err(FlashError::PowerLost));
        assert!(!flash.power_is_on());
        assert_eq!(flash.read_now(0, &mut [0]), Err(FlashError::PowerLost));
        assert_eq!(flash.erase_now(0..64), Err(FlashError::PowerLost));
        flash.restore_power();
        let mut byte = [0x55];
        flash.read_now(8, &mut byte).unwrap();
        assert_eq!(byte, [written]);
        assert_eq!(flash.violations(), []);
    }
}

#[test]
fn a_torn_write_leaves_a_prefix_and_one_word_in_between() {
    let data: Vec<u8> = (0..32).map(|i| i * 8).collect();
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let flash = Flash::new(1);
        flash.cut_power(PowerCut {
            operation: 1,
            at: CutAt::Within { seed },
        });
        assert_eq!(flash.write_now(0, &data), Err(FlashError::PowerLost));
        let cells = &flash.to_bytes()[..32];
        let whole = cells
            .chunks(4)
            .zip(data.chunks(4))
            .take_while(|(cell, new)| cell == new)
            .count();
        lengths.insert(whole);
        for (cell, new) in cells.iter().zip(&data).skip(whole * 4).take(4) {
            assert_eq!(cell & new, *new, "bits that stay set are never cleared");
        }
        assert!(cells.iter().skip(whole * 4 + 4).all(|b| *b == 0xff));
        let again = Flash::new(1);
        again.cut_power(PowerCut {
            operation: 1,
            at: CutAt::Within { seed },
        });
        let _ = again.write_now(0, &data);
        assert_eq!(again.to_bytes(), flash.to_bytes(), "equal seeds, equal remains");
    }
    assert_eq!(lengths, (0..=8).collect());
}

#[test]
fn a_torn_erase_must_be_repeated() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let flash = Flash::from_bytes(&[0x5a; 128]);
        flash.cut_power(PowerCut {
            operation: 2,
            at: CutAt::Within { seed },
        });
        assert_eq!(flash.erase_now(0..128), Err(FlashError::PowerLost));
        flash.restore_power();
        let cells = flash.to_bytes();
        assert_eq!(cells[..64], [0xff; 64], "an erase is one operation per sector");
        kinds.insert((cells[64] == 0xff, cells[127] == 0xff));
        assert_eq!(flash.write_now(64, &[0; 4]), Err(FlashError::NotErased { offset: 64 }));
        flash.erase_now(64..128).unwrap();
        flash.write_now(64, &[0; 4]).unwrap();
    }
    assert!(kinds.contains(&(true, false)) && kinds.contains(&(false, true)));
}

/// Copies share less than such a sector.
#[test]
fn long_sectors_are_erased_and_torn_as_a_whole() {
    type Long = SimFlash<4, 16384>;
    const SECTOR: usize = 16384;
    let across = Long::new(2);
    for border in [4096, 8192, SECTOR as u32] {
        across.write_now(border - 8, &[0x5a; 16]).unwrap();
        let mut bytes = [0; 24];
        across.read_now(border - 12, &mut bytes).unwrap();
        assert_eq!(
            (bytes[..4].to_vec(), bytes[4..20].to_vec()),
            (vec![0xff; 4], vec![0x5a; 16])
        );
        let offset = border - 8;
        assert_eq!(
            across.write_now(border - 12, &[0; 24]),
            Err(FlashError::NotErased { offset })
        );
    }
    across.erase_now(0..SECTOR as u32).unwrap();
    assert!(across.is_blank(0..SECTOR as u32) && !across.is_blank(SECTOR as u32..2 * SECTOR as u32));
    across.write_now(4092, &[0; 8]).unwrap();

    let mut borders = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let flash = Long::from_bytes(&[0x5a; SECTOR]);
        let at = CutAt::Within { seed };
        flash.cut_power(PowerCut { operation: 1, at });
        flash.erase_now(0..SECTOR as u32).unwrap_err();
        flash.restore_power();
        let cells = flash.to_bytes();
        let erased = |cells: &[u8]| cells.iter().take_while(|byte| **byte == 0xff).count();
        let backwards: Vec<u8> = cells.iter().rev().copied().collect();
        let (first, last) = (erased(&cells), erased(&backwards));
        if cells.iter().all(|byte| [0x5a, 0xff].contains(byte)) {
            // One piece is erased, from the beginning or to the end, and the rest is as it was.
            assert_eq!(cells.iter().filter(|byte| **byte == 0xff).count(), first.max(last));
            borders.insert(first.max(last) / 4096);
        }
        for offset in [0, 4096, 8188, SECTOR as u32 - 4] {
            assert_eq!(flash.write_now(offset, &[0; 4]), Err(FlashError::NotErased { offset }));
        }
    }
    assert_eq!(borders, (0..=3).collect());
}

#[test]
fn a_file_keeps_the_content_without_a_proper_end() {
    let dir = std::env::temp_dir().join(format!("mender-testkit-flash-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("flash.bin");
    let flash = Flash::open(&path, 2).unwrap();
    flash.write_now(64, &[1, 2, 3, 4]).unwrap();
    flash.erase_now(0..64).unwrap();
    std::mem::forget(flash);
    let flash = Flash::open(&path, 2).unwrap();
    assert_eq!(
        flash.to_bytes()[60..72],
        [0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff]
    );
    assert_eq!(flash.write_now(64, &[0; 4]), Err(FlashError::NotErased { offset: 64 }));
    assert!(Flash::open(&path, 3).is_err());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_fork_has_the_same_cells_and_another_power_supply() {
    let flash = Flash::new(2);
    flash.write_now(0, &[1; 8]).unwrap();
    // The remains of a torn erase read as they like, but count as written.
    let at = CutAt::Within { seed: 1 };
    flash.cut_power(PowerCut { operation: 1, at });
    flash.erase_now(64..128).unwrap_err();
    let fork = flash.fork();
    assert!(fork.power_is_on() && !flash.power_is_on());
    assert_eq!((fork.operations(), fork.to_bytes()), (0, flash.to_bytes()));
    assert_eq!(fork.write_now(4, &[1; 4]), Err(FlashError::NotErased { offset: 4 }));
    assert_eq!(fork.write_now(64, &[1; 4]), Err(FlashError::NotErased { offset: 64 }));
    fork.erase_now(0..64).unwrap();
    assert_eq!(flash.to_bytes()[..8], [1; 8]);
}

#[test]
fn without_power_no_code_runs_if_that_is_wanted() {
    use std::task::{Context, Poll, Waker};
    let flash = Flash::new(2);
    flash.set_halting(true);
    flash.switch_off();
    let mut partition = flash.partition(0..64);
    let mut word = [0; 4];
    let mut read = std::pin::pin!(partition.read(0, &mut word));
    let polled = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Pending);
    assert_eq!(flash.read_now(0, &mut [0; 4]), Err(FlashError::PowerLost));
}

#[test]
fn a_cut_says_what_it_struck() {
    let flash = Flash::new(2);
    let at = CutAt::After;
    flash.cut_power(PowerCut { operation: 2, at });
    flash.write_now(8, &[1; 8]).unwrap();
    assert_eq!(flash.cut_operation(), None);
    flash.erase_now(64..128).unwrap_err();
    assert_eq!(flash.cut_operation(), Some(Operation::Erase { offset: 64 }));
}

#[test]
fn zeros_go_over_anything_where_that_is_allowed() {
    let flash = Flash::new(2);
    flash.allow_zeros_over(64..128);
    for offset in [0, 64] {
        flash.write_now(offset, &[1; 4]).unwrap();
    }
    assert_eq!(flash.write_now(0, &[0; 4]), Err(FlashError::NotErased { offset: 0 }));
    assert_eq!(
        flash.write_now(64, &[0, 0, 0, 1]),
        Err(FlashError::NotErased { offset: 64 })
    );
    flash.write_now(64, &[0; 4]).unwrap();
    assert!(flash.to_bytes().starts_with(&[1; 4]) && flash.to_bytes()[64..68] == [0; 4]);
}

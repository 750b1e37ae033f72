//! What every target has in common. The targets themselves are in the crate `mender-fuzz-targets`.

pub use libfuzzer_sys;
pub use mender_fuzz_targets as targets;

/// Makes a program of the target of this name.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        use $crate::libfuzzer_sys::{fuzz_mutator, fuzz_target};

        fuzz_target!(|bytes: &[u8]| ($crate::targets::target($name).run)(bytes));

        fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $crate::mutate($name, data, size, max_size, seed)
        });
    };
}

/// Changes the first `size` bytes of `data` as the target would have it; their new number.
pub fn mutate(name: &str, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut chance = targets::Chance::new(seed.into());
    let mut change = |bytes: &mut Vec<u8>| {
        let len = bytes.len();
        let room = (len + len / 4 + 64).min(max_size.max(len));
        bytes.resize(room, 0);
        let new = libfuzzer_sys::fuzzer_mutate(bytes, len, room);
        bytes.truncate(new);
    };
    let changed = (targets::target(name).mutate)(&data[..size], &mut chance, &mut change);
    let len = changed.len().min(max_size).min(data.len());
    data[..len].copy_from_slice(&changed[..len]);
    len
}

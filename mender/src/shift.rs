//! Bytes that move within their memory.
//!
//! `copy_within` does the same, by way of `memmove`: 800 bytes of a microcontroller's flash for what a few rare moves of short
//! texts need. Depends on nothing.

/// Moves the `len` bytes at `from` to `to`, in front of it or behind it. Both places must be within `bytes`; what is not is left
/// as it is.
#[inline(never)]
pub(crate) fn shift(bytes: &mut [u8], from: usize, len: usize, to: usize) {
    if from == to {
        return;
    }
    for step in 0..len {
        // No byte is overwritten before it was read.
        let at = if to < from { step } else { len - 1 - step };
        if let Some(&byte) = bytes.get(from + at)
            && let Some(place) = bytes.get_mut(to + at)
        {
            *place = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_those_of_copy_within() {
        let bytes: [u8; 12] = core::array::from_fn(|at| at as u8);
        for from in 0..12 {
            for len in 0..=12 - from {
                for to in 0..=12 - len {
                    let (mut moved, mut expected) = (bytes, bytes);
                    shift(&mut moved, from, len, to);
                    expected.copy_within(from..from + len, to);
                    assert_eq!(moved, expected, "{len} bytes from {from} to {to}");
                }
            }
        }
    }
}

//! How deep the stack was: the memory below it is painted, and what is no longer painted was used.
#![allow(unsafe_code)]

use core::ptr;

use cortex_m::register::msp;

/// How much is painted. Beyond it there is still room.
const LEN: u32 = 32 * 1024;
const PAINT: u32 = 0xaaaa_aaaa;

/// The stack below a caller.
pub struct Stack {
    /// The caller's stack pointer.
    top: u32,
}

impl Stack {
    /// Paints what is below `top`, the caller's stack pointer.
    pub fn below(top: u32) -> Stack {
        paint(top - LEN);
        Stack { top }
    }

    /// The most bytes that were used since the last time. What was used is painted again.
    ///
    /// A word that was used and holds the paint's value by chance is taken for painted: an error of a few bytes.
    #[inline(never)]
    pub fn deepest(&self) -> u32 {
        let bottom = self.top - LEN;
        let used = (bottom..self.top).step_by(4).find(|address| {
            // SAFETY: a word of RAM that `paint` has written, see there; read only, and through no reference.
            unsafe { ptr::with_exposed_provenance::<u32>(*address as usize).read_volatile() != PAINT }
        });
        let used = used.unwrap_or(self.top);
        assert!(used > bottom, "the stack is deeper than what was painted");
        paint(used);
        self.top - used
    }
}

/// Paints from an address to the end of the stack. This function's own frame stays as it is.
#[inline(never)]
fn paint(start: u32) {
    for address in (start..msp::read()).step_by(4) {
        // SAFETY: below the stack pointer there is no object, and no interrupt is enabled that would put one there. `start` is at
        // most `LEN` below the first frames; that is RAM which memory.x has and no static is near, as it is an eighth of it.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(address as usize).write_volatile(PAINT) };
    }
}

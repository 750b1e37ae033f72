//! What cannot be done without `unsafe`, and nothing else: registers, the flash's memory, the stack's, the executor's poll, and the
//! jump into an image. All that leaves this file is safe to call. Depends on `map`.
#![expect(unsafe_code, reason = "the only file that has it; each block says why it is sound")]

use core::ptr;

use crate::map::{MAP, RAM};

/// The registers of a peripheral.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    base: u32,
    len: u32,
}

/// The first serial port: the console.
pub const UART0: Registers = Registers::new(0x4000_4000, 0x14);
/// The second serial port: random numbers.
#[cfg(feature = "network")]
pub const UART1: Registers = Registers::new(0x4000_5000, 0x14);
/// LEDs, and a counter.
pub const FPGA: Registers = Registers::new(0x4002_8000, 0x50);
/// The LAN9118.
#[cfg(feature = "network")]
pub const ETHERNET: Registers = Registers::new(0x4020_0000, 0x100);

impl Registers {
    const fn new(base: u32, len: u32) -> Registers {
        Registers { base, len }
    }

    const fn address(self, offset: u32) -> usize {
        assert!(offset < self.len && offset.is_multiple_of(4), "no such register");
        (self.base + offset) as usize
    }

    /// Reads a register.
    #[inline]
    pub fn read(self, offset: u32) -> u32 {
        // SAFETY: a word of a peripheral of this board (`address` checks): always there, aligned, no object of the program, and none
        // of these peripherals reaches into memory by itself.
        unsafe { ptr::with_exposed_provenance::<u32>(self.address(offset)).read_volatile() }
    }

    /// Writes a register.
    #[inline]
    pub fn write(self, offset: u32, value: u32) {
        // SAFETY: as in `read`.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(self.address(offset)).write_volatile(value) }
    }
}

fn flash_address(offset: u32) -> usize {
    assert!(offset < MAP.len && offset.is_multiple_of(4), "beyond the flash");
    (MAP.base + offset) as usize
}

/// A word of the flash.
pub(crate) fn flash_word(offset: u32) -> u32 {
    // SAFETY: an aligned word of the PSRAM (`flash_address` checks), of which the linker script gives the program its code and
    // constants only: nothing that changes.
    unsafe { ptr::with_exposed_provenance::<u32>(flash_address(offset)).read_volatile() }
}

/// Changes a word of the flash. `crate::flash` refuses what would change code that runs.
pub(crate) fn set_flash_word(offset: u32, word: u32) {
    // SAFETY: an aligned word of the PSRAM (`flash_address` checks). No reference leads there: statics that change are in RAM, and
    // the caller leaves the area that the program runs from alone.
    unsafe { ptr::with_exposed_provenance_mut::<u32>(flash_address(offset)).write_volatile(word) }
}

/// The most bytes of stack that were in use since the start, and how many there are.
pub fn stack_used() -> (u32, u32) {
    unsafe extern "C" {
        static _stack_start: u32;
        static _stack_end: u32;
    }
    let (top, bottom) = (&raw const _stack_start as u32, &raw const _stack_end as u32);
    let used = (bottom..top).step_by(4).find(|address| {
        // SAFETY: from the end of the statics to the end of RAM, as the linker says: aligned words that the start-up code has painted;
        // read only, through no reference.
        unsafe {
            ptr::with_exposed_provenance::<u32>(*address as usize).read_volatile() != cortex_m_rt::STACK_PAINT_VALUE
        }
    });
    (top - used.unwrap_or(top), top - bottom)
}

/// Starts the image whose vector table is at this offset of the flash, within the area `active`.
///
/// Returns if there is none: its stack is not in RAM, or its first instruction not in that area.
pub fn start_image(core: &mut cortex_m::Peripherals, offset: u32) {
    const ACTIVE: core::ops::Range<u32> = MAP.range("active");
    const TABLE_ALIGN: u32 = 0x400;
    if !ACTIVE.contains(&offset) || !offset.is_multiple_of(TABLE_ALIGN) {
        return;
    }
    let table = MAP.base + offset;
    let (stack, entry) = (flash_word(offset), flash_word(offset + 4));
    let code = table..MAP.base + ACTIVE.end;
    if !(RAM.start < stack && stack <= RAM.end && stack.is_multiple_of(8) && code.contains(&entry)) {
        return;
    }
    // SAFETY: the table is aligned to its length, as VTOR wants it, and was looked at just now. What runs next is another program: nothing of this one
    // is used again, and no interrupt of it can come, as `crate::time::stop` was called (which `core` was needed for).
    unsafe {
        core.SCB.vtor.write(table);
        cortex_m::asm::bootload(ptr::with_exposed_provenance(table as usize));
    }
}

/// Polls all tasks that are ready, once.
#[cfg(feature = "executor")]
pub(crate) fn poll(executor: &'static embassy_executor::raw::Executor) {
    // SAFETY: called by `crate::executor::run` alone, from thread mode, which owns the executor: never from within a task or the
    // pender.
    unsafe { executor.poll() }
}

/// What the executor calls when a task is woken, by interrupts too.
#[cfg(feature = "executor")]
// SAFETY: the name and signature that embassy-executor asks for; no other function of the program has this name.
#[unsafe(export_name = "__pender")]
fn pender(_context: *mut ()) {
    crate::executor::woken();
}

//! A heap, as the model reads whole slots into memory. Depends on the board's map.
#![expect(
    unsafe_code,
    reason = "the only file of this program that has it: an allocator has to be told which memory is its own"
)]

use board::map::HEAP as MEMORY;
use embedded_alloc::LlffHeap;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// Makes the heap. To be called once, before anything is allocated.
pub fn start(_once: crate::Started) {
    let (start, len) = (MEMORY.start as usize, (MEMORY.end - MEMORY.start) as usize);
    // SAFETY: RAM of the board behind all that the linker knows of (`map::RAM`), used by nothing else. There is one `Started`, which
    // this takes.
    unsafe { HEAP.init(start, len) }
}

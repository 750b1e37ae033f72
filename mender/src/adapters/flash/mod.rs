//! The chip's flash, for storage and modules. Feature `flash`.
//!
//! - [`FlashMap`]: where everything is, in one constant; a map that cannot work does not compile.
//! - [`SharedFlash`]: a driver that blocks, as parts that do not: what client and modules take.
//! - [`SharedAsyncFlash`]: the same for drivers that are async themselves.
//!
//! ```
//! use mender::adapters::flash::{FlashMap, PartitionError, SharedFlash, area};
//! use mender::storage::{FlashRange, FlashSetupError, FlashStorage};
//! # use embedded_storage::nor_flash::NorFlash;
//!
//! /// nRF52840: 1 MiB in pages of 4 KiB, written in words.
//! const MAP: FlashMap<4> = FlashMap {
//!     base: 0,
//!     len: 0x10_0000,
//!     erase_len: 4096,
//!     write_len: 4,
//!     areas: [
//!         area("bootloader", 0x0_0000..0x0_c000),
//!         area("slot0", 0x0_c000..0x8_2000),
//!         area("slot1", 0x8_2000..0xf_8000),
//!         area("records", 0xf_8000..0xf_a000),
//!     ],
//! }
//! .checked();
//!
//! fn parts<F: NorFlash>(flash: &SharedFlash<F>) -> Result<(), PartitionError> {
//!     let slot0 = flash.partition(const { MAP.range("slot0") })?;
//!     let slot1 = flash.partition(const { MAP.range("slot1") })?;
//!     let records = flash.partition(const { MAP.range("records") })?;
//!     // A range that does not fit the chip's pages does not compile.
//!     let range = const { FlashRange::new(0..MAP.len_of("records")) };
//!     let storage = FlashStorage::new(records, range);
//! #   let _ = (slot0, slot1, storage);
//!     Ok(())
//! }
//! ```
//!
//! # Chips
//!
//! | HAL | driver | give it to | traps |
//! |---|---|---|---|
//! | embassy-nrf | `nvmc::Nvmc::new(p.NVMC)`, nRF91 and nRF53 too | `SharedFlash` | the CPU stands still while a page is erased: 85 ms |
//! | embassy-nrf, external | `qspi::Qspi` | `SharedFlash` | pages of 4 KiB; the bootloader must know the chip |
//! | embassy-stm32 | `flash::Flash::new_blocking(p.FLASH)`, sectors of one size | `SharedFlash` | erased in the other bank, code runs on; in its own the CPU waits: up to 2 s for 128 KiB |
//! | embassy-stm32, sectors of several sizes (F2, F4, F7) | `.into_blocking_regions()`, each a driver of its own from its offset 0 | a `SharedFlash` each | the whole `Flash` says that it erases its largest sector |
//! | embassy-rp | `flash::Flash::<_, _, SIZE>::new_blocking(p.FLASH)` | `SharedFlash` | interrupts are off meanwhile, and the other core must not run from flash |
//! | esp-storage 0.8, 0.9 | `FlashStorage::new(peripherals.FLASH)` | `SharedFlash` | offsets are those of the chip; `esp-bootloader-esp-idf` reads the partition table |
//! | sequential chips by SPI (`w25q32jv`, `embassy-embedded-hal`) | their async `NorFlash` | `SharedAsyncFlash` | |
//!
//! # The bootloader has the same map
//!
//! MCUboot and embassy-boot are built apart from the firmware, and both must agree on each number. Keep the map in a file of its own,
//! `src/map.rs`, with nothing but the constant in it, and let `build.rs` make the linker script out of it:
//!
//! ```
//! // build.rs, with `mender` (feature `flash`) among the build-dependencies
//! mod map {
//!     // #[path = "src/map.rs"] mod map;
//! #   use mender::adapters::flash::{FlashMap, area};
//! #   pub const MAP: FlashMap<1> = FlashMap {
//! #       base: 0, len: 0x10_0000, erase_len: 4096, write_len: 4,
//! #       areas: [area("slot0", 0xc000..0x8_2000)],
//! #   }.checked();
//! }
//!
//! fn main() {
//!     // Behind MCUboot's header of 512 bytes; RAM of 256 KiB.
//!     let script = map::MAP.memory_x("slot0", 0x200, 0x2000_0000..0x2004_0000).to_string();
//!     assert!(script.contains("FLASH : ORIGIN = 0x0000c200, LENGTH = 0x00075e00"));
//!     // std::fs::write(Path::new(&env::var("OUT_DIR")?).join("memory.x"), script)?;
//! }
//! ```
//!
//! The script has `__bootloader_NAME_start` and `__bootloader_NAME_end` for each area: with areas named `active`, `dfu` and `state` it is what
//! embassy-boot's `from_linkerfile` reads, in the bootloader as in the firmware. Reading linker symbols the other way round, in
//! the firmware, takes `unsafe`; a constant does not, and can be checked. For Zephyr's MCUboot the numbers go into the partitions of
//! its devicetree (`slot0_partition`, `slot1_partition`), by hand.

mod map;
mod partition;
mod shared;
mod shared_async;

pub use map::{Area, FlashMap, MemoryX, area};
pub use partition::{PartitionError, PartitionFault};
pub use shared::{Partition, SharedFlash};
pub use shared_async::{AsyncPartition, SharedAsyncFlash};

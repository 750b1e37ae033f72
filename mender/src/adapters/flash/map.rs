//! Where everything is in the flash, checked by the compiler. Depends on nothing but the traits of embedded-storage-async.

use core::fmt;
use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;

use crate::text::same;

/// A named part of a [`FlashMap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// What it is for; each name once.
    pub name: &'static str,
    /// Offsets in the flash, in bytes.
    pub range: Range<u32>,
}

/// A named part of a [`FlashMap`].
pub const fn area(name: &'static str, range: Range<u32>) -> Area {
    Area { name, range }
}

/// What is where in a flash: the one place that says so, for the firmware, its linker script and its bootloader. See the [module
/// documentation](super).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlashMap<const N: usize> {
    /// Where the flash begins in the processor's memory: 0x0800_0000 on STM32, 0x1000_0000 on RP2040 and RP2350, 0 on nRF. For linker
    /// scripts; all else are offsets.
    pub base: u32,
    /// Length of the flash.
    pub len: u32,
    /// What it erases at once.
    pub erase_len: u32,
    /// What it writes at once.
    pub write_len: u32,
    /// Its parts, in any order; gaps are free.
    pub areas: [Area; N],
}

impl<const N: usize> FlashMap<N> {
    /// The map itself if it can work: areas are whole pages, are in the flash, have names of their own and do not overlap.
    ///
    /// # Panics
    ///
    /// If it cannot; in a constant that is a compile error, which names the areas.
    #[must_use]
    pub const fn checked(self) -> FlashMap<N> {
        if self.erase_len == 0 || self.write_len == 0 || !self.erase_len.is_multiple_of(self.write_len) {
            panic!("the flash map's erase_len must be a multiple of its write_len, and neither is 0");
        }
        if !self.len.is_multiple_of(self.erase_len) || self.base.checked_add(self.len).is_none() {
            panic!("the flash map's len must be a multiple of its erase_len, and end below 4 GiB");
        }
        let mut at = 0;
        while at < N {
            let Area { name, range } = &self.areas[at];
            if range.start >= range.end {
                Message::new("the flash area `")
                    .push(name)
                    .push("` ends before it begins")
                    .fail();
            }
            if range.end > self.len {
                Message::new("the flash area `")
                    .push(name)
                    .push("` reaches beyond the end of the flash")
                    .fail();
            }
            if !range.start.is_multiple_of(self.erase_len) || !range.end.is_multiple_of(self.erase_len) {
                Message::new("the flash area `")
                    .push(name)
                    .push("` does not begin and end at multiples of erase_len")
                    .fail();
            }
            let mut other = 0;
            while other < at {
                let before = &self.areas[other];
                if same(name, before.name) {
                    Message::new("the flash map has two areas `")
                        .push(name)
                        .push("`")
                        .fail();
                }
                if range.start < before.range.end && before.range.start < range.end {
                    Message::new("the flash areas `")
                        .push(before.name)
                        .push("` and `")
                        .push(name)
                        .push("` overlap")
                        .fail();
                }
                other += 1;
            }
            at += 1;
        }
        self
    }

    /// The map itself if a driver for `F` erases and writes in units that go into those of the map.
    ///
    /// # Panics
    ///
    /// If it does not; in a constant that is a compile error.
    #[must_use]
    pub const fn for_flash<F: NorFlash>(self) -> FlashMap<N> {
        if !(self.erase_len as usize).is_multiple_of(F::ERASE_SIZE) {
            panic!("the flash driver erases more at once than the flash map's erase_len, or no part of it");
        }
        if !(self.write_len as usize).is_multiple_of(F::WRITE_SIZE) {
            panic!("the flash driver writes more at once than the flash map's write_len, or no part of it");
        }
        self
    }

    /// Where an area is. To be called in a constant.
    ///
    /// # Panics
    ///
    /// If there is none of this name; in a constant that is a compile error.
    pub const fn range(&self, name: &str) -> Range<u32> {
        let mut at = 0;
        while at < N {
            let area = &self.areas[at];
            if same(area.name, name) {
                return area.range.start..area.range.end;
            }
            at += 1;
        }
        Message::new("the flash map has no area `").push(name).push("`").fail()
    }

    /// Length of an area. To be called in a constant.
    ///
    /// # Panics
    ///
    /// As [`range`](FlashMap::range).
    pub const fn len_of(&self, name: &str) -> u32 {
        let range = self.range(name);
        range.end - range.start
    }

    /// A `memory.x` for firmware that runs from the area `name`, behind a header of `header_len` bytes (MCUboot's, else 0), with this
    /// RAM. For `build.rs`; see the [module documentation](super).
    ///
    /// # Panics
    ///
    /// As [`range`](FlashMap::range), and if the area has no room behind the header, or `ram` ends before it begins.
    pub const fn memory_x(&self, name: &str, header_len: u32, ram: Range<u32>) -> MemoryX<'_, N> {
        let mut code = self.range(name);
        if header_len >= code.end - code.start {
            Message::new("the flash area `")
                .push(name)
                .push("` has no room behind the header")
                .fail();
        }
        if ram.start > ram.end {
            panic!("the RAM ends before it begins");
        }
        code.start += header_len;
        MemoryX { map: self, code, ram }
    }
}

/// A linker script: see [`FlashMap::memory_x`].
#[derive(Clone, Debug)]
pub struct MemoryX<'m, const N: usize> {
    map: &'m FlashMap<N>,
    code: Range<u32>,
    ram: Range<u32>,
}

impl<const N: usize> fmt::Display for MemoryX<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, ram) = (&self.code, &self.ram);
        writeln!(f, "MEMORY")?;
        writeln!(f, "{{")?;
        let line = |f: &mut fmt::Formatter<'_>, name, start, len| {
            writeln!(f, "    {name} : ORIGIN = {start:#010x}, LENGTH = {len:#010x}")
        };
        line(f, "FLASH", self.map.base + code.start, code.end - code.start)?;
        line(f, "RAM", ram.start, ram.end - ram.start)?;
        writeln!(f, "}}")?;
        for Area { name, range } in &self.map.areas {
            writeln!(f, "__bootloader_{name}_start = {:#010x};", range.start)?;
            writeln!(f, "__bootloader_{name}_end = {:#010x};", range.end)?;
        }
        Ok(())
    }
}

/// What the compiler is to say. Constants cannot format; they can copy.
struct Message {
    text: [u8; Message::ROOM],
    len: usize,
}

impl Message {
    const ROOM: usize = 160;

    const fn new(text: &str) -> Message {
        Message {
            text: [0; Message::ROOM],
            len: 0,
        }
        .push(text)
    }

    /// Longer ones lose their end.
    const fn push(mut self, text: &str) -> Message {
        let text = text.as_bytes();
        let mut at = 0;
        while at < text.len() && self.len < Message::ROOM {
            self.text[self.len] = text[at];
            self.len += 1;
            at += 1;
        }
        self
    }

    const fn fail(&self) -> ! {
        match core::str::from_utf8(self.text.split_at(self.len).0) {
            Ok(text) => panic!("{}", text),
            Err(_) => panic!("the flash map cannot work"),
        }
    }
}

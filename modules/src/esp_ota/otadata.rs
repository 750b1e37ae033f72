//! What ESP-IDF's bootloader reads in otadata: two entries, one in each of two sectors. Pure; depends on nothing of this module.
//!
//! ```text
//! offset  0     4            24      28    32
//!         │ seq │ label (20) │ state │ crc │      numbers are little-endian
//! ```
//!
//! The rules are those of `bootloader_common_loader.c` and `bootloader_utility.c` in ESP-IDF: see the documentation of the parent
//! module, "What the bootloader does".

/// Length of an entry.
pub(super) const ENTRY_LEN: usize = 32;
/// Where its words are that nobody but [`boot_guard`](super::boot_guard) reads, and where they end.
pub(super) const LABEL: u32 = 4;
pub(super) const LABEL_END: u32 = 24;
/// Where the last word is: an entry counts from its write on, until it is made zero.
pub(super) const CRC: u32 = 28;
/// From one entry to the other.
pub(super) const SECTOR: u32 = 4096;

/// Where an entry begins.
pub(super) const fn sector(index: usize) -> u32 {
    if index == 0 { 0 } else { SECTOR }
}

/// The sequence number of an entry that is none.
const EMPTY: u32 = u32::MAX;

/// One of the two partitions for apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// `ota_0`.
    Ota0,
    /// `ota_1`.
    Ota1,
}

impl Slot {
    /// By the subtype in the partition table, of `app` partitions: 0x10 or 0x11. `None`: a factory app, a test app, or a third slot.
    pub const fn of_subtype(subtype: u8) -> Option<Slot> {
        match subtype {
            0x10 => Some(Slot::Ota0),
            0x11 => Some(Slot::Ota1),
            _ => None,
        }
    }

    /// The other one.
    pub const fn other(self) -> Slot {
        match self {
            Slot::Ota0 => Slot::Ota1,
            Slot::Ota1 => Slot::Ota0,
        }
    }
}

/// `esp_ota_img_states_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Was requested, and no boot has seen it yet.
    New,
    /// A bootloader with rollback has started it; the next boot makes it `Aborted`.
    Pending,
    /// Was confirmed.
    Valid,
    /// Was given up by the app.
    Invalid,
    /// Was given up by the bootloader.
    Aborted,
    /// Any other: the bootloader takes the entry as it takes a valid one. 0xffff_ffff is ESP-IDF's "undefined".
    Other(u32),
}

impl State {
    const fn of(number: u32) -> State {
        match number {
            0 => State::New,
            1 => State::Pending,
            2 => State::Valid,
            3 => State::Invalid,
            4 => State::Aborted,
            other => State::Other(other),
        }
    }

    /// As it is in flash.
    pub(super) const fn number(self) -> u32 {
        match self {
            State::New => 0,
            State::Pending => 1,
            State::Valid => 2,
            State::Invalid => 3,
            State::Aborted => 4,
            State::Other(number) => number,
        }
    }

    /// Nobody has confirmed it yet.
    pub(super) const fn is_unconfirmed(self) -> bool {
        match self {
            State::New | State::Pending => true,
            State::Valid | State::Invalid | State::Aborted | State::Other(_) => false,
        }
    }
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry with the higher one counts; odd for `ota_0`, even for `ota_1`.
    pub seq: u32,
    /// How far the update is.
    pub state: State,
    /// Whether the checksum, which is of `seq` only, is right.
    pub crc_is_right: bool,
}

impl Entry {
    /// Of its 32 bytes.
    pub fn read(bytes: &[u8; 32]) -> Entry {
        let word = |at: usize| {
            let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk);
            bytes.map_or(EMPTY, |bytes| u32::from_le_bytes(*bytes))
        };
        let seq = word(0);
        Entry {
            seq,
            state: State::of(word(24)),
            crc_is_right: seq != EMPTY && word(28) == crc(seq),
        }
    }

    /// The 32 bytes of an entry with a right checksum, and a state of this number.
    pub(super) fn write(seq: u32, state: u32, bytes: &mut [u8]) {
        let words = [seq, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, state, crc(seq)];
        for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
    }

    /// Whether the bootloader takes it: `bootloader_common_ota_select_valid`.
    pub fn is_valid(&self) -> bool {
        self.crc_is_right
            && match self.state {
                State::Invalid | State::Aborted => false,
                State::New | State::Pending | State::Valid | State::Other(_) => true,
            }
    }

    /// The slot that it is of.
    pub fn slot(&self) -> Slot {
        if self.seq % 2 == 1 { Slot::Ota0 } else { Slot::Ota1 }
    }
}

/// `esp_rom_crc32_le(UINT32_MAX, seq)`: zlib's, begun with zeros.
pub(super) fn crc(seq: u32) -> u32 {
    let mut crc = seq;
    for _ in 0..u32::BITS {
        crc = (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
    }
    !crc
}

/// Both entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entries(pub(super) [Entry; 2]);

/// One of the entries, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen<'e> {
    pub(super) index: usize,
    pub(super) entry: &'e Entry,
}

impl Entries {
    /// Of new flash.
    pub(super) const NONE: Entries = Entries(
        [Entry {
            seq: EMPTY,
            state: State::Other(EMPTY),
            crc_is_right: false,
        }; 2],
    );

    /// The entry that the bootloader follows: of two valid ones that with the higher number.
    pub(super) fn selected(&self) -> Option<Chosen<'_>> {
        self.best(None)
    }

    /// The valid entry of a slot.
    pub(super) fn of(&self, slot: Slot) -> Option<Chosen<'_>> {
        self.best(Some(slot))
    }

    #[inline(never)]
    fn best(&self, of: Option<Slot>) -> Option<Chosen<'_>> {
        let mut best: Option<Chosen<'_>> = None;
        for (index, entry) in self.0.iter().enumerate() {
            let is_higher = best.is_none_or(|best| entry.seq > best.entry.seq);
            if is_higher && entry.is_valid() && of.is_none_or(|slot| slot == entry.slot()) {
                best = Some(Chosen { index, entry });
            }
        }
        best
    }

    /// The next number of this slot, above all with a right checksum. At the end of all numbers, which no flash lives to see, it
    /// begins anew, and the entry is then not selected.
    pub(super) fn next_seq(&self, slot: Slot) -> u32 {
        let [first, second] = self.0;
        let number = |entry: Entry| if entry.crc_is_right { entry.seq } else { 0 };
        let next = number(first).max(number(second)).wrapping_add(1);
        let is_of_slot = (next % 2 == 1) == (slot == Slot::Ota0);
        next.wrapping_add(u32::from(!is_of_slot))
    }

    /// The entry that is to be given up first: one that is not valid, else the one with the lower number.
    pub(super) fn spare(&self) -> usize {
        match self.selected() {
            Some(Chosen { index, .. }) => 1 - index,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_bootloader() {
        assert_eq!([1, 2, 0].map(crc), [0x4743_989a, 0x55f6_3774, 0xffff_ffff]);
        // An entry whose checksum was made zero is none: no number has this checksum but one that no device comes to.
        assert!((0..1_000_000).all(|seq| crc(seq) != 0));
    }

    #[test]
    fn an_entry_reads_back() {
        for state in [
            State::New,
            State::Pending,
            State::Valid,
            State::Invalid,
            State::Aborted,
            State::Other(5),
        ] {
            let mut bytes = [0; ENTRY_LEN];
            Entry::write(7, state.number(), &mut bytes);
            let entry = Entry::read(&bytes);
            assert_eq!((entry.seq, entry.state, entry.crc_is_right), (7, state, true));
        }
        let empty = Entry::read(&[0xff; ENTRY_LEN]);
        assert!(!empty.crc_is_right && !empty.is_valid());
    }

    #[test]
    fn numbers_go_up_and_belong_to_the_slot() {
        let entry = |seq| {
            let mut bytes = [0; ENTRY_LEN];
            Entry::write(seq, State::Valid.number(), &mut bytes);
            Entry::read(&bytes)
        };
        let empty = Entry::read(&[0xff; ENTRY_LEN]);
        for (entries, ota_0, ota_1) in [
            (Entries([empty, empty]), 1, 2),
            (Entries([entry(1), empty]), 3, 2),
            (Entries([entry(4), entry(3)]), 5, 6),
        ] {
            assert_eq!(
                (entries.next_seq(Slot::Ota0), entries.next_seq(Slot::Ota1)),
                (ota_0, ota_1)
            );
        }
    }
}

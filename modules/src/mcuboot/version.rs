//! The version in an image's header. Depends on [`mender::text`] only.

use core::fmt;

use mender::text::{Describe, Text, display};

/// The version in an image's header; compared from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u8,
    /// Second number.
    pub minor: u8,
    /// Third number.
    pub revision: u16,
    /// The number after `+`.
    pub build: u32,
}

impl Version {
    /// The version of a header, where it is two words.
    pub(super) const fn new(word: u32, build: u32) -> Version {
        let [major, minor, low, high] = word.to_le_bytes();
        Version {
            major,
            minor,
            revision: u16::from_le_bytes([low, high]),
            build,
        }
    }

    /// The first of these words.
    pub(super) const fn word(&self) -> u32 {
        let [low, high] = self.revision.to_le_bytes();
        u32::from_le_bytes([self.major, self.minor, low, high])
    }

    /// The version as a bootloader compares it in direct-xip: with its build number only if it was built so, see
    /// [`comparing_build_numbers`](super::ZephyrImage::comparing_build_numbers).
    #[must_use]
    pub const fn compared(self, with_build_number: bool) -> Version {
        if with_build_number {
            self
        } else {
            Version { build: 0, ..self }
        }
    }
}

impl Describe for Version {
    fn describe(&self, out: &mut Text<'_>) {
        out.number(self.major.into());
        for (mark, number) in [(".", self.minor.into()), (".", self.revision.into()), ("+", self.build)] {
            out.push(mark);
            out.number(number);
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self, f)
    }
}

//! Which of the two slots. Depends on nothing.

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Slot 0; direct-xip: the one that the firmware runs from.
    Primary,
    Secondary,
}

impl Slot {
    pub(super) const fn number(self) -> u8 {
        match self {
            Slot::Primary => 0,
            Slot::Secondary => 1,
        }
    }
}

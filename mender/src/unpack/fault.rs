//! Why compressed data are refused.

/// Why compressed data are refused, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// Not compressed in this way, or damaged.
    Malformed,
    /// The data refer to others that are further back than the window is long.
    Window {
        /// The length in bytes that it takes, at least: gzip does not tell that before.
        needed: u32,
    },
    /// Checksum or length at the end are others than those of the data.
    Checksum,
    /// The data end early.
    Truncated,
    /// Something follows the end.
    Trailing,
}

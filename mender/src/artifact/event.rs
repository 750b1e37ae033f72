//! What the parser tells its caller.

/// What [`Parser::feed`](super::Parser::feed) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'i> {
    /// All of the input was consumed, and nothing is to be reported. Feed more; at the end of the stream call
    /// [`Parser::finish`](super::Parser::finish).
    NeedInput,
    /// The header is complete and verified: [`Parser::header`](super::Parser::header) has it. Comes exactly once, before any
    /// file, and only if `data/0000.tar` follows or may be missing. Time to check whether the artifact fits.
    Header,
    /// A payload file begins; [`Parser::file_name`](super::Parser::file_name) has its name.
    File {
        /// Length of the file in bytes.
        len: u64,
    },
    /// Data of the file that began last. Never empty.
    Data(&'i [u8]),
    /// The file has ended, and its SHA-256 is the one in the manifest.
    FileEnd,
}

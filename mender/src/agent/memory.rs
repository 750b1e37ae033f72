//! The lent memory: who uses which bytes when.
//!
//! ```text
//!              at rest, and in pauses                      while an artifact comes
//!            +-----------------------------+             +-----------------------------+
//!  token     | the token, from a login on                                              |
//!            +-----------------------------+             +-----------------------------+
//!  link      | a redirected API request's URL            | the download link            |
//!            +-----------------------------+             +-----------------------------+
//!  window    | a piece of a request, then of its response                              |
//!            +-----------------------------+             +-----------------------------+
//!  artifact  | installed provides          |  front      | installed provides          |  front
//!            | log or inventory to be sent |             | the artifact's header       |  (the parser's)
//!            | an offered artifact's name  |  (spare)    | inventory to be sent        |  spare
//!            +-----------------------------+             +-----------------------------+
//!  block     | a record on its way to or   |             | a piece of the artifact that|
//!            | from storage                |             | is being received           |
//!            +-----------------------------+             +-----------------------------+
//!  block     | (unused)                    |             | the module's piece          |
//!            +-----------------------------+             +-----------------------------+
//! ```
//!
//! A [`Memory`] is one of the two columns: whoever has it can reach what belongs to it, and nothing else. The driver makes the right
//! one while an artifact comes, when the parser owns its part and the module one of the blocks.

use crate::deployment::record::InstalledRecord;
use crate::net::Url;
use crate::provides::Provides;
use crate::text::utf8;

/// What the agent may use now.
#[derive(Debug)]
pub(crate) struct Memory<'m> {
    pub(crate) token: &'m mut [u8],
    pub(crate) link: &'m mut [u8],
    /// Length of the URL at the front of `link`, if there is one.
    pub(crate) link_len: usize,
    pub(crate) window: &'m mut [u8],
    /// The installed provides; at rest all that is behind them, too.
    pub(crate) front: &'m mut [u8],
    /// Length of the installed provides.
    pub(crate) installed_len: usize,
    /// While an artifact comes, what its header leaves.
    pub(crate) spare: &'m mut [u8],
    /// Empty while the module has both blocks.
    pub(crate) block: &'m mut [u8],
}

impl Memory<'_> {
    /// The provides of what runs, and memory that nobody uses now.
    #[inline(never)]
    pub(crate) fn split(&mut self) -> (Provides<'_>, &mut [u8]) {
        let (installed, behind) = self.front.split_at_mut_checked(self.installed_len).unwrap_or_default();
        let spare = if behind.is_empty() { &mut *self.spare } else { behind };
        (as_provides(installed), spare)
    }

    /// The URL in the link's memory.
    #[inline(never)]
    pub(crate) fn url(&self) -> Option<Url<'_>> {
        let link = self.link.get(..self.link_len)?;
        Url::parse(utf8(link)?).ok()
    }

    /// Memory that nobody uses now.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        self.split().1
    }

    /// The provides of what runs.
    #[inline(never)]
    pub(crate) fn installed(&self) -> Provides<'_> {
        as_provides(self.front.get(..self.installed_len).unwrap_or(&[]))
    }

    /// The record memory, and the provides of what runs.
    #[inline(never)]
    pub(crate) fn record(&mut self) -> (&mut [u8], Provides<'_>) {
        let installed = self.front.get(..self.installed_len).unwrap_or(&[]);
        (&mut *self.block, as_provides(installed))
    }

    /// What the installed record of `len` bytes in the block says is what runs. `false` if there is no room for it.
    #[inline(never)]
    pub(crate) fn adopt(&mut self, len: u16) -> bool {
        let provides = self.block.get(InstalledRecord::HEADER_LEN..usize::from(len));
        let provides = provides.unwrap_or(&[]);
        let Some(place) = self.front.get_mut(..provides.len()) else {
            return false;
        };
        place.copy_from_slice(provides);
        self.installed_len = provides.len();
        true
    }
}

/// Only lists that were checked are put there.
pub(crate) fn as_provides(bytes: &[u8]) -> Provides<'_> {
    Provides::from_bytes(bytes).unwrap_or_default()
}

//! The client's memory, lent by the user.

/// All buffers of a client: one `static`, 6,400 bytes with the default lengths. All lengths are in bytes.
///
/// | parameter | default | what it must hold |
/// |---|---|---|
/// | `TOKEN` | 1024 | the server's token: 0.9 KiB from the open-source server |
/// | `LINK` | 2048 | a download link; if that redirects, the address it redirects to beside it |
/// | `BLOCK` | 512 | network data, twice: one block is filled while a module writes the other; and the longest record: all provides of the device, its artifact name, and 110 bytes. At least 256 |
/// | `ARTIFACT` | 2048 | the device's provides, and an artifact's header: see [`Limits`](crate::artifact::Limits). An inventory report may take half of it |
///
/// What does not fit is refused by the name of the parameter. A device whose links or tokens are longer says, for example,
/// `Resources::<2048, 4096>::with_lengths()`.
#[derive(Debug)]
pub struct Resources<
    const TOKEN: usize = 1024,
    const LINK: usize = 2048,
    const BLOCK: usize = 512,
    const ARTIFACT: usize = 2048,
> {
    token: [u8; TOKEN],
    link: [u8; LINK],
    window: [u8; WINDOW],
    blocks: [[u8; BLOCK]; 2],
    artifact: [u8; ARTIFACT],
}

/// A request is sent, and the head of its response received, in pieces of this length.
const WINDOW: usize = 256;

impl Resources {
    /// Empty buffers of the default lengths. For those alone, so that no type need be written down.
    ///
    /// ```
    /// let mut resources = mender::client::Resources::new();
    /// ```
    pub const fn new() -> Resources {
        Resources::with_lengths()
    }
}

impl<const TOKEN: usize, const LINK: usize, const BLOCK: usize, const ARTIFACT: usize>
    Resources<TOKEN, LINK, BLOCK, ARTIFACT>
{
    /// The first bytes of a body come with the last of the head.
    const CHECKED: () = assert!(
        BLOCK >= WINDOW,
        "BLOCK of `mender::client::Resources` must be at least 256"
    );

    /// Empty buffers of the type's lengths.
    ///
    /// ```
    /// use mender::client::Resources;
    /// static RESOURCES: Resources<2048, 4096> = Resources::with_lengths();
    /// ```
    pub const fn with_lengths() -> Self {
        const { Self::CHECKED };
        Resources {
            token: [0; TOKEN],
            link: [0; LINK],
            window: [0; WINDOW],
            blocks: [[0; BLOCK]; 2],
            artifact: [0; ARTIFACT],
        }
    }

    pub(super) fn lend(&mut self) -> Lent<'_> {
        let [block, other_block] = &mut self.blocks;
        Lent {
            token: &mut self.token,
            link: &mut self.link,
            window: &mut self.window,
            block,
            other_block,
            artifact: &mut self.artifact,
        }
    }
}

impl<const TOKEN: usize, const LINK: usize, const BLOCK: usize, const ARTIFACT: usize> Default
    for Resources<TOKEN, LINK, BLOCK, ARTIFACT>
{
    fn default() -> Self {
        Resources::with_lengths()
    }
}

/// The buffers without their lengths in the type.
#[derive(Debug)]
pub(super) struct Lent<'r> {
    pub(super) token: &'r mut [u8],
    pub(super) link: &'r mut [u8],
    pub(super) window: &'r mut [u8],
    pub(super) block: &'r mut [u8],
    pub(super) other_block: &'r mut [u8],
    pub(super) artifact: &'r mut [u8],
}

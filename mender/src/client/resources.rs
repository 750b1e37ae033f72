//! The client's memory, lent by the user.

#[cfg(feature = "gzip")]
use crate::unpack::Unpacker;

/// All buffers of a client: one `static`, 6,400 bytes with the default lengths. All lengths are in bytes.
///
/// | parameter | default | what it must hold |
/// |---|---|---|
/// | `TOKEN` | 1024 | the server's token: 0.9 KiB from the open-source server |
/// | `LINK` | 2048 | a download link; if that redirects, the address it redirects to beside it |
/// | `BLOCK` | 512 | network data, twice: one block is filled while a module writes the other; and the longest record: all provides of the device, its artifact name, and 110 bytes. At least 256 |
/// | `ARTIFACT` | 2048 | the device's provides, and an artifact's header: see [`Limits`](crate::artifact::Limits). An inventory report may take half of it |
/// | `WINDOW` | 0 | with the feature `gzip`: what artifacts compressed with gzip are unpacked in. 32,768 takes all; one that was packed for a shorter window takes that, such as 4096 (`unpack`). 0: they are refused by name. The feature itself takes 1.1 KB more |
///
/// What does not fit is refused by the name of the parameter. A device whose links or tokens are longer says, for example,
/// `Resources::<2048, 4096>::with_lengths()`.
#[derive(Debug)]
pub struct Resources<
    const TOKEN: usize = 1024,
    const LINK: usize = 2048,
    const BLOCK: usize = 512,
    const ARTIFACT: usize = 2048,
    const WINDOW: usize = 0,
> {
    token: [u8; TOKEN],
    link: [u8; LINK],
    window: [u8; PIECE],
    blocks: [[u8; BLOCK]; 2],
    artifact: [u8; ARTIFACT],
    #[cfg(feature = "gzip")]
    unpacker: Unpacker<[u8; WINDOW]>,
}

/// A request is sent, and the head of its response received, in pieces of this length.
const PIECE: usize = 256;

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

impl<const TOKEN: usize, const LINK: usize, const BLOCK: usize, const ARTIFACT: usize, const WINDOW: usize>
    Resources<TOKEN, LINK, BLOCK, ARTIFACT, WINDOW>
{
    /// The first bytes of a body come with the last of the head.
    const CHECKED: () = assert!(
        BLOCK >= PIECE,
        "BLOCK of `mender::client::Resources` must be at least 256"
    );
    const UNPACKS: () = assert!(
        WINDOW == 0 || cfg!(feature = "gzip"),
        "WINDOW of `mender::client::Resources` is of no use without the feature `gzip` of `mender`"
    );

    /// Empty buffers of the type's lengths.
    ///
    /// ```
    /// use mender::client::Resources;
    /// static RESOURCES: Resources<2048, 4096> = Resources::with_lengths();
    /// ```
    pub const fn with_lengths() -> Self {
        const { Self::CHECKED };
        const { Self::UNPACKS };
        Resources {
            token: [0; TOKEN],
            link: [0; LINK],
            window: [0; PIECE],
            blocks: [[0; BLOCK]; 2],
            artifact: [0; ARTIFACT],
            #[cfg(feature = "gzip")]
            unpacker: Unpacker::new(),
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
            #[cfg(feature = "gzip")]
            unpacker: &mut self.unpacker,
        }
    }
}

impl<const TOKEN: usize, const LINK: usize, const BLOCK: usize, const ARTIFACT: usize, const WINDOW: usize> Default
    for Resources<TOKEN, LINK, BLOCK, ARTIFACT, WINDOW>
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
    #[cfg(feature = "gzip")]
    pub(super) unpacker: &'r mut Unpacker,
}

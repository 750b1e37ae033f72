//! The client's memory, lent by the user.

/// All buffers of a client: one `static`, about 10 KiB with the default lengths. All lengths are in bytes.
///
/// | parameter | default | what it must hold |
/// |---|---|---|
/// | `TOKEN` | 1536 | the server's token (0.9 KiB from the open-source server), and the authentication request: 450 bytes, identity and tenant token |
/// | `BODY` | 1024 | request bodies and paths: poll with all provides, inventory report, deployment log |
/// | `LINK` | 2048 | the server's answer to a poll, with the download link |
/// | `HEAD` | 768 | a response's head, twice: server and artifact host |
/// | `BLOCK` | 512 | network data, twice: one block is filled while a module writes the other |
/// | `ARTIFACT` | 1536 | the artifact's manifest and header: see [`crate::artifact`] |
/// | `RECORD` | 512 | all provides of the device and its artifact name, three times, plus 70 |
///
/// What does not fit is an error at run time that names the buffer.
#[derive(Debug)]
pub struct Resources<
    const TOKEN: usize = 1536,
    const BODY: usize = 1024,
    const LINK: usize = 2048,
    const HEAD: usize = 768,
    const BLOCK: usize = 512,
    const ARTIFACT: usize = 1536,
    const RECORD: usize = 512,
> {
    token: [u8; TOKEN],
    body: [u8; BODY],
    link: [u8; LINK],
    heads: [[u8; HEAD]; 2],
    blocks: [[u8; BLOCK]; 2],
    artifact: [u8; ARTIFACT],
    installed: [u8; RECORD],
    next: [u8; RECORD],
    scratch: [u8; RECORD],
}

impl<
    const TOKEN: usize,
    const BODY: usize,
    const LINK: usize,
    const HEAD: usize,
    const BLOCK: usize,
    const ARTIFACT: usize,
    const RECORD: usize,
> Resources<TOKEN, BODY, LINK, HEAD, BLOCK, ARTIFACT, RECORD>
{
    /// Empty buffers.
    pub const fn new() -> Self {
        Resources {
            token: [0; TOKEN],
            body: [0; BODY],
            link: [0; LINK],
            heads: [[0; HEAD]; 2],
            blocks: [[0; BLOCK]; 2],
            artifact: [0; ARTIFACT],
            installed: [0; RECORD],
            next: [0; RECORD],
            scratch: [0; RECORD],
        }
    }

    pub(super) fn lend(&mut self) -> Lent<'_> {
        let [head, download_head] = &mut self.heads;
        let [block_a, block_b] = &mut self.blocks;
        Lent {
            token: &mut self.token,
            body: &mut self.body,
            link: &mut self.link,
            head,
            download_head,
            block_a,
            block_b,
            artifact: &mut self.artifact,
            installed: &mut self.installed,
            next: &mut self.next,
            scratch: &mut self.scratch,
        }
    }
}

impl<
    const TOKEN: usize,
    const BODY: usize,
    const LINK: usize,
    const HEAD: usize,
    const BLOCK: usize,
    const ARTIFACT: usize,
    const RECORD: usize,
> Default for Resources<TOKEN, BODY, LINK, HEAD, BLOCK, ARTIFACT, RECORD>
{
    fn default() -> Self {
        Resources::new()
    }
}

/// The buffers without their lengths in the type.
#[derive(Debug)]
pub(super) struct Lent<'r> {
    pub(super) token: &'r mut [u8],
    pub(super) body: &'r mut [u8],
    pub(super) link: &'r mut [u8],
    pub(super) head: &'r mut [u8],
    pub(super) download_head: &'r mut [u8],
    pub(super) block_a: &'r mut [u8],
    pub(super) block_b: &'r mut [u8],
    pub(super) artifact: &'r mut [u8],
    pub(super) installed: &'r mut [u8],
    pub(super) next: &'r mut [u8],
    pub(super) scratch: &'r mut [u8],
}

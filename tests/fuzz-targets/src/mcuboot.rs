//! MCUboot slots with any contents: the module says what is there, and does what it is asked to or refuses; it never panics, always
//! comes to an end, and never touches the running image.

use mender::update_module::Payload;
use mender_modules::mcuboot::{
    DirectXip, Layout, Mode, Overwrite, Request, SwapMove, SwapOffset, SwapScratch, ZephyrImage,
};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

use crate::nor::Nor;

/// Bytes of a sector.
pub const SECTOR: usize = 256;
/// Bytes of slot 0; slot 1 has a sector more in swap using offset.
pub const SLOT: usize = 4 * SECTOR;

type Flash = Nor<8, SECTOR>;

/// The first byte chooses the mode and the option, the second one the calls; then come slot 0, slot 1, and an image to receive.
pub fn mcuboot(bytes: &[u8]) {
    let Some((&[kind, calls], rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    match kind % 5 {
        0 => run(SwapMove, SLOT, kind, calls, rest),
        1 => run(SwapOffset, SLOT + SECTOR, kind, calls, rest),
        2 => run(SwapScratch, SLOT, kind, calls, rest),
        3 => run(Overwrite, SLOT, kind, calls, rest),
        _ => run(DirectXip, SLOT, kind, calls, rest),
    }
}

fn run<M: Mode>(mode: M, secondary_len: usize, kind: u8, calls: u8, rest: &[u8]) {
    let layout = Layout {
        mode,
        primary_len: SLOT as u32,
        secondary_len: secondary_len as u32,
        sector_len: SECTOR as u32,
        write_len: 8,
        max_align: 8,
        max_img_sectors: (secondary_len / SECTOR) as u32,
    };
    let (slot0, rest) = rest.split_at(rest.len().min(SLOT));
    let (slot1, image) = rest.split_at(rest.len().min(secondary_len));
    let flashes = || {
        (
            Flash::new(SLOT / SECTOR, slot0),
            Flash::new(secondary_len / SECTOR, slot1),
        )
    };
    let module = |(primary, secondary)| {
        let module =
            ZephyrImage::<_, _, _, 64, M>::with_buffer(layout, primary, secondary, || ()).expect("the layout is right");
        if kind >= 128 {
            module.comparing_build_numbers().refusing_downgrades()
        } else {
            module
        }
    };
    let (old0, old1) = flashes();

    // To look changes nothing.
    let mut looked = module(flashes());
    let inspection = block_on(looked.inspect()).expect("the flash has no errors");
    assert!(!inspection.next.to_string().is_empty());
    let (primary, secondary) = looked.release();
    assert!(
        primary.bytes == old0.bytes && secondary.bytes == old1.bytes,
        "inspect writes"
    );

    // The same image, in pieces of any length.
    let download = |chunk_len| {
        let mut module = module(flashes());
        let mut source = MemoryPayload::new("zephyr-image", chunk_len).file("zephyr.signed.bin", image);
        let result = block_on(module.write_slot(&mut Payload::new(&mut source))).map_err(|error| error.to_string());
        let (primary, secondary) = module.release();
        (result, primary.bytes, secondary.bytes)
    };
    let downloaded = download(4096);
    assert!(downloaded == download(1 + usize::from(calls)), "the pieces matter");
    if downloaded.0.is_ok() {
        assert_ne!(downloaded.2, old1.bytes, "it says that it has written an image");
    }

    // The calls of a deployment, or a tool's, in any order.
    let mut called = module((
        Flash::new(SLOT / SECTOR, &downloaded.1),
        Flash::new(secondary_len / SECTOR, &downloaded.2),
    ));
    for call in [calls & 7, calls >> 3 & 7, calls >> 6] {
        let result = match call {
            0 => block_on(called.request_swap()),
            1 => block_on(called.check_swapped()),
            2 => block_on(called.confirm()),
            3 => block_on(called.request_revert()),
            4 => block_on(called.check_reverted()),
            5 => block_on(called.discard()),
            6 => block_on(called.request(if kind & 64 == 0 {
                Request::Test
            } else {
                Request::Permanent
            })),
            _ => block_on(called.confirm_running()),
        };
        if let Err(error) = result {
            assert!(!error.to_string().is_empty());
        }
        block_on(called.inspect()).expect("the flash has no errors");
    }
    let (primary, _) = called.release();
    let image_len = layout.max_image_len().min(SLOT as u32) as usize;
    assert_eq!(
        primary.bytes[..image_len],
        old0.bytes[..image_len],
        "the running image was written to"
    );
}

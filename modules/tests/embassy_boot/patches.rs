//! Patches in the place of images.

use mender::UpdateModule;
use mender::update_module::{CallbackState, Payload};
use mender_modules::delta::{Memory, TakingPatches};
use mender_modules::embassy_boot::{EmbassyBootImage, Error, ImageType};
use mender_testkit::delta::{self, Compression};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use proptest::prelude::*;

use crate::device::{Device, Module, PAGES, SECTOR, image};

const COMPRESSIONS: [Compression; 2] = [Compression::None, Compression::HEATSHRINK];

fn patch(old: &[u8], new: &[u8], compression: Compression) -> MemoryPayload {
    payload(&delta::meta_data(old, new), &delta::patch(old, new, compression))
}

fn payload(meta_data: &str, patch: &[u8]) -> MemoryPayload {
    MemoryPayload::new(EmbassyBootImage::PATCH_NAME, 100)
        .meta_data(meta_data)
        .file("app.patch", patch)
}

/// Downloads; the text of the failure.
fn download<const WRITE: usize>(device: &Device<WRITE>, mut source: MemoryPayload) -> Result<(), String> {
    let mut memory: Memory = Memory::new();
    let mut module = device.module().taking_patches(&mut memory);
    block_on(module.download(&mut Payload::new(&mut source))).map_err(|failure| failure.to_string())
}

fn nothing_happened<const WRITE: usize>(device: &Device<WRITE>) {
    assert_eq!(block_on(device.module().request_swap()), Err(Error::NotReceived));
    device.boots().unwrap();
    assert_eq!(device.runs(), Some(1));
    assert_eq!(device.flash.violations(), []);
}

/// A download that is refused before the first erase.
fn refused<const WRITE: usize>(device: &Device<WRITE>, source: MemoryPayload, text: &str) {
    let device = device.copy();
    device.flash.reset_counters();
    assert_eq!(download(&device, source), Err(text.to_string()));
    assert_eq!(device.flash.operations(), 0, "{text}");
    nothing_happened(&device);
}

fn as_the_whole_image<const WRITE: usize>() {
    for compression in COMPRESSIONS {
        let device = Device::<WRITE>::updated();
        let whole = device.copy();
        device.flash.reset_counters();
        download(&device, patch(&image(1), &image(2), compression)).unwrap();
        whole.download(&image(2)).unwrap();
        // A patch begins anew after a restart, so it leaves no marks.
        // They are in the sector of the record, in front of that.
        let dfu = whole.dfu().range().start as usize;
        let marks = dfu + (PAGES as usize - 1) * SECTOR..dfu + whole.record() as usize;
        let marked = &mut whole.flash.to_bytes()[marks.clone()];
        let written = marked
            .chunks(WRITE)
            .filter(|unit| unit.iter().any(|byte| *byte != 0xff));
        let written = if cfg!(feature = "resume") { written.count() } else { 0 };
        assert_eq!(written > 0, cfg!(feature = "resume"));
        let mut came = whole.flash.to_bytes();
        came[marks].fill(0xff);
        assert!(device.flash.to_bytes() == came, "the same bytes in flash");
        assert_eq!(device.flash.counters().erases, whole.flash.counters().erases);
        // The hash is one write, and each mark.
        let mark_len = WRITE.max(4);
        let marks = if written > 0 {
            1 + (written * WRITE - 32) / mark_len
        } else {
            0
        };
        let writes = device.flash.counters().writes + marks as u64;
        assert_eq!(whole.flash.counters().writes, writes);

        let mut memory: Memory = Memory::new();
        let mut module = device.module().taking_patches(&mut memory);
        block_on(module.call(CallbackState::Install)).unwrap();
        device.boots().unwrap();
        assert_eq!(device.runs(), Some(2));
        block_on(device.module().check_swapped()).unwrap();
        block_on(device.module().confirm()).unwrap();
    }
}

#[test]
fn a_patch_does_what_the_whole_image_does() {
    as_the_whole_image::<1>();
    as_the_whole_image::<4>();
    as_the_whole_image::<8>();
}

#[test]
fn another_old_image_or_no_meta_data_are_refused_before_anything_is_erased() {
    let device = Device::<4>::updated();
    let text = "the patch was made for another image than the one that runs";
    refused(&device, patch(&image(3), &image(2), Compression::None), text);
    let mut other = image(1);
    other[700] ^= 1;
    refused(&device, patch(&other, &image(2), Compression::HEATSHRINK), text);
    let meta_data = delta::meta_data(&image(1), &image(2));
    let len = format!("\"from_len\":{}", image(1).len());
    for wrong in [
        image(1).len() - 1,
        image(1).len() + 1,
        PAGES as usize * SECTOR + 1,
        u32::MAX as usize,
    ] {
        let meta_data = meta_data.replace(&len, &format!("\"from_len\":{wrong}"));
        refused(&device, payload(&meta_data, &[0]), text);
    }
    let text = "the meta-data lack one of from_len, from_sha256, to_len, to_sha256";
    for name in ["from_len", "from_sha256", "to_len", "to_sha256"] {
        refused(&device, payload(&meta_data.replace(name, "other"), &[0]), text);
    }
    refused(
        &device,
        payload(&delta::meta_data(&image(1), &[]), &[0]),
        "the image is empty: put a raw binary image into the artifact",
    );
    let room = device.record();
    let long = patch(&image(1), &vec![7; room as usize + 1], Compression::HEATSHRINK);
    let text = format!(
        "the image has {} bytes, but {room} fit: shrink it, or send it as raw binary",
        room + 1
    );
    refused(&device, long, &text);
}

/// Of a raw image the first bytes say nothing, so DFU has been erased by then; nothing of use was there.
#[test]
fn patches_that_are_damaged_leave_nothing_to_install() {
    let meta_data = delta::meta_data(&image(1), &image(2));
    let right = delta::patch(&image(1), &image(2), Compression::HEATSHRINK);
    let wide = Compression::Heatshrink {
        window_bits: 11,
        length_bits: 4,
    };
    for (patch, text) in [
        (
            vec![1, 0],
            "the patch is not of detools' type sequential with heatshrink or none",
        ),
        (
            right[..right.len() - 1].to_vec(),
            "the patch is cut short: make it again",
        ),
        (vec![], "the patch is cut short: make it again"),
        ([&right[..], &[0]].concat(), "the patch is malformed: make it again"),
        (
            delta::patch(&image(1), &image(2), wide),
            "the patch needs a longer window, of 2 to the power of 11",
        ),
        (
            delta::patch(&image(1), &image(3), Compression::None),
            "the patch makes an image of another length than the meta-data say",
        ),
        (
            delta::patch(&image(1), &vec![1; image(2).len()], Compression::None),
            "the patch made another image than the meta-data say",
        ),
    ] {
        let device = Device::<8>::updated();
        assert_eq!(download(&device, payload(&meta_data, &patch)), Err(text.to_string()));
        nothing_happened(&device);
    }
}

#[test]
fn the_module_takes_both_types() {
    let table = <TakingPatches<'static, Module<4>> as UpdateModule>::DESCRIPTOR;
    assert!(table.takes("embassy-boot-image") && table.takes("embassy-boot-image-delta"));
    let device = Device::<4>::updated();
    let whole = MemoryPayload::new("embassy-boot-image", 100).file("app.bin", image(2));
    download(&device, whole).unwrap();
    block_on(device.module().request_swap()).unwrap();
}

proptest! {
    /// However a patch is damaged: it is refused, or what it makes is right.
    #[test]
    fn damaged_patches(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3), compressed in any::<bool>()) {
        let device = Device::<4>::updated();
        let mut patch = delta::patch(&image(1), &image(2), COMPRESSIONS[usize::from(compressed)]);
        for (at, byte) in changes {
            let at = at.index(patch.len());
            patch[at] = byte;
        }
        match download(&device, payload(&delta::meta_data(&image(1), &image(2)), &patch)) {
            Ok(()) => {
                block_on(device.module().request_swap()).unwrap();
                device.boots().unwrap();
                prop_assert_eq!(device.runs(), Some(2));
            }
            Err(_) => nothing_happened(&device),
        }
    }
}

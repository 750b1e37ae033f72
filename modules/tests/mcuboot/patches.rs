//! Patches in the place of images: what follows from them is what follows from the whole image, and what does not fit is refused
//! before anything is erased.

use mender::UpdateModule;
use mender::update_module::{CallbackState, Payload};
use mender_modules::delta::Memory;
use mender_modules::mcuboot::{DirectXip, Overwrite, SwapMove, SwapOffset, SwapScratch, ZephyrImage};
use mender_testkit::bootloader::SwapType;
use mender_testkit::delta::{self, Compression};
use mender_testkit::image::{ImageBuilder, Version};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;
use proptest::prelude::*;

use crate::device::{Device, Small, TestMode, V1, V2, V3, image, without_marks};
use crate::golden;

/// Of which the patches here are made.
const COMPRESSIONS: [Compression; 2] = [Compression::None, Compression::HEATSHRINK];

/// The payload of an artifact with a patch.
fn patch(old: &[u8], new: &[u8], compression: Compression) -> MemoryPayload {
    payload(&delta::meta_data(old, new), &delta::patch(old, new, compression))
}

fn payload(meta_data: &str, patch: &[u8]) -> MemoryPayload {
    MemoryPayload::new("zephyr-image-delta", 100)
        .meta_data(meta_data)
        .file("app.patch", patch)
}

/// Downloads; the text of the failure.
fn download<const WRITE: usize, const SECTOR: usize, M: TestMode>(
    device: &Device<WRITE, SECTOR, M>,
    source: MemoryPayload,
) -> Result<(), String> {
    download_with(device, source, |module| module)
}

fn download_with<const WRITE: usize, const SECTOR: usize, M: TestMode>(
    device: &Device<WRITE, SECTOR, M>,
    mut source: MemoryPayload,
    set: impl Fn(crate::device::Module<WRITE, SECTOR, M>) -> crate::device::Module<WRITE, SECTOR, M>,
) -> Result<(), String> {
    let mut memory: Memory = Memory::new();
    let mut module = set(device.module()).taking_patches(&mut memory);
    block_on(module.download(&mut Payload::new(&mut source))).map_err(|failure| failure.to_string())
}

/// Nothing was installed, and version 1 still starts.
fn nothing_happened<const WRITE: usize, const SECTOR: usize, M: TestMode>(device: &Device<WRITE, SECTOR, M>) {
    assert!(block_on(device.module().request_swap()).is_err());
    block_on(device.module().discard()).unwrap();
    let boot = device.boots();
    assert_eq!((boot.ran, boot.swapped), (Some(V1), SwapType::None));
    assert_eq!(device.flash.violations(), []);
}

/// A download that is refused before the first erase.
fn refused(device: &Small, source: MemoryPayload, text: &str) {
    let device = device.copy();
    device.flash.reset_counters();
    assert_eq!(download(&device, source), Err(text.to_string()));
    assert_eq!(device.flash.operations(), 0, "{text}");
    nothing_happened(&device);
}

fn as_the_whole_image<const WRITE: usize, const SECTOR: usize, M: TestMode>() {
    for compression in COMPRESSIONS {
        let device = Device::<WRITE, SECTOR, M>::updated();
        let whole = device.copy();
        device.flash.reset_counters();
        let (old, new) = (image(V1), image(V2));
        let mut memory: Memory = Memory::new();
        let mut module = device.module().taking_patches(&mut memory);
        let mut source = patch(&old, &new, compression);
        block_on(module.download(&mut Payload::new(&mut source))).unwrap();
        let image = MemoryPayload::new("zephyr-image", 100).file("app.bin", new);
        download(&whole, image).unwrap();
        let (mut made, mut came) = (device.flash.to_bytes(), whole.flash.to_bytes());
        // A patch begins anew after a restart, so it leaves no marks.
        let (_, slot) = device.slots();
        let mut unmarked = made[slot.start as usize..slot.end as usize].to_vec();
        without_marks(&mut unmarked, SECTOR, WRITE);
        assert!(made[slot.start as usize..slot.end as usize] == unmarked);
        without_marks(&mut made, SECTOR, WRITE);
        without_marks(&mut came, SECTOR, WRITE);
        assert!(made == came, "the same bytes in flash");
        assert_eq!(device.flash.counters().erases, whole.flash.counters().erases);

        block_on(module.call(CallbackState::Install)).unwrap();
        assert_eq!(device.boots().ran, Some(V2));
        block_on(device.module().check_swapped()).unwrap();
        block_on(device.module().confirm()).unwrap();
        assert_eq!(device.boots().ran, Some(V2));
        assert_eq!(device.flash.violations(), []);
    }
}

#[test]
fn a_patch_does_what_the_whole_image_does() {
    as_the_whole_image::<1, 512, SwapMove>();
    as_the_whole_image::<8, 512, SwapOffset>();
    as_the_whole_image::<4, 512, SwapScratch>();
    as_the_whole_image::<4, 512, Overwrite>();
    as_the_whole_image::<8, 512, DirectXip>();
    as_the_whole_image::<32, 4096, SwapMove>();
}

/// Images of imgtool, a patch of detools.
#[test]
fn a_patch_of_detools() {
    let (old, new) = (golden::file("images/v1.0.0.bin"), golden::file("images/v1.1.0.bin"));
    let device = Device::<8, 4096>::blank();
    device.program(&old);
    assert!(device.boots().ran.is_some());
    let patch = golden::file("../delta/up-10-7.patch");
    download(&device, payload(&delta::meta_data(&old, &new), &patch)).unwrap();
    assert!(device.slot(1).starts_with(&new));
    block_on(device.module().request_swap()).unwrap();
    assert_eq!(device.boots().ran, Some(Version::new(1, 1, 0)));
}

#[test]
fn another_old_image_is_refused_before_anything_is_erased() {
    let device = Small::updated();
    let text = "the patch was made for another image than the one that runs";
    let (old, new) = (image(V3), image(V2));
    refused(&device, patch(&old, &new, Compression::None), text);
    // One bit of it.
    let mut other = image(V1);
    other[700] ^= 1;
    refused(&device, patch(&other, &new, Compression::HEATSHRINK), text);
    // Longer than the slot, and longer than any flash.
    let meta_data = delta::meta_data(&image(V1), &new);
    let len = format!("\"from_len\":{}", image(V1).len());
    for longer in [16 * 512 + 1, u32::MAX] {
        let meta_data = meta_data.replace(&len, &format!("\"from_len\":{longer}"));
        refused(&device, payload(&meta_data, &[0]), text);
    }
    // All of the slot can be meant.
    let slot = device.slot(0);
    download(&device, patch(&slot, &new, Compression::HEATSHRINK)).unwrap();
}

#[test]
fn meta_data_that_do_not_say_it_are_refused_before_anything_is_erased() {
    let device = Small::updated();
    let (old, new) = (image(V1), image(V2));
    let patch = delta::patch(&old, &new, Compression::None);
    let text = "the meta-data lack one of from_len, from_sha256, to_len, to_sha256";
    let whole = delta::meta_data(&old, &new);
    for name in ["from_len", "from_sha256", "to_len", "to_sha256"] {
        refused(&device, payload(&whole.replace(name, "other"), &patch), text);
    }
    refused(&device, payload("{}", &patch), text);
    let without = MemoryPayload::new("zephyr-image-delta", 100).file("app.patch", patch);
    refused(&device, without, text);
}

#[test]
fn patches_that_begin_wrong_are_refused_before_anything_is_erased() {
    let device = Small::updated();
    let (old, new) = (image(V1), image(V2));
    let meta_data = delta::meta_data(&old, &new);
    let kind = "the patch is not of detools' type sequential with heatshrink or none";
    refused(&device, payload(&meta_data, &[1, 0]), kind);
    refused(&device, payload(&meta_data, &[0x10, 0]), kind);
    let wide = Compression::Heatshrink {
        window_bits: 11,
        length_bits: 4,
    };
    let window = "the patch needs a longer window, of 2 to the power of 11";
    refused(&device, patch(&old, &new, wide), window);
    let length = "the patch makes an image of another length than the meta-data say";
    let short = delta::patch(&old, &new[..new.len() - 1], Compression::None);
    refused(&device, payload(&meta_data, &short), length);
    let cut = "the patch is cut short: make it again";
    let patch = delta::patch(&old, &new, Compression::None);
    for len in [0, 1, 3, 20, 36] {
        refused(&device, payload(&meta_data, &patch[..len]), cut);
    }
    let malformed = "the patch is malformed: make it again";
    refused(
        &device,
        payload(&meta_data, &[0, 0xff, 0xff, 0xff, 0xff, 0xff]),
        malformed,
    );
}

/// The checks of images are those of whole ones.
#[test]
fn what_is_made_is_checked_as_a_whole_image_before_anything_is_erased() {
    let device = Small::updated();
    let old = image(V1);
    let none = patch(&old, &[7; 900], Compression::HEATSHRINK);
    refused(&device, none, "not an MCUboot image: sign it with imgtool");
    let room = device.layout().max_image_len();
    let long = ImageBuilder::new(V2).image_len(room as usize + 1).build();
    let text = format!(
        "{} bytes, but {room} fit: sign without --pad, or shrink the image",
        room + 1
    );
    refused(&device, patch(&old, &long, Compression::HEATSHRINK), &text);

    let older = image(Version::new(0, 9, 0));
    device.flash.reset_counters();
    let downgrade = patch(&old, &older, Compression::HEATSHRINK);
    let text = download_with(&device, downgrade, |module| module.refusing_downgrades()).unwrap_err();
    assert_eq!(text, "1.0.0+0 runs, and the older 0.9.0+0 is refused");
    let same = patch(&old, &old, Compression::HEATSHRINK);
    let text = download_with(&device, same, |module| module.refusing_same_image()).unwrap_err();
    assert_eq!(text, "this very image runs already");
    assert_eq!(device.flash.operations(), 0);
    nothing_happened(&device);
}

#[test]
fn an_image_under_test_keeps_the_old_one() {
    let device = Small::updated();
    device.install(V2);
    assert_eq!(device.boots().ran, Some(V2));
    device.flash.reset_counters();
    let text = download(&device, patch(&image(V2), &image(V3), Compression::None)).unwrap_err();
    assert_eq!(
        text,
        "the running image is under test: confirm it, or restart to revert it"
    );
    assert_eq!(device.flash.operations(), 0);
}

#[test]
fn a_patch_that_ends_early_or_late_leaves_nothing_to_install() {
    let (old, new) = (image(V1), image(V2));
    let meta_data = delta::meta_data(&old, &new);
    for compression in COMPRESSIONS {
        let patch = delta::patch(&old, &new, compression);
        for len in [100, patch.len() / 2, patch.len() - 1] {
            let device = Small::updated();
            let text = download(&device, payload(&meta_data, &patch[..len])).unwrap_err();
            assert_eq!(text, "the patch is cut short: make it again");
            nothing_happened(&device);
        }
        let device = Small::updated();
        let text = download(&device, payload(&meta_data, &[&patch[..], &[0]].concat())).unwrap_err();
        assert_eq!(text, "the patch is malformed: make it again");
        nothing_happened(&device);
    }
}

/// An image that is right in itself, and still not the one that was promised.
#[test]
fn another_new_image_is_refused() {
    let (old, new, other) = (image(V1), image(V2), ImageBuilder::new(V3).body_len(1800).build());
    assert_eq!(new.len(), other.len());
    let device = Small::updated();
    let other = delta::patch(&old, &other, Compression::HEATSHRINK);
    let text = download(&device, payload(&delta::meta_data(&old, &new), &other)).unwrap_err();
    assert_eq!(text, "the patch made another image than the meta-data say");
    nothing_happened(&device);
    // Also where it runs already.
    let same = delta::patch(&old, &old, Compression::HEATSHRINK);
    let meta_data = delta::meta_data(&old, &old).replace("\"to_sha256\":\"", "\"to_sha256\":\"0000");
    let meta_data = meta_data.replace(&meta_data[meta_data.len() - 6..], "\"}");
    let text = download_with(&device, payload(&meta_data, &same), |module| {
        module.refusing_same_image()
    })
    .unwrap_err();
    assert_eq!(text, "the patch made another image than the meta-data say");
}

#[test]
fn files_are_counted_as_those_of_whole_images() {
    let device = Small::updated();
    let (old, new) = (image(V1), image(V2));
    let none = MemoryPayload::new("zephyr-image-delta", 100).meta_data(&delta::meta_data(&old, &new));
    refused(
        &device,
        none,
        "the payload has no file: put one signed image into the artifact",
    );
    let two = patch(&old, &new, Compression::None).file("another", [0]);
    let text = download(&device, two).unwrap_err();
    assert_eq!(text, "the payload has a second file: put one image into an artifact");
    nothing_happened(&device);
}

#[test]
fn the_module_takes_both_types_and_gives_itself_back() {
    type Taking = mender_modules::delta::TakingPatches<'static, crate::device::Module<8, 512>>;
    let table = <Taking as UpdateModule>::DESCRIPTOR;
    assert!(table.takes("zephyr-image") && table.takes("zephyr-image-delta") && !table.takes("zephyr"));
    assert!(table.requires_reboot && table.supports_rollback);
    let device = Small::updated();
    // Whole images whose meta-data say something else.
    let whole = MemoryPayload::new("zephyr-image", 100)
        .meta_data("{}")
        .file("app.bin", image(V2));
    download(&device, whole).unwrap();
    let mut memory: Memory<16, 1> = Memory::new();
    let mut module = device.module().taking_patches(&mut memory);
    block_on(module.module().request_swap()).unwrap();
    let mut module: ZephyrImage<_, _, _, 64, _> = module.into_module();
    block_on(module.discard()).unwrap();
    assert_eq!(device.boots().ran, Some(V1));
}

proptest! {
    /// However a patch is damaged: it is refused, or what it makes is right.
    #[test]
    fn damaged_patches(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3), compressed in any::<bool>()) {
        let device = Small::updated();
        let (old, new) = (image(V1), image(V2));
        let mut patch = delta::patch(&old, &new, COMPRESSIONS[usize::from(compressed)]);
        for (at, byte) in changes {
            let at = at.index(patch.len());
            patch[at] = byte;
        }
        match download(&device, payload(&delta::meta_data(&old, &new), &patch)) {
            Ok(()) => {
                prop_assert!(device.slot(1).starts_with(&new));
                block_on(device.module().request_swap()).unwrap();
                prop_assert_eq!(device.boots().ran, Some(V2));
            }
            Err(_) => nothing_happened(&device),
        }
    }
}

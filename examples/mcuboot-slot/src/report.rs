//! The state of both slots as JSON.

use mender_modules::mcuboot::{Content, Flag, HashKind, ImageFault, Inspection, Magic, NextBoot, SlotState, SwapInfo};
use mender_testkit::bootloader;
use serde_json::{Map, Value, json};

use crate::layout::{Layout, Mode};

/// Direct-xip: the image in slot 1 is the one that runs, or will.
pub fn runs_secondary(layout: &Layout, state: &Inspection) -> bool {
    let version = |content: &Content| {
        let version = content.version().filter(|_| content.may_boot())?;
        Some(version.compared(layout.compare_builds))
    };
    // Nothing is lower than any version.
    let newer = version(&state.secondary.at_start) > version(&state.primary.at_start);
    // An image that was chosen before runs until the next boot, even if that one reverts it.
    newer && state.secondary.magic == Magic::Good && state.secondary.copy_done != Flag::Unset
}

/// What the bootloader will do. `scratch_magic`: that of the scratch area's trailer, if there is such an area. While slot 0's
/// own trailer is being swapped the bootloader keeps its record there, and follows it before all else.
pub fn coming(state: &Inspection, scratch_magic: Option<bootloader::Magic>) -> NextBoot {
    match scratch_magic {
        Some(bootloader::Magic::Good) => NextBoot::Resume,
        Some(bootloader::Magic::Unset | bootloader::Magic::Bad) | None => state.next,
    }
}

pub fn state(layout: &Layout, state: &Inspection, scratch_magic: Option<bootloader::Magic>) -> Value {
    let coming = coming(state, scratch_magic);
    let mut fields = Map::new();
    fields.insert("slot0".into(), slot(layout.mode, &state.primary));
    fields.insert("slot1".into(), slot(layout.mode, &state.secondary));
    if let Some(magic) = scratch_magic {
        let word = match magic {
            bootloader::Magic::Good => "good",
            bootloader::Magic::Unset => "unset",
            bootloader::Magic::Bad => "bad",
        };
        fields.insert("scratch".into(), json!({ "magic": word }));
    }
    fields.insert("next_boot".into(), next(coming).into());
    fields.insert("next_boot_means".into(), coming.to_string().into());
    Value::Object(fields)
}

/// A magic that is bad may be good for a bootloader that was built with another `BOOT_MAX_ALIGN`: then the layout is wrong.
pub fn name_other_alignment(report: &mut Value, layout: &Layout, slots: &[Vec<u8>; 2]) {
    for (name, slot) in ["slot0", "slot1"].into_iter().zip(slots) {
        let other = [8, 16, 32]
            .into_iter()
            .find(|max_align| *max_align != layout.max_align && slot.ends_with(&bootloader::magic(*max_align)));
        if let Some(max_align) = other {
            report[name]["trailer"]["magic_is_of_max_align"] = max_align.into();
        }
    }
}

fn next(next: NextBoot) -> &'static str {
    match next {
        NextBoot::Unchanged => "unchanged",
        NextBoot::Resume => "resume",
        NextBoot::Test => "test",
        NextBoot::Permanent => "permanent",
        NextBoot::Revert => "revert",
        NextBoot::Overwrite => "overwrite",
        NextBoot::Refuse => "refuse",
        NextBoot::Secondary => "secondary",
        NextBoot::EraseAndSecondary => "erase-and-secondary",
        NextBoot::Nothing => "nothing",
    }
}

fn slot(mode: Mode, slot: &SlotState) -> Value {
    let mut fields = Map::new();
    fields.insert(
        "trailer".into(),
        json!({
            "magic": match slot.magic {
                Magic::Good => "good",
                Magic::Unset => "unset",
                Magic::Bad => "bad",
            },
            "image_ok": flag(slot.image_ok),
            "copy_done": flag(slot.copy_done),
            "swap_info": match slot.swap_info {
                SwapInfo::None => "none",
                SwapInfo::Test => "test",
                SwapInfo::Permanent => "permanent",
                SwapInfo::Revert => "revert",
            },
            "image_number": slot.image_number,
        }),
    );
    fields.insert("image".into(), content(&slot.at_start));
    if let (Mode::Offset, Some(above)) = (mode, &slot.at_second_sector) {
        fields.insert("image_at_second_sector".into(), content(above));
    }
    Value::Object(fields)
}

fn flag(flag: Flag) -> &'static str {
    match flag {
        Flag::Set => "set",
        Flag::Unset => "unset",
        Flag::Bad => "bad",
    }
}

fn content(content: &Content) -> Value {
    match content {
        Content::Empty => Value::Null,
        Content::Damaged { version, fault } => json!({
            "version": version.to_string(),
            "intact": false,
            "fault": fault.to_string(),
        }),
        Content::Unchecked { version } => json!({
            "version": version.to_string(),
            "intact": null,
            "fault": ImageFault::HashNotSupported.to_string(),
        }),
        Content::Intact(image) => {
            let hash = image.hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let name = match image.hash_kind {
                HashKind::Sha256 => "sha256",
                HashKind::Sha384 => "sha384_begins",
                HashKind::Sha512 => "sha512_begins",
            };
            json!({
                "version": image.version.to_string(),
                "intact": true,
                "length": image.len,
                name: hash,
            })
        }
    }
}

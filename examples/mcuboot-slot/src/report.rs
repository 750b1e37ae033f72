//! The state of both slots as JSON.

use mender_modules::mcuboot::{Content, Flag, Inspection, Magic, NextBoot, SlotState, SwapInfo};
use serde_json::{Map, Value, json};

use crate::layout::{Layout, Mode};

/// Direct-xip: the image in slot 1 is the one that runs, or will.
pub fn runs_secondary(state: &Inspection) -> bool {
    let newer = match (state.primary.at_start, state.secondary.at_start) {
        (Content::Intact(primary), Content::Intact(secondary)) => secondary.version > primary.version,
        (_, Content::Intact(_)) => true,
        (_, Content::Empty | Content::Damaged { .. }) => false,
    };
    // An image that was chosen before runs until the next boot, even if that one reverts it.
    newer && state.secondary.magic == Magic::Good && state.secondary.copy_done != Flag::Unset
}

pub fn state(layout: &Layout, state: &Inspection) -> Value {
    json!({
        "slot0": slot(layout.mode, &state.primary),
        "slot1": slot(layout.mode, &state.secondary),
        "next_boot": next(state.next),
        "next_boot_means": state.next.to_string(),
    })
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
        Content::Intact(image) => json!({
            "version": image.version.to_string(),
            "intact": true,
            "length": image.len,
            "sha256": image.hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        }),
    }
}

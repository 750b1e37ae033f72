//! Why a module refused a patch. Depends on the patch; the texts have the codes 400 to 449.

use mender::text::{Describe, Text};

use super::patch::Fault;
use crate::cause::{causes, displayed};

causes! {
    CAUSES:
    META_DATA = 400, "the meta-data lack one of from_len, from_sha256, to_len, to_sha256";
    OLD_IMAGE = 401, "the patch was made for another image than the one that runs";
    NOT_SUPPORTED = 402, "the patch is not of detools' type sequential with heatshrink or none";
    WINDOW = 403, "the patch needs a longer window, of 2 to the power of";
    LENGTH = 404, "the patch makes an image of another length than the meta-data say";
    MALFORMED = 405, "the patch is malformed: make it again";
    TRUNCATED = 406, "the patch is cut short: make it again";
    NEW_IMAGE = 407, "the patch made another image than the meta-data say";
}

/// Why a module refused a patch. Up to the images' hashes nothing was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The artifact's meta-data do not say what the patch was made for: see [`Expected`](super::Expected).
    MetaData,
    /// The image that runs is not the one that the patch was made for. Nothing was erased.
    OldImage,
    /// The patch itself.
    Patch(Fault),
    /// What was made of the old image does not have the hash that it should. Nothing was requested.
    NewImage,
}

impl Describe for Refusal {
    fn describe(&self, out: &mut Text<'_>) {
        let cause = match self {
            Refusal::MetaData => META_DATA,
            Refusal::OldImage => OLD_IMAGE,
            Refusal::Patch(Fault::NotSupported) => NOT_SUPPORTED,
            Refusal::Patch(Fault::Window { bits }) => {
                WINDOW.tell(out);
                out.push(" ");
                return out.number((*bits).into());
            }
            Refusal::Patch(Fault::Length) => LENGTH,
            Refusal::Patch(Fault::Malformed) => MALFORMED,
            Refusal::Patch(Fault::Truncated) => TRUNCATED,
            Refusal::NewImage => NEW_IMAGE,
        };
        cause.tell(out);
    }
}

displayed!(Refusal);

impl core::error::Error for Refusal {}

//! What an artifact says about itself, to read; whether it fits a device; and what the device provides afterwards.
//!
//! Rules: spec of the artifact format, sections 6 and 11.

use core::fmt;

use super::records::{Records, Tag};
use crate::provides::{ARTIFACT_GROUP, ARTIFACT_NAME, Provides, ProvidesBuf, SetError};
use crate::text::{self, Describe, Part, Text};

/// The verified header of an artifact. A view into the parser's work buffer; all strings have their JSON escapes
/// decoded, except [`meta_data`](Header::meta_data).
#[derive(Clone, Copy, Debug)]
pub struct Header<'p> {
    pub(super) records: Records<'p>,
    pub(super) meta_data: Option<&'p str>,
    pub(super) manifest_sha256: &'p [u8; 32],
    pub(super) signed: bool,
    pub(super) scripts: u16,
}

impl<'p> Header<'p> {
    /// `artifact_name`: the name of the release. Never empty.
    pub fn artifact_name(&self) -> &'p str {
        self.records.first(Tag::ArtifactName).unwrap_or("")
    }

    /// `artifact_group`, if the artifact provides one.
    pub fn artifact_group(&self) -> Option<&'p str> {
        self.records.first(Tag::ArtifactGroup)
    }

    /// The payload type, which selects the update module; `None` for an empty payload (a bootstrap artifact), which
    /// has no files and only changes the provides.
    pub fn payload_type(&self) -> Option<&'p str> {
        self.records.first(Tag::PayloadType)
    }

    /// The device types that the artifact is for; at least one.
    pub fn device_types(&self) -> Texts<'p> {
        Texts {
            records: self.records,
            tag: Tag::DeviceType,
        }
    }

    /// `artifact_depends` of header-info, without the device types, then of type-info. No key comes twice.
    pub fn depends(&self) -> Depends<'p> {
        Depends { records: self.records }
    }

    /// `artifact_provides` of type-info. Artifact name and group are not among them, unless the group is in type-info
    /// alone.
    pub fn provides(&self) -> Pairs<'p> {
        Pairs { records: self.records }
    }

    /// The patterns of `clears_artifact_provides`; `None` if the artifact has no such list, which is something else
    /// than an empty one (see [`update_provides`](Header::update_provides)).
    pub fn clears_provides(&self) -> Option<Texts<'p>> {
        self.records.first(Tag::Clears).map(|_| Texts {
            records: self.records,
            tag: Tag::ClearsPattern,
        })
    }

    /// The meta-data: JSON text of an object, syntax checked; `None` if the entry is missing or empty.
    pub fn meta_data(&self) -> Option<&'p str> {
        self.meta_data
    }

    /// Whether the artifact has a signature. It was verified if the parser has keys.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// Number of state scripts (at most 65535 are counted). They are covered by the header's checksum and otherwise
    /// skipped: a microcontroller has nothing that could run them.
    pub fn script_count(&self) -> u16 {
        self.scripts
    }

    /// SHA-256 of the manifest's bytes: what a signature is made over, and what identifies the content of header and
    /// files.
    pub fn manifest_sha256(&self) -> &'p [u8; 32] {
        self.manifest_sha256
    }

    /// Whether this artifact may be installed on a device of type `device_type` that provides `provides`.
    ///
    /// The device type must be one of the artifact's. Every other key of `artifact_depends` (`artifact_name` and
    /// `artifact_group` as well) must be provided, with one of the values; a key with an empty list of values is
    /// therefore never satisfied. (Spec of the artifact format, section 11.)
    ///
    /// # Errors
    ///
    /// The first [`Misfit`].
    pub fn check_fit(&self, device_type: &str, provides: Provides<'_>) -> Result<(), Misfit<'p>> {
        if !self.device_types().any(|accepted| accepted == device_type) {
            return Err(Misfit::DeviceType);
        }
        for depend in self.depends() {
            match provides.get(depend.key) {
                None => return Err(Misfit::NotProvided { key: depend.key }),
                Some(value) if !depend.accepts(value) => return Err(Misfit::OtherValue { key: depend.key }),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Changes the provides of a device into those it has once this artifact is committed.
    ///
    /// The rules of the Linux client (spec of the artifact format, section 11): what the patterns of
    /// `clears_artifact_provides` match is removed, then the artifact's provides are added. If there is no such list,
    /// everything is removed: without the list, an artifact that provides something counts as `["*"]`, and one that
    /// provides nothing clears everything as well. `artifact_name` is always the new one; `artifact_group` stays only
    /// if it was neither cleared nor provided anew.
    ///
    /// # Errors
    ///
    /// [`SetError`]; `provides` is then changed in part. Work on a copy.
    pub fn update_provides(&self, provides: &mut ProvidesBuf<'_>) -> Result<(), SetError> {
        match self.clears_provides() {
            Some(patterns) => {
                for pattern in patterns {
                    provides.clear(pattern);
                }
            }
            None => provides.clear("*"),
        }
        provides.set(ARTIFACT_NAME, self.artifact_name())?;
        if let Some(group) = self.artifact_group() {
            provides.set(ARTIFACT_GROUP, group)?;
        }
        for (key, value) in self.provides() {
            provides.set(key, value)?;
        }
        Ok(())
    }
}

/// Why an artifact may not be installed on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Misfit<'h> {
    /// The device's type is none of the artifact's.
    DeviceType,
    /// The artifact depends on something that the device does not provide.
    NotProvided {
        /// The key in `artifact_depends`.
        key: &'h str,
    },
    /// The artifact depends on another value than the one the device provides.
    OtherValue {
        /// The key in `artifact_depends`.
        key: &'h str,
    },
}

impl Misfit<'_> {
    /// The code of the cause: see [`CODES`](super::CODES).
    pub fn code(&self) -> u16 {
        match self {
            Misfit::DeviceType => 206,
            Misfit::NotProvided { .. } => 207,
            Misfit::OtherValue { .. } => 208,
        }
    }
}

impl Describe for Misfit<'_> {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            Misfit::DeviceType => out.message(self.code(), &[]),
            Misfit::NotProvided { key } | Misfit::OtherValue { key } => {
                out.message(self.code(), &[Part::Text(key)]);
            }
        }
    }
}

impl fmt::Display for Misfit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::display(self, f)
    }
}

impl core::error::Error for Misfit<'_> {}

/// Iterator over strings of a header.
#[derive(Clone, Debug)]
pub struct Texts<'p> {
    records: Records<'p>,
    tag: Tag,
}

impl<'p> Iterator for Texts<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        self.records.find(self.tag)
    }
}

/// Iterator over keys and values.
#[derive(Clone, Debug)]
pub struct Pairs<'p> {
    records: Records<'p>,
}

impl<'p> Iterator for Pairs<'p> {
    type Item = (&'p str, &'p str);

    fn next(&mut self) -> Option<(&'p str, &'p str)> {
        let key = self.records.find(Tag::ProvidesKey)?;
        let value = self.records.next_if(Tag::ProvidesValue)?;
        Some((key, value))
    }
}

/// Iterator over dependencies.
#[derive(Clone, Debug)]
pub struct Depends<'p> {
    records: Records<'p>,
}

impl<'p> Iterator for Depends<'p> {
    type Item = Depend<'p>;

    fn next(&mut self) -> Option<Depend<'p>> {
        let key = self.records.find(Tag::DependsKey)?;
        Some(Depend {
            key,
            records: self.records,
        })
    }
}

/// One key that an artifact depends on.
#[derive(Clone, Copy, Debug)]
pub struct Depend<'p> {
    /// The key; never `device_type`.
    pub key: &'p str,
    records: Records<'p>,
}

impl<'p> Depend<'p> {
    /// The values of which the device must provide one.
    pub fn values(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        let mut records = self.records;
        core::iter::from_fn(move || records.next_if(Tag::DependsValue))
    }

    /// Whether `value` is one of the values.
    pub fn accepts(&self, value: &str) -> bool {
        self.values().any(|accepted| accepted == value)
    }
}

//! The artifact's header as JSON: `header-info` and `type-info`, written anew.
//!
//! The client keeps what they say, not their text, and keeps `artifact_depends` of both in one list. Of that `artifact_name` and
//! `artifact_group` are header-info's here, and all others type-info's, as `mender-artifact` writes them.

use core::fmt::Write;
use std::string::String;

use mender::artifact::{Depend, Header};
use mender::update_module::Artifact;

/// The two texts.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) header_info: String,
    pub(super) type_info: String,
}

impl Texts {
    /// Without a header only name and type are known.
    pub(super) fn of(artifact: &Artifact<'_>, header: Option<&Header<'_>>) -> Texts {
        let mut header_info = Json::new();
        header_info.object(None, |json| {
            json.list(Some("payloads"), |json| {
                json.object(None, |json| json.text(Some("type"), artifact.payload_type));
            });
            json.object(Some("artifact_provides"), |json| {
                json.text(Some("artifact_name"), artifact.name);
                if let Some(group) = header.and_then(Header::artifact_group) {
                    json.text(Some("artifact_group"), group);
                }
            });
            if let Some(header) = header {
                json.object(Some("artifact_depends"), |json| {
                    json.texts(Some("device_type"), header.device_types());
                    for depend in header.depends().filter(is_of_header_info) {
                        json.texts(Some(depend.key), depend.values());
                    }
                });
            }
        });
        let mut type_info = Json::new();
        type_info.object(None, |json| {
            json.text(Some("type"), artifact.payload_type);
            let Some(header) = header else { return };
            let mut depends = header.depends().filter(|depend| !is_of_header_info(depend)).peekable();
            if depends.peek().is_some() {
                json.object(Some("artifact_depends"), |json| {
                    for depend in depends {
                        depends_on(json, &depend);
                    }
                });
            }
            let mut provides = header.provides().peekable();
            if provides.peek().is_some() {
                json.object(Some("artifact_provides"), |json| {
                    for (key, value) in provides {
                        json.text(Some(key), value);
                    }
                });
            }
            if let Some(patterns) = header.clears_provides() {
                json.texts(Some("clears_artifact_provides"), patterns);
            }
        });
        Texts {
            header_info: header_info.text,
            type_info: type_info.text,
        }
    }
}

fn is_of_header_info(depend: &Depend<'_>) -> bool {
    matches!(depend.key, "artifact_name" | "artifact_group")
}

/// One value is a string, as `mender-artifact` writes it; none or several are a list.
fn depends_on(json: &mut Json, depend: &Depend<'_>) {
    let mut values = depend.values();
    match (values.next(), values.next()) {
        (Some(value), None) => json.text(Some(depend.key), value),
        (_, _) => json.texts(Some(depend.key), depend.values()),
    }
}

/// Writes JSON.
struct Json {
    text: String,
}

impl Json {
    fn new() -> Json {
        Json { text: String::new() }
    }

    /// Begins a member of an object; without a key an element of a list, or the whole.
    fn begin(&mut self, key: Option<&str>) {
        if !matches!(self.text.chars().last(), None | Some('{' | '[')) {
            self.text.push(',');
        }
        if let Some(key) = key {
            self.string(key);
            self.text.push(':');
        }
    }

    fn object(&mut self, key: Option<&str>, members: impl FnOnce(&mut Json)) {
        self.begin(key);
        self.text.push('{');
        members(self);
        self.text.push('}');
    }

    fn list(&mut self, key: Option<&str>, elements: impl FnOnce(&mut Json)) {
        self.begin(key);
        self.text.push('[');
        elements(self);
        self.text.push(']');
    }

    fn text(&mut self, key: Option<&str>, value: &str) {
        self.begin(key);
        self.string(value);
    }

    fn texts<'v>(&mut self, key: Option<&str>, values: impl Iterator<Item = &'v str>) {
        self.list(key, |json| {
            for value in values {
                json.text(None, value);
            }
        });
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.text.extend(['\\', c]),
                c if c.is_control() => {
                    // Writing into a string does not fail. All control characters are below U+0100.
                    let _ = write!(self.text, "\\u{:04x}", u32::from(c));
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }
}

//! The codes of everything that is said about an artifact, their texts, and how a message is made of them.
//!
//! Depends on nothing but [`text`](crate::text).

use crate::text::Text;

macro_rules! codes {
    ($($code:literal $text:literal)*) => {
        /// What the codes of the artifact parser mean. In a text, `…` stands for something that a message adds: a name, which
        /// has a code of its own (E210 and above), or a number. A message with codes in the place of texts lists these behind
        /// its code: `E158 E225 44` is "header-info: a key occurs twice (at byte 44)".
        ///
        /// | code | text |
        /// |---|---|
        $(#[doc = concat!("| E", $code, " | ", $text, " |")])*
        pub const CODES: &[(u16, &str)] = &[$(($code, $text)),*];
    };
}

codes! {
    100 "not supported: artifact format version … (only 3 is)"
    101 "not supported: gzip compression; write the artifact with --compression none"
    102 "not supported: xz compression; write the artifact with --compression none"
    103 "not supported: zstd compression; write the artifact with --compression none"
    104 "not supported: augmented artifacts"
    105 "not supported: more than one payload"
    110 "limit exceeded: bytes of version (version_len): … allowed, … needed"
    111 "limit exceeded: bytes of manifest (manifest_len): … allowed, … needed"
    112 "limit exceeded: payload files (files): … allowed, … needed"
    113 "limit exceeded: bytes of a file name (name_len): … allowed, … needed"
    114 "limit exceeded: bytes of manifest.sig (signature_len): … allowed, … needed"
    115 "limit exceeded: bytes of header-info (header_info_len): … allowed, … needed"
    116 "limit exceeded: device types (device_types): … allowed, … needed"
    117 "limit exceeded: bytes of type-info (type_info_len): … allowed, … needed"
    118 "limit exceeded: bytes of meta-data (meta_data_len): … allowed, … needed"
    119 "limit exceeded: levels of nested JSON (json_depth): … allowed, … needed"
    120 "limit exceeded: bytes of a PAX header or GNU long name (extension_len): … allowed, … needed"
    121 "limit exceeded: bytes of the work buffer: … allowed, … needed"
    122 "limit exceeded: bytes of the artifact: … allowed, … needed"
    125 "…: a tar header has a wrong checksum"
    126 "…: not a ustar header"
    127 "…: a malformed size in a tar header"
    128 "…: an entry is longer than the archive"
    129 "…: only regular files are allowed, found tar type '…'"
    130 "…: a malformed PAX header"
    131 "…: a PAX header for a sparse file"
    132 "…: a PAX header or long name occurs twice for one entry"
    133 "…: a PAX header or long name without an entry"
    134 "…: the PAX header contradicts the size of the entry"
    135 "…: a malformed GNU long name"
    136 "…: one zero block instead of two at the end"
    137 "…: no zero blocks at the end"
    138 "…: something else than zeros after the end"
    139 "…: its length is no multiple of 512"
    145 "expected …, found …"
    146 "…: an entry that the format does not know"
    150 "…: not UTF-8 (at byte …)"
    151 "…: a byte order mark (at byte …)"
    152 "…: not a JSON object (at byte …)"
    153 "…: invalid JSON (at byte …)"
    154 "…: invalid JSON: it ends early (at byte …)"
    155 "…: invalid JSON: a control character in a string (at byte …)"
    156 "…: invalid JSON: a malformed escape in a string (at byte …)"
    157 "…: invalid JSON: a malformed number (at byte …)"
    158 "…: a key occurs twice (at byte …)"
    159 "…: something after the JSON object (at byte …)"
    160 "…: unknown key (at byte …)"
    165 "…: \"…\" is missing"
    166 "…: \"…\" has a value of the wrong type"
    167 "…: \"…\" must not be empty"
    168 "…: \"…\" has a value that the format does not allow"
    170 "type-info: the payload type is not the one of header-info"
    171 "type-info: a key occurs both in header-info and in type-info"
    172 "meta-data: not allowed with payload type null"
    173 "manifest: payload files, although the payload type is null"
    175 "manifest, line …: a checksum must be 64 lower-case hex digits"
    176 "manifest, line …: two blanks must separate checksum and name"
    177 "manifest, line …: a name that the format does not allow"
    178 "manifest, line …: a name occurs twice"
    179 "manifest, line …: the last line has no line feed"
    180 "manifest, line …: two headers are listed"
    181 "manifest: version is not listed"
    182 "manifest: header.tar is not listed"
    190 "manifest.sig: not one line of base64"
    191 "manifest.sig: too short for a signature"
    195 "the SHA-256 of version is not the one in the manifest"
    196 "the SHA-256 of header.tar is not the one in the manifest"
    197 "the SHA-256 of a payload file is not the one in the manifest"
    200 "payload file: a name that the format does not allow"
    201 "payload file: not listed in the manifest"
    202 "payload file: it occurs twice"
    203 "payload file: a file of the manifest is missing"
    205 "the artifact ends early, after … bytes"
    206 "the artifact is for other device types"
    207 "the artifact depends on \"…\", which is not provided"
    208 "the artifact depends on another value of \"…\""
    210 "artifact"
    211 "header.tar"
    212 "data/0000.tar"
    213 "version"
    214 "manifest"
    215 "manifest.sig"
    216 "header.tar"
    217 "data/0000.tar"
    218 "header-info"
    219 "a state script"
    220 "headers/0000/type-info"
    221 "headers/0000/meta-data"
    222 "a payload file"
    223 "the end of the archive"
    224 "version"
    225 "header-info"
    226 "type-info"
    227 "meta-data"
    228 "format"
    229 "version"
    230 "payloads"
    231 "type"
    232 "artifact_provides"
    233 "artifact_name"
    234 "artifact_group"
    235 "artifact_depends"
    236 "device_type"
    237 "clears_artifact_provides"
}

/// What a message adds to its text.
#[derive(Clone, Copy)]
pub(super) enum Part<'t> {
    /// The name that has this code.
    Name(u8),
    Number(u32),
    Text(&'t str),
}

/// Writes the text of a code, with `parts` in the place of its `…`; in codes, the parts behind the code.
pub(super) fn write(code: u16, parts: &[Part<'_>], out: &mut Text<'_>) {
    let mut rest = text(code);
    let (before, after) = cut(rest);
    out.cause(code, before);
    rest = after;
    for part in parts {
        if cfg!(feature = "terse") {
            out.push(" ");
        }
        match *part {
            Part::Name(name) => out.cause(u16::from(name), text(u16::from(name))),
            Part::Number(number) => out.number(number),
            Part::Text(text) => out.push(text),
        }
        let (before, after) = cut(rest);
        out.push(before);
        rest = after;
    }
}

/// The text of a code; nothing where only codes are written, so that no text is linked.
fn text(code: u16) -> &'static str {
    if cfg!(feature = "terse") {
        return "";
    }
    let found = CODES.iter().find(|(known, _)| *known == code);
    found.map_or("", |(_, text)| text)
}

/// What is before the next `…`, and what is behind it.
fn cut(text: &'static str) -> (&'static str, &'static str) {
    // No other character of the table begins with this byte.
    let at = text.bytes().position(|byte| byte == 0xe2).unwrap_or(text.len());
    (
        text.get(..at).unwrap_or(""),
        text.get(at + '…'.len_utf8()..).unwrap_or(""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_text_with_its_parts_or_codes() {
        let mut buffer = [0; 96];
        let mut out = Text::new(&mut buffer);
        write(158, &[Part::Name(225), Part::Number(44)], &mut out);
        let expected = if cfg!(feature = "terse") {
            "E158 E225 44"
        } else {
            "header-info: a key occurs twice (at byte 44)"
        };
        assert_eq!(out.as_str(), expected);
        let mut buffer = [0; 96];
        let mut out = Text::new(&mut buffer);
        write(207, &[Part::Text("boot")], &mut out);
        let expected = if cfg!(feature = "terse") {
            "E207 boot"
        } else {
            "the artifact depends on \"boot\", which is not provided"
        };
        assert_eq!(out.as_str(), expected);
    }
}

//! Escapes in the strings of JSON (RFC 8259, section 7), for the server's answers and for an artifact's documents. Pure, and
//! depends on nothing.

/// The character of the escape at `at`, and how many bytes it takes. A surrogate pair is one escape.
pub(crate) fn escape(text: &[u8], at: usize) -> Option<(char, usize)> {
    let byte = *text.get(at.checked_add(1)?)?;
    if byte != b'u' {
        let (_, character) = SIMPLE.iter().find(|(letter, _)| *letter == byte)?;
        return Some((char::from(*character), 2));
    }
    let first = unit(text, at)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let second = unit(text, at + 6)?;
    if !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Some((char::from_u32(code)?, 12))
}

/// The letters behind a backslash, and what they mean.
const SIMPLE: [(u8, u8); 8] = [
    (b'"', b'"'),
    (b'\\', b'\\'),
    (b'/', b'/'),
    (b'b', 0x8),
    (b'f', 0xc),
    (b'n', b'\n'),
    (b'r', b'\r'),
    (b't', b'\t'),
];

/// The UTF-16 unit of `\uXXXX` at `at`.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = text.get(at..at.checked_add(6)?)? else {
        return None;
    };
    digits
        .iter()
        .try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_has_its_character_and_length() {
        for (text, expected) in [
            (r"\\", Some(('\\', 2))),
            (r#"\"x"#, Some(('"', 2))),
            (r"\/", Some(('/', 2))),
            (r"\b", Some(('\u{8}', 2))),
            (r"\f", Some(('\u{c}', 2))),
            (r"\n", Some(('\n', 2))),
            (r"\r", Some(('\r', 2))),
            (r"\t", Some(('\t', 2))),
            (r"\u0026amp", Some(('&', 6))),
            (r"\u00e9", Some(('\u{e9}', 6))),
            (r"\uD83D\uDe00!", Some(('\u{1f600}', 12))),
            (r"\uffff", Some(('\u{ffff}', 6))),
            // Not escapes.
            (r"\x41", None),
            (r"\", None),
            (r"\u12", None),
            (r"\u12g4", None),
            (r"\u+123", None),
            // Halves of pairs.
            (r"\ud83d", None),
            (r"\ud83dx", None),
            (r"\ud83d\n", None),
            (r"\ud83d\u0041", None),
            (r"\ud83d\ud83d", None),
            (r"\ude00\ud83d", None),
        ] {
            assert_eq!(escape(text.as_bytes(), 0), expected, "{text}");
            let shifted = [b"ab", text.as_bytes()].concat();
            assert_eq!(escape(&shifted, 2), expected, "{text}");
        }
        assert_eq!(escape(b"abc", 7), None);
        assert_eq!(escape(b"abc", usize::MAX), None);
    }
}

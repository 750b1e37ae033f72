//! PEM blocks as the real server's library (Go `encoding/pem`) finds them: it is lenient inside a block and strict about
//! the lines around it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// A block: what its first line calls it, and the bytes in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) content: Vec<u8>,
}

/// The first well-formed block of a text. Text around it is skipped, and so are malformed blocks in front of it.
pub(crate) fn first_block(text: &str) -> Option<Block> {
    let mut rest = text;
    loop {
        rest = after_line_start(rest, BEGIN)?;
        let (line, body) = cut_line(rest);
        rest = body;
        if let Some(label) = line.strip_suffix(DASHES)
            && let Some(content) = content(body, label)
        {
            return Some(Block {
                label: label.to_owned(),
                content,
            });
        }
    }
}

/// What follows the next line that starts with `marker`; the marker itself is gone.
fn after_line_start<'t>(text: &'t str, marker: &str) -> Option<&'t str> {
    text.strip_prefix(marker)
        .or_else(|| text.split_once(&format!("\n{marker}")).map(|(_, rest)| rest))
}

/// The first line without its end and blanks in front of that, and the rest.
fn cut_line(text: &str) -> (&str, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (
        line.strip_suffix('\r').unwrap_or(line).trim_end_matches([' ', '\t']),
        rest,
    )
}

/// The content of a block, from behind its first line. Header lines (`name: value`) may come first.
fn content(body: &str, label: &str) -> Option<Vec<u8>> {
    let mut rest = body;
    while let (line, next) = cut_line(rest)
        && line.contains(':')
    {
        rest = next;
    }
    let (base64, end) = match rest.strip_prefix(END) {
        Some(end) => ("", end),
        None => rest.split_once(&format!("\n{END}"))?,
    };
    let (tail, _) = cut_line(end.strip_prefix(label)?.strip_prefix(DASHES)?);
    if !tail.is_empty() {
        return None;
    }
    let base64: String = base64
        .chars()
        .filter(|character| !matches!(character, ' ' | '\t' | '\r' | '\n'))
        .collect();
    STANDARD.decode(base64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(String, Vec<u8>)> {
        first_block(text).map(|block| (block.label, block.content))
    }

    #[test]
    fn blocks_are_found_as_go_finds_them() {
        let block = || Some(("KEY".to_owned(), b"abcdef".to_vec()));
        let table = [
            ("-----BEGIN KEY-----\nYWJj\nZGVm\n-----END KEY-----\n", block()),
            ("-----BEGIN KEY-----\nYWJjZGVm\n-----END KEY-----", block()),
            (
                "-----BEGIN KEY----- \t\r\nYW Jj\r\nZGVm\r\n-----END KEY----- \r\nmore",
                block(),
            ),
            (
                "text\n-----BEGIN KEY-----\na: b\n\nYWJjZGVm\n-----END KEY-----\n",
                block(),
            ),
            (
                "-----BEGIN A-----\n!\n-----END A-----\n-----BEGIN KEY-----\nYWJjZGVm\n-----END KEY-----\n",
                block(),
            ),
            (
                "-----BEGIN KEY-----\n-----END KEY-----\n",
                Some(("KEY".to_owned(), Vec::new())),
            ),
            ("-----BEGIN KEY-----YWJjZGVm-----END KEY-----", None),
            ("-----BEGIN KEY-----\nYWJjZGVm-----END KEY-----\n", None),
            ("-----BEGIN KEY-----\nYWJjZGVm\n-----END KEY-----x\n", None),
            ("-----BEGIN KEY-----\nYWJjZGVm\n-----END OTHER-----\n", None),
            ("-----BEGIN KEY-----\nYWJjZGV\n-----END KEY-----\n", None),
            ("x-----BEGIN KEY-----\nYWJjZGVm\n-----END KEY-----\n", None),
            ("-----BEGIN KEY-----", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(found(text), expected, "{text}");
        }
    }
}

//! Small text files that the modules write for themselves: a title, then `key=value` lines, then `end`.

use core::fmt::Write;
use std::string::{String, ToString};

/// The lines. Values have no line breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines(String);

impl Lines {
    pub(crate) fn new(title: &str) -> Lines {
        let mut text = title.to_string();
        text.push('\n');
        Lines(text)
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl core::fmt::Display) -> Lines {
        // Writing into a string does not fail.
        let _ = writeln!(self.0, "{key}={value}");
        self
    }

    pub(crate) fn text(&self) -> String {
        let mut text = self.0.clone();
        text.push_str("end\n");
        text
    }

    /// `None` if it is not complete, or something else.
    pub(crate) fn parse(content: &[u8], title: &str) -> Option<Lines> {
        // The end of a line is no end: it may be that of a value.
        let text = core::str::from_utf8(content).ok()?.strip_suffix("end\n")?;
        (text.ends_with('\n') && text.lines().next() == Some(title)).then(|| Lines(text.to_string()))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    }

    /// A hash as [`hex`] writes it.
    pub(crate) fn is_hash(&self, key: &str, hash: &[u8; 32]) -> bool {
        self.get(key) == Some(&*hex(hash))
    }
}

pub(crate) fn hex(hash: &[u8; 32]) -> String {
    let mut text = String::new();
    for byte in hash {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_of_it_is_read() {
        let written = Lines::new("title").with("dest_dir", "/opt/backend").with("made", 2);
        let text = written.text();
        let read = |len| Lines::parse(&text.as_bytes()[..len], "title");
        assert_eq!(read(text.len()), Some(written));
        for len in 0..text.len() {
            assert_eq!(read(len), None, "{:?}", &text[..len]);
        }
        assert_eq!(Lines::parse(text.as_bytes(), "another title"), None);
        assert_eq!(read(text.len()).unwrap().get("dest_dir"), Some("/opt/backend"));
    }
}

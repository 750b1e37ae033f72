//! Small text files that the modules write for themselves: a title, then `key=value` lines, then `end`. And what one of them, the
//! journal, says.

use core::fmt::Write;
use std::path::PathBuf;
use std::string::{String, ToString};

use super::Target;

/// The lines. Values have no line breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines(String);

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

/// How far an install and its way back have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing at the destination has changed.
    Begun,
    /// The new one is whole: beside the destination, or in place.
    Built,
    /// It is on its way back.
    Restoring,
    /// What was there before is at the destination again.
    Restored,
}

impl Stage {
    const ALL: [Stage; 4] = [Stage::Begun, Stage::Built, Stage::Restoring, Stage::Restored];

    const fn name(self) -> &'static str {
        match self {
            Stage::Begun => "begun",
            Stage::Built => "built",
            Stage::Restoring => "restoring",
            Stage::Restored => "restored",
        }
    }
}

/// What is known of an install that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) stage: Stage,
    pub(crate) target: Target,
    /// So many of the last folders on the way to it were not there.
    pub(crate) made: usize,
    /// What was at the destination, if anything.
    pub(crate) old: Option<String>,
    /// The hash of what was downloaded.
    pub(crate) new: String,
}

impl Journal {
    #[must_use]
    pub(crate) fn at(self, stage: Stage) -> Journal {
        Journal { stage, ..self }
    }

    pub(crate) fn to_lines(&self, title: &str) -> Lines {
        let Target { parent, path } = &self.target;
        let name = path.file_name().unwrap_or_default();
        let lines = Lines::new(title)
            .with("stage", self.stage.name())
            .with("folder", parent.display())
            .with("name", name.display())
            .with("made", self.made)
            .with("new", &self.new);
        match &self.old {
            Some(old) => lines.with("old", old),
            None => lines,
        }
    }

    pub(crate) fn from_lines(lines: &Lines) -> Option<Journal> {
        let stage = lines.get("stage")?;
        Some(Journal {
            stage: Stage::ALL.into_iter().find(|known| known.name() == stage)?,
            target: Target::new(PathBuf::from(lines.get("folder")?), lines.get("name")?).ok()?,
            made: lines.get("made")?.parse().ok()?,
            old: lines.get("old").map(String::from),
            new: lines.get("new")?.into(),
        })
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

    #[test]
    fn a_journal_is_read_as_it_was_written() {
        for (stage, old) in Stage::ALL.into_iter().zip([None, Some("0a".to_string()), None, None]) {
            let journal = Journal {
                stage,
                target: Target::new("/opt/a = b".into(), "app").ok().unwrap(),
                made: 3,
                old,
                new: "ff".into(),
            };
            assert_eq!(Journal::from_lines(&journal.to_lines("title")), Some(journal));
        }
        assert_eq!(Journal::from_lines(&Lines::new("title").with("stage", "begun")), None);
        assert!(Target::new("/opt/a\nb".into(), "app").is_err());
    }
}

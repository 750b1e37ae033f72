//! Artifacts made by Mender's own tool, as the client hands them to a module.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::task::{Context, Poll};

use mender::artifact::{Event, Header, Limits, Parser};
use mender::update_module::{Artifact, PayloadError, PayloadEvent, PayloadSource};

/// Whether to go on: `false` is a reason to skip, but in CI a failure.
pub fn are_there(files: &[&str]) -> bool {
    let missing = files.iter().find(|file| !Path::new(file).exists());
    let required = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(
        missing.is_none() || !required,
        "{missing:?} is missing, but this is a CI run"
    );
    if let Some(missing) = missing {
        println!("skipped: there is no {missing}");
    }
    missing.is_none()
}

pub const MENDER_ARTIFACT: &str = "/usr/bin/mender-artifact";

/// Writes `out` in that folder, of the device type `board-a`.
pub fn write_artifact(at: &Path, out: &str, arguments: &[&str]) {
    let status = Command::new(MENDER_ARTIFACT)
        .args([
            "write",
            "module-image",
            "--compression",
            "none",
            "-t",
            "board-a",
            "-o",
            out,
        ])
        .args(arguments)
        .current_dir(at)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{arguments:?}");
}

/// An artifact that comes in pieces.
pub struct RealPayload {
    parser: Parser<'static>,
    bytes: Vec<u8>,
    at: usize,
    data: Range<usize>,
}

impl RealPayload {
    /// With its header read.
    pub fn open(path: &Path) -> RealPayload {
        let work = vec![0; Limits::DEFAULT.work_len()].leak();
        let mut payload = RealPayload {
            parser: Parser::new(Limits::DEFAULT, work),
            bytes: fs::read(path).unwrap(),
            at: 0,
            data: 0..0,
        };
        while payload.parser.header().is_none() {
            assert_eq!(payload.step(), None);
        }
        payload
    }

    /// `None` for what a module does not see.
    fn step(&mut self) -> Option<PayloadEvent> {
        let input = &self.bytes[self.at..self.bytes.len().min(self.at + 700)];
        if input.is_empty() {
            self.parser.finish().unwrap();
            return Some(PayloadEvent::End);
        }
        let (consumed, event) = self.parser.feed(input).unwrap();
        self.at += consumed;
        match event {
            Event::NeedInput | Event::Header => None,
            Event::File { len } => Some(PayloadEvent::File { len }),
            Event::FileEnd => Some(PayloadEvent::FileEnd),
            Event::Data(data) => {
                self.data = self.at - data.len()..self.at;
                Some(PayloadEvent::Data)
            }
        }
    }
}

impl PayloadSource for RealPayload {
    fn artifact(&self) -> Artifact<'_> {
        let header = self.parser.header().unwrap();
        Artifact {
            name: header.artifact_name(),
            payload_type: header.payload_type().unwrap(),
            meta_data: header.meta_data(),
        }
    }

    fn header(&self) -> Option<Header<'_>> {
        self.parser.header()
    }

    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<PayloadEvent, PayloadError>> {
        self.data = 0..0;
        loop {
            if let Some(event) = self.step() {
                return Poll::Ready(Ok(event));
            }
        }
    }

    fn file_name(&self) -> &str {
        self.parser.file_name()
    }

    fn data(&self) -> &[u8] {
        &self.bytes[self.data.clone()]
    }
}

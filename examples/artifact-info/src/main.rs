//! Prints what is in a Mender artifact, read with the client's own parser: what this program takes, a device with
//! large enough limits takes, and what it refuses, a device refuses for the same reason.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use mender::artifact::{Event, Header, Limits, Parser};
use serde_json::{Map, Value, json};

/// Print what is in a Mender artifact, as JSON
#[derive(clap::Parser)]
#[command(
    version,
    long_about = "Reads a Mender artifact (a .mender file, format version 3) with the parser that runs on the device, \
                  checks everything that the device checks (order, checksums, documents, the end of the file), and \
                  prints as JSON what is in it.\n\n\
                  A malformed artifact is refused with the reason on standard error. The signature is not verified.",
    after_help = "Exit status: 0 if the artifact is good, 1 if it is refused or cannot be read, 2 for wrong usage.\n\n\
                  Examples:\n  \
                  artifact-info release-1.mender\n  \
                  artifact-info release-1.mender | jq .provides\n  \
                  curl -s https://example.com/release-1.mender | artifact-info -\n\n\
                  Write an artifact that a microcontroller can read:\n  \
                  mender-artifact write module-image -T zephyr-image -n release-1 -c my-board -f zephyr.signed.bin \\\n    \
                  --compression none -o release-1.mender"
)]
struct Arguments {
    /// The artifact; - reads standard input
    file: PathBuf,
}

fn main() -> ExitCode {
    let Arguments { file } = Arguments::parse();
    let result = open(&file).and_then(|input| describe(input).map_err(|error| format!("{}: {error}", file.display())));
    let printed = result.and_then(|description| {
        let text = format!("{description:#}\n");
        io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| format!("standard output: {error}"))
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("artifact-info: {message}");
            ExitCode::FAILURE
        }
    }
}

fn open(file: &Path) -> Result<Box<dyn Read>, String> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    match File::open(file) {
        Ok(input) => Ok(Box::new(input)),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

/// Reads a whole artifact; `Err` is the reason for which it is refused.
fn describe(mut input: impl Read) -> Result<Value, Box<dyn std::error::Error>> {
    let mut work = vec![0; Limits::GENEROUS.work_len()];
    let mut parser = Parser::new(Limits::GENEROUS, &mut work);
    let mut files = Vec::new();
    let mut file_len = 0;
    let mut buffer = vec![0; 65536];
    loop {
        let len = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let mut rest = &buffer[..len];
        loop {
            let (consumed, event) = parser.feed(rest)?;
            rest = &rest[consumed..];
            match event {
                Event::NeedInput => break,
                Event::File { len } => file_len = len,
                Event::FileEnd => {
                    let sha256 = parser.file_sha256().map(|sum| hex(sum));
                    files.push(json!({"name": parser.file_name(), "size": file_len, "sha256": sha256}));
                }
                Event::Header | Event::Data(_) => {}
            }
        }
    }
    parser.finish()?;
    // A complete artifact has a header.
    let header = parser.header().ok_or("no header")?;
    Ok(to_json(&header, files))
}

fn to_json(header: &Header<'_>, files: Vec<Value>) -> Value {
    let depends: Map<String, Value> = header
        .depends()
        .map(|depend| (depend.key.to_owned(), depend.values().collect()))
        .collect();
    let provides: Map<String, Value> = header
        .provides()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    json!({
        "format_version": 3,
        "artifact_name": header.artifact_name(),
        "artifact_group": header.artifact_group(),
        "payload_type": header.payload_type(),
        "device_types": header.device_types().collect::<Vec<_>>(),
        "depends": depends,
        "provides": provides,
        "clears_artifact_provides": header.clears_provides().map(|patterns| patterns.collect::<Vec<_>>()),
        "meta_data": header.meta_data().map(meta_data),
        "files": files,
        "signed": header.is_signed(),
        "state_scripts": header.script_count(),
        "manifest_sha256": hex(header.manifest_sha256()),
    })
}

/// The meta-data as JSON; as text if it has a number that no 64-bit float can hold.
fn meta_data(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

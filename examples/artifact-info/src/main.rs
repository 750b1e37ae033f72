//! Prints what is in a Mender artifact, read with the client's own parser: what this program takes, a device with
//! large enough limits takes, and what it refuses, a device refuses for the same reason.

mod device;
mod explain;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mender::artifact::{Event, Header, Limits, Parser};
use serde_json::{Map, Value, json};
use tool_style::{Wrong, after_help, file};

/// Print what is in a Mender artifact, as JSON; or what a code from a device means
#[derive(clap::Parser)]
#[command(
    version,
    override_usage = "artifact-info <FILE> [LIMITS OF THE DEVICE]\n       artifact-info --explain <CODE>...",
    long_about = "Reads a Mender artifact (a .mender file, format version 3) with the parser that runs on the device, \
                  checks everything that the device checks (order, checksums, documents, the end of the file), and \
                  prints as JSON what is in it.\n\n\
                  A malformed artifact is refused with the reason on standard error. The signature is not verified.\n\n\
                  A device has less memory than this program. The part \"device_limits\" of the output says what in the \
                  artifact is too large for a device: \"exceeded\" has each limit with its value on the device and the \
                  one that the artifact needs, and is empty if the artifact fits; \"work_len_needed\" is the length of \
                  the work buffer that it needs, \"window_len_needed\" that of the window for gzip. xz and zstd are read here, and \
                  on no microcontroller. The limits are the client's defaults; give those of your device by the \
                  flags if it has others.",
    after_help = after_help("Examples:\n  \
                  artifact-info release-1.mender\n  \
                  artifact-info release-1.mender | jq .provides\n  \
                  artifact-info release-1.mender --meta-data-len 256 --work-len 1024 | jq .device_limits\n  \
                  curl -s https://example.com/release-1.mender | artifact-info -\n  \
                  artifact-info --explain E145\n  \
                  artifact-info --explain E158 E225 44\n\n\
                  Write an artifact that a microcontroller can read:\n  \
                  mender-artifact write module-image -T zephyr-image -n release-1 -t my-board -f zephyr.signed.bin \\\n    \
                  --compression none -o release-1.mender")
)]
struct Arguments {
    /// The artifact; - reads standard input
    #[arg(required_unless_present = "explain")]
    file: Option<PathBuf>,

    /// Print the text of a code (E145 or 145) that a device sent in the place of a text; with what followed it, the whole
    /// message
    #[arg(long, value_name = "CODE", num_args = 1.., conflicts_with = "file")]
    explain: Option<Vec<String>>,

    #[command(flatten)]
    device: device::Device,
}

fn main() -> ExitCode {
    tool_style::main(run)
}

fn run(arguments: Arguments) -> Result<String, Wrong> {
    match (arguments.explain, arguments.file) {
        (Some(words), _) => explain::explain(&words).map_err(Wrong::Usage),
        (None, Some(path)) => {
            let artifact = read(&path)?;
            let name = if path == Path::new("-") {
                Path::new("standard input")
            } else {
                &path
            };
            let description = describe(&artifact, &arguments.device).map_err(|error| {
                // Each begins with the entry of that name.
                let advice = match artifact.starts_with(b"version\0") {
                    true => "",
                    false => "; it is no Mender artifact: give a .mender file",
                };
                file::of(name, format_args!("{error}{advice}"))
            })?;
            Ok(format!("{description:#}"))
        }
        // One of them is required.
        (None, None) => Ok(String::new()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    if path != Path::new("-") {
        return file::read(path);
    }
    let mut bytes = Vec::new();
    match io::stdin().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("standard input: {}", file::unreadable(&error))),
    }
}

/// Reads a whole artifact; `Err` is the reason for which it is refused.
fn describe(artifact: &[u8], device: &device::Device) -> Result<Value, Box<dyn std::error::Error>> {
    let mut work = vec![0; Limits::GENEROUS.work_len()];
    let mut unpacker = device::unpacker(device::LONGEST_WINDOW);
    let mut parser = Parser::new(Limits::GENEROUS, &mut work).unpacking(&mut unpacker);
    let mut files = Vec::new();
    let mut file_len = 0;
    let mut rest = artifact;
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
    parser.finish()?;
    // A complete artifact has a header.
    let header = parser.header().ok_or("no header")?;
    let mut description = to_json(&header, files);
    description["device_limits"] = device.check(artifact)?;
    Ok(description)
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

//! Files and arguments around the library.

mod args;

use std::path::Path;
use std::process::ExitCode;

use args::{Arguments, Command, Form, Says};
use mender_pack::{Compression, Content, Image, Key, Repacked, delta, image, repack, sign};
use serde_json::{Map, Value};
use tool_style::Wrong;
use tool_style::file::{read, write};

fn main() -> ExitCode {
    tool_style::main(|arguments: Arguments| run(arguments.command))
}

fn run(command: Command) -> Result<String, Wrong> {
    match command {
        Command::Image {
            files,
            payload_type,
            says,
            form,
        } => {
            let contents: Vec<Content> = files.iter().map(|file| content(file)).collect::<Result<_, _>>()?;
            let whole: usize = contents.iter().map(|file| file.bytes.len()).sum();
            let key = key(form.key.as_deref())?;
            let made = image(
                &describe(says, payload_type)?,
                &contents,
                form.compression(),
                key.as_ref(),
            );
            Ok(keep(made.map_err(|error| error.to_string())?, &form, whole)?)
        }
        Command::Delta {
            from,
            new,
            payload_type,
            coding,
            says,
            form,
        } => {
            if !payload_type.ends_with("-delta") {
                return Err(Wrong::Usage(format!(
                    "--type {payload_type}: a delta's payload type ends in -delta: give the whole image's with -delta behind it"
                )));
            }
            let (old, new) = (content(&from)?, content(&new)?);
            let key = key(form.key.as_deref())?;
            let image = describe(says, payload_type)?;
            let made = delta(&image, &old, &new, coding.into(), form.compression(), key.as_ref());
            Ok(keep(made.map_err(|error| error.to_string())?, &form, new.bytes.len())?)
        }
        Command::Repack {
            artifact,
            output,
            window,
            uncompressed: _,
            key: pem,
        } => {
            let compression = window.map_or(Compression::None, Compression::Gzip);
            let before = read(&artifact)?;
            let made = repack(&before, compression, key(pem.as_deref())?.as_ref())
                .map_err(|error| format!("{}: {error}", artifact.display()))?;
            write(&output, &made.artifact)?;
            Ok(summary(&made, &output, before.len()))
        }
        Command::Sign {
            artifact,
            output,
            key: pem,
        } => {
            let signed = sign(&read(&artifact)?, &read_key(&pem)?)
                .map_err(|error| format!("{}: {error}", artifact.display()))?;
            write(&output, &signed)?;
            Ok(format!("{}: signed", output.display()))
        }
    }
}

fn describe(says: Says, payload_type: String) -> Result<Image, Wrong> {
    let meta_data = says.meta_data.as_deref().map(object).transpose()?;
    Ok(Image {
        name: says.name,
        device_types: says.device_type,
        payload_type,
        software_name: says.software_name,
        software_filesystem: says.software_filesystem,
        software_version: says.software_version,
        group: says.group,
        depends_names: says.artifact_name_depends,
        depends_groups: says.depends_groups,
        provides: says.provides,
        depends: says.depends,
        clears: says.clears_provides,
        meta_data: meta_data.unwrap_or_default(),
        unix_secs: time()?,
    })
}

fn object(file: &Path) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(&read(file)?)
        .map_err(|error| format!("{}: the meta-data must be a JSON object: {error}", file.display()))
}

fn time() -> Result<u64, Wrong> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text
            .parse()
            .map_err(|_| Wrong::Usage(format!("SOURCE_DATE_EPOCH={text}: seconds since 1970 are needed"))),
        Err(_) => Ok(0),
    }
}

fn key(file: Option<&Path>) -> Result<Option<Key>, String> {
    file.map(read_key).transpose()
}

fn read_key(file: &Path) -> Result<Key, String> {
    Key::from_pem(&read(file)?).map_err(|error| format!("{}: {error}", file.display()))
}

fn content(file: &Path) -> Result<Content, String> {
    let name = file.file_name().unwrap_or_default();
    Ok(Content {
        name: name.to_string_lossy().into_owned(),
        origin: file.display().to_string(),
        bytes: read(file)?,
    })
}

fn keep(made: Repacked, form: &Form, whole: usize) -> Result<String, String> {
    write(&form.output, &made.artifact)?;
    Ok(summary(&made, &form.output, whole))
}

/// What was made, what it takes, and what to do next.
fn summary(made: &Repacked, output: &Path, before: usize) -> String {
    let Repacked {
        artifact,
        info,
        window_len,
    } = made;
    let kind = info.payload_type.as_deref().unwrap_or("nothing");
    let signed = if info.signed { "signed" } else { "not signed" };
    let output = output.display();
    let mut text = format!(
        "{output}: {}, {kind} for {}, {signed}; {} bytes, from {before}\n",
        info.name,
        info.device_types.join(", "),
        artifact.len(),
    );
    if *window_len > 0 {
        text.push_str(&format!(
            "A device must lend a window of {window_len} bytes to read it.\n"
        ));
    }
    text.push_str(&format!("Look into it:  artifact-info {output}\n"));
    text.push_str(&format!("Upload it:     mender-cli artifacts upload {output}"));
    text
}

//! Files: errors that name them, and files that are replaced as a whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::process;

/// What is in a file.
///
/// # Errors
///
/// Its path, what failed, what to do.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| of(path, unreadable(&error)))
}

/// Puts this into a file.
///
/// # Errors
///
/// Its path, what failed, what to do.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| of(path, unwritable(&error)))
}

/// Puts the bytes into a file: into a new one beside it, which then takes its place. Whatever interrupts this, the file has
/// the old content or the new one. A link stays, and what it leads to is replaced; permissions stay too.
///
/// # Errors
///
/// Its path, what failed, what to do.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let permissions = match fs::metadata(&path) {
        Ok(old) if old.is_file() => Some(old.permissions()),
        // A device, for example: it would be gone, and a file in its place.
        Ok(_) => return Err(of(&path, "not a file that can be replaced")),
        Err(_) => None,
    };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", process::id()));
    let new = Path::new(&name);
    let written = File::create(new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            if let Some(permissions) = permissions {
                file.set_permissions(permissions)?;
            }
            file.sync_all()
        })
        .and_then(|()| fs::rename(new, &path));
    written.map_err(|error| {
        // What is left of it is of no use; the first error is the one to tell.
        let _ = fs::remove_file(new);
        of(&path, unwritable(&error))
    })
}

/// Puts this out on standard output.
///
/// # Errors
///
/// Why it cannot be written. That nobody reads any more is none: who closed it has what was wanted.
pub fn print(bytes: &[u8]) -> Result<(), String> {
    let mut output = io::stdout();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("standard output: cannot be written: {error}"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A text about a file.
pub fn of(path: &Path, text: impl std::fmt::Display) -> String {
    format!("{}: {text}", path.display())
}

/// Why a file cannot be read, and what to do.
pub fn unreadable(error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => "; is its path right?",
        ErrorKind::PermissionDenied => "; who runs this must have the right to read it",
        ErrorKind::IsADirectory => "; give a file",
        ErrorKind::InvalidData => "; it must be a text in UTF-8",
        _ => "",
    };
    format!("cannot be read: {error}{advice}")
}

/// Why a file cannot be written, and what to do.
pub fn unwritable(error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => "; is its path right, and its folder there?",
        ErrorKind::PermissionDenied => "; who runs this must have the right to write it",
        ErrorKind::IsADirectory => "; give the name of a file",
        ErrorKind::StorageFull => "; make room first",
        _ => "",
    };
    format!("cannot be written: {error}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_names_the_file_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("file"), b"content").unwrap();
        assert_eq!(read(&at("file")).unwrap(), b"content");
        for (error, name, parts) in [
            (
                read(&at("no")).map(drop),
                "no",
                ["cannot be read: ", "is its path right?"],
            ),
            (
                read(&at("file/x")).map(drop),
                "file/x",
                ["cannot be read: ", "is its path right?"],
            ),
            (read(&at("")).map(drop), "", ["cannot be read: ", "give a file"]),
            (
                write(&at("no/x"), b""),
                "no/x",
                ["cannot be written: ", "its folder there?"],
            ),
            (
                replace(&at("no/x"), b""),
                "no/x",
                ["cannot be written: ", "its folder there?"],
            ),
            (
                write(&at(""), b""),
                "",
                ["cannot be written: ", "give the name of a file"],
            ),
        ] {
            let error = error.unwrap_err();
            assert!(error.starts_with(&format!("{}: ", at(name).display())), "{error}");
            for part in parts {
                assert!(error.contains(part), "{part}: {error}");
            }
        }
        let folder_itself = replace(folder.path(), b"").unwrap_err();
        assert!(
            folder_itself.ends_with("not a file that can be replaced"),
            "{folder_itself}"
        );
    }
}

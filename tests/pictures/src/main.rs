//! Writes the pictures. `demo` runs the demo and draws what it prints.

use std::process::ExitCode;

fn main() -> ExitCode {
    let drawn = match std::env::args().nth(1).as_deref() {
        None => Ok(mender_pictures::pictures()),
        Some("demo") => mender_pictures::demo().map(|picture| vec![("demo.svg", picture)]),
        Some(_) => {
            eprintln!(
                "mender-pictures writes the pictures of the documentation to mender/pictures; `demo` draws the demo"
            );
            return ExitCode::from(2);
        }
    };
    let written = drawn.and_then(|pictures| {
        pictures.into_iter().try_for_each(|(name, text)| {
            println!("{name}");
            std::fs::write(mender_pictures::folder().join(name), text).map_err(|error| format!("{name}: {error}"))
        })
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("mender-pictures: {message}");
            ExitCode::FAILURE
        }
    }
}

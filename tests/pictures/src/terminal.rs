//! The demo as it looks in a terminal.

use std::process::Command;

use crate::svg::{BAD, GOOD, INK, PALE, Picture};

const COLUMNS: i32 = 110;
const LINE: i32 = 16;
const LETTER: i32 = 7;
/// What is drawn: the second update, which is rolled back.
const FIRST: &str = "uploads release-3";
const LAST: &str = "What the server recorded";

/// Runs the demo, and draws what it prints.
///
/// # Errors
///
/// What cargo or the demo says.
pub fn demo() -> Result<String, String> {
    let ran = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "-p", "ota-demo"])
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr).trim().replace('\n', "; ");
        return Err(format!("cargo run -p ota-demo failed: {said}"));
    }
    let text = String::from_utf8_lossy(if ran.stdout.is_empty() {
        &ran.stderr
    } else {
        &ran.stdout
    })
    .into_owned();
    Ok(draw(&text))
}

fn draw(text: &str) -> String {
    let lines: Vec<&str> = ["$ cargo run -p ota-demo", "  ..."]
        .into_iter()
        .chain(
            text.lines()
                .skip_while(|line| !line.contains(FIRST))
                .take_while(|line| *line != LAST),
        )
        .collect();
    let mut picture = Picture::new(
        COLUMNS * LETTER + 30,
        lines.len() as i32 * LINE + 30,
        "The demo in a terminal",
    );
    for (row, line) in lines.into_iter().enumerate() {
        let colour = match () {
            () if line.starts_with('$') || line.contains("runs again") || line.contains("swaps the slots back") => GOOD,
            () if line.contains("FAILS") || line.contains("failure") || line.contains("error:") => BAD,
            () if line.contains("  server  ") || line.contains("  operator  ") => PALE,
            () => INK,
        };
        if !line.is_empty() {
            picture.code(15, 25 + row as i32 * LINE, colour, line);
        }
    }
    picture.finish()
}

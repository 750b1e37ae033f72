//! The states of a deployment. Where they stand and how their lines run is said here; which lines there are, the machine says.

use crate::edges::{Modules, Way, edges};
use crate::svg::{Anchor, BAD, GOOD, INK, PALE, Picture};

const WIDTH: i32 = 170;
const HEIGHT: i32 = 30;

/// The middle of each state's box.
const PLACES: [(&str, i32, i32); 11] = [
    ("download", 190, 40),
    ("install", 190, 120),
    ("reboot", 190, 200),
    ("verify_reboot", 190, 280),
    ("commit", 190, 360),
    ("cleanup", 190, 520),
    ("end", 190, 590),
    ("rollback", 480, 280),
    ("rollback_reboot", 480, 360),
    ("rollback_verify_reboot", 480, 440),
    ("failure", 480, 520),
];

/// How a line runs.
enum Route {
    /// Straight down, from the middle of a box.
    Down,
    /// Straight to the side.
    Across,
    /// In a bow beside the boxes, so far out.
    Left(i32),
    Right(i32),
}

fn place(name: &str) -> (i32, i32) {
    let found = PLACES.iter().find(|(known, ..)| *known == name);
    let &(_, x, y) = found.unwrap_or_else(|| panic!("{name} is new: give it a place"));
    (x, y)
}

fn route(from: &str, to: &str) -> Route {
    match (from, to) {
        ("download", "install")
        | ("install", "reboot")
        | ("reboot", "verify_reboot")
        | ("verify_reboot", "commit")
        | ("commit", "cleanup")
        | ("cleanup", "end")
        | ("rollback", "rollback_reboot")
        | ("rollback_reboot", "rollback_verify_reboot")
        | ("rollback_verify_reboot", "failure") => Route::Down,
        ("install" | "reboot" | "verify_reboot" | "commit", "rollback") | ("failure", "cleanup") => Route::Across,
        ("install", "commit") => Route::Left(70),
        ("rollback_verify_reboot", "rollback_reboot") => Route::Left(30),
        ("rollback_reboot", "failure") => Route::Right(45),
        ("rollback", "failure") => Route::Right(80),
        ("install", "failure") => Route::Right(160),
        ("download", "failure") => Route::Right(200),
        _ => panic!("{from} -> {to} is new: say how its line runs"),
    }
}

pub fn draw() -> String {
    let mut picture = Picture::new(790, 640, "The states of a deployment");
    for ((from, to), ways) in edges() {
        let is_dashed = ways.contains_key(&Way::Restarted);
        let well = is_dashed || ways.contains_key(&Way::Well);
        let colour = match (well, ways.contains_key(&Way::Failed)) {
            // A restart that is asked for and does not come.
            (true, true) if !is_dashed => INK,
            (true, _) => GOOD,
            (false, true) => BAD,
            // Only where there were too many transitions.
            (false, false) => PALE,
        };
        line(&mut picture, from, to, colour, is_dashed);
        if let ("install", Some(modules)) = (from, ways.get(&Way::Well)) {
            condition(&mut picture, to, *modules);
        }
    }
    for (name, x, y) in PLACES {
        let (x, y) = (x - WIDTH / 2, y - HEIGHT / 2);
        let (fill, ink) = if name == "end" {
            ("#f6f8fa", PALE)
        } else {
            ("#ffffff", INK)
        };
        picture.rect(x, y, WIDTH, HEIGHT, fill, ink);
        picture.text(x + WIDTH / 2, y + HEIGHT / 2 + 5, Anchor::Middle, INK, name);
    }
    for (row, (colour, is_dashed, text)) in [
        (GOOD, false, "went well"),
        (BAD, false, "failed, or aborted"),
        (GOOD, true, "the device restarts"),
        (INK, false, "in any case"),
    ]
    .into_iter()
    .enumerate()
    {
        let y = 548 + 18 * row as i32;
        picture.arrow(&format!("M 560 {y} L 600 {y}"), (600, y), (560, y), colour, is_dashed);
        picture.text(610, y + 4, Anchor::Start, INK, text);
    }
    picture.finish()
}

fn line(picture: &mut Picture, from: &str, to: &str, colour: &str, is_dashed: bool) {
    let ((x0, y0), (x1, y1)) = (place(from), place(to));
    let (path, end, before) = match route(from, to) {
        Route::Down => {
            let (start, end) = (y0 + HEIGHT / 2, y1 - HEIGHT / 2);
            (format!("M {x0} {start} L {x1} {end}"), (x1, end), (x0, start))
        }
        Route::Across => {
            let side = (x1 - x0).signum() * WIDTH / 2;
            // Lines from several states end one below the other.
            let end_y = if y0 == y1 {
                y1
            } else {
                y1 + (y0 - y1).signum() * 9 - (y1 - y0) / 40
            };
            let (start, end) = ((x0 + side, y0), (x1 - side, end_y));
            (format!("M {} {} L {} {}", start.0, start.1, end.0, end.1), end, start)
        }
        Route::Left(out) => {
            let (start, end) = (x0 - WIDTH / 2, x1 - WIDTH / 2);
            bow(start, y0, end, y1, start.min(end) - out)
        }
        Route::Right(out) => {
            let (start, end) = (x0 + WIDTH / 2, x1 + WIDTH / 2);
            bow(start, y0, end, y1, start.max(end) + out)
        }
    };
    picture.arrow(&path, end, before, colour, is_dashed);
}

fn bow(x0: i32, y0: i32, x1: i32, y1: i32, out: i32) -> (String, (i32, i32), (i32, i32)) {
    (
        format!("M {x0} {y0} C {out} {y0}, {out} {y1}, {x1} {y1}"),
        (x1, y1),
        (out, y1),
    )
}

/// Which modules go this way behind `install`.
fn condition(picture: &mut Picture, to: &str, modules: Modules) {
    let text = match modules {
        Modules {
            with_reboot: true,
            without_reboot: false,
        } => "requires_reboot",
        Modules {
            with_reboot: false,
            without_reboot: true,
        } => "else",
        _ => return,
    };
    match route("install", to) {
        Route::Left(_) => picture.text(98, 160, Anchor::End, PALE, text),
        Route::Down | Route::Across | Route::Right(_) => picture.text(198, 164, Anchor::Start, PALE, text),
    }
}

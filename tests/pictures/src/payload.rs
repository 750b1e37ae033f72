//! The way of a payload from the network to flash: who has which bytes, and what is checked where.

use crate::svg::{Anchor, GOOD, INK, PALE, Picture};

const WIDTH: i32 = 160;
const HEIGHT: i32 = 56;
const TOP: i32 = 60;
const STEPS: [(&str, &str, &str); 5] = [
    ("artifact's host", "HTTP, Range", "a break is resumed"),
    ("block", "one is filled", "from the network"),
    ("parser", "tar, checksums", "no copy"),
    ("module", "pulls its pieces", "from the other block"),
    ("flash", "slot 1", "read back"),
];
const CHECKS: [(i32, &str); 2] = [
    (1, "before the first byte: signature, header, device type, depends"),
    (2, "at the end of a file: its SHA-256"),
];

pub fn draw() -> String {
    let step = WIDTH + 10;
    let mut picture = Picture::new(870, 220, "The way of a payload");
    picture.text(
        20,
        30,
        Anchor::Start,
        INK,
        "Network and flash work at the same time: two blocks take turns",
    );
    for (index, (name, first, second)) in STEPS.into_iter().enumerate() {
        let x = 15 + step * index as i32;
        picture.rect(x, TOP, WIDTH - 10, HEIGHT, "#ffffff", INK);
        picture.text(x + WIDTH / 2 - 5, TOP + 18, Anchor::Middle, INK, name);
        picture.text(x + WIDTH / 2 - 5, TOP + 34, Anchor::Middle, PALE, first);
        picture.text(x + WIDTH / 2 - 5, TOP + 49, Anchor::Middle, PALE, second);
        if index > 0 {
            let y = TOP + HEIGHT / 2;
            let (start, end) = ((x - 20, y), (x, y));
            picture.arrow(&format!("M {} {y} L {} {y}", start.0, end.0), end, start, INK, false);
        }
    }
    for (row, (index, text)) in CHECKS.into_iter().enumerate() {
        let (x, y) = (15 + step * (index + 1) + WIDTH / 2 - 5, 150 + 40 * row as i32);
        let top = TOP + HEIGHT;
        picture.arrow(&format!("M {x} {y} L {x} {top}"), (x, top), (x, y), GOOD, false);
        picture.text(x + 8, y, Anchor::Start, INK, text);
    }
    picture.finish()
}

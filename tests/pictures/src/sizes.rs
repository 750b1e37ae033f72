//! What the client takes of flash on a Cortex-M4, beside the reference.

use crate::svg::{Anchor, GOOD, INK, PALE, Picture};

const SIZES: &str = include_str!("../../firmware-size/sizes.toml");
/// mender-mcu's core, cJSON, image module, and what they take of the C library and mbedtls for the same: its own build for Cortex-M4.
const REFERENCE: [(&str, u32); 2] = [
    ("mender-mcu, with its image module and libc", 97_000),
    ("the same, warnings logged", 116_800),
];
const OURS: [(&str, &[&str]); 3] = [
    (
        "this client, with the module for MCUboot",
        &["client", "module for MCUboot"],
    ),
    (
        "the same, warnings logged",
        &["client, warnings logged", "module for MCUboot"],
    ),
    (
        "the same, with TLS 1.3 for P-256",
        &["client, warnings logged", "module for MCUboot", "TLS, P-256: flash"],
    ),
];
const BAR: i32 = 24;
const LEFT: i32 = 320;
/// Bytes that a unit of the picture stands for.
const SCALE: u32 = 500;

fn figure(name: &str) -> u32 {
    let start = format!("\"{name}\" = ");
    let line = SIZES.lines().find_map(|line| line.strip_prefix(&start));
    line.and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in sizes.toml"))
}

pub fn draw() -> String {
    let mut picture = Picture::new(720, 200, "Flash on a Cortex-M4");
    picture.text(20, 26, Anchor::Start, INK, "Flash on a Cortex-M4, in KB");
    let reference = REFERENCE.map(|(name, bytes)| (name, bytes, PALE));
    let ours = OURS.map(|(name, parts)| (name, parts.iter().map(|part| figure(part)).sum(), GOOD));
    for (row, (name, bytes, colour)) in reference.into_iter().chain(ours).enumerate() {
        let y = 42 + (BAR + 6) * row as i32;
        let width = (bytes / SCALE) as i32;
        picture.text(LEFT - 10, y + 17, Anchor::End, INK, name);
        picture.rect(LEFT, y, width, BAR, colour, colour);
        picture.text(
            LEFT + width + 8,
            y + 17,
            Anchor::Start,
            INK,
            &format!("{:.1}", f64::from(bytes) / 1000.0),
        );
    }
    picture.finish()
}

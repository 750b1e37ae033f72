//! Where image, trailer, note and records are in flash: swap using move, sectors of 4 KiB, the layout of the README's first program.

use mender_modules::mcuboot::{Layout, SwapMove};

use crate::svg::{Anchor, BAD, GOOD, INK, PALE, Picture};

const LAYOUT: Layout<SwapMove> = Layout {
    mode: SwapMove,
    primary_len: 0x60000,
    secondary_len: 0x60000,
    sector_len: 4096,
    write_len: 4,
    max_align: 8,
    max_img_sectors: 128,
}
.checked();

const LEFT: i32 = 130;
const WIDTH: i32 = 600;
const HEIGHT: i32 = 40;
/// Width of a part that is a sector or two.
const SMALL: i32 = 90;

pub fn draw() -> String {
    let mut picture = Picture::new(750, 330, "Slots and records in flash");
    let longest = LAYOUT.max_image_len();
    let rest = LAYOUT.secondary_len - longest;
    let image = format!("image: up to {} KiB", longest / 1024);
    let end = format!("the last {} KiB", rest / 1024);

    row(&mut picture, 30, "slot 0", "runs");
    part(&mut picture, 30, 0, WIDTH - SMALL, "the image that runs", GOOD);
    part(&mut picture, 30, WIDTH - SMALL, SMALL, "trailer", INK);

    row(&mut picture, 110, "slot 1", "new, then old");
    part(&mut picture, 110, 0, WIDTH - 2 * SMALL, &image, GOOD);
    part(&mut picture, 110, WIDTH - 2 * SMALL, SMALL, "note", BAD);
    part(&mut picture, 110, WIDTH - SMALL, SMALL, "trailer", INK);
    let bracket = LEFT + WIDTH - 2 * SMALL;
    picture.text(bracket + SMALL, 168, Anchor::Middle, PALE, &end);

    row(&mut picture, 200, "records", "2 pages or more");
    part(
        &mut picture,
        200,
        0,
        WIDTH / 2 - 5,
        "half in use: key, deployment, state ...",
        INK,
    );
    part(
        &mut picture,
        200,
        WIDTH / 2 + 5,
        WIDTH / 2 - 5,
        "the other half: erased when it is its turn",
        PALE,
    );

    for (line, text) in [
        "trailer: MCUboot's. Its magic in slot 1 requests a swap; image_ok in slot 0 confirms what runs",
        "note: the module's. Which image was received, and what it replaces; no swap touches it",
        "records: the client's. Nothing is changed in place: each one is appended, whole or not at all",
    ]
    .into_iter()
    .enumerate()
    {
        picture.text(LEFT, 276 + 18 * line as i32, Anchor::Start, INK, text);
    }
    picture.finish()
}

fn row(picture: &mut Picture, y: i32, name: &str, what: &str) {
    picture.text(LEFT - 10, y + 18, Anchor::End, INK, name);
    picture.text(LEFT - 10, y + 33, Anchor::End, PALE, what);
}

fn part(picture: &mut Picture, y: i32, x: i32, width: i32, text: &str, colour: &str) {
    picture.rect(LEFT + x, y, width, HEIGHT, "#ffffff", colour);
    picture.text(LEFT + x + width / 2, y + HEIGHT / 2 + 5, Anchor::Middle, INK, text);
}

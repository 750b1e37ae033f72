//! The pictures in the repository are those that the code draws.

use std::fs;

#[test]
fn each_picture_is_what_is_drawn_now() {
    for (name, drawn) in mender_pictures::pictures() {
        let kept = fs::read_to_string(mender_pictures::folder().join(name)).unwrap_or_default();
        assert!(kept == drawn, "{name} is out of date: cargo run -p mender-pictures");
    }
}

/// An empty line ends HTML in rustdoc's markdown.
#[test]
fn documentation_can_contain_them() {
    for (name, drawn) in mender_pictures::pictures() {
        assert!(drawn.lines().all(|line| !line.trim().is_empty()), "{name}");
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"), "{name}");
    }
}

//! Boxes, lines and text.

use std::fmt::Write;

/// The colours: of what is usual, good, bad, and beside the matter.
pub const INK: &str = "#24292f";
pub const GOOD: &str = "#1a7f37";
pub const BAD: &str = "#cf222e";
pub const PALE: &str = "#8c959f";

/// Where a text stands at its point.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture.
pub struct Picture {
    text: String,
}

impl Picture {
    pub fn new(width: i32, height: i32, title: &str) -> Picture {
        let mut picture = Picture { text: String::new() };
        picture.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\" aria-label=\"{title}\">"
        ));
        picture.put(format_args!(
            "<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>"
        ));
        picture
    }

    /// Rustdoc takes the lines for HTML only as long as none of them is empty.
    fn put(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{line}");
    }

    pub fn rect(&mut self, x: i32, y: i32, width: i32, height: i32, fill: &str, stroke: &str) {
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\" fill=\"{fill}\" stroke=\"{stroke}\"/>"
        ));
    }

    pub fn text(&mut self, x: i32, y: i32, anchor: Anchor, fill: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{text}</text>"
        ));
    }

    /// Text whose letters are equally wide, with its blanks.
    pub fn code(&mut self, x: i32, y: i32, fill: &str, text: &str) {
        let text = escape(text);
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" fill=\"{fill}\" font-family=\"ui-monospace, monospace\" font-size=\"12\" \
             xml:space=\"preserve\">{text}</text>"
        ));
    }

    /// A line along an SVG path, with an arrow at its end: from a point, in the direction of another one.
    pub fn arrow(&mut self, path: &str, end: (i32, i32), from: (i32, i32), colour: &str, is_dashed: bool) {
        let dashes = if is_dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        self.put(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{dashes}/>"
        ));
        let (dx, dy) = (f64::from(end.0 - from.0), f64::from(end.1 - from.1));
        let len = dx.hypot(dy).max(1.0);
        let (ux, uy) = (dx / len, dy / len);
        let corner = |side: f64| {
            let (x, y) = (
                f64::from(end.0) - 8.0 * ux - side * 4.0 * uy,
                f64::from(end.1) - 8.0 * uy + side * 4.0 * ux,
            );
            format!("{x:.1},{y:.1}")
        };
        let (left, right) = (corner(1.0), corner(-1.0));
        self.put(format_args!(
            "<polygon points=\"{},{} {left} {right}\" fill=\"{colour}\"/>",
            end.0, end.1
        ));
    }

    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

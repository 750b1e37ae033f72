//! The program's command line as all tools have it.

use std::fs;

use tool_style::check::Tool;

const TOOL: Tool = Tool {
    name: "artifact-info",
    program: env!("CARGO_BIN_EXE_artifact-info"),
};

#[test]
fn the_command_line_is_that_of_all_tools() {
    TOOL.has_the_style();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let at = |name: &str| format!("{folder}/{name}");
    fs::write(at("text"), "This is no artifact.".repeat(100)).unwrap();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/artifacts");
    let flipped = format!("{vectors}/bad/payload-bit-flip.mender");
    for (status, argument, parts) in [
        (1, &at("missing"), ["missing: cannot be read: ", "is its path right?"]),
        (1, &folder.to_owned(), [folder, ": cannot be read: "]),
        (
            1,
            &at("text"),
            ["text: ", "it is no Mender artifact: give a .mender file"],
        ),
        (1, &flipped, [&flipped, ": the SHA-256 of a payload file"]),
    ] {
        TOOL.fails(status, &[argument], &parts);
    }
    TOOL.fails(2, &["--explain", "E0"], &["E0 is no code"]);
    TOOL.fails(1, &["-"], &["standard input: the artifact ends early"]);
    TOOL.cannot_print(&[&format!("{vectors}/ok/none-100k.mender")]);
}

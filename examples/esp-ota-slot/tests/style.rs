//! The program's command line as all tools have it.

use std::fs;

use tool_style::check::Tool;

const TOOL: Tool = Tool {
    name: "esp-ota-slot",
    program: env!("CARGO_BIN_EXE_esp-ota-slot"),
};

#[test]
fn the_command_line_is_that_of_all_tools() {
    TOOL.has_the_style();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let at = |name: &str| format!("{folder}/{name}");
    fs::write(at("odd"), "no dump").unwrap();
    fs::write(at("erased"), [0xff; 0x10000]).unwrap();
    for (status, arguments, parts) in [
        (
            1,
            &["state", &at("missing")][..],
            ["missing: cannot be read: ", "is its path right?"],
        ),
        (1, &["confirm", folder], [folder, ": cannot be read: "]),
        (1, &["state", &at("odd")], ["odd: ", "sectors of 4096 bytes"]),
        (1, &["state", &at("erased")], ["erased: ", "give --table OFFSET"]),
        (2, &["--table", "0xg", "state", "x"], ["0xg", "write 32768 or 0x8000"]),
        (2, &["--running", "2", "state", "x"], ["--running", "0..=1"]),
    ] {
        TOOL.fails(status, arguments, &parts);
    }
}

//! The program's command line as all tools have it.

use tool_style::check::Tool;

#[test]
fn the_command_line_is_that_of_all_tools() {
    let tool = Tool {
        name: "runner",
        program: env!("CARGO_BIN_EXE_runner"),
    };
    tool.has_the_style();
    tool.fails(2, &["--measure", "--plain"], &["--measure", "--plain"]);
    tool.fails(2, &["--imgtool", "imgtool"], &["--mcuboot"]);
}

//! The program's command line as all tools have it.

use tool_style::check::Tool;

#[test]
fn the_command_line_is_that_of_all_tools() {
    let tool = Tool {
        name: "mender-pictures",
        program: env!("CARGO_BIN_EXE_mender-pictures"),
    };
    tool.has_the_style();
    tool.fails(2, &["draw"], &["draw", "demo"]);
    tool.fails(
        1,
        &["--folder", "/no/such"],
        &["/no/such/states.svg: cannot be written: "],
    );
}

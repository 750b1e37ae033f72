//! Puts the module into the real client, on a simulated board with a simulated server, and shows a deployment that succeeds, one
//! that is rolled back, and one that loses power.

use std::error::Error;

use custom_module::on_a_board;

fn main() -> Result<(), Box<dyn Error>> {
    // In the middle of `install`: rolled back.
    let cut = "success (new board) / cut 8 after";
    for story in ["success", "the server refuses the commit", cut] {
        println!("{story}:\n  {}\n", on_a_board().play_one(story)?.join("\n  "));
    }
    Ok(())
}

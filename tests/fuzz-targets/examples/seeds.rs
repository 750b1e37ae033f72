//! Writes the first inputs of a target into a folder: `seeds TARGET FOLDER`. Without arguments: the names of the targets.

use std::path::PathBuf;
use std::{env, fs, io};

use mender_fuzz_targets::{TARGETS, seeds};

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(name), Some(folder)) = (arguments.next(), arguments.next().map(PathBuf::from)) else {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        return Ok(());
    };
    fs::create_dir_all(&folder)?;
    for (index, input) in [seeds::kept(&name), seeds::made(&name)].concat().iter().enumerate() {
        fs::write(folder.join(format!("seed-{index:04}")), input)?;
    }
    Ok(())
}

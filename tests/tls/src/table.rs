//! Tables of what a server does and what becomes of it.

use std::fmt::Write as _;

use crate::chains::Case;
use crate::client::outcome;
use crate::line::Manner;
use crate::peer::Script;

/// A name, what the server does, what becomes of the connection.
pub type Row = (&'static str, Script, &'static str);

/// Tries each row, with all bytes at once and with few at a time: both must come to what the row says.
///
/// # Panics
///
/// With all rows that came to something else.
pub fn judge(case: &Case, rows: Vec<Row>) {
    let mut others = String::new();
    for (name, script, expected) in rows {
        let smooth = outcome(case, script.clone(), Manner::SMOOTH);
        let rough = outcome(case, script, Manner::ROUGH);
        println!("{name}: {smooth}");
        if smooth != expected {
            let _ = writeln!(others, "{name} => {smooth}");
        }
        if rough != smooth {
            let _ = writeln!(others, "{name}, with few bytes at a time => {rough}");
        }
    }
    assert!(others.is_empty(), "other outcomes than expected:\n{others}");
}

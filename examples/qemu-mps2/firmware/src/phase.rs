//! What the client is doing, and what that costs the others: printed when it does something else. Depends on `heart`.

use core::cell::Cell;

use board::say;
use embassy_time::Instant;

use crate::heart;

/// Figures of a phase begin anew with each.
#[derive(Debug)]
pub struct Phases {
    now: Cell<(&'static str, Instant)>,
}

impl Phases {
    /// The first phase begins.
    pub fn start(name: &'static str) -> Phases {
        Phases {
            now: Cell::new((name, Instant::now())),
        }
    }

    /// The next one begins, and the one before is over. The same again is still the same.
    pub fn enter(&self, name: &'static str) {
        let (before, since) = self.now.get();
        if before == name {
            return;
        }
        let micros = since.elapsed().as_micros();
        let (late, longest) = (heart::worst_micros(), board::executor::longest_round_micros());
        let (stack, room) = board::stack_used();
        say!("@phase {before} micros={micros} late={late} longest={longest} stack={stack} of={room}");
        self.now.set((name, Instant::now()));
    }
}

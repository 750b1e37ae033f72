//! Lines on standard output, each with its time and who speaks, and the progress bar between them.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Who does what a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever clicks in the server's user interface; played by the demo.
    Operator,
    /// The Mender server.
    Server,
    /// The board's firmware.
    Board,
    /// The board's bootloader.
    Bootloader,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Who::Operator => "operator",
            Who::Server => "server",
            Who::Board => "board",
            Who::Bootloader => "bootloader",
        }
    }
}

/// Standard output.
#[derive(Debug)]
pub struct Terminal {
    start: Instant,
    bar: RefCell<Option<ProgressBar>>,
    /// Somebody reads; a reader that has gone away is no reason to stop an update.
    open: Cell<bool>,
}

impl Terminal {
    /// Time starts now.
    pub fn new() -> Terminal {
        Terminal {
            start: Instant::now(),
            bar: RefCell::new(None),
            open: Cell::new(true),
        }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// A line of the story.
    pub fn say(&self, who: Who, what: impl fmt::Display) {
        let seconds = self.elapsed().as_secs_f64();
        self.line(format_args!("{seconds:6.2} s  {:<10}  {what}", who.name()));
    }

    /// A line.
    pub fn line(&self, text: impl fmt::Display) {
        let write = || {
            if self.open.get() {
                self.open.set(writeln!(std::io::stdout(), "{text}").is_ok());
            }
        };
        match &*self.bar.borrow() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// A bar while `received` is below `total`; nothing if standard output is no terminal.
    pub fn progress(&self, received: u64, total: u64) {
        let mut bar = self.bar.borrow_mut();
        if received >= total {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            return;
        }
        bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("          board       [{bar:40}] {bytes} of {total_bytes}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stdout()).with_style(style)
        })
        .set_position(received);
    }

    /// Takes away a bar that did not reach its end.
    pub fn clear_progress(&self) {
        self.progress(0, 0);
    }
}

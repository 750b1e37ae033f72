//! Lines on standard output, each with its time and who speaks, and the progress bar below them. Depends on nothing here.

use std::fmt;
use std::io::Write;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Standard output.
#[derive(Debug)]
pub struct Terminal {
    start: Instant,
    bar: Option<ProgressBar>,
    /// Only what is asked for, no story.
    quiet: bool,
}

impl Terminal {
    /// Time starts now.
    pub fn new(quiet: bool) -> Terminal {
        Terminal {
            start: Instant::now(),
            bar: None,
            quiet,
        }
    }

    /// A line of the story.
    pub fn say(&self, who: &str, what: impl fmt::Display) {
        if !self.quiet {
            self.line(format_args!(
                "{:6.2} s  {who:<9} {what}",
                self.start.elapsed().as_secs_f64()
            ));
        }
    }

    /// A line.
    pub fn line(&self, text: impl fmt::Display) {
        // A reader that has gone away is no reason to stop.
        let write = || drop(writeln!(std::io::stdout(), "{text}"));
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// A bar while `now` is below `all`; nothing if standard output is no terminal.
    pub fn progress(&mut self, progress: Option<(u64, u64)>) {
        match progress {
            Some((now, all)) if now < all && !self.quiet => {
                let bar = self.bar.get_or_insert_with(|| {
                    let style = ProgressStyle::with_template("          board     [{bar:40}] {bytes} of {total_bytes}")
                        .unwrap_or_else(|_| ProgressStyle::default_bar())
                        .progress_chars("=> ");
                    ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stdout()).with_style(style)
                });
                bar.set_position(now);
            }
            Some(_) | None => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

//! Lines of the log on standard error, and the progress bar between them.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use env_filter::Filter;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use log::{Level, LevelFilter, Log, Metadata, Record};

/// Standard error.
#[derive(Debug)]
pub struct Terminal {
    filter: Filter,
    bar: Mutex<Bar>,
}

#[derive(Debug, Default)]
struct Bar {
    shown: Option<ProgressBar>,
    /// Tenths that were told in lines.
    told: u64,
}

/// The logger that the crate `log` has.
#[derive(Debug)]
struct Shared(Arc<Terminal>);

impl Terminal {
    /// Begins to log: what `level` says, else what `rust_log` says (the text of `RUST_LOG`), else what matters to people.
    ///
    /// # Errors
    ///
    /// `rust_log` is no filter, or this process logs already.
    pub fn start(level: Option<LevelFilter>, rust_log: Option<&str>) -> Result<Arc<Terminal>, String> {
        let mut builder = env_filter::Builder::new();
        match (level, rust_log) {
            (Some(level), _) => {
                builder.filter_level(level);
            }
            (None, Some(text)) => {
                builder
                    .try_parse(text)
                    .map_err(|error| format!("the environment variable RUST_LOG: {error}"))?;
            }
            (None, None) => {
                // The library tells its own way of what `device.rs` says in whole sentences.
                builder
                    .filter_level(LevelFilter::Info)
                    .filter_module("mender", LevelFilter::Warn);
                builder.filter_module("mender_posix_client", LevelFilter::Info);
            }
        }
        let terminal = Arc::new(Terminal {
            filter: builder.build(),
            bar: Mutex::default(),
        });
        log::set_boxed_logger(Box::new(Shared(Arc::clone(&terminal)))).map_err(|error| error.to_string())?;
        log::set_max_level(terminal.filter.filter());
        Ok(terminal)
    }

    fn bar(&self) -> MutexGuard<'_, Bar> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So much of an artifact has come: a bar on a terminal, a line for each tenth elsewhere.
    pub fn progress(&self, received: u64, total: u64) {
        if !log::log_enabled!(Level::Info) {
            return;
        }
        if !console_is_terminal() {
            let tenth = received.saturating_mul(10).checked_div(total).unwrap_or(0);
            let is_news = std::mem::replace(&mut self.bar().told, tenth) != tenth;
            if is_news {
                log::info!("{} % of {total} bytes have come", tenth * 10);
            }
            return;
        }
        let mut bar = self.bar();
        bar.shown
            .get_or_insert_with(|| {
                let template = "[{bar:40}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
                let style = ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> ");
                ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_style(style)
            })
            .set_position(received);
    }

    /// Nothing comes any more.
    pub fn progress_ends(&self) {
        let bar = std::mem::take(&mut *self.bar());
        if let Some(bar) = bar.shown {
            bar.finish_and_clear();
        }
    }
}

/// A text as one line of a terminal: what comes from a server or a proxy must not write its own lines, or move the cursor.
pub fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            harmless.extend(c.escape_default());
        } else {
            harmless.push(c);
        }
    }
    harmless
}

fn console_is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

impl Log for Shared {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.0.filter.matches(record) {
            return;
        }
        let level = match record.level() {
            Level::Error => "error",
            Level::Warn => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        };
        let text = harmless(&record.args().to_string());
        let write = || {
            // Nobody reads any more: no reason to stop.
            let _ = writeln!(std::io::stderr(), "{level}: {text}");
        };
        match &self.0.bar().shown {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn flush(&self) {}
}

//! The reason a callback gives for failing.

use core::fmt::{self, Display, Write};

use embedded_storage_async::nor_flash::NorFlashError;
use heapless::String;

use crate::text::{Describe, Text};

/// Length in bytes of a [`Failure`]'s text; a longer one is cut and ends in `...`.
pub const FAILURE_TEXT_LEN: usize = 96;

/// Why a module's callback failed: a short text, for the log and for the deployment log on the server.
///
/// Made from anything that implements [`Display`]; the text is kept, the error itself is not. An error that a method of an
/// annotated struct gives is taken by its [`Describe`] instead, if it has one, which links no `core::fmt`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure {
    text: String<FAILURE_TEXT_LEN>,
}

impl Failure {
    /// Keeps the first [`FAILURE_TEXT_LEN`] bytes of what `reason` displays.
    pub fn new(reason: impl Display) -> Failure {
        let mut cut = Cut {
            text: String::new(),
            full: false,
        };
        // An error can only come from `reason` itself; what it wrote before is kept.
        let _ = write!(cut, "{reason}");
        Failure { text: cut.text }
    }

    /// As [`new`](Failure::new), of an error that has no [`Display`], as those of flash drivers: its `Debug`.
    ///
    /// ```
    /// use mender::embedded_storage_async::nor_flash::NorFlash;
    /// use mender::update_module::Failure;
    ///
    /// async fn erase<F: NorFlash>(mut flash: F) -> Result<(), Failure> {
    ///     flash.erase(0, 4096).await.map_err(Failure::debug)
    /// }
    /// ```
    pub fn debug(reason: impl fmt::Debug) -> Failure {
        Failure::new(format_args!("{reason:?}"))
    }

    /// As [`new`](Failure::new), of a text or of what describes itself. Links no `core::fmt`, which is worth a kilobyte or two.
    ///
    /// ```
    /// use mender::update_module::Failure;
    /// assert_eq!(Failure::of("the sensor does not answer").as_str(), "the sensor does not answer");
    /// ```
    pub fn of(reason: &(impl Describe + ?Sized)) -> Failure {
        let mut buffer = [0; FAILURE_TEXT_LEN + 1];
        let mut text = Text::new(&mut buffer);
        reason.describe(&mut text);
        Failure::cut(text.as_str())
    }

    /// A text, the end of which may have to be replaced by three dots.
    fn cut(text: &str) -> Failure {
        let (kept, dots) = if text.len() <= FAILURE_TEXT_LEN {
            (text.len(), "")
        } else {
            (text.floor_char_boundary(FAILURE_TEXT_LEN - 3), "...")
        };
        let mut short = String::new();
        // The capacity is enough for both.
        let _ = short.push_str(text.get(..kept).unwrap_or("")).and(short.push_str(dots));
        Failure { text: short }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Describe for Failure {
    fn describe(&self, out: &mut Text<'_>) {
        out.push(&self.text);
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl core::error::Error for Failure {}

/// So that `?` takes what a flash driver returns, also of a generic one: its errors have no [`Display`], and are kept as by
/// [`Failure::debug`]. Firmware that does without `core::fmt` says [`Failure::of`] instead.
///
/// ```
/// use mender::embedded_storage_async::nor_flash::NorFlash;
/// use mender::update_module::Failure;
///
/// async fn erase<F: NorFlash>(mut flash: F) -> Result<(), Failure> {
///     flash.erase(0, 4096).await?;
///     Ok(())
/// }
/// ```
impl<E: NorFlashError> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::debug(error)
    }
}

struct Cut {
    text: String<FAILURE_TEXT_LEN>,
    full: bool,
}

impl Write for Cut {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.full {
            return Ok(());
        }
        if self.text.push_str(s).is_ok() {
            return Ok(());
        }
        self.full = true;
        // Room for the three dots: drop characters from the end of what is there and of what came.
        let room = FAILURE_TEXT_LEN - 3;
        while self.text.len() > room {
            self.text.pop();
        }
        for c in s.chars() {
            if self.text.len() + c.len_utf8() > room || self.text.push(c).is_err() {
                break;
            }
        }
        self.text.push_str("...").map_err(|_| fmt::Error)
    }
}

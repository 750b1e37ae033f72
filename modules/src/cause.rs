//! Causes of failures: constants of a code and a text, from which the errors of the modules describe themselves.
//!
//! Depends on [`mender::text`] and `embedded-storage-async` only. With `mender`'s feature `terse` the code is shown in the place of the text.

use embedded_storage_async::nor_flash::NorFlashErrorKind;
use mender::text::Text;

/// A code and the text that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause(pub(crate) u16, pub(crate) &'static str);

impl Cause {
    /// Appends the text, or the code.
    #[inline]
    pub(crate) fn tell(self, out: &mut Text<'_>) {
        out.cause(self.0, self.1);
    }

    /// Appends the text, or the code, and ` 1` or the like.
    #[cfg(feature = "mcuboot")]
    #[inline]
    pub(crate) fn tell_of(self, number: u32, out: &mut Text<'_>) {
        self.tell(out);
        out.push(" ");
        out.number(number);
    }
}

/// Appends the name of what a cause is said of, and gives the cause.
#[cfg(any(feature = "embassy-boot", feature = "esp-ota"))]
pub(crate) fn of_part(part: &str, cause: Cause, out: &mut Text<'_>) -> Cause {
    out.push(part);
    out.push(" ");
    cause
}

/// Appends that the flash of a part failed, and how.
#[cfg(any(feature = "embassy-boot", feature = "esp-ota"))]
pub(crate) fn tell_flash(cause: Cause, part: &str, kind: NorFlashErrorKind, out: &mut Text<'_>) {
    cause.tell(out);
    out.push(" ");
    out.push(part);
    out.push(": ");
    tell_kind(kind, out);
}

/// Appends `34 bytes, but 12 `. The length may be of any size: it is what a file has or a damaged header states.
pub(crate) fn tell_too_long(len: u64, room: u32, out: &mut Text<'_>) {
    let shown = u32::try_from(len).unwrap_or_else(|_| {
        out.push("over ");
        u32::MAX
    });
    out.number(shown);
    out.push(" bytes, but ");
    out.number(room);
    out.push(" ");
}

/// Constants of causes, and the list of them all.
macro_rules! causes {
    ($list:ident: $($name:ident = $code:literal, $text:literal;)*) => {
        $(const $name: $crate::cause::Cause = $crate::cause::Cause($code, $text);)*
        /// All of the above.
        pub(crate) const $list: &[$crate::cause::Cause] = &[$($name),*];
    };
}
pub(crate) use causes;

/// Types that show what they describe.
macro_rules! displayed {
    ($($described:ty),*) => {
        $(impl ::core::fmt::Display for $described {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::mender::text::display(self, f)
            }
        })*
    };
}
pub(crate) use displayed;

/// Appends of what kind a flash driver's error is. More would need `core::fmt`.
pub(crate) fn tell_kind(kind: NorFlashErrorKind, out: &mut Text<'_>) {
    out.push(match kind {
        NorFlashErrorKind::NotAligned => "NotAligned",
        NorFlashErrorKind::OutOfBounds => "OutOfBounds",
        // And all that may be added.
        _ => "Other",
    });
}

//! Causes of failures: constants of a code, from which the errors of the modules describe themselves. The texts are packed by the
//! compiler, all of a module in one piece, in the order of the codes: see [`mender::codes::pack_texts`].
//!
//! Depends on [`mender::text`], [`mender::codes`] and `embedded-storage-async` only. With `mender`'s feature `terse` the code is shown in the place of the text.

use embedded_storage_async::nor_flash::NorFlashErrorKind;
use mender::text::Text;

/// A code, and the texts of its module. Two words, so that it is handed over in registers: causes that are kept in flash as they are, with
/// a slice each, take more than the packing saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause(pub(crate) u16, pub(crate) &'static &'static [u8]);

/// Each module has so many codes.
pub(crate) const CODES: u16 = 50;

impl Cause {
    /// Appends the text, or the code.
    #[inline]
    pub(crate) fn tell(self, out: &mut Text<'_>) {
        out.packed_cause(self.0, self.1, usize::from(self.0 % CODES));
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
        $(const $name: $crate::cause::Cause = $crate::cause::Cause($code, &PACKED);)*
        /// All of the above, with their texts.
        pub(crate) const $list: &[(u16, &str)] = &[$(($code, $text)),*];
        /// The first code of the module.
        const FIRST: u16 = $list[0].0 / $crate::cause::CODES * $crate::cause::CODES;
        static PACKED: &[u8] = &::mender::codes::pack_texts::<{ ::mender::codes::packed_len(FIRST, $list) }>(FIRST, $list);

        #[cfg(test)]
        #[test]
        fn every_text_comes_out_as_it_went_in() {
            for (code, text) in $list {
                let mut buffer = [0; 128];
                let mut told = ::mender::text::Text::new(&mut buffer);
                $crate::cause::Cause(*code, &PACKED).tell(&mut told);
                assert_eq!(told.as_str(), *text, "E{code}");
            }
            let plain_len: usize = $list.iter().map(|(_, text)| text.len()).sum();
            assert!(PACKED.len() * 10 < plain_len * 7, "{} of {plain_len} bytes", PACKED.len());
        }
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

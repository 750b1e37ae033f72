//! The error of a module, for users, and the same in three bytes, for inside: said once. Depends on `embedded-storage-async` and
//! [`mender::update_module`] only.

/// Makes `Error` of its variants, and `Stop`, which is the same without the numbers of the one variant that has any.
///
/// A variant of a feature stands behind the others.
///
/// `Payload`, with a `PayloadError`, and `Flash`, with a `Partition` and the kind of a driver's error, must be there.
macro_rules! errors {
    (
        $(#[$about:meta])*
        pub enum Error {
            $(
                $(#[$doc:meta])*
                $name:ident $(($($of:ident: $type:ty),+))? $({ $($(#[$number_doc:meta])* $number:ident: $width:ty,)+ })?,
            )*
        }
        $(
            with $feature:literal {
                $(#[$more_doc:meta])*
                $more:ident($more_type:ty),
            }
        )?
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Error {
            $($(#[$doc])* $name $(($($type),+))? $({ $($(#[$number_doc])* $number: $width,)+ })?,)*
            $(#[cfg(feature = $feature)] $(#[$more_doc])* $more($more_type),)?
        }

        impl ::core::error::Error for Error {}

        /// The same as [`Error`], in three bytes: the numbers are put in at the end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Stop {
            $($name $(($($type),+))?,)*
            $(#[cfg(feature = $feature)] $more($more_type),)?
        }

        impl Stop {
            /// The public error. The numbers are those of a file that is too large.
            pub(super) fn error(self, $($($($number: $width),+)?)*) -> Error {
                match self {
                    $(Stop::$name $(($($of),+))? => Error::$name $(($($of),+))? $({ $($number),+ })?,)*
                    $(#[cfg(feature = $feature)] Stop::$more(more) => Error::$more(more),)?
                }
            }

            /// For the driver's error of one partition.
            pub(super) fn flash(
                part: Partition,
                error: &impl ::embedded_storage_async::nor_flash::NorFlashError,
            ) -> Stop {
                Stop::Flash(part, error.kind())
            }
        }

        impl From<::mender::update_module::PayloadError> for Stop {
            fn from(error: ::mender::update_module::PayloadError) -> Stop {
                Stop::Payload(error)
            }
        }
    };
}
pub(crate) use errors;

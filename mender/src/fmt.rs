//! The one log facade of this crate: the `log` crate, `defmt`, both, or nothing. Lines carry no token, key or URL query.
//!
//! A line is made with `format_args!`, so that call sites look the same for all three; with `defmt` it travels as text.

macro_rules! error {
    ($($arg:tt)*) => {{
        #[cfg(feature = "log")]
        ::log::error!($($arg)*);
        #[cfg(feature = "defmt")]
        ::defmt::error!("{}", ::defmt::Display2Format(&format_args!($($arg)*)));
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        {
            let _ = format_args!($($arg)*);
        }
    }};
}

macro_rules! warning {
    ($($arg:tt)*) => {{
        #[cfg(feature = "log")]
        ::log::warn!($($arg)*);
        #[cfg(feature = "defmt")]
        ::defmt::warn!("{}", ::defmt::Display2Format(&format_args!($($arg)*)));
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        {
            let _ = format_args!($($arg)*);
        }
    }};
}

macro_rules! info {
    ($($arg:tt)*) => {{
        #[cfg(feature = "log")]
        ::log::info!($($arg)*);
        #[cfg(feature = "defmt")]
        ::defmt::info!("{}", ::defmt::Display2Format(&format_args!($($arg)*)));
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        {
            let _ = format_args!($($arg)*);
        }
    }};
}

macro_rules! debug {
    ($($arg:tt)*) => {{
        #[cfg(feature = "log")]
        ::log::debug!($($arg)*);
        #[cfg(feature = "defmt")]
        ::defmt::debug!("{}", ::defmt::Display2Format(&format_args!($($arg)*)));
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        {
            let _ = format_args!($($arg)*);
        }
    }};
}

pub(crate) use {debug, error, info, warning};

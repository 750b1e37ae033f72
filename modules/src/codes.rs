//! The codes of the modules' errors, for devices that send them in the place of texts (feature `terse` of [`mender`]).
//!
//! | codes | module |
//! |---|---|
//! | 250 to 299 | `mcuboot` |
//! | 300 to 349 | `embassy_boot` |
//! | 350 to 399 | `esp_ota` |
//! | 400 to 449 | `delta` |
//!
//! A code never gets another meaning, and that of a cause that is no more is not used again. The modules for files run on devices
//! with an operating system, where texts are always sent.
//!
//! Depends on the modules' errors.

#[cfg(feature = "mcuboot")]
const MCUBOOT: &[(u16, &str)] = crate::mcuboot::CAUSES;
#[cfg(not(feature = "mcuboot"))]
const MCUBOOT: &[(u16, &str)] = &[];
#[cfg(feature = "embassy-boot")]
const EMBASSY_BOOT: &[(u16, &str)] = crate::embassy_boot::CAUSES;
#[cfg(not(feature = "embassy-boot"))]
const EMBASSY_BOOT: &[(u16, &str)] = &[];
#[cfg(feature = "esp-ota")]
const ESP_OTA: &[(u16, &str)] = crate::esp_ota::CAUSES;
#[cfg(not(feature = "esp-ota"))]
const ESP_OTA: &[(u16, &str)] = &[];

#[cfg(all(feature = "delta", any(feature = "mcuboot", feature = "embassy-boot")))]
const DELTA: &[(u16, &str)] = crate::delta::CAUSES;
#[cfg(not(all(feature = "delta", any(feature = "mcuboot", feature = "embassy-boot"))))]
const DELTA: &[(u16, &str)] = &[];

/// All codes of the modules that are compiled in, with their texts, in the order of the codes.
///
/// ```
/// assert!(mender_modules::codes::all().any(|(code, text)| code == 259 && text == "the image's hash is wrong"));
/// ```
pub fn all() -> impl Iterator<Item = (u16, &'static str)> {
    MCUBOOT.iter().chain(EMBASSY_BOOT).chain(ESP_OTA).chain(DELTA).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_their_ranges() {
        let codes: Vec<u16> = all().map(|(code, _)| code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        assert!(MCUBOOT.iter().all(|(code, _)| (250..300).contains(code)));
        assert!(EMBASSY_BOOT.iter().all(|(code, _)| (300..350).contains(code)));
        assert!(DELTA.iter().all(|(code, _)| (400..450).contains(code)));
        assert!(ESP_OTA.iter().all(|(code, _)| (350..400).contains(code)));
    }
}

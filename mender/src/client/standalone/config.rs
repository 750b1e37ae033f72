//! What is known of the device that artifacts are installed on. Depends on the artifact's limits.

use crate::artifact::Limits;

/// What is known of the device.
#[derive(Clone, Copy, Debug)]
pub struct StandaloneConfig<'a> {
    /// As [`Config::device_type`](crate::client::Config::device_type).
    pub device_type: &'a str,
    /// As [`Config::artifact_name`](crate::client::Config::artifact_name): before the first update.
    pub artifact_name: &'a str,
    /// As [`Config::artifact_limits`](crate::client::Config::artifact_limits).
    pub artifact_limits: Limits,
    /// As [`Config::artifact_keys`](crate::client::Config::artifact_keys). One that cannot be used matches no signature.
    #[cfg(feature = "artifact-keys")]
    pub artifact_keys: &'a [&'a [u8]],
}

impl<'a> StandaloneConfig<'a> {
    /// The defaults, for a device type and the artifact name before the first update.
    pub const fn new(device_type: &'a str, artifact_name: &'a str) -> StandaloneConfig<'a> {
        StandaloneConfig {
            device_type,
            artifact_name,
            artifact_limits: Limits::DEFAULT,
            #[cfg(feature = "artifact-keys")]
            artifact_keys: &[],
        }
    }
}

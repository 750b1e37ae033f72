//! What a client is told once: where the server is, what the device is, how often to ask.

use core::fmt;
use core::time::Duration;

use super::time::Millis;
use crate::api::auth::Tier;
use crate::artifact::Limits;
use crate::codes::Seldom;
use crate::deployment::DEFAULT_TRANSITION_LIMIT;
use crate::net::{Url, UrlError};
use crate::text::{Describe, Text, display};

/// A client's settings. [`Config::new`] gives the defaults; change the fields that differ.
///
/// ```
/// use core::time::Duration;
/// use mender::client::Config;
///
/// let config = Config {
///     update_poll_interval: Duration::from_secs(3600),
///     ..Config::new("https://mender.example.com", "nrf52840dk")
/// };
/// # assert!(config.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config<'a> {
    /// The Mender server, e.g. `https://eu.hosted.mender.io`. A path is put in front of the API's.
    pub server_url: &'a str,
    /// The device type that artifacts must be made for. 1 to 256 bytes.
    pub device_type: &'a str,
    /// The organization's token; needed by hosted Mender, ignored by the open-source server.
    pub tenant_token: Option<&'a str>,
    /// The device tier; [`Tier::Micro`] unless changed. Part of the authentication: a device that changes it has to be
    /// accepted again.
    pub tier: Tier,
    /// The artifact name before any update. `unknown` unless changed.
    pub artifact_name: &'a str,
    /// Time between two checks for an update: 7 days unless changed; at least a second.
    pub update_poll_interval: Duration,
    /// Time between two inventory reports, or `None` for the one after start alone: 7 days unless changed; at least a
    /// second.
    pub inventory_interval: Option<Duration>,
    /// First pause after a failure, doubled with each failure in a row: 60 s unless changed.
    pub retry_first: Duration,
    /// The longest pause between retries: 540 s unless changed.
    pub retry_cap: Duration,
    /// First pause when [`Device::network_up`](crate::client::Device::network_up) failed, doubled with each failure in a row up to
    /// [`retry_cap`](Config::retry_cap): 10 s unless changed.
    pub network_retry: Duration,
    /// How long one connect, one request, one read, or bringing up the network may take: 60 s unless changed. A whole answer of
    /// the device API may take three times as long.
    pub network_timeout: Duration,
    /// How long new software may try to reach the server before it is rolled back: 30 minutes unless changed.
    pub commit_timeout: Duration,
    /// How long a module's restart may take to happen before the client restarts the device itself: 60 s unless changed.
    pub restart_timeout: Duration,
    /// How often in a row a broken download is resumed without a new byte: 10 times unless changed.
    pub download_retries: u8,
    /// After how many transitions a deployment is given up: 28 unless changed, 1 to 250.
    pub transition_limit: u8,
    /// How large the parts of an artifact may be: [`Limits::DEFAULT`] unless changed. What is kept of it must also fit into
    /// `ARTIFACT` of [`Resources`](crate::client::Resources).
    pub artifact_limits: Limits,
    /// Public keys, one of which must have signed each artifact; none unless changed, and then any artifact is taken. Several are for
    /// the time in which one follows another. Files as `openssl` and `mender-artifact` have them, PEM or DER
    /// (`SubjectPublicKeyInfo`): on P-256, or RSA of 2048 to 4096 bits with the feature `rsa`.
    ///
    /// ```text
    /// artifact_keys: &[include_bytes!("artifact-key.pem")],
    /// ```
    ///
    /// An artifact whose signature is missing or wrong is refused before anything of its header is believed. To verify takes the
    /// executor for as long as a signature of TLS does.
    #[cfg(feature = "artifact-keys")]
    pub artifact_keys: &'a [&'a [u8]],
}

/// Why a [`Config`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ConfigError {
    /// [`Config::server_url`] is not a URL.
    ServerUrl(UrlError),
    /// [`Config::server_url`] has a query.
    ServerUrlQuery,
    /// [`Config::device_type`] is empty or longer than 256 bytes.
    DeviceType,
    /// [`Config::artifact_name`] is empty or longer than 256 bytes.
    ArtifactName,
    /// An interval, pause or timeout is shorter than it may be; its name is given.
    TooShort(&'static str),
    /// An interval, pause or timeout is longer than 30 days, the longest that Mender has; its name is given.
    TooLong(&'static str),
    /// [`Config::transition_limit`] is not from 1 to 250.
    TransitionLimit,
    /// [`Device::identity`](crate::client::Device::identity) is empty: all such devices would be one and the same to the server.
    NoIdentity,
    /// One of [`Config::artifact_keys`] is no public key, or of a kind that is not supported; its place is given, from 0.
    #[cfg(feature = "artifact-keys")]
    ArtifactKey(usize),
}

const SERVER_URL: Seldom = Seldom::new(50);
const SERVER_URL_QUERY: Seldom = Seldom::new(51);
const DEVICE_TYPE: Seldom = Seldom::new(52);
const ARTIFACT_NAME: Seldom = Seldom::new(53);
const TOO_SHORT: Seldom = Seldom::new(54);
const TOO_LONG: Seldom = Seldom::new(55);
const TRANSITION_LIMIT: Seldom = Seldom::new(56);
const NO_IDENTITY: Seldom = Seldom::new(57);
#[cfg(feature = "artifact-keys")]
const ARTIFACT_KEY: Seldom = Seldom::new(58);

impl Describe for ConfigError {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            ConfigError::ServerUrl(error) => {
                out.seldom(SERVER_URL);
                out.gap();
                error.describe(out);
            }
            ConfigError::ServerUrlQuery => out.seldom(SERVER_URL_QUERY),
            ConfigError::DeviceType => out.seldom(DEVICE_TYPE),
            ConfigError::ArtifactName => out.seldom(ARTIFACT_NAME),
            ConfigError::TooShort(field) => {
                out.seldom(TOO_SHORT);
                out.gap();
                out.push(field);
            }
            ConfigError::TooLong(field) => {
                out.seldom(TOO_LONG);
                out.gap();
                out.push(field);
            }
            ConfigError::TransitionLimit => out.seldom(TRANSITION_LIMIT),
            ConfigError::NoIdentity => out.seldom(NO_IDENTITY),
            #[cfg(feature = "artifact-keys")]
            ConfigError::ArtifactKey(place) => {
                out.seldom(ARTIFACT_KEY);
                out.gap();
                out.number(u32::try_from(*place).unwrap_or(u32::MAX));
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self, f)
    }
}

impl core::error::Error for ConfigError {}

impl<'a> Config<'a> {
    /// The defaults, for a server and a device type.
    pub const fn new(server_url: &'a str, device_type: &'a str) -> Config<'a> {
        const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
        Config {
            server_url,
            device_type,
            tenant_token: None,
            tier: Tier::Micro,
            artifact_name: "unknown",
            update_poll_interval: WEEK,
            inventory_interval: Some(WEEK),
            retry_first: Duration::from_secs(60),
            retry_cap: Duration::from_secs(540),
            network_retry: Duration::from_secs(10),
            network_timeout: Duration::from_secs(60),
            commit_timeout: Duration::from_secs(30 * 60),
            restart_timeout: Duration::from_secs(60),
            download_retries: 10,
            transition_limit: DEFAULT_TRANSITION_LIMIT,
            artifact_limits: Limits::DEFAULT,
            #[cfg(feature = "artifact-keys")]
            artifact_keys: &[],
        }
    }

    /// Checks every field; [`Client::new`](crate::client::Client::new) does.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        const SECOND: Millis = Millis::from_secs(1);
        const MILLISECOND: Millis = Millis::new(1);
        let url = Url::parse(self.server_url).map_err(ConfigError::ServerUrl)?;
        if url.path.bytes().any(|byte| byte == b'?') {
            return Err(ConfigError::ServerUrlQuery);
        }
        if !(1..=256).contains(&self.device_type.len()) {
            return Err(ConfigError::DeviceType);
        }
        if !(1..=256).contains(&self.artifact_name.len()) {
            return Err(ConfigError::ArtifactName);
        }
        in_range("update_poll_interval", self.update_poll_interval, SECOND)?;
        in_range(
            "inventory_interval",
            self.inventory_interval.unwrap_or(SECOND.as_duration()),
            SECOND,
        )?;
        in_range("retry_first", self.retry_first, MILLISECOND)?;
        in_range("retry_cap", self.retry_cap, Millis::of(self.retry_first))?;
        in_range("network_retry", self.network_retry, MILLISECOND)?;
        in_range("network_timeout", self.network_timeout, MILLISECOND)?;
        in_range("commit_timeout", self.commit_timeout, MILLISECOND)?;
        in_range("restart_timeout", self.restart_timeout, MILLISECOND)?;
        if !(1..=250).contains(&self.transition_limit) {
            return Err(ConfigError::TransitionLimit);
        }
        #[cfg(feature = "artifact-keys")]
        if let Some(place) = self
            .artifact_keys
            .iter()
            .position(|key| !crate::signature::public_key::is_usable(key))
        {
            return Err(ConfigError::ArtifactKey(place));
        }
        Ok(())
    }
}

#[inline(never)]
fn in_range(field: &'static str, value: Duration, least: Millis) -> Result<(), ConfigError> {
    match Millis::of(value) {
        millis if millis < least => Err(ConfigError::TooShort(field)),
        millis if millis > Millis::MONTH => Err(ConfigError::TooLong(field)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_checked() {
        let good = Config::new("https://h/prefix", "t");
        assert_eq!(good.check(), Ok(()));
        let bad = [
            (
                Config {
                    server_url: "h",
                    ..good
                },
                ConfigError::ServerUrl(UrlError::Scheme),
            ),
            (
                Config {
                    server_url: "http://h/?a",
                    ..good
                },
                ConfigError::ServerUrlQuery,
            ),
            (
                Config {
                    device_type: "",
                    ..good
                },
                ConfigError::DeviceType,
            ),
            (
                Config {
                    artifact_name: "",
                    ..good
                },
                ConfigError::ArtifactName,
            ),
            (
                Config {
                    update_poll_interval: Duration::ZERO,
                    ..good
                },
                ConfigError::TooShort("update_poll_interval"),
            ),
            (
                Config {
                    inventory_interval: Some(Duration::ZERO),
                    ..good
                },
                ConfigError::TooShort("inventory_interval"),
            ),
            (
                Config {
                    retry_cap: Duration::from_secs(1),
                    ..good
                },
                ConfigError::TooShort("retry_cap"),
            ),
            (
                Config {
                    update_poll_interval: Duration::from_secs(30 * 24 * 3600 + 1),
                    ..good
                },
                ConfigError::TooLong("update_poll_interval"),
            ),
            (
                Config {
                    transition_limit: 0,
                    ..good
                },
                ConfigError::TransitionLimit,
            ),
        ];
        for (config, error) in bad {
            assert_eq!(config.check(), Err(error));
        }
    }
}

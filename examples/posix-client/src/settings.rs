//! What holds in the end: arguments and environment over the file over the defaults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum as _;
use mender::api::auth::Tier;
use mender::client::{Config, Resources};
use tool_style::Wrong;

use crate::cli::{Arguments, TierName};
use crate::conf::Conf;
use crate::lines::{self, Attribute};

/// Hosted Mender in the US.
pub const DEFAULT_SERVER: &str = "https://hosted.mender.io";
/// Where Debian's and Yocto's packages of the Linux client have it.
pub const DEFAULT_DEVICE_TYPE_FILE: &str = "/var/lib/mender/device_type";

const POLL: Duration = Duration::from_secs(1800);
const INVENTORY: Duration = Duration::from_secs(28800);
const RETRY: Duration = Duration::from_secs(300);
/// The first pause after a failure, unless the longest is shorter: the Linux client's.
const FIRST_RETRY: Duration = Duration::from_secs(60);
/// The first pause when the network is not up.
const NETWORK_RETRY: Duration = Duration::from_secs(10);
/// The Linux client's limit for a module's call.
const MODULE: Duration = Duration::from_secs(14400);

/// Room for what hosts have: tokens and links of any server, blocks that keep a disk busy, artifacts of any size.
pub type HostResources = Resources<16384, 16384, 65536, 262144, 32768>;

/// Where the device's identity comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityFrom {
    /// These attributes.
    Given(Vec<(String, String)>),
    /// What this program prints.
    Script(PathBuf),
    /// The hardware address of the first interface.
    Interface,
}

/// Where the device type comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceTypeFrom {
    /// This.
    Given(String),
    /// A line `device_type=...` in this file.
    File(PathBuf),
}

/// See the [module](self).
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The server.
    pub server_url: String,
    /// The file that names it, if that does.
    pub server_file: Option<PathBuf>,
    /// The organization's token.
    pub tenant_token: Option<String>,
    /// The device type.
    pub device_type: DeviceTypeFrom,
    /// The artifact name before any update.
    pub artifact_name: String,
    /// Who the device is.
    pub identity: IdentityFrom,
    /// A provided key.
    pub private_key: Option<PathBuf>,
    /// The tier.
    pub tier: Tier,
    /// Where the records are.
    pub data_dir: PathBuf,
    /// Between two polls.
    pub poll_interval: Duration,
    /// Between two inventory reports.
    pub inventory_interval: Duration,
    /// The longest pause after a failure.
    pub retry_interval: Duration,
    /// Attributes that are the same in each report.
    pub inventory: Vec<Attribute>,
    /// Where the inventory programs are.
    pub inventory_dir: Option<PathBuf>,
    /// Roots for the server.
    pub ca: Option<PathBuf>,
    /// Files of public keys, one of which must have signed each artifact.
    pub artifact_keys: Vec<PathBuf>,
    /// Where programs are that are update modules.
    pub modules_dir: PathBuf,
    /// Where built-in modules may write.
    pub root: PathBuf,
    /// Restarts the host.
    pub reboot_command: String,
    /// How long a module may take for a call.
    pub module_timeout: Duration,
    /// One cycle.
    pub once: bool,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("server_url", &self.server_url)
            .field("device_type", &self.device_type)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Puts them together.
    ///
    /// # Errors
    ///
    /// What cannot be used, for people.
    pub fn merge(arguments: Arguments, conf: Conf) -> Result<Settings, Wrong> {
        let tier = match (arguments.device_tier, conf.device_tier) {
            (Some(name), _) => name,
            (None, Some(name)) => TierName::from_str(&name, false).map_err(|_| {
                of_file(
                    arguments.config.as_deref(),
                    &format!("`DeviceTier` must be standard, micro or system, found `{name}`"),
                )
            })?,
            (None, None) => TierName::Standard,
        };
        let mut given = arguments.identity;
        if let Some(mac) = arguments.mac_address {
            given.insert(0, ("mac".to_owned(), mac));
        }
        for (place, (key, _)) in given.iter().enumerate() {
            if given.iter().take(place).any(|(before, _)| before == key) {
                return Err(Wrong::Usage(format!("the identity has `{key}` twice")));
            }
        }
        let identity = match arguments.identity_script {
            Some(script) => IdentityFrom::Script(script),
            None if given.is_empty() => IdentityFrom::Interface,
            None => IdentityFrom::Given(given),
        };
        let device_type = match arguments.device_type {
            Some(device_type) => DeviceTypeFrom::Given(device_type),
            None => DeviceTypeFrom::File(
                conf.device_type_file
                    .unwrap_or_else(|| PathBuf::from(DEFAULT_DEVICE_TYPE_FILE)),
            ),
        };
        let mut inventory = Vec::new();
        for (key, value) in arguments.inventory {
            lines::add(&mut inventory, key, value);
        }
        Ok(Settings {
            server_file: arguments
                .config
                .filter(|_| arguments.server_url.is_none() && conf.server_url.is_some()),
            server_url: arguments
                .server_url
                .or(conf.server_url)
                .unwrap_or_else(|| DEFAULT_SERVER.to_owned()),
            // Set to nothing in the environment is not set, as in the file.
            tenant_token: arguments
                .tenant_token
                .filter(|token| !token.is_empty())
                .or(conf.tenant_token),
            device_type,
            artifact_name: arguments.artifact_name.unwrap_or_else(|| "unknown".to_owned()),
            identity,
            private_key: arguments.private_key.or(conf.private_key),
            tier: tier.into(),
            data_dir: arguments.data_dir,
            poll_interval: arguments.poll_interval.or(conf.poll_interval).unwrap_or(POLL),
            inventory_interval: arguments
                .inventory_interval
                .or(conf.inventory_interval)
                .unwrap_or(INVENTORY),
            retry_interval: arguments.retry_interval.or(conf.retry_interval).unwrap_or(RETRY),
            inventory,
            inventory_dir: arguments.inventory_dir,
            ca: arguments.ca.or(conf.server_certificate),
            artifact_keys: if arguments.artifact_key.is_empty() {
                conf.artifact_keys
            } else {
                arguments.artifact_key
            },
            modules_dir: arguments.modules_dir,
            root: arguments.root,
            reboot_command: arguments.reboot_command,
            module_timeout: conf.module_timeout.unwrap_or(MODULE),
            once: arguments.once,
        })
    }

    /// The library's configuration. The inventory's interval is kept by `serve.rs`, which runs the scripts before.
    ///
    /// # Errors
    ///
    /// What cannot be used: the option's name, and why.
    pub fn config<'a>(&'a self, device_type: &'a str, keys: &'a [&'a [u8]]) -> Result<Config<'a>, Wrong> {
        let config = Config {
            tenant_token: self.tenant_token.as_deref(),
            tier: self.tier,
            artifact_name: &self.artifact_name,
            update_poll_interval: self.poll_interval,
            inventory_interval: None,
            retry_first: FIRST_RETRY.min(self.retry_interval),
            retry_cap: self.retry_interval,
            network_retry: NETWORK_RETRY.min(self.retry_interval),
            artifact_limits: mender::artifact::Limits::GENEROUS,
            artifact_keys: keys,
            ..Config::new(&self.server_url, device_type)
        };
        config.check().map_err(|error| {
            use mender::client::ConfigError;
            match error {
                ConfigError::ServerUrl(_) | ConfigError::ServerUrlQuery => of_file(
                    self.server_file.as_deref(),
                    &format!(
                        "the server's URL `{}`: {error}; expected something like {DEFAULT_SERVER}",
                        self.server_url
                    ),
                ),
                ConfigError::DeviceType => match &self.device_type {
                    DeviceTypeFrom::Given(_) => {
                        Wrong::Usage("--device-type: the device type must have 1 to 256 bytes".to_owned())
                    }
                    DeviceTypeFrom::File(path) => Wrong::Failed(format!(
                        "the device type {}: it must have 1 to 256 bytes",
                        path.display()
                    )),
                },
                ConfigError::ArtifactName => Wrong::Usage("--artifact-name: must have 1 to 256 bytes".to_owned()),
                ConfigError::ArtifactKey(place) => Wrong::Failed(format!(
                    "the artifact key {}: it is no public key on P-256 or of RSA with 2048 to 4096 bits, in PEM or DER \
                     (openssl pkey -in FILE -pubout -out OTHER makes one of a private key)",
                    self.artifact_keys
                        .get(place)
                        .map_or_else(String::new, |path| path.display().to_string())
                )),
                ConfigError::TooShort(_)
                | ConfigError::TooLong(_)
                | ConfigError::TransitionLimit
                | ConfigError::NoIdentity => Wrong::Usage(error.to_string()),
            }
        })?;
        Ok(config)
    }
}

/// A fault of the configuration file, if that is where it is from, else of the command line.
fn of_file(path: Option<&Path>, text: &str) -> Wrong {
    match path {
        Some(path) => Wrong::Failed(format!("the configuration {}: {text}", path.display())),
        None => Wrong::Usage(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span;
    use clap::{CommandFactory as _, Parser as _};

    fn merged(arguments: &[&str], conf: Conf) -> Result<Settings, Wrong> {
        let arguments = ["mender-rs"].iter().chain(arguments);
        Settings::merge(Arguments::try_parse_from(arguments).unwrap(), conf)
    }

    #[test]
    fn an_argument_wins_over_the_file_and_the_file_over_the_default() {
        let conf = || Conf {
            server_url: Some("https://file".to_owned()),
            tenant_token: Some("file".to_owned()),
            poll_interval: Some(Duration::from_secs(7)),
            device_type_file: Some("/file".into()),
            device_tier: Some("micro".to_owned()),
            server_certificate: Some("/file.crt".into()),
            ..Conf::default()
        };
        let settings = merged(&[], conf()).unwrap();
        assert_eq!(settings.server_url, "https://file");
        assert_eq!(settings.poll_interval, Duration::from_secs(7));
        assert_eq!(settings.device_type, DeviceTypeFrom::File("/file".into()));
        assert_eq!(settings.tier, Tier::Micro);
        assert_eq!(settings.ca, Some("/file.crt".into()));

        let arguments = [
            "--server-url=https://flag",
            "--tenant-token=flag",
            "--poll-interval=9",
            "--device-type=flag",
            "--device-tier=system",
            "--ca=/flag.crt",
        ];
        let settings = merged(&arguments, conf()).unwrap();
        assert_eq!(settings.server_url, "https://flag");
        assert_eq!(settings.tenant_token.as_deref(), Some("flag"));
        assert_eq!(settings.poll_interval, Duration::from_secs(9));
        assert_eq!(settings.device_type, DeviceTypeFrom::Given("flag".to_owned()));
        assert_eq!(settings.tier, Tier::System);
        assert_eq!(settings.ca, Some("/flag.crt".into()));

        let settings = merged(&["--tenant-token="], conf()).unwrap();
        assert_eq!(settings.tenant_token.as_deref(), Some("file"));

        let settings = merged(&[], Conf::default()).unwrap();
        assert_eq!(settings.server_url, DEFAULT_SERVER);
        assert_eq!(settings.poll_interval, POLL);
        assert_eq!(
            settings.device_type,
            DeviceTypeFrom::File(DEFAULT_DEVICE_TYPE_FILE.into())
        );
        assert_eq!(settings.tier, Tier::Standard);
        assert_eq!(settings.identity, IdentityFrom::Interface);
    }

    #[test]
    fn the_help_tells_the_defaults_that_hold() {
        let command = Arguments::command();
        let told = |id: &str| {
            let argument = command
                .get_arguments()
                .find(|argument| argument.get_id() == id)
                .unwrap();
            let help = argument.get_help().unwrap().to_string();
            let (_, default) = help.split_once("[default: ").unwrap();
            default.strip_suffix(']').unwrap().to_owned()
        };
        let settings = merged(&[], Conf::default()).unwrap();
        assert_eq!(told("server_url"), settings.server_url);
        assert_eq!(told("artifact_name"), settings.artifact_name);
        for (id, holds) in [
            ("poll_interval", settings.poll_interval),
            ("inventory_interval", settings.inventory_interval),
            ("retry_interval", settings.retry_interval),
        ] {
            assert_eq!(span::parse(&told(id)), Ok(holds), "{id}");
        }
        let tier = TierName::from_str(&told("device_tier"), false).unwrap();
        assert_eq!(Tier::from(tier), settings.tier);
    }

    #[test]
    fn the_identity_has_each_key_once() {
        let settings = merged(&["--identity=serial=1", "--mac-address=m"], Conf::default()).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            settings.identity,
            IdentityFrom::Given(vec![pair("mac", "m"), pair("serial", "1")])
        );
        let error = merged(&["--identity=mac=1", "--mac-address=m"], Conf::default()).unwrap_err();
        assert_eq!(error, Wrong::Usage("the identity has `mac` twice".to_owned()));
    }

    #[test]
    fn retries_never_wait_longer_than_they_may() {
        let settings = merged(&["--retry-interval=2"], Conf::default()).unwrap();
        let config = settings.config("t", &[]).unwrap();
        assert_eq!(config.retry_first, Duration::from_secs(2));
        assert_eq!(config.retry_cap, Duration::from_secs(2));
        assert_eq!(config.network_retry, Duration::from_secs(2));
        let settings = merged(&[], Conf::default()).unwrap();
        assert_eq!(settings.config("t", &[]).unwrap().retry_first, Duration::from_secs(60));
    }

    #[test]
    fn a_url_that_is_none_is_named() {
        let settings = merged(&["--server-url=mender.example.com"], Conf::default()).unwrap();
        let Wrong::Usage(error) = settings.config("t", &[]).unwrap_err() else {
            panic!("the command line's fault")
        };
        assert!(error.contains("`mender.example.com`"), "{error}");
        let conf = || Conf {
            server_url: Some("mender.example.com".to_owned()),
            ..Conf::default()
        };
        let settings = merged(&["--config=/etc/m.conf"], conf()).unwrap();
        let Wrong::Failed(error) = settings.config("t", &[]).unwrap_err() else {
            panic!("the file's fault")
        };
        assert!(error.starts_with("the configuration /etc/m.conf: "), "{error}");
        let settings = merged(&["--config=/etc/m.conf", "--server-url=x"], conf()).unwrap();
        assert!(matches!(settings.config("t", &[]), Err(Wrong::Usage(_))));
    }
}

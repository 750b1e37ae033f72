//! Arguments, and the environment variables that stand for them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};
use mender::api::auth::Tier;

use crate::lines;
use crate::outcome::TABLE;
use crate::span;

/// Keep this Linux device up to date from a Mender server
#[derive(Clone, Debug, Parser)]
#[command(
    name = "mender-rs",
    version,
    args_override_self = true,
    long_about = LONG_ABOUT,
    after_long_help = TABLE,
    group = ArgGroup::new("what").multiple(false)
)]
pub struct Arguments {
    /// What to do with an update that was installed by --install
    #[arg(value_enum, group = "what")]
    pub command: Option<Command>,

    /// Install an artifact from a file or URL, without a server, and exit
    ///
    /// It then awaits `mender-rs commit` or `mender-rs rollback`, unless its update module cannot roll back: then it is committed at once.
    /// No client may run meanwhile.
    #[arg(long, value_name = "FILE|URL", group = "what")]
    pub install: Option<String>,

    /// The Mender server
    #[arg(long, alias = "server_url", value_name = "URL", env = "MENDER_SERVER_URL")]
    #[arg(help = "The Mender server [default: https://hosted.mender.io]")]
    pub server_url: Option<String>,

    /// The organization's token; hosted Mender needs it
    ///
    /// Better given by the environment or the file: arguments can be seen by every user of this machine.
    #[arg(
        long,
        alias = "tenant_token",
        value_name = "TOKEN",
        env = "MENDER_TENANT_TOKEN",
        hide_env_values = true
    )]
    pub tenant_token: Option<String>,

    /// The device type that artifacts must be made for [default: from the device type file]
    ///
    /// Without it, the file that `DeviceTypeFile` in mender.conf names, else /var/lib/mender/device_type, has it in a line
    /// device_type=TYPE.
    #[arg(long, alias = "device_type", value_name = "TYPE", env = "MENDER_DEVICE_TYPE")]
    pub device_type: Option<String>,

    /// The artifact name before the first update [default: unknown]
    #[arg(long, alias = "artifact_name", value_name = "NAME", env = "MENDER_ARTIFACT_NAME")]
    pub artifact_name: Option<String>,

    /// The identity: a hardware address [default: of the first Ethernet-like interface]
    #[arg(long, alias = "mac_address", value_name = "MAC")]
    pub mac_address: Option<String>,

    /// The identity: an attribute; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = lines::pair)]
    pub identity: Vec<(String, String)>,

    /// The identity: a program that prints KEY=VALUE lines, as the Linux client's mender-device-identity
    #[arg(long, alias = "identity_script", value_name = "FILE", conflicts_with_all = ["identity", "mac_address"])]
    pub identity_script: Option<PathBuf>,

    /// The device's key: a P-256 key in PEM (PKCS#8 or SEC1) [default: made at the first start, kept in the data directory]
    #[arg(long, alias = "private_key", value_name = "FILE")]
    pub private_key: Option<PathBuf>,

    /// The tier that the device asks for [default: standard]
    #[arg(long, alias = "device_tier", value_enum, value_name = "TIER")]
    pub device_tier: Option<TierName>,

    /// Where the client keeps its records; one client at a time
    #[arg(
        long,
        alias = "data_dir",
        value_name = "DIR",
        env = "MENDER_DATA_DIR",
        default_value = "/var/lib/mender-rs"
    )]
    pub data_dir: PathBuf,

    /// A file in the format of mender.conf
    #[arg(long, value_name = "FILE", env = "MENDER_CONFIG")]
    pub config: Option<PathBuf>,

    /// Time between two checks for an update, such as 90, 30m or 8h [default: 30m]
    #[arg(long, alias = "poll_interval", value_name = "TIME", value_parser = span::parse)]
    pub poll_interval: Option<Duration>,

    /// Time between two inventory reports [default: 8h]
    #[arg(long, alias = "inventory_interval", value_name = "TIME", value_parser = span::parse)]
    pub inventory_interval: Option<Duration>,

    /// The longest pause after a failure; the first is a minute, or this if it is shorter [default: 5m]
    #[arg(long, alias = "retry_interval", value_name = "TIME", value_parser = span::parse)]
    pub retry_interval: Option<Duration>,

    /// An inventory attribute; may be given several times, also with the same key
    #[arg(long, value_name = "KEY=VALUE", value_parser = lines::pair)]
    pub inventory: Vec<(String, String)>,

    /// Run the programs mender-inventory-* of this directory for each report, and send the KEY=VALUE lines that they print
    ///
    /// Those of the Linux client are in /usr/share/mender/inventory. Each may take ten seconds.
    #[arg(long, alias = "inventory_dir", value_name = "DIR", env = "MENDER_INVENTORY_DIR")]
    pub inventory_dir: Option<PathBuf>,

    /// Roots in PEM that may vouch for the server, in the place of the system's
    ///
    /// Other hosts, which artifacts may come from, may be vouched for by the system's, too.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// A public key in PEM or DER, on P-256 or RSA, one of which must have signed each artifact; may be given several times
    ///
    /// Without one, signatures are not looked at.
    #[arg(long, alias = "artifact_key", value_name = "FILE")]
    pub artifact_key: Vec<PathBuf>,

    /// Where the update modules are: programs by the name of the payload type that they take, called by Mender's protocol v3
    ///
    /// Where one has the name of a built-in module (single-file, directory), the program is taken.
    #[arg(
        long,
        alias = "modules_dir",
        value_name = "DIR",
        default_value = "/usr/share/mender/modules/v3"
    )]
    pub modules_dir: PathBuf,

    /// Where the built-in modules single-file and directory may write
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,

    /// The command, by /bin/sh, that restarts this host for an update that wants it
    #[arg(long, alias = "reboot_command", value_name = "COMMAND", default_value = "reboot")]
    pub reboot_command: String,

    /// One cycle: log in, send the inventory, ask for an update, install it if there is one; then exit
    #[arg(long, group = "what")]
    pub once: bool,

    /// Print the name of the installed artifact, and exit
    #[arg(long, alias = "show_artifact", group = "what")]
    pub show_artifact: bool,

    /// Print the provides of the installed software as KEY=VALUE lines, and exit
    #[arg(long, alias = "show_provides", group = "what")]
    pub show_provides: bool,

    /// Tell the running client of the data directory to ask for an update now, and exit
    #[arg(long, alias = "check_update", group = "what")]
    pub check_update: bool,

    /// Tell the running client of the data directory to send its inventory now, and exit
    #[arg(long, alias = "send_inventory", group = "what")]
    pub send_inventory: bool,

    /// What is logged on standard error: error, warn, info, debug, trace [default: info]
    ///
    /// RUST_LOG, if it is set and this is not given, chooses in detail: RUST_LOG=warn,mender=debug
    #[arg(long, alias = "log_level", value_name = "LEVEL")]
    pub log_level: Option<log::LevelFilter>,

    /// Log nothing but the last error
    #[arg(long, short, conflicts_with = "log_level")]
    pub quiet: bool,
}

const LONG_ABOUT: &str = "\
Keep this Linux device up to date from a Mender server.

Runs until it is stopped: registers the device, sends its inventory, asks for updates, and installs them by update modules: those of \
the Linux client, and the built-in single-file and directory. An option wins over its environment variable, that over the file of \
--config, that over the default.

Signals: SIGUSR1 asks for an update now, SIGUSR2 sends the inventory now. SIGTERM and SIGINT end the client between two steps, \
within a second unless an update is being installed, which comes to its end or to a pause first; a second one ends it at once. An \
update under way goes on at the next start.

Proxies: http_proxy, https_proxy, no_proxy, also in capitals.";

/// What to do with an update that was installed by `--install`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Command {
    /// Make it permanent.
    Commit,
    /// Get back to the software before it.
    Rollback,
}

/// Names of [`Tier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TierName {
    /// Devices with an operating system.
    Standard,
    /// Microcontrollers.
    Micro,
    /// Devices that orchestrate others.
    System,
}

impl From<TierName> for Tier {
    fn from(name: TierName) -> Tier {
        match name {
            TierName::Standard => Tier::Standard,
            TierName::Micro => Tier::Micro,
            TierName::System => Tier::System,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_spelling_of_the_reference_is_known() {
        let arguments = Arguments::try_parse_from([
            "mender-rs",
            "--mac_address=02:00:5e:10:00:01",
            "--device_type=t",
            "--tenant_token=x",
            "--artifact_name=a",
            "--server_url=https://h",
        ])
        .unwrap();
        assert_eq!(arguments.mac_address.as_deref(), Some("02:00:5e:10:00:01"));
        assert_eq!(arguments.device_type.as_deref(), Some("t"));
        assert_eq!(arguments.tenant_token.as_deref(), Some("x"));
        assert_eq!(arguments.artifact_name.as_deref(), Some("a"));
        assert_eq!(arguments.server_url.as_deref(), Some("https://h"));
    }

    #[test]
    fn one_thing_at_a_time() {
        for pair in [["--once", "--show-artifact"], ["--check-update", "--send-inventory"]] {
            assert!(
                Arguments::try_parse_from(["mender-rs", pair[0], pair[1]]).is_err(),
                "{pair:?}"
            );
        }
        assert!(Arguments::try_parse_from(["mender-rs", "--skip-verify"]).is_err());
    }
}

//! What can be configured.

use std::time::Duration;

/// Which edition of the server is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The open-source edition: `POST .../v2/.../next` does not exist.
    Oss,
    /// Like the commercial editions, as far as public documents tell: `POST .../v2/.../next` works, artifacts are also
    /// chosen by what they depend on, and a device's `tier` is part of its identity.
    Enterprise,
}

/// Settings of a [`Server`](super::Server). All can be changed while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The edition.
    pub mode: Mode,
    /// Whether a device that asks for the first time is accepted at once. Otherwise it waits for an operator.
    pub auto_accept: bool,
    /// Where the API is reached, without a slash at the end: `http://127.0.0.1:8080`. Used in links.
    pub api_url: String,
    /// Where the artifact store is reached. Another host or port than `api_url`, as in reality.
    pub storage_url: String,
    /// More addresses under which the API is reached, for redirects.
    pub more_api_urls: Vec<String>,
    /// More addresses under which the artifact store is reached. A link may be asked for at each of them.
    pub more_storage_urls: Vec<String>,
    /// How long a device's token is valid. Seven days in reality.
    pub token_lifetime: Duration,
    /// Least length of a device's token, in bytes. 0 gives the length of a real one, 0.8 to 0.9 KiB.
    pub token_len: usize,
    /// How long a link to an artifact is valid. 24 hours in reality.
    pub link_lifetime: Duration,
    /// Length of the part of a link that only makes it long, in bytes. The links of real object stores have 500 to 2000
    /// bytes because they carry a session token.
    pub link_token_len: usize,
    /// Largest request body of the device API and most of the management API, in bytes.
    pub body_limit: u64,
    /// Whether status reports that leave the order of a deployment (`installing` after `success`, ...) are noted as
    /// violations. They are stored all the same: the real server takes any order.
    pub watch_status_order: bool,
    /// Whether the configuration service knows devices as soon as they are accepted. `false` plays the delay of the
    /// real one: `GET` of the configuration answers 404 until [`Server::provision`](super::Server::provision).
    pub provision_at_once: bool,
    /// How many requests and violations are remembered; the oldest go first.
    pub record_limit: usize,
    /// Name of the one user of the management API.
    pub user: String,
    /// That user's password.
    pub password: String,
    /// A token for the management API that needs no login.
    pub management_token: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Oss,
            auto_accept: false,
            api_url: "http://mender.test:8080".to_owned(),
            storage_url: "http://storage.mender.test:9000".to_owned(),
            more_api_urls: Vec::new(),
            more_storage_urls: Vec::new(),
            token_len: 0,
            token_lifetime: Duration::from_secs(7 * 24 * 3600),
            link_lifetime: Duration::from_secs(24 * 3600),
            link_token_len: 700,
            body_limit: 1024 * 1024,
            watch_status_order: true,
            provision_at_once: true,
            record_limit: 100_000,
            user: "admin@example.com".to_owned(),
            password: "password".to_owned(),
            management_token: None,
        }
    }
}

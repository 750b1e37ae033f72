//! A Mender server for tests, demos and development, on a real socket. Not for production.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use mender_test_server::{Identity, Options, TlsFilesError, spawn};
use mender_testkit::server::{Endpoint, Mode, RequestRecord, Server, Settings, Time};
use tool_style::{Wrong, after_help, file};

const SESSION: &str = r#"EXAMPLE SESSION (all with curl; the server keeps everything in memory)

  1. Start it:
       mender-test-server --listen 127.0.0.1:8080

  2. Log in:
       T=$(curl -s -X POST -u admin@example.com:password \
           http://127.0.0.1:8080/api/management/v1/useradm/auth/login)

  3. Let a device ask for the first time: it gets 401 and waits. See it and accept it:
       curl -s -H "Authorization: Bearer $T" \
           'http://127.0.0.1:8080/api/management/v2/devauth/devices?status=pending'
       curl -s -X PUT -H "Authorization: Bearer $T" -H 'Content-Type: application/json' \
           -d '{"status":"accepted"}' \
           http://127.0.0.1:8080/api/management/v2/devauth/devices/DEVICE_ID/auth/AUTH_SET_ID/status
     (or start the server with --auto-accept)

  4. Make an artifact and upload it:
       mender-artifact write module-image -T zephyr-image -n release-2 -t my-board \
           -f zephyr.signed.bin --compression none -o release-2.mender
       curl -s -H "Authorization: Bearer $T" -F artifact=@release-2.mender \
           http://127.0.0.1:8080/api/management/v1/deployments/artifacts
     (or put it into a directory and start the server with --artifacts DIR)

  5. Deploy it:
       curl -s -H "Authorization: Bearer $T" -H 'Content-Type: application/json' \
           -d '{"name":"demo","artifact_name":"release-2","devices":["DEVICE_ID"]}' \
           http://127.0.0.1:8080/api/management/v1/deployments/deployments

  6. Watch it:
       curl -s -H "Authorization: Bearer $T" \
           http://127.0.0.1:8080/api/management/v1/deployments/deployments

  mender-cli works as well: mender-cli login --server http://127.0.0.1:8080 ...

  TLS with a certificate of your own authority, for a server that devices reach as mender.local:
       openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
           -keyout root.key -out root.pem -subj '/CN=My Root'
       openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
           -keyout server.key -out server.csr -subj '/CN=mender.local'
       openssl x509 -req -in server.csr -CA root.pem -CAkey root.key -days 90 -out server.pem \
           -extfile <(echo 'subjectAltName=DNS:mender.local,IP:127.0.0.1')
       mender-test-server --tls-cert server.pem --tls-key server.key --public-host mender.local
  Devices trust root.pem (openssl x509 -in root.pem -outform DER -out root.der for `mender::tls`)."#;

/// A Mender server for tests, demos and development. NOT for production: no database, one user.
#[derive(Debug, Parser)]
#[command(version, after_help = after_help("An example session: --help"), after_long_help = after_help(SESSION))]
struct Arguments {
    /// Address of the API. Port 0 lets the system choose one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Address of the artifact store, which links in deployments point at. Port 0 lets the system choose one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    artifact_listen: SocketAddr,

    /// The host that stands in links, if devices do not reach the server under the addresses above.
    #[arg(long, value_name = "HOST")]
    public_host: Option<String>,

    /// Speak TLS with this certificate (PEM; the chain after it, if there is one). Needs --tls-key.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Which edition to play.
    #[arg(long, value_enum, default_value_t = Edition::Oss)]
    mode: Edition,

    /// Accept devices when they ask for the first time.
    #[arg(long)]
    auto_accept: bool,

    /// Load every .mender file of this directory at the start.
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,

    /// User of the management API.
    #[arg(long, default_value = "admin@example.com")]
    user: String,

    /// Password of that user.
    #[arg(long, default_value = "password")]
    password: String,

    /// A token for the management API that needs no login.
    #[arg(long)]
    token: Option<String>,

    /// How long a device's token is valid, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 604_800)]
    token_lifetime: u64,

    /// How long a link to an artifact is valid, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    link_lifetime: u64,
}

/// Names of [`Mode`] on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Edition {
    /// The open-source edition.
    Oss,
    /// Like the commercial editions: version 2 of the poll, artifacts chosen by depends, device tiers.
    Enterprise,
}

fn main() -> ExitCode {
    tool_style::main(run)
}

/// A line on standard error. That nobody reads it is no reason to stop.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn run(arguments: Arguments) -> Result<String, Wrong> {
    let settings = Settings {
        mode: match arguments.mode {
            Edition::Oss => Mode::Oss,
            Edition::Enterprise => Mode::Enterprise,
        },
        auto_accept: arguments.auto_accept,
        token_lifetime: Duration::from_secs(arguments.token_lifetime),
        link_lifetime: Duration::from_secs(arguments.link_lifetime),
        record_limit: 1000,
        user: arguments.user,
        password: arguments.password,
        management_token: arguments.token,
        ..Settings::default()
    };
    // Another seed on each start: a token of the last run must not fit a device of this one.
    let seed = Time::now().since_epoch().as_nanos() as u64;
    let mut server = Server::with_seed(settings, seed);
    if let Some(directory) = &arguments.artifacts {
        load(&mut server, directory)?;
    }
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => Some(Identity::read(certificate, key).map_err(|error| match &error {
            TlsFilesError::Unfit(fault) => format!(
                "{} and {}: do not belong together, or are of a kind that is not supported: {fault}",
                certificate.display(),
                key.display()
            ),
            TlsFilesError::File { .. } | TlsFilesError::NoCertificate(_) => error.to_string(),
        })?),
        // One alone is refused before.
        (None, _) | (_, None) => None,
    };
    let options = Options {
        api: arguments.listen,
        storage: arguments.artifact_listen,
        public_host: arguments.public_host,
        tls,
        handshake_observer: Some(Box::new(|peer, error| say(format_args!("no TLS with {peer}: {error}")))),
        observer: Some(Box::new(log)),
        ..Options::default()
    };
    let (api, storage) = (options.api, options.storage);
    let running = spawn(Arc::new(Mutex::new(server)), options).map_err(|error| {
        format!("cannot listen on {api} and {storage}: {error}; choose others with --listen and --artifact-listen")
    })?;
    let urls = {
        let server = running.server();
        (server.settings().api_url.clone(), server.settings().storage_url.clone())
    };
    say(format_args!(
        "For tests and demos only, not for production. `--help` shows an example session."
    ));
    say(format_args!(
        "API:            {} (in a browser: devices, artifacts, deployments)",
        urls.0
    ));
    say(format_args!("artifact store: {}", urls.1));
    running
        .wait()
        .map_err(|error| format!("cannot accept connections any more: {error}"))?;
    Ok(String::new())
}

fn load(server: &mut Server, directory: &Path) -> Result<(), String> {
    let unreadable = |error: io::Error| file::of(directory, file::unreadable(&error));
    let entries = std::fs::read_dir(directory).map_err(unreadable)?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "mender") {
            files.push(path);
        }
    }
    files.sort();
    for path in files {
        let id = server
            .add_artifact(file::read(&path)?, Time::now())
            .map_err(|error| file::of(&path, format_args!("{error}; mend it, or take it out of there")))?;
        let name = server.artifact(&id).map_or("", |artifact| &artifact.info().name);
        say(format_args!("artifact {name} from {}", path.display()));
    }
    Ok(())
}

/// A line per request: no query, since the links in it are secrets of a kind.
fn log(record: &RequestRecord) {
    let host = match record.endpoint {
        Endpoint::Api => "api    ",
        Endpoint::Storage => "storage",
    };
    let status = record
        .status
        .map_or_else(|| "---".to_owned(), |status| status.to_string());
    let range = record
        .range
        .as_ref()
        .map_or_else(String::new, |range| format!(" [{range}]"));
    let device = record
        .device
        .as_ref()
        .map_or_else(String::new, |device| format!(" device {device}"));
    let path = record.path();
    say(format_args!(
        "{} {host} {} {path}{range} -> {status}, {} bytes{device}",
        record.time, record.method, record.body_len
    ));
}

//! The file `mender.conf`: JSON, as the Linux client has it, so that a device can change its client and keep its file.
//!
//! What has no effect here is named, and ignored; but what the device's safety hangs on is refused where it cannot be obeyed. Source of
//! the keys: the Linux client's documentation, "Configuration options".

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::span::MAX_SECONDS;

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conf {
    /// `ServerURL`, or the first of `Servers`.
    pub server_url: Option<String>,
    /// `TenantToken`.
    pub tenant_token: Option<String>,
    /// `UpdatePollIntervalSeconds`.
    pub poll_interval: Option<Duration>,
    /// `InventoryPollIntervalSeconds`.
    pub inventory_interval: Option<Duration>,
    /// `RetryPollIntervalSeconds`.
    pub retry_interval: Option<Duration>,
    /// `ServerCertificate`.
    pub server_certificate: Option<PathBuf>,
    /// `DeviceTypeFile`.
    pub device_type_file: Option<PathBuf>,
    /// `DeviceTier`.
    pub device_tier: Option<String>,
    /// `ModuleTimeoutSeconds`.
    pub module_timeout: Option<Duration>,
    /// `ArtifactVerifyKey`, or `ArtifactVerifyKeys`.
    pub artifact_keys: Vec<PathBuf>,
    /// `Security.AuthPrivateKey`.
    pub private_key: Option<PathBuf>,
    /// `DaemonLogLevel`.
    pub log_level: Option<String>,
    /// What has no effect, each a line for people.
    pub ignored: Vec<String>,
}

/// Keys of the Linux client that have no meaning here, and why. Ignoring them harms nobody.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "SkipVerify",
        "certificates are always verified; give the server's root by ServerCertificate",
    ),
    ("RootfsPartA", "partitions are an update module's business here"),
    ("RootfsPartB", "partitions are an update module's business here"),
    (
        "BootUtilitiesSetActivePart",
        "partitions are an update module's business here",
    ),
    (
        "BootUtilitiesGetNextActivePart",
        "partitions are an update module's business here",
    ),
    ("StateScriptTimeoutSeconds", "state scripts are not run"),
    ("StateScriptRetryTimeoutSeconds", "state scripts are not run"),
    ("StateScriptRetryIntervalSeconds", "state scripts are not run"),
    ("RetryPollCount", "the client asks again for as long as it runs"),
    ("Connectivity", "connections are kept open within a work cycle"),
    ("DBus", "there is no D-Bus interface"),
    (
        "UpdateLogPath",
        "deployment logs are among the records in the data directory",
    ),
    (
        "UpdateControlMapExpirationTimeSeconds",
        "there are no update control maps",
    ),
    (
        "UpdateControlMapBootExpirationTimeSeconds",
        "there are no update control maps",
    ),
];

/// Reads the text of a file.
///
/// # Errors
///
/// What is wrong with it, for people: without the file's name.
pub fn parse(text: &str) -> Result<Conf, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    let Value::Object(object) = value else {
        return Err("must be a JSON object".to_owned());
    };
    let mut conf = Conf::default();
    let mut servers = Vec::new();
    for (key, value) in &object {
        match key.as_str() {
            "ServerURL" => conf.server_url = text_of(key, value)?,
            "Servers" => servers = server_urls(value)?,
            "TenantToken" => conf.tenant_token = text_of(key, value)?,
            "UpdatePollIntervalSeconds" => conf.poll_interval = seconds(key, value)?,
            "InventoryPollIntervalSeconds" => conf.inventory_interval = seconds(key, value)?,
            "RetryPollIntervalSeconds" => conf.retry_interval = seconds(key, value)?,
            "ModuleTimeoutSeconds" => conf.module_timeout = seconds(key, value)?,
            "ServerCertificate" => conf.server_certificate = text_of(key, value)?.map(PathBuf::from),
            "DeviceTypeFile" => conf.device_type_file = text_of(key, value)?.map(PathBuf::from),
            "DeviceTier" => conf.device_tier = text_of(key, value)?,
            "DaemonLogLevel" => conf.log_level = text_of(key, value)?,
            "Security" => conf.private_key = private_key(value, &mut conf.ignored)?,
            "ArtifactVerifyKey" | "ArtifactVerifyKeys" if is_empty(value) => {}
            "ArtifactVerifyKey" | "ArtifactVerifyKeys" if !conf.artifact_keys.is_empty() => {
                return Err("has both `ArtifactVerifyKey` and `ArtifactVerifyKeys`: keep one of them".to_owned());
            }
            "ArtifactVerifyKey" => conf.artifact_keys.extend(text_of(key, value)?.map(PathBuf::from)),
            "ArtifactVerifyKeys" => conf.artifact_keys = key_files(value)?,
            "HttpsClient" if !is_empty(value) => {
                return Err(format!("`{key}` is set, but this client has no client certificates"));
            }
            "HttpsClient" => {}
            other => conf
                .ignored
                .push(match WITHOUT_EFFECT.iter().find(|(name, _)| *name == other) {
                    Some((name, why)) => format!("`{name}` has no effect: {why}"),
                    None => format!("`{other}` is not known"),
                }),
        }
    }
    let mut servers = servers.into_iter();
    if let Some(first) = servers.next() {
        if conf.server_url.as_ref().is_some_and(|url| *url != first) {
            return Err("has both `ServerURL` and `Servers`: keep one of them".to_owned());
        }
        conf.server_url = Some(first);
    }
    for other in servers {
        conf.ignored
            .push(format!("`Servers`: only the first is used, not {other}"));
    }
    Ok(conf)
}

/// An empty text counts as if it was not there, as with the Linux client, whose example file is full of them.
fn text_of(key: &str, value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("`{key}` must be a text, found {value}"))
        }
    }
}

/// Zero is the Linux client's way of saying nothing.
fn seconds(key: &str, value: &Value) -> Result<Option<Duration>, String> {
    let wrong = || format!("`{key}` must be a whole number of seconds, at most {MAX_SECONDS} (30 days), found {value}");
    let seconds = value
        .as_u64()
        .filter(|&seconds| seconds <= MAX_SECONDS)
        .ok_or_else(wrong)?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

fn server_urls(value: &Value) -> Result<Vec<String>, String> {
    let wrong = || r#"`Servers` must be a list such as [{"ServerURL": "https://mender.example.com"}]"#.to_owned();
    value
        .as_array()
        .ok_or_else(wrong)?
        .iter()
        .map(|server| {
            let url = server.get("ServerURL").and_then(Value::as_str);
            url.filter(|url| !url.is_empty()).map(str::to_owned).ok_or_else(wrong)
        })
        .collect()
}

fn key_files(value: &Value) -> Result<Vec<PathBuf>, String> {
    let wrong = || "`ArtifactVerifyKeys` must be a list of file names".to_owned();
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter()
        .map(|file| {
            file.as_str()
                .filter(|file| !file.is_empty())
                .map(PathBuf::from)
                .ok_or_else(wrong)
        })
        .collect()
}

fn private_key(value: &Value, ignored: &mut Vec<String>) -> Result<Option<PathBuf>, String> {
    let object: &Map<String, Value> = value
        .as_object()
        .ok_or_else(|| "`Security` must be a JSON object".to_owned())?;
    let mut path = None;
    for (key, value) in object {
        match key.as_str() {
            "AuthPrivateKey" => path = text_of("Security.AuthPrivateKey", value)?.map(PathBuf::from),
            _ if is_empty(value) => {}
            _ => ignored.push(format!("`Security.{key}` has no effect")),
        }
    }
    Ok(path)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_taken() {
        let conf = parse(
            r#"{
                "ServerURL": "https://mender.example.com",
                "TenantToken": "t",
                "UpdatePollIntervalSeconds": 1800,
                "InventoryPollIntervalSeconds": 28800,
                "RetryPollIntervalSeconds": 300,
                "ModuleTimeoutSeconds": 0,
                "ServerCertificate": "/etc/mender/server.crt",
                "DeviceTypeFile": "/data/device_type",
                "DeviceTier": "system",
                "DaemonLogLevel": "debug",
                "Security": {"AuthPrivateKey": "/etc/key.pem", "SSLEngine": ""},
                "ArtifactVerifyKeys": [],
                "HttpsClient": {"Certificate": "", "Key": ""}
            }"#,
        )
        .unwrap();
        assert_eq!(
            conf,
            Conf {
                server_url: Some("https://mender.example.com".to_owned()),
                tenant_token: Some("t".to_owned()),
                poll_interval: Some(Duration::from_secs(1800)),
                inventory_interval: Some(Duration::from_secs(28800)),
                retry_interval: Some(Duration::from_secs(300)),
                server_certificate: Some("/etc/mender/server.crt".into()),
                device_type_file: Some("/data/device_type".into()),
                device_tier: Some("system".to_owned()),
                module_timeout: None,
                artifact_keys: vec![],
                private_key: Some("/etc/key.pem".into()),
                log_level: Some("debug".to_owned()),
                ignored: vec![],
            }
        );
        assert_eq!(parse("{}"), Ok(Conf::default()));
        for text in [r#"{"ArtifactVerifyKey": "/k"}"#, r#"{"ArtifactVerifyKeys": ["/k"]}"#] {
            assert_eq!(parse(text).unwrap().artifact_keys, [PathBuf::from("/k")]);
        }
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let conf = parse(
            r#"{"SkipVerify": true, "Foo": 1, "StateScriptTimeoutSeconds": 60, "Security": {"SSLEngine": "pkcs11"},
                "Servers": [{"ServerURL": "https://a"}, {"ServerURL": "https://b"}]}"#,
        )
        .unwrap();
        assert_eq!(conf.server_url.as_deref(), Some("https://a"));
        let all = conf.ignored.join("\n");
        for part in [
            "`SkipVerify` has no effect: certificates are always verified",
            "`Foo` is not known",
            "`StateScriptTimeoutSeconds` has no effect: state scripts are not run",
            "`Security.SSLEngine` has no effect",
            "not https://b",
        ] {
            assert!(all.contains(part), "{part} is not in {all}");
        }
        assert_eq!(conf.ignored.len(), 5);
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused() {
        for (text, part) in [
            ("", "is no JSON"),
            ("[]", "must be a JSON object"),
            (r#"{"ServerURL": 1}"#, "`ServerURL` must be a text"),
            (r#"{"UpdatePollIntervalSeconds": "1"}"#, "whole number of seconds"),
            (r#"{"UpdatePollIntervalSeconds": -1}"#, "whole number of seconds"),
            (r#"{"RetryPollIntervalSeconds": 2592001}"#, "30 days"),
            (r#"{"Servers": ["https://a"]}"#, "`Servers` must be a list"),
            (r#"{"Servers": {}}"#, "`Servers` must be a list"),
            (
                r#"{"ServerURL": "https://a", "Servers": [{"ServerURL": "https://b"}]}"#,
                "keep one",
            ),
            (r#"{"Security": 1}"#, "`Security` must be"),
            (r#"{"ArtifactVerifyKey": 1}"#, "`ArtifactVerifyKey` must be a text"),
            (r#"{"ArtifactVerifyKeys": "/k"}"#, "must be a list"),
            (r#"{"ArtifactVerifyKeys": [""]}"#, "must be a list"),
            (
                r#"{"ArtifactVerifyKey": "/k", "ArtifactVerifyKeys": ["/l"]}"#,
                "keep one",
            ),
            (r#"{"HttpsClient": {"Certificate": "/c"}}"#, "no client certificates"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

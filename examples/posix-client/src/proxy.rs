//! Which proxy a connection takes, by the environment: `http_proxy`, `https_proxy`, `no_proxy`, or the same in capitals. Small
//! letters win, as in curl.
//!
//! Proxies speak HTTP and are asked for a tunnel (`CONNECT`), for `http` as for `https`: the library writes its requests for the
//! server itself. A proxy that allows tunnels to port 443 alone refuses that for a server without TLS, and says so.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mender::net::Security;
use std::net::IpAddr;

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its host; an IPv6 address without its brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What `Proxy-Authorization` carries, if the URL has user and password.
    pub authorization: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// All that the environment says of proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    direct: Vec<String>,
}

impl Proxies {
    /// Reads the environment; `variable` gives the value of one.
    ///
    /// # Errors
    ///
    /// A proxy that cannot be used: the variable's name, and why.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Proxies, String> {
        let either = |name: &str| {
            let found = variable(name).or_else(|| variable(&name.to_ascii_uppercase()));
            found.filter(|value| !value.trim().is_empty())
        };
        let proxy = |name: &str| {
            either(name)
                .map(|url| parse(url.trim()).map_err(|error| format!("the environment variable {name}: {error}")))
                .transpose()
        };
        let direct = either("no_proxy").unwrap_or_default();
        Ok(Proxies {
            http: proxy("http_proxy")?,
            https: proxy("https_proxy")?,
            direct: direct
                .split([',', ' ', '\t'])
                .filter(|entry| !entry.is_empty())
                .map(str::to_ascii_lowercase)
                .collect(),
        })
    }

    /// The proxy for a connection, or `None` for a direct one.
    pub fn choose(&self, host: &str, port: u16, security: Security) -> Option<&Proxy> {
        let host = host.to_ascii_lowercase();
        if self.direct.iter().any(|entry| covers(entry, &host, port)) {
            return None;
        }
        match security {
            Security::Plain => self.http.as_ref(),
            Security::Tls => self.https.as_ref(),
        }
    }
}

/// Whether an entry of `no_proxy` is about a host: `*`, a name and all below it, with or without a dot in front, an address, a
/// range of addresses; with or without a port.
fn covers(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((address, bits)) = entry.split_once('/') {
        return in_range(address, bits, host).unwrap_or(false);
    }
    let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').to_owned();
    if let (Ok(one), Ok(other)) = (bare(entry).parse::<IpAddr>(), host.parse::<IpAddr>()) {
        return one == other;
    }
    let (name, its_port) = match entry.rsplit_once(':') {
        // Not the colons of an IPv6 address.
        Some((name, digits)) if digits.parse::<u16>().is_ok() => (bare(name), digits.parse::<u16>().ok()),
        Some(_) | None => (bare(entry), None),
    };
    let name = name.trim_start_matches("*").trim_start_matches('.');
    if name.is_empty() || its_port.is_some_and(|its_port| its_port != port) {
        return false;
    }
    host == name || host.strip_suffix(name).is_some_and(|front| front.ends_with('.'))
}

fn in_range(address: &str, bits: &str, host: &str) -> Option<bool> {
    let address: IpAddr = address.parse().ok()?;
    let host: IpAddr = host.parse().ok()?;
    let bits: u32 = bits.parse().ok()?;
    let (one, other, width) = match (address, host) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(u32::from(one)), u128::from(u32::from(other)), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (u128::from(one), u128::from(other), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    let shift: u32 = width - bits.min(width);
    // A shift by the whole width leaves nothing to differ in.
    Some(bits <= width && (one ^ other).checked_shr(shift).unwrap_or(0) == 0)
}

fn parse(url: &str) -> Result<Proxy, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(format!("a proxy must be an http:// one, not {scheme}://"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, address) = match authority.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, authority),
    };
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (address, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("there is no host in it; expected http://HOST:PORT".to_owned());
    }
    let port = match port {
        // As in curl.
        None | Some("") => 1080,
        Some(port) => port.parse().map_err(|_| format!("`{port}` is no port"))?,
    };
    let authorization = user
        .map(|user| Ok::<String, String>(format!("Basic {}", BASE64_STANDARD.encode(percent_decoded(user)?))))
        .transpose()?;
    Ok(Proxy {
        host: host.to_owned(),
        port,
        authorization,
    })
}

fn percent_decoded(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let decoded = decoded.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.ok_or_else(|| "user or password has a `%` that is no %XX".to_owned())?);
        rest = after.get(2..).unwrap_or(&[]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Proxies, String> {
        Proxies::from_env(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn chosen(proxies: &Proxies, host: &str, port: u16, security: Security) -> Option<String> {
        let proxy = proxies.choose(host, port, security)?;
        Some(format!("{}:{}", proxy.host, proxy.port))
    }

    #[test]
    fn the_scheme_chooses_and_small_letters_win() {
        let proxies = of(&[
            ("http_proxy", "http://a:3128"),
            ("HTTP_PROXY", "http://b:3128"),
            ("HTTPS_PROXY", "c"),
            ("https_proxy", ""),
        ])
        .unwrap();
        assert_eq!(chosen(&proxies, "h", 80, Security::Plain).as_deref(), Some("a:3128"));
        assert_eq!(chosen(&proxies, "h", 443, Security::Tls), None, "set to nothing");
        let proxies = of(&[("HTTPS_PROXY", "c")]).unwrap();
        assert_eq!(chosen(&proxies, "h", 443, Security::Tls).as_deref(), Some("c:1080"));
        assert_eq!(chosen(&proxies, "h", 80, Security::Plain), None);
        assert_eq!(of(&[]), Ok(Proxies::default()));
    }

    #[test]
    fn no_proxy_names_hosts() {
        let proxies = of(&[
            ("http_proxy", "p:1"),
            (
                "no_proxy",
                "example.com, .local,host:8080 10.0.0.0/8,fe80::/10,::1,192.168.1.7",
            ),
        ])
        .unwrap();
        let direct = |host: &str, port: u16| chosen(&proxies, host, port, Security::Plain).is_none();
        for (host, port) in [
            ("example.com", 80),
            ("EXAMPLE.com", 80),
            ("a.b.example.com", 80),
            ("mender.local", 80),
            ("local", 80),
            ("host", 8080),
            ("10.255.0.1", 80),
            ("fe80::1", 80),
            ("::1", 80),
            ("192.168.1.7", 80),
        ] {
            assert!(direct(host, port), "{host}:{port}");
        }
        for (host, port) in [
            ("notexample.com", 80),
            ("example.com.evil", 80),
            ("host", 80),
            ("11.0.0.1", 80),
            ("::2", 80),
            ("192.168.1.70", 80),
        ] {
            assert!(!direct(host, port), "{host}:{port}");
        }
        let all = of(&[("http_proxy", "p:1"), ("no_proxy", "*")]).unwrap();
        assert_eq!(chosen(&all, "h", 1, Security::Plain), None);
    }

    #[test]
    fn user_and_password_go_into_the_header_and_nowhere_else() {
        let proxies = of(&[("http_proxy", "http://user:p%40ss:word@[::1]:3128/")]).unwrap();
        let proxy = proxies.choose("h", 80, Security::Plain).unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("::1", 3128));
        // `printf 'user:p@ss:word' | base64`
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dXNlcjpwQHNzOndvcmQ="));
        assert!(!format!("{proxy:?}").contains("dXNl"), "{proxy:?}");
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (url, part) in [
            ("socks5://h:1080", "not socks5://"),
            ("https://h", "not https://"),
            ("http://", "no host"),
            ("http://h:x", "`x` is no port"),
            ("http://h:65536", "no port"),
            ("http://%zz@h", "%XX"),
        ] {
            let error = of(&[("https_proxy", url)]).unwrap_err();
            assert!(error.contains(part) && error.contains("https_proxy"), "{url}: {error}");
        }
    }
}

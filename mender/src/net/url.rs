//! Absolute URLs, split but never re-encoded: the path and query of a presigned link are part of its signature.

use core::fmt;

use super::{Endpoint, Peer, Security};

/// The parts of an `http` or `https` URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Url<'a> {
    /// `http` or `https`.
    pub security: Security,
    /// Host and port as written: what the `Host` header says.
    pub authority: &'a str,
    /// The host without brackets.
    pub host: &'a str,
    /// The port; 80 or 443 if none is written.
    pub port: u16,
    /// Path and query as written, beginning with `/`, without the fragment; `/` if there is none.
    pub path: &'a str,
}

/// Why a URL cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UrlError {
    /// It does not begin with `http://` or `https://`.
    Scheme,
    /// It has no host, or one with characters that a host cannot have.
    Host,
    /// What follows the host's colon is not a port from 1 to 65535.
    Port,
    /// It has a user name in front of the host; Mender's links never do.
    UserInfo,
    /// It has blanks, control characters or characters outside ASCII.
    Character,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlError::Scheme => "the URL must begin with http:// or https://",
            UrlError::Host => "the URL has no valid host",
            UrlError::Port => "the URL's port is not a number from 1 to 65535",
            UrlError::UserInfo => "the URL has a user name, which is not supported",
            UrlError::Character => "the URL has a character that must be percent-encoded",
        })
    }
}

impl core::error::Error for UrlError {}

impl<'a> Url<'a> {
    /// Splits an absolute URL.
    ///
    /// ```
    /// # use mender::net::Url;
    /// let url = Url::parse("https://s3.example.com:9000/b/a%2Fb?sig=x:y").unwrap();
    /// assert_eq!((url.host, url.port, url.path), ("s3.example.com", 9000, "/b/a%2Fb?sig=x:y"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`UrlError`].
    pub fn parse(url: &'a str) -> Result<Url<'a>, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let security = if scheme.eq_ignore_ascii_case("https") {
            Security::Tls
        } else if scheme.eq_ignore_ascii_case("http") {
            Security::Plain
        } else {
            return Err(UrlError::Scheme);
        };
        if !rest.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UrlError::Character);
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(UrlError::Host)?;
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        // A query directly behind the host would need a slash put in front: no writer of links does that.
        let path = if path.is_empty() { "/" } else { path };
        if !path.starts_with('/') {
            return Err(UrlError::Host);
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            Some(port) => port,
            None => match security {
                Security::Plain => 80,
                Security::Tls => 443,
            },
        };
        Ok(Url {
            security,
            authority,
            host,
            port,
            path,
        })
    }

    /// Where to connect to for this URL.
    pub fn endpoint(&self, peer: Peer) -> Endpoint<'a> {
        Endpoint {
            host: self.host,
            port: self.port,
            security: self.security,
            peer,
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(UrlError::Host)?;
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')) {
            return Err(UrlError::Host);
        }
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(UrlError::Host),
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if host.is_empty()
            || !host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        {
            return Err(UrlError::Host);
        }
        (host, port)
    };
    match port {
        // An empty port stands for the default one (RFC 3986, 3.2.3).
        None | Some("") => Ok((host, None)),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => match port.parse() {
            Ok(0) | Err(_) => Err(UrlError::Port),
            Ok(port) => Ok((host, Some(port))),
        },
        Some(_) => Err(UrlError::Port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_as_written() {
        let cases = [
            ("http://h", "h", 80, "/", Security::Plain),
            ("HTTPS://h/", "h", 443, "/", Security::Tls),
            ("https://h:8443/a:b?c=d:e", "h", 8443, "/a:b?c=d:e", Security::Tls),
            ("http://h:/x", "h", 80, "/x", Security::Plain),
            ("http://[2001:db8::1]/x", "2001:db8::1", 80, "/x", Security::Plain),
            ("https://[::1]:444/", "::1", 444, "/", Security::Tls),
            (
                "http://10.0.2.2:80/p%2Fq+r?s#t",
                "10.0.2.2",
                80,
                "/p%2Fq+r?s",
                Security::Plain,
            ),
        ];
        for (url, host, port, path, security) in cases {
            let parsed = Url::parse(url).unwrap();
            assert_eq!(
                (parsed.host, parsed.port, parsed.path, parsed.security),
                (host, port, path, security),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
        let cases = [
            ("h/x", UrlError::Scheme),
            ("ftp://h/x", UrlError::Scheme),
            ("http://", UrlError::Host),
            ("http:///x", UrlError::Host),
            ("http://h?x", UrlError::Host),
            ("http://[::1/x", UrlError::Host),
            ("http://[::1]x/", UrlError::Host),
            ("http://h:0/", UrlError::Port),
            ("http://h:65536/", UrlError::Port),
            ("http://h:+1/", UrlError::Port),
            ("http://h:8a/", UrlError::Port),
            ("http://u:p@h/", UrlError::UserInfo),
            ("http://h/ x", UrlError::Character),
            ("http://h/\r\nX: y", UrlError::Character),
            ("http://h/\u{e4}", UrlError::Character),
        ];
        for (url, error) in cases {
            assert_eq!(Url::parse(url), Err(error), "{url}");
        }
    }
}

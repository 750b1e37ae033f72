//! Absolute URLs, split but never re-encoded: the path and query of a presigned link are part of its signature.

use core::fmt;

use super::{Endpoint, Peer, Security};
use crate::codes::Code;
use crate::shift::shift;
use crate::text::{Describe, Text, display, number, utf8};

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

const SCHEME: Code = Code::new(11);
const HOST: Code = Code::new(12);
const PORT: Code = Code::new(13);
const USER_INFO: Code = Code::new(14);
const CHARACTER: Code = Code::new(15);

impl Describe for UrlError {
    fn describe(&self, out: &mut Text<'_>) {
        out.code(match self {
            UrlError::Scheme => SCHEME,
            UrlError::Host => HOST,
            UrlError::Port => PORT,
            UrlError::UserInfo => USER_INFO,
            UrlError::Character => CHARACTER,
        });
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self, f)
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
        let (security, start) = scheme(url.as_bytes()).ok_or(UrlError::Scheme)?;
        let rest = url.get(start..).unwrap_or("");
        if !rest.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UrlError::Character);
        }
        let (rest, _) = cut(rest, b"#");
        let (authority, path) = cut(rest, b"/?");
        if authority.bytes().any(|byte| byte == b'@') {
            return Err(UrlError::UserInfo);
        }
        // A query directly behind the host would need a slash put in front: no writer of links does that.
        if path.as_bytes().first() == Some(&b'?') {
            return Err(UrlError::Host);
        }
        let (host, port) = split_port(authority)?;
        Ok(Url {
            security,
            authority,
            host,
            port: match (port, security) {
                (0, Security::Plain) => 80,
                (0, Security::Tls) => 443,
                (port, _) => port,
            },
            path: if path.is_empty() { "/" } else { path },
        })
    }

    /// Where to connect to for this URL.
    pub fn endpoint(&self, peer: Peer) -> Endpoint<'a> {
        Endpoint {
            host: self.host,
            port: self.port,
            security: self.security,
            peer,
            unix_time: None,
        }
    }
}

/// The scheme, and where the authority begins.
fn scheme(url: &[u8]) -> Option<(Security, usize)> {
    for (prefix, security) in [(&b"http://"[..], Security::Plain), (b"https://", Security::Tls)] {
        if url
            .get(..prefix.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(prefix))
        {
            return Some((security, prefix.len()));
        }
    }
    None
}

/// Splits in front of the first byte that is one of `ends`, ASCII characters.
#[inline(never)]
#[expect(clippy::manual_contains, reason = "`contains` links memchr, 170 bytes")]
fn cut<'t>(text: &'t str, ends: &[u8]) -> (&'t str, &'t str) {
    let is_end = |byte: u8| ends.iter().any(|end| *end == byte);
    let at = text.bytes().position(is_end).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// Host and port; the latter is 0 if none is written. An empty port stands for the default one (RFC 3986, 3.2.3).
fn split_port(authority: &str) -> Result<(&str, u16), UrlError> {
    let (host, after, allowed): (_, _, fn(u8) -> bool) = match authority.as_bytes() {
        [b'[', ..] => {
            let (host, after) = cut(authority.get(1..).unwrap_or(""), b"]");
            let after = after.get(1..).ok_or(UrlError::Host)?;
            (host, after, |byte| {
                byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
            })
        }
        _ => {
            let (host, after) = cut(authority, b":");
            (host, after, |byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
            })
        }
    };
    if host.is_empty() || !host.bytes().all(allowed) {
        return Err(UrlError::Host);
    }
    let digits = match after.as_bytes() {
        [] | [b':'] => return Ok((host, 0)),
        [b':', digits @ ..] => digits,
        _ => return Err(UrlError::Host),
    };
    match number(digits, 10).map(u16::try_from) {
        Some(Ok(port)) if port > 0 => Ok((host, port)),
        Some(_) | None => Err(UrlError::Port),
    }
}

/// Resolves a `Location` (RFC 9110, 10.2.2) in place. `buffer` holds the URL that was asked, `base_len` bytes, and behind it the
/// location; without the former (0 bytes) it was `server`. Afterwards the new URL is at the front; its length is returned.
///
/// `None` if it is not followed: it is too long, is no absolute URL and no absolute path, or leads from `https` to `http`.
pub(crate) fn redirect(buffer: &mut [u8], base_len: usize, location_len: usize, server: &Url<'_>) -> Option<usize> {
    let (base, location) = buffer.split_at_checked(base_len)?;
    let location = location.get(..location_len)?;
    let base = match base {
        [] => *server,
        base => Url::parse(utf8(base)?).ok()?,
    };
    let scheme_text = match base.security {
        Security::Plain => "http://",
        Security::Tls => "https://",
    };
    // So many bytes of the old URL stay.
    let kept = match location {
        [b'/', b'/', ..] => scheme_text.len() - 2,
        [b'/', ..] => scheme_text.len() + base.authority.len(),
        _ => match (scheme(location)?.0, base.security) {
            (Security::Plain, Security::Tls) => return None,
            (Security::Tls, _) | (Security::Plain, Security::Plain) => 0,
        },
    };
    let len = kept + location_len;
    if len > buffer.len() {
        return None;
    }
    shift(buffer, base_len, location_len, kept);
    if base_len == 0 {
        let old = scheme_text.bytes().chain(server.authority.bytes());
        for (place, byte) in buffer.iter_mut().take(kept).zip(old) {
            *place = byte;
        }
    }
    Some(len)
}

#[cfg(test)]
mod tests {
    extern crate std;

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

    #[test]
    fn redirects_are_resolved_in_place() {
        let server = Url::parse("https://api.example.com/prefix").unwrap();
        let cases = [
            ("", "https://b.example.com/x", Some("https://b.example.com/x")),
            ("", "/y?z", Some("https://api.example.com/y?z")),
            ("", "//c/d", Some("https://c/d")),
            ("", "http://b/", None),
            ("https://a:1/old", "HTTPS://b/new", Some("HTTPS://b/new")),
            ("https://a:1/old?q", "/new", Some("https://a:1/new")),
            ("http://a/old", "//b:9/new", Some("http://b:9/new")),
            ("http://a/old", "https://b/new", Some("https://b/new")),
            ("http://a/old", "http://b/new", Some("http://b/new")),
            ("https://a/old", "http://a/old", None),
            ("https://a/old", "new", None),
            ("https://a/old", "", None),
            ("https://a/old", "ftp://b/", None),
        ];
        for (base, location, expected) in cases {
            for room in base.len() + location.len()..80 {
                let mut buffer = std::vec![0; room];
                buffer[..base.len()].copy_from_slice(base.as_bytes());
                buffer[base.len()..base.len() + location.len()].copy_from_slice(location.as_bytes());
                let len = redirect(&mut buffer, base.len(), location.len(), &server);
                let resolved = len.map(|len| core::str::from_utf8(&buffer[..len]).unwrap());
                if expected.is_none_or(|expected| expected.len() <= room) {
                    assert_eq!(resolved, expected, "{base} {location} {room}");
                } else {
                    assert_eq!(resolved, None, "{base} {location} {room}");
                }
            }
        }
        // A location that did not fit.
        assert_eq!(redirect(&mut [b'x'; 10], 0, 11, &server), None);
    }
}

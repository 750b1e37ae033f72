//! URLs, and where a redirect leads from one.

use mender::__fuzz::redirect;
use mender::net::{Peer, Security, Url};

/// A URL, and behind a line feed a `Location`.
pub fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (first, location) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(base) = Url::parse(first) else { return };
    check(&base);
    assert!(
        first.contains(base.authority) && (base.path == "/" || first.contains(base.path)),
        "{base:?}"
    );
    let rebuilt = format!("{}{}{}", scheme(&base), base.authority, base.path);
    assert_eq!(Url::parse(&rebuilt), Ok(base), "{first}");

    let server = Url::parse("https://server.example:8443/").expect("it is one");
    for (from, old) in [(base, first), (server, "")] {
        for room in [old.len() + location.len(), old.len() + location.len() + 40, 512] {
            let mut buffer = [old.as_bytes(), location.as_bytes()].concat();
            buffer.resize(room.max(buffer.len()), 0xee);
            let Some(len) = redirect(&mut buffer, old.len(), location.len(), &server) else {
                continue;
            };
            let Ok(Ok(url)) = core::str::from_utf8(&buffer[..len]).map(Url::parse) else {
                continue;
            };
            check(&url);
            assert!(
                (from.security, url.security) != (Security::Tls, Security::Plain),
                "{location} leads from {from:?} to {url:?}"
            );
            if location.starts_with('/') && !location.starts_with("//") {
                assert_eq!(
                    (url.authority, url.security),
                    (from.authority, from.security),
                    "{location}"
                );
            }
        }
    }
}

fn scheme(url: &Url<'_>) -> &'static str {
    match url.security {
        Security::Plain => "http://",
        Security::Tls => "https://",
    }
}

/// What goes into the `Host` header and the request line is harmless there.
fn check(url: &Url<'_>) {
    assert!(
        !url.host.is_empty() && url.port > 0 && url.path.starts_with('/'),
        "{url:?}"
    );
    assert!(
        [url.authority, url.host, url.path]
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_graphic())),
        "{url:?}"
    );
    assert!(
        !url.authority.contains(['/', '?', '#', '@']) && !url.path.contains('#'),
        "{url:?}"
    );
    let endpoint = url.endpoint(Peer::Server);
    assert_eq!((endpoint.host, endpoint.port), (url.host, url.port));
}

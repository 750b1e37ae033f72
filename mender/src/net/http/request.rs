//! A request's head, line by line. Pure.
//!
//! No `Accept-Encoding`: the server may compress only if asked to (device API, section 1).

use super::Method;
use crate::window::Window;

/// The request line, and the `Host` that every request has. `prefix` is put in front of the path, without a slash at its end.
pub(crate) fn line(
    out: &mut Window<'_>,
    method: Method,
    prefix: &str,
    path: impl FnOnce(&mut Window<'_>),
    authority: &str,
) {
    out.text(method.as_str());
    out.byte(b' ');
    out.text(prefix);
    path(out);
    out.text(" HTTP/1.1\r\nHost: ");
    out.text(authority);
    out.text("\r\n");
}

/// `Authorization`, with a token.
pub(crate) fn token(out: &mut Window<'_>, token: &[u8]) {
    out.text("Authorization: Bearer ");
    out.bytes(token);
    out.text("\r\n");
}

/// `X-MEN-Signature`.
pub(crate) fn signature(out: &mut Window<'_>, signature: impl FnOnce(&mut Window<'_>)) {
    out.text("X-MEN-Signature: ");
    signature(out);
    out.text("\r\n");
}

/// `Range`, from a byte on.
pub(crate) fn range(out: &mut Window<'_>, from: u32) {
    out.text("Range: bytes=");
    out.number(from);
    out.text("-\r\n");
}

/// Type and length of a body that is JSON.
pub(crate) fn json(out: &mut Window<'_>, len: u32) {
    out.text("Content-Type: application/json\r\nContent-Length: ");
    out.number(len);
    out.text("\r\n");
}

/// The end of the head.
pub(crate) fn end(out: &mut Window<'_>) {
    out.text("\r\n");
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;

    use super::*;

    #[test]
    fn a_request_is_what_a_server_expects() {
        let mut buffer = [0; 256];
        let mut out = Window::new(&mut buffer, 0);
        line(&mut out, Method::Put, "/prefix", |out| out.text("/x?y=%20"), "h:8080");
        token(&mut out, b"a.b.c");
        json(&mut out, 2);
        end(&mut out);
        assert_eq!(
            String::from_utf8_lossy(out.finish()),
            "PUT /prefix/x?y=%20 HTTP/1.1\r\nHost: h:8080\r\nAuthorization: Bearer a.b.c\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
        );
        let mut out = Window::new(&mut buffer, 0);
        line(&mut out, Method::Get, "", |out| out.text("/"), "h");
        signature(&mut out, |out| out.text("MEU="));
        range(&mut out, u32::MAX);
        end(&mut out);
        assert_eq!(
            String::from_utf8_lossy(out.finish()),
            "GET / HTTP/1.1\r\nHost: h\r\nX-MEN-Signature: MEU=\r\nRange: bytes=4294967295-\r\n\r\n"
        );
    }
}

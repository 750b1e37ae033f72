//! `multipart/form-data` bodies (RFC 7578), as uploads of artifacts use them.

use crate::server::http::Request;

/// One part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part<'r> {
    /// The `name` of its `Content-Disposition`.
    pub(super) name: String,
    pub(super) content: &'r [u8],
}

/// The parts of a body in their order.
pub(super) fn parts(request: &Request) -> Result<Vec<Part<'_>>, String> {
    let content_type = request.header_value("Content-Type").unwrap_or_default();
    if !content_type.to_ascii_lowercase().starts_with("multipart/") {
        return Err("request Content-Type isn't multipart/form-data".to_owned());
    }
    let boundary = parameter(content_type, "boundary").ok_or("no multipart boundary param in Content-Type")?;
    let delimiter = format!("--{boundary}");

    // Text in front of the first delimiter is a preamble and means nothing.
    let start = find(&request.body, delimiter.as_bytes()).ok_or("multipart: NextPart: EOF")?;
    let mut rest = &request.body[start + delimiter.len()..];
    let line_delimiter = format!("\r\n{delimiter}");
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n").ok_or("multipart: malformed boundary line")?;
        let head_len = find(rest, b"\r\n\r\n").ok_or("multipart: NextPart: EOF")?;
        let head = String::from_utf8_lossy(&rest[..head_len]);
        rest = &rest[head_len + 4..];
        let len = find(rest, line_delimiter.as_bytes()).ok_or("multipart: NextPart: EOF")?;
        let disposition = head
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("Content-Disposition"))
            .map_or("", |(_, value)| value);
        let name = parameter(disposition, "name").unwrap_or_default();
        parts.push(Part {
            name,
            content: &rest[..len],
        });
        rest = &rest[len + line_delimiter.len()..];
    }
    Ok(parts)
}

/// A parameter of a header value such as `form-data; name="size"`.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let value = value.trim();
        let unquoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        key.trim().eq_ignore_ascii_case(name).then(|| unquoted.to_owned())
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &[u8]) -> Request {
        Request::new("POST", "/")
            .header("Content-Type", "multipart/form-data; boundary=\"x-1\"")
            .body(body)
    }

    #[test]
    fn parts_are_cut_at_the_boundary_only() {
        let body = b"preamble\r\n--x-1\r\nContent-Disposition: form-data; name=\"size\"\r\n\r\n12\r\n--x-1\r\n\
            content-disposition: form-data; name=artifact; filename=\"a;b\"\r\nX: y\r\n\r\nab\r\n--x-\r\n\r\n--x-1--\r\n";
        let request = request(body);
        let found = parts(&request).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), found[0].content), ("size", &b"12"[..]));
        assert_eq!(
            (found[1].name.as_str(), found[1].content),
            ("artifact", &b"ab\r\n--x-\r\n"[..])
        );
    }

    #[test]
    fn broken_bodies_are_refused() {
        for body in [
            &b""[..],
            b"--x-1",
            b"--x-1\r\nA: b\r\n\r\nno end",
            b"--x-1 \r\n\r\n\r\n--x-1--",
            b"--y\r\n",
        ] {
            assert!(parts(&request(body)).is_err(), "{}", String::from_utf8_lossy(body));
        }
        assert!(parts(&Request::new("POST", "/").json("{}")).is_err());
    }
}

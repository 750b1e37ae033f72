//! Requests out of bytes and responses into bytes, as in-process connectors use them.

use mender_testkit::server::{
    Effect, Ending, Endpoint, Fault, Filling, Framing, Request, Response, Server, Settings, Time, WireError,
};

fn parse(bytes: &[u8]) -> Result<Option<mender_testkit::server::Parsed>, WireError> {
    Request::parse(bytes, Endpoint::Api)
}

#[test]
fn requests_are_cut_out_of_the_stream_however_it_arrives() {
    let first = b"PUT /a%2Fb?c=d HTTP/1.1\r\nHost: x:1\r\nContent-Length: 5\r\n\r\nhello";
    let second =
        b"POST /p HTTP/1.1\r\nhost: x\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let third = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    let stream = [&first[..], second, third].concat();
    for len in 0..first.len() {
        assert_eq!(parse(&stream[..len]), Ok(None), "{len}");
    }
    let parsed = parse(&stream).unwrap().unwrap();
    assert_eq!((parsed.consumed, parsed.keep_alive), (first.len(), true));
    assert_eq!(
        (parsed.request.method.as_str(), parsed.request.target.as_str()),
        ("PUT", "/a%2Fb?c=d")
    );
    assert_eq!(parsed.request.body, b"hello");

    let rest = &stream[first.len()..];
    for len in 0..second.len() {
        assert_eq!(parse(&rest[..len]), Ok(None), "{len}");
    }
    let parsed = parse(rest).unwrap().unwrap();
    assert_eq!(
        (parsed.consumed, &parsed.request.body[..]),
        (second.len(), &b"abcde"[..])
    );
    assert!(parsed.request.is_chunked());
    let parsed = parse(&rest[second.len()..]).unwrap().unwrap();
    assert_eq!((parsed.consumed, parsed.keep_alive), (third.len(), false));
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    let table: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: five\r\n\r\nhello",
        b"PUT / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    ];
    for bytes in table {
        let error = parse(bytes).expect_err(&String::from_utf8_lossy(bytes));
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn responses_are_framed_in_three_ways() {
    let mut response = Response::bytes(200, "text/plain", "hello");
    let text = |response: &Response, keep_alive: bool| {
        let encoded = response.encode(keep_alive);
        (String::from_utf8(encoded.bytes).unwrap(), encoded.ending)
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    assert_eq!(
        text(&response, true),
        (format!("{head}Content-Length: 5\r\n\r\nhello"), Ending::KeepAlive)
    );
    assert_eq!(
        text(&response, false),
        (
            format!("{head}Content-Length: 5\r\nConnection: close\r\n\r\nhello"),
            Ending::Close
        )
    );
    response.framing = Framing::Chunked { chunk_len: 3 };
    assert_eq!(
        text(&response, true),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
            Ending::KeepAlive
        )
    );
    response.framing = Framing::UntilClose;
    assert_eq!(
        text(&response, true),
        (format!("{head}Connection: close\r\n\r\nhello"), Ending::Close)
    );
    assert_eq!(
        text(&Response::empty(204), true),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), Ending::KeepAlive)
    );
    assert_eq!(
        text(&Response::empty(401), true),
        (
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Ending::KeepAlive
        )
    );
}

#[test]
fn heads_are_filled_to_the_byte_and_bytes_follow_the_end() {
    for filling in [Filling::Lines, Filling::Line, Filling::Cookies] {
        for len in [200, 1100, 8192, 8193] {
            let mut response = Response::bytes(200, "text/plain", "hello");
            response.filling = Some((len, filling));
            response.behind = b"more".to_vec();
            let text = String::from_utf8(response.encode(true).bytes).unwrap();
            assert_eq!(text.find("\r\n\r\n"), Some(len - 4), "{filling:?}");
            assert!(text.ends_with("\r\n\r\nhellomore"), "{filling:?}");
            let lines = text.split("\r\n").count();
            assert_eq!(
                lines > 100,
                filling == Filling::Lines && len > 8000,
                "{filling:?}: {lines}"
            );
        }
    }
}

#[test]
fn every_answer_has_a_date() {
    let mut server = Server::new(Settings::default());
    let requests = [
        Request::new("GET", "/"),
        Request::new("GET", "/api/management/v1/inventory/devices"),
        Request::new("POST", "/api/devices/v1/authentication/auth_requests"),
        Request::new("GET", "/mender-artifacts/x").to(Endpoint::Storage),
    ];
    for request in requests {
        let response = server.handle(&request, Time::from_unix(784_111_777, 900_000_000));
        assert_eq!(
            response.header_value("Date"),
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
            "{request:?}"
        );
    }
    server.inject(Fault::new(Effect::TooManyRequests { retry_after_secs: 7 }));
    let response = server.handle(&Request::new("GET", "/"), Time::from_unix_secs(0));
    assert_eq!(response.header_value("Date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
}

#[test]
fn addresses_lead_to_endpoints() {
    let server = |api: &str, storage: &str| {
        Server::new(Settings {
            api_url: api.to_owned(),
            storage_url: storage.to_owned(),
            ..Settings::default()
        })
    };
    let with_ports = server("http://mender.test:8080", "http://mender.test:9000");
    assert_eq!(with_ports.endpoint_at("mender.test", 8080), Some(Endpoint::Api));
    assert_eq!(with_ports.endpoint_at("MENDER.test", 9000), Some(Endpoint::Storage));
    assert_eq!(with_ports.endpoint_at("mender.test", 80), None);
    assert_eq!(with_ports.endpoint_at("other.test", 8080), None);
    let without = server("https://mender.test", "http://[::1]");
    assert_eq!(without.endpoint_at("mender.test", 443), Some(Endpoint::Api));
    assert_eq!(without.endpoint_at("[::1]", 80), Some(Endpoint::Storage));
}

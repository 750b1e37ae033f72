//! HTTPS, and proxies: whom the client trusts, and what it says of those whom it does not.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use mender_test_server::Identity;
use mender_testkit::server::{Mode, Status};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use crate::rig::{Rig, join, read_head};

/// A certificate authority made on the spot.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Authority {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    /// A server's certificate, for a name, in these years.
    fn identity(&self, name: &str, years: (i32, i32)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Identity::new(vec![leaf.der().clone()], key.into()).unwrap()
    }

    /// A server with such a certificate, and a client that trusts this authority.
    fn rig(&self, mode: Mode, name: &str, years: (i32, i32)) -> Rig {
        let mut rig = Rig::with(mode, Some(self.identity(name, years)));
        let file = rig.path("ca.pem");
        fs::write(&file, self.issuer.pem()).unwrap();
        rig.more = vec!["--ca".to_owned(), file.to_str().unwrap().to_owned()];
        rig
    }
}

const NOW: (i32, i32) = (2020, 4000);

#[test]
fn an_update_comes_over_tls() {
    let authority = Authority::new("Own Root");
    for mode in [Mode::Oss, Mode::Enterprise] {
        let rig = authority.rig(mode, "127.0.0.1", NOW);
        rig.register();
        let content = vec![9; 500_000];
        let deployment = rig.deploy("release-2", &rig.single_file("release-2", "settings", &content));
        let (status, said) = rig.run(&["--once"]);
        assert_eq!((status, rig.status(&deployment)), (3, Some(Status::Success)), "{said}");
        assert_eq!(rig.read("settings").unwrap(), content);
        rig.assert_no_violation();
    }
}

#[test]
fn a_server_that_cannot_be_trusted_is_refused_and_the_reason_said() {
    let authority = Authority::new("Own Root");
    let cases = [
        ("127.0.0.1", (2001, 2002), "has expired"),
        ("127.0.0.1", (3000, 3001), "not valid yet"),
        ("mender.example.com", NOW, "for another name than 127.0.0.1"),
    ];
    for (name, years, part) in cases {
        let rig = authority.rig(Mode::Oss, name, years);
        let (status, said) = rig.run(&["--once"]);
        assert_eq!(status, 6, "{part}: {said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("mender-rs: ") && last.contains(part), "{last}");
        assert_eq!(rig.server().requests().len(), 0, "nothing was sent");
    }

    // Another authority's root; then none of one's own: the system knows none of these.
    let mut rig = authority.rig(Mode::Oss, "127.0.0.1", NOW);
    fs::write(rig.path("ca.pem"), Authority::new("Other Root").issuer.pem()).unwrap();
    let (status, said) = rig.run(&["--once"]);
    assert_eq!(status, 6, "{said}");
    assert!(
        said.contains("no known root vouches") && said.contains("--ca FILE"),
        "{said}"
    );
    rig.more.clear();
    let (status, said) = rig.run(&["--once"]);
    assert_eq!(status, 6, "{said}");
    assert!(
        said.contains("no known root vouches") || said.contains("no root certificates"),
        "{said}"
    );
    assert_eq!(rig.server().requests().len(), 0, "nothing was sent");
}

/// Without --ca the system's roots count: here those of `SSL_CERT_FILE`, as OpenSSL would have it. With it, they do not count for the
/// server.
#[test]
fn the_systems_roots_count_unless_others_are_given() {
    let authority = Authority::new("Own Root");
    let mut rig = authority.rig(Mode::Oss, "127.0.0.1", NOW);
    let own = rig.path("ca.pem");
    let other = rig.path("other.pem");
    fs::write(&other, Authority::new("Other Root").issuer.pem()).unwrap();
    rig.more.clear();
    for (arguments, expected) in [
        (vec!["--once"], 0),
        (vec!["--once", "--ca", other.to_str().unwrap()], 6),
        (vec!["--once", "--ca", own.to_str().unwrap()], 0),
    ] {
        let mut command = rig.command(&arguments);
        command.env("SSL_CERT_FILE", &own).env_remove("SSL_CERT_DIR");
        let mut running = crate::rig::Running::start(command, &rig.path("log"));
        let status = running.wait();
        assert_eq!(status.code(), Some(expected), "{arguments:?}: {}", running.said());
    }
}

/// The other way round: TLS spoken to a server without it.
#[test]
fn a_server_without_tls_is_named() {
    let mut rig = Rig::new(Mode::Oss);
    rig.url = rig.url.replace("http://", "https://");
    let (status, said) = rig.run(&["--once"]);
    assert_eq!(status, 6, "{said}");
    assert!(said.contains("is its URL"), "{said}");
}

/// A proxy that digs tunnels, and tells what it was asked for.
fn proxy(wanted: &'static str) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let mut near = near.unwrap();
            let head = read_head(&mut near);
            let target = head.split(' ').nth(1).unwrap().to_owned();
            if tell.send(head.clone()).is_err() {
                return;
            }
            if !head.contains(wanted) {
                near.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                    .unwrap();
                continue;
            }
            near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            join(near, TcpStream::connect(target).unwrap());
        }
    });
    (port, told)
}

#[test]
fn proxies_of_the_environment_are_used() {
    let authority = Authority::new("Own Root");
    let with_tls = authority.rig(Mode::Oss, "127.0.0.1", NOW);
    let plain = Rig::new(Mode::Oss);
    for (rig, name) in [
        (&with_tls, "https_proxy"),
        (&with_tls, "HTTPS_PROXY"),
        (&plain, "http_proxy"),
    ] {
        // `printf 'user:p@ss' | base64`
        let (port, told) = proxy("Proxy-Authorization: Basic dXNlcjpwQHNz\r\n");
        let run = |url: &str, no_proxy: &str| {
            let mut command = rig.command(&["--once"]);
            command.env(name, url).env("no_proxy", no_proxy);
            let mut running = crate::rig::Running::start(command, &rig.path("log"));
            let status = running.wait();
            (status.code(), running.said())
        };
        let (status, said) = run(&format!("http://user:p%40ss@127.0.0.1:{port}"), "example.com");
        assert_eq!(status, Some(0), "{said}");
        let address = rig.server.api_address();
        assert!(
            told.recv()
                .unwrap()
                .starts_with(&format!("CONNECT {address} HTTP/1.1\r\n"))
        );

        let (status, said) = run(&format!("http://127.0.0.1:{port}"), "");
        assert_eq!(status, Some(6), "{said}");
        assert!(said.contains("wants a user and password (407)"), "{said}");
        assert!(!said.contains("dXNl"), "{said}");

        while told.try_recv().is_ok() {}
        let (status, said) = run("http://127.0.0.1:1", "127.0.0.0/8");
        assert_eq!(status, Some(0), "{said}");
        assert!(told.try_recv().is_err(), "not asked");
    }
}

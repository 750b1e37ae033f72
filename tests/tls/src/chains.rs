//! Chains of certificates that must be accepted, and chains that must be refused.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, NameConstraints, date_time_ymd,
};

use crate::certificate::{Authority, Change, Identity, NOW, subject_name};
use crate::key::{Hash, Key};

/// The host that the client wants to reach, where nothing else is said.
pub const HOST: &str = "mender.example.com";

/// A server's chain, and what the client knows.
#[derive(Clone)]
pub struct Case {
    /// For messages.
    pub name: &'static str,
    /// What the server has.
    pub identity: Identity,
    /// What the client trusts.
    pub roots: Vec<Vec<u8>>,
    /// The host that it wants.
    pub host: &'static str,
    /// Its time.
    pub now: u64,
}

macro_rules! rsa {
    ($name:literal, $hash:ident) => {
        Key::rsa(include_bytes!(concat!("../keys/rsa-", $name, ".der")), Hash::$hash)
    };
}

fn case(name: &'static str, chain: Vec<Vec<u8>>, key: Key, root: Vec<u8>) -> Case {
    Case {
        name,
        identity: Identity { chain, key },
        roots: vec![root],
        host: HOST,
        now: NOW,
    }
}

/// A chain of three, the root not sent.
fn three(name: &'static str, leaf: Key, intermediate: Key, root: Key) -> Case {
    changed(name, [leaf, intermediate, root], &[HOST], &|_| {}, &|_| {})
}

fn changed(
    name: &'static str,
    [leaf, intermediate, root]: [Key; 3],
    names: &[&str],
    of_leaf: Change<'_>,
    of_intermediate: Change<'_>,
) -> Case {
    let root = Authority::new("Root", root);
    let between = Authority::new("Intermediate", intermediate);
    let chain = vec![
        between.leaf(&leaf, names, of_leaf),
        between.signed_by(&root, of_intermediate),
    ];
    case(name, chain, leaf, root.root())
}

fn p256s() -> [Key; 3] {
    [Key::p256("leaf"), Key::p256("intermediate"), Key::p256("root")]
}

/// The chain of the other tests: P-256 everywhere.
pub fn usual() -> Case {
    let [leaf, intermediate, root] = p256s();
    three("P-256 x 3", leaf, intermediate, root)
}

fn nothing(_: &mut CertificateParams) {}

/// A root, signed by an older one, sent along with it.
fn cross_signed(name: &'static str, trusted: &str) -> Case {
    let oldest = Authority::new("Oldest Root", rsa!("2048-other", Sha256));
    let root = Authority::new("Root", rsa!("2048-root", Sha256));
    let between = Authority::new("Intermediate", rsa!("2048-intermediate", Sha256));
    let leaf = rsa!("2048-leaf", Sha256);
    let chain = vec![
        between.leaf(&leaf, &[HOST], &nothing),
        between.signed_by(&root, &nothing),
        root.signed_by(&oldest, &nothing),
        oldest.root(),
    ];
    let trusted = if trusted == "root" { root.root() } else { oldest.root() };
    case(name, chain, leaf, trusted)
}

/// A chain with so many certificates between the leaf and the root.
fn long(name: &'static str, between: usize) -> Case {
    const NAMES: [&str; 8] = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8"];
    let root = Authority::new("Root", Key::p256("root"));
    let mut issuer = root.clone();
    let mut chain = Vec::new();
    for name in &NAMES[..between] {
        let next = Authority::new(name, Key::p256(name));
        chain.insert(0, next.signed_by(&issuer, &nothing));
        issuer = next;
    }
    let leaf = Key::p256("leaf");
    chain.insert(0, issuer.leaf(&leaf, &[HOST], &nothing));
    case(name, chain, leaf, root.root())
}

/// A certificate that is its own root.
fn lonely(name: &'static str, change: Change<'_>) -> Case {
    let key = Key::p256("alone");
    let certificate = Authority::new(HOST, key.clone()).leaf(&key, &[HOST], change);
    case(name, vec![certificate.clone()], key, certificate)
}

/// With more names than anybody needs.
fn large_leaf() -> Case {
    let names: Vec<String> = (0..120)
        .map(|number| format!("a-long-name-{number:03}.example.com"))
        .collect();
    let names: Vec<&str> = [HOST].into_iter().chain(names.iter().map(String::as_str)).collect();
    changed("a leaf of 3.7 KB", p256s(), &names, &nothing, &nothing)
}

/// Chains that must be accepted.
pub fn accepted() -> Vec<Case> {
    let with_host = |case: Case, host| Case { host, ..case };
    let named = |name, names: &[&str], host| with_host(changed(name, p256s(), names, &nothing, &nothing), host);
    let direct = Authority::new("Root", Key::p256("root"));
    let mut two_roots = usual();
    two_roots.name = "the second of two roots";
    two_roots
        .roots
        .insert(0, Authority::new("Another Root", Key::p384("another")).root());
    let mut sent = usual();
    sent.name = "the root is sent along";
    sent.identity.chain.push(sent.roots[0].clone());
    let mut shuffled = cross_signed("intermediates in another order", "root");
    shuffled.identity.chain[1..].reverse();
    vec![
        three(
            "RSA-2048 x 3",
            rsa!("2048-leaf", Sha256),
            rsa!("2048-intermediate", Sha256),
            rsa!("2048-root", Sha256),
        ),
        cross_signed("RSA-2048 x 3, the root cross-signed", "root"),
        cross_signed("RSA-2048 x 3, the older root trusted", "oldest"),
        shuffled,
        three(
            "P-256, P-384, RSA-4096",
            Key::p256("leaf"),
            Key::p384("intermediate"),
            rsa!("4096-root", Sha256),
        ),
        three(
            "RSA-2048, RSA-2048, RSA-4096",
            rsa!("2048-leaf", Sha256),
            rsa!("2048-intermediate", Sha256),
            rsa!("4096-root", Sha256),
        ),
        three(
            "P-256, P-256, P-384",
            Key::p256("leaf"),
            Key::p256("intermediate"),
            Key::p384("root"),
        ),
        three(
            "P-256, RSA-2048, P-384",
            Key::p256("leaf"),
            rsa!("2048-intermediate", Sha256),
            Key::p384("root"),
        ),
        usual(),
        three(
            "P-384 x 3",
            Key::p384("leaf"),
            Key::p384("intermediate"),
            Key::p384("root"),
        ),
        three(
            "RSA-3072 and SHA-384",
            rsa!("3072-leaf", Sha384),
            rsa!("2048-intermediate", Sha384),
            rsa!("4096-root", Sha384),
        ),
        three(
            "RSA-4096 and SHA-512",
            rsa!("4096-leaf", Sha512),
            rsa!("2048-intermediate", Sha512),
            rsa!("4096-root", Sha512),
        ),
        large_leaf(),
        long("six intermediates", 6),
        case(
            "no intermediate",
            vec![direct.leaf(&Key::p256("leaf"), &[HOST], &nothing)],
            Key::p256("leaf"),
            direct.root(),
        ),
        lonely("its own root", &nothing),
        two_roots,
        sent,
        named("an IPv4 address", &["192.0.2.7"], "192.0.2.7"),
        named("an IPv6 address", &["2001:db8::7"], "2001:db8::7"),
        named("a wildcard", &["*.example.com"], HOST),
        named("capitals", &["Mender.Example.COM"], HOST),
        changed(
            "no extended use named",
            p256s(),
            &[HOST],
            &|leaf| leaf.extended_key_usages.clear(),
            &nothing,
        ),
    ]
}

/// Chains that must be refused, and why ([`name`](crate::client::name)).
pub fn refused() -> Vec<(Case, &'static str)> {
    let at = |now, case: Case| Case { now, ..case };
    let with = |name, names: &[&str], leaf: Change<'_>| changed(name, p256s(), names, leaf, &nothing);
    let between = |name, intermediate: Change<'_>| changed(name, p256s(), &[HOST], &nothing, intermediate);
    let host = |host, case: Case| Case { host, ..case };
    let edited = |name, edit: fn(&mut Vec<Vec<u8>>)| {
        let mut case = usual();
        case.name = name;
        edit(&mut case.identity.chain);
        case
    };
    let mut unknown = usual();
    unknown.name = "unknown root";
    unknown.roots = vec![Authority::new("Another Root", Key::p256("another")).root()];
    let mut namesake = usual();
    namesake.name = "another root of the same name";
    namesake.roots = vec![Authority::new("Root", Key::p256("another")).root()];
    let leaf_as_authority = {
        let root = Authority::new("Root", Key::p256("root"));
        let false_one = Authority::new("shop.example.com", Key::p256("false"));
        let leaf = Key::p256("leaf");
        let middle = root.leaf(&Key::p256("false"), &["shop.example.com"], &nothing);
        case(
            "a leaf as authority",
            vec![false_one.leaf(&leaf, &[HOST], &nothing), middle],
            leaf,
            root.root(),
        )
    };
    let [expired, begun] = [date_time_ymd(2026, 5, 31), date_time_ymd(2026, 6, 2)];
    vec![
        (unknown, "unknown root Root"),
        (namesake, "malformed"),
        (
            edited("the intermediate is missing", |chain| chain.truncate(1)),
            "unknown root Intermediate",
        ),
        (
            with("expired leaf", &[HOST], &|leaf| leaf.not_after = expired),
            "mender.example.com expired at 1780185600",
        ),
        (
            between("expired intermediate", &|one| one.not_after = expired),
            "Intermediate expired at 1780185600",
        ),
        (
            with("leaf of tomorrow", &[HOST], &|leaf| leaf.not_before = begun),
            "mender.example.com not valid before 1780358400",
        ),
        (
            between("intermediate of tomorrow", &|one| one.not_before = begun),
            "Intermediate not valid before 1780358400",
        ),
        (
            at(
                3600,
                Case {
                    name: "a clock of 1970",
                    ..usual()
                },
            ),
            "mender.example.com not valid before 1577836800",
        ),
        (
            with("another host", &["shop.example.com"], &nothing),
            "it is shop.example.com",
        ),
        (
            with(
                "other hosts",
                &["a.example.com", "b.example.com", "192.0.2.1"],
                &nothing,
            ),
            "it is a.example.com, b.example.com",
        ),
        (with("a wildcard, too deep", &["*.com"], &nothing), "it has no name"),
        (
            with("a wildcard for the host itself", &["*.mender.example.com"], &nothing),
            "it is *.mender.example.com",
        ),
        (
            with("a wildcard in a label", &["m*.example.com"], &nothing),
            "it has no name",
        ),
        (
            with("the parent's name", &["example.com"], &nothing),
            "it is example.com",
        ),
        (
            host("192.0.2.8", with("another address", &["192.0.2.7"], &nothing)),
            "it has no name",
        ),
        (
            host(
                "192.0.2.7",
                with("an address as a name", &[HOST], &|leaf| {
                    leaf.subject_alt_names = vec![rcgen::SanType::DnsName("192.0.2.7".try_into().expect("ASCII"))];
                }),
            ),
            "it has no name",
        ),
        (
            host("192.0.2.7", with("a name for an address", &[HOST], &nothing)),
            "it is mender.example.com",
        ),
        (
            with("a name in the subject alone", &[HOST], &|leaf| {
                leaf.subject_alt_names.clear()
            }),
            "it has no name",
        ),
        (leaf_as_authority, "wrong use"),
        (
            with("for clients", &[HOST], &|leaf| {
                leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]
            }),
            "wrong use",
        ),
        (
            between("an intermediate for clients", &|one| {
                one.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]
            }),
            "wrong use",
        ),
        (
            with("an authority as a server", &[HOST], &|leaf| {
                leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)
            }),
            "wrong use",
        ),
        (
            lonely("its own root, and an authority", &|leaf| {
                leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)
            }),
            "wrong use",
        ),
        (
            between("no authority", &|one| one.is_ca = IsCa::ExplicitNoCa),
            "wrong use",
        ),
        (
            between("for other names", &|one| {
                one.name_constraints = Some(NameConstraints {
                    permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".into())],
                    excluded_subtrees: Vec::new(),
                });
            }),
            "wrong use",
        ),
        (
            {
                let mut case = long("an authority for leaves alone", 2);
                let root = Authority::new("Root", Key::p256("root"));
                let first = Authority::new("I1", Key::p256("I1"));
                case.identity.chain[2] =
                    first.signed_by(&root, &|one| one.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
                case
            },
            "wrong use",
        ),
        (long("eight intermediates", 8), "too long"),
        (edited("an empty chain", Vec::clear), "no certificate"),
        (edited("an empty certificate", |chain| chain[0].clear()), "malformed"),
        (
            edited("no certificate but bytes", |chain| chain[0] = vec![0x5a; 500]),
            "malformed",
        ),
        (
            edited("half a certificate", |chain| chain[0].truncate(200)),
            "malformed",
        ),
        (
            edited("the leaf's signature changed", |chain| {
                if let Some(byte) = chain[0].last_mut() {
                    *byte ^= 1;
                }
            }),
            "malformed",
        ),
        (
            edited("the intermediate's signature changed", |chain| {
                if let Some(byte) = chain[1].last_mut() {
                    *byte ^= 1;
                }
            }),
            "malformed",
        ),
        (
            edited("a name changed", |chain| {
                let place = chain[0].windows(HOST.len()).rposition(|part| part == HOST.as_bytes());
                let place = place.expect("it is there");
                chain[0][place] = b'n';
            }),
            "malformed",
        ),
        (
            three(
                "RSA-1024",
                rsa!("1024-leaf", Sha256),
                rsa!("2048-intermediate", Sha256),
                rsa!("2048-root", Sha256),
            ),
            "unproved",
        ),
        (
            with("an unknown critical extension", &[HOST], &|leaf| {
                let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
                extension.set_criticality(true);
                leaf.custom_extensions.push(extension);
            }),
            "unsupported",
        ),
        (
            with("an address where a name must be", &[HOST], &|leaf| {
                leaf.subject_alt_names = vec![subject_name("192.0.2.7")]
            }),
            "it has no name",
        ),
    ]
}

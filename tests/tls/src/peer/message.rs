//! The messages of a handshake as values: RFC 8446, section 4.

use super::schedule::{Secret, finished, sha256};
use super::script::Kind;
use crate::certificate::Identity;
use crate::key::{Key, Manner};

/// A change to bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Inverts bits of the byte at a place, counted from the end if negative.
    Flip(isize, u8),
    /// Puts these bytes there instead of those that are there.
    Set(isize, Vec<u8>),
    /// Keeps so many bytes; as many fewer as said, if negative.
    Cut(isize),
    /// Adds bytes.
    Add(Vec<u8>),
}

impl Edit {
    /// Makes the change. A place that is not there changes nothing.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: isize, len: usize| match at {
            0.. => at.unsigned_abs(),
            _ => len.wrapping_sub(at.unsigned_abs()),
        };
        match self {
            Edit::Flip(at, bits) => {
                let at = place(*at, bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Edit::Set(at, new) => {
                let at = place(*at, bytes.len());
                let old = bytes.iter_mut().skip(at);
                old.zip(new).for_each(|(old, new)| *old = *new);
            }
            Edit::Cut(len) => {
                let len = place(*len, bytes.len());
                bytes.truncate(len.min(bytes.len()));
            }
            Edit::Add(more) => bytes.extend(more),
        }
    }
}

/// A message.
#[derive(Clone)]
pub struct Message {
    /// What it says.
    pub body: Body,
    /// Changes to its bytes, which the transcript knows of.
    pub edits: Vec<Edit>,
    /// Whether the transcript leaves it out.
    pub is_hidden: bool,
}

impl From<Body> for Message {
    fn from(body: Body) -> Message {
        Message {
            body,
            edits: Vec::new(),
            is_hidden: false,
        }
    }
}

/// What a message says.
#[derive(Clone)]
pub enum Body {
    /// Section 4.1.3.
    ServerHello(Hello),
    /// Section 4.1.4.
    HelloRetryRequest(Hello),
    /// Section 4.3.1.
    EncryptedExtensions(Vec<Extension>),
    /// Section 4.3.2: its context and extensions.
    CertificateRequest(Vec<u8>, Vec<Extension>),
    /// Section 4.4.2: its context, the certificates if others than those of the server's identity, extensions of the first.
    Certificate(Vec<u8>, Option<Vec<Vec<u8>>>, Vec<Extension>),
    /// Section 4.4.3.
    CertificateVerify(Proof),
    /// Section 4.4.4, made of the transcript or of these bytes.
    Finished(Option<Vec<u8>>),
    /// Section 4.6.1: the ticket's bytes.
    NewSessionTicket(Vec<u8>),
    /// Section 4.6.3: whether an answer is asked for.
    KeyUpdate(u8),
    /// Any type with any content.
    Other(u8, Vec<u8>),
}

/// An extension: type and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension(pub u16, pub Vec<u8>);

/// A ServerHello or HelloRetryRequest.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The old field of the version.
    pub legacy_version: u16,
    /// Random bytes, if others than a fixed number.
    pub random: Option<[u8; 32]>,
    /// The session, if another than the client's.
    pub session: Option<Vec<u8>>,
    /// Cipher suite.
    pub suite: u16,
    /// Compression.
    pub compression: u8,
    /// The version in its extension, or no such extension.
    pub version: Option<u16>,
    /// The key share.
    pub share: Share,
    /// More extensions.
    pub more: Vec<Extension>,
}

/// A key share of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// The right one.
    Right,
    /// The right one under the name of another group.
    Named(u16),
    /// A group alone, as in a HelloRetryRequest.
    Group(u16),
    /// A group and these bytes.
    Bytes(u16, Vec<u8>),
    /// None.
    Missing,
}

impl Default for Hello {
    fn default() -> Hello {
        Hello {
            legacy_version: 0x0303,
            random: None,
            session: None,
            suite: 0x1301,
            compression: 0,
            version: Some(0x0304),
            share: Share::Right,
            more: Vec::new(),
        }
    }
}

/// The random bytes that make a HelloRetryRequest of a ServerHello: RFC 8446, section 4.1.3.
pub fn retry_random() -> [u8; 32] {
    sha256(b"HelloRetryRequest")
}

/// A CertificateVerify.
#[derive(Clone)]
pub struct Proof {
    /// The scheme that it names, if another than that of the key.
    pub scheme: Option<u16>,
    /// How the message is signed.
    pub manner: Manner,
    /// By which key, if not that of the server's identity.
    pub key: Option<Key>,
    /// Who says so that it speaks.
    pub context: &'static [u8],
    /// The transcript's hash, if another than the right one.
    pub hash: Option<[u8; 32]>,
    /// Changes to the signature.
    pub edits: Vec<Edit>,
}

impl Default for Proof {
    fn default() -> Proof {
        Proof {
            scheme: None,
            manner: Manner::Handshake,
            key: None,
            context: b"TLS 1.3, server CertificateVerify",
            hash: None,
            edits: Vec::new(),
        }
    }
}

/// What messages are made of.
pub struct Given<'p> {
    /// The client's session.
    pub session: &'p [u8],
    /// The server's point.
    pub share: &'p [u8],
    /// Its chain and key.
    pub identity: &'p Identity,
    /// All messages before this one.
    pub transcript: &'p [u8],
    /// Key of the server's Finished.
    pub finished_key: Secret,
}

impl Message {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match &self.body {
            Body::ServerHello(_) => Kind::ServerHello,
            Body::HelloRetryRequest(_) => Kind::HelloRetryRequest,
            Body::EncryptedExtensions(_) => Kind::EncryptedExtensions,
            Body::CertificateRequest(..) => Kind::CertificateRequest,
            Body::Certificate(..) => Kind::Certificate,
            Body::CertificateVerify(_) => Kind::CertificateVerify,
            Body::Finished(_) => Kind::Finished,
            Body::NewSessionTicket(_) => Kind::NewSessionTicket,
            Body::KeyUpdate(_) => Kind::KeyUpdate,
            Body::Other(..) => Kind::Other,
        }
    }

    /// Its bytes, head included.
    pub fn encode(&self, given: &Given<'_>) -> Vec<u8> {
        let (number, content) = self.body.encode(given);
        let [_, len @ ..] = (content.len() as u32).to_be_bytes();
        let mut bytes = [&[number][..], &len, &content].concat();
        self.edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    }
}

impl Body {
    fn encode(&self, given: &Given<'_>) -> (u8, Vec<u8>) {
        match self {
            Body::ServerHello(hello) => (2, hello.encode(given, sha256(b"the server's random bytes"))),
            Body::HelloRetryRequest(hello) => (2, hello.encode(given, retry_random())),
            Body::EncryptedExtensions(list) => (8, extensions(list)),
            Body::CertificateRequest(context, list) => (13, [vector8(context), extensions(list)].concat()),
            Body::Certificate(context, chain, first) => {
                let chain = chain.as_ref().unwrap_or(&given.identity.chain);
                let entries = chain.iter().enumerate().flat_map(|(at, certificate)| {
                    let list = if at == 0 { &first[..] } else { &[] };
                    [vector24(certificate), extensions(list)].concat()
                });
                (11, [vector8(context), vector24(&entries.collect::<Vec<u8>>())].concat())
            }
            Body::CertificateVerify(proof) => (15, proof.encode(given)),
            Body::Finished(Some(bytes)) => (20, bytes.clone()),
            Body::Finished(None) => (20, finished(&given.finished_key, &sha256(given.transcript)).to_vec()),
            Body::NewSessionTicket(ticket) => {
                let times = [0, 0, 0x1c, 0x20, 1, 2, 3, 4];
                (
                    4,
                    [&times[..], &vector8(&[0]), &vector16(ticket), &vector16(&[])].concat(),
                )
            }
            Body::KeyUpdate(asked) => (24, vec![*asked]),
            Body::Other(number, content) => (*number, content.clone()),
        }
    }
}

impl Hello {
    fn encode(&self, given: &Given<'_>, random: [u8; 32]) -> Vec<u8> {
        let mut list = Vec::new();
        if let Some(version) = self.version {
            list.push(Extension(43, version.to_be_bytes().to_vec()));
        }
        let share = |group: u16, bytes: &[u8]| Extension(51, [&group.to_be_bytes()[..], &vector16(bytes)].concat());
        match &self.share {
            Share::Right => list.push(share(23, given.share)),
            Share::Named(group) => list.push(share(*group, given.share)),
            Share::Group(group) => list.push(Extension(51, group.to_be_bytes().to_vec())),
            Share::Bytes(group, bytes) => list.push(share(*group, bytes)),
            Share::Missing => {}
        }
        list.extend(self.more.iter().cloned());
        [
            &self.legacy_version.to_be_bytes()[..],
            &self.random.unwrap_or(random),
            &vector8(self.session.as_deref().unwrap_or(given.session)),
            &self.suite.to_be_bytes(),
            &[self.compression],
            &extensions(&list),
        ]
        .concat()
    }
}

impl Proof {
    fn encode(&self, given: &Given<'_>) -> Vec<u8> {
        let key = self.key.as_ref().unwrap_or(&given.identity.key);
        let hash = self.hash.unwrap_or_else(|| sha256(given.transcript));
        let message = [&[0x20; 64][..], self.context, &[0], &hash].concat();
        let mut signature = key.sign(&self.manner, &message);
        self.edits.iter().for_each(|edit| edit.apply(&mut signature));
        let scheme = self.scheme.unwrap_or_else(|| key.scheme());
        [&scheme.to_be_bytes()[..], &vector16(&signature)].concat()
    }
}

fn vector8(content: &[u8]) -> Vec<u8> {
    [&[content.len() as u8], content].concat()
}

fn vector16(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}

fn vector24(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[1..], content].concat()
}

fn extensions(list: &[Extension]) -> Vec<u8> {
    let all = list
        .iter()
        .flat_map(|Extension(kind, content)| [&kind.to_be_bytes()[..], &vector16(content)].concat());
    vector16(&all.collect::<Vec<u8>>())
}

/// Takes the first message with its head, if it is complete.
pub fn split_first(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let [_, a, b, c] = *bytes.first_chunk::<4>()?;
    let len = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
    (bytes.len() >= len).then(|| bytes.drain(..len).collect())
}

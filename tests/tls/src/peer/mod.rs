//! A TLS 1.3 server that does as a script says: TLS_AES_128_GCM_SHA256 and secp256r1 (RFC 8446), without sockets or clock.
//!
//! | file | what is in it |
//! |---|---|
//! | [`script`] | what the server sends and waits for; all that a test can change |
//! | [`message`] | the messages of a handshake as values, and their bytes |
//! | [`schedule`] | keys and the protection of records |
//! | [`hello`] | what a client offers |
//! | [`seen`] | what the client sent, record by record, and that no nonce came twice |
//! | this one | [`Peer`]: bytes of the client in, bytes for it out |
//!
//! [`Script::right`] is what a server does that keeps to the rules. Other implementations of clients accept it
//! (`tests/peer_is_right.rs`): without that its refusals would prove nothing.

pub mod hello;
pub mod message;
pub mod schedule;
pub mod script;
pub mod seen;

use std::collections::VecDeque;
use std::sync::OnceLock;

use p256::elliptic_curve::sec1::ToSec1Point as _;

pub use hello::ClientHello;
pub use message::{Edit, Extension, Hello, Message, Proof, Share};
use schedule::{Schedule, Secret, Traffic, sha256};
pub use script::{Await, Kind, Parcel, Protection, Script, Step};
pub use seen::{Fault, Level, Seen};

use crate::certificate::Identity;
use crate::key::Hash;
use seen::Log;

/// Bytes that are kept ready for the client at most, where there is no end of them.
const READY: usize = 64 * 1024;

/// Longest content of a record.
pub const LONGEST: usize = 16384;

/// What a server has told so far, to whoever wants to know whether a client is right.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Chains until the first Finished, as the messages have them.
    pub certificates: Vec<Vec<u8>>,
    /// The hash of the transcript before a CertificateVerify until then, and the message.
    pub proofs: Vec<([u8; 32], Vec<u8>)>,
    /// Whether it sent Finished.
    pub is_finished: bool,
    /// Application data.
    pub data: Vec<u8>,
    /// Whether it said that this is the end.
    pub is_closed: bool,
}

/// A server.
pub struct Peer {
    identity: Identity,
    script: VecDeque<Step>,
    hello: Option<ClientHello>,
    transcript: Vec<u8>,
    schedule: Schedule,
    /// Keys that records for the client are protected with.
    handshake: Option<Traffic>,
    application: Option<Traffic>,
    out: VecDeque<u8>,
    ended: bool,
    /// No more bytes than these leave.
    left: Option<usize>,
    flipped: Option<(usize, u8)>,
    taken: usize,
    told: Told,
    log: Log,
    /// Bytes of handshake messages of the client that are not complete.
    messages: Vec<u8>,
    /// Hellos, ends of handshakes and application data of the client that no step has taken yet.
    hellos: usize,
    finishes: usize,
    data: Vec<u8>,
    client_closed: bool,
}

impl Peer {
    /// A server that does as the script says.
    pub fn new(identity: Identity, script: Script) -> Peer {
        Peer {
            identity,
            script: script.steps.into(),
            hello: None,
            transcript: Vec::new(),
            schedule: Schedule::default(),
            handshake: None,
            application: None,
            out: VecDeque::new(),
            ended: false,
            left: script.cut_off,
            flipped: script.flipped,
            taken: 0,
            told: Told::default(),
            log: Log::default(),
            messages: Vec::new(),
            hellos: 0,
            finishes: 0,
            data: Vec::new(),
            client_closed: false,
        }
    }

    /// Takes bytes of the client.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.log.push(bytes);
        while let Some(seen) = self.log.next_record() {
            self.look_at(&seen);
            self.advance();
        }
        self.advance();
    }

    /// Bytes for the client, at most so many.
    pub fn take(&mut self, most: usize) -> Vec<u8> {
        if self.out.len() < READY {
            self.advance();
        }
        let most = most.min(self.out.len()).min(self.left.unwrap_or(usize::MAX));
        if let Some(left) = &mut self.left {
            *left -= most;
        }
        let mut bytes: Vec<u8> = self.out.drain(..most).collect();
        if let Some((at, bits)) = self.flipped
            && let Some(byte) = at.checked_sub(self.taken).and_then(|at| bytes.get_mut(at))
        {
            *byte ^= bits;
        }
        self.taken += bytes.len();
        bytes
    }

    /// Bytes that have been taken so far.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Whether no more bytes will come: all that there are have been taken.
    pub fn at_end(&self) -> bool {
        self.left == Some(0) || (self.ended && self.out.is_empty())
    }

    /// The client's end of the connection was closed.
    pub fn client_left(&mut self) {
        self.client_closed = true;
        self.ended = true;
    }

    /// What the client sent.
    pub fn seen(&self) -> &[Seen] {
        self.log.seen()
    }

    /// All application data of the client.
    pub fn application_data(&self) -> Vec<u8> {
        let data = self
            .seen()
            .iter()
            .filter(|seen| (seen.level, seen.kind) == (Level::Application, 23));
        data.flat_map(|seen| seen.content.clone()).collect()
    }

    /// What the server has told so far.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// What the client did that no client may.
    pub fn fault(&self) -> Option<&Fault> {
        self.log.fault()
    }

    /// The content of a record that the client has not sent completely; see [`Log::tail`](seen::Log::tail).
    pub fn tail(&self) -> Option<Vec<u8>> {
        self.log.has_tail().then(|| self.log.tail())
    }

    /// Whether all that the client sent is right, if it wrote these bytes and no others: it may have been stopped anywhere, but no byte is
    /// there that a client would not have sent that went on.
    ///
    /// # Errors
    ///
    /// What is not right.
    pub fn is_sound(&self, written: &[u8]) -> Result<(), String> {
        if let Some(fault) = self.fault() {
            return Err(format!("{fault:?}"));
        }
        let data = self.application_data();
        let Some(rest) = written.strip_prefix(&data[..]) else {
            return Err(format!("data that nobody wrote: {data:02x?}"));
        };
        let finished = [
            &[20, 0, 0, 32],
            &self.log.finished(&sha256(&self.transcript)).unwrap_or_default()[..],
        ]
        .concat();
        let is_right = match self.log.unfinished() {
            None | Some((Level::Plain, ..)) => true,
            Some((Level::Handshake, content, kind)) => {
                finished.starts_with(&content) && matches!(kind, None | Some(22)) || is_close(&content, kind)
            }
            Some((Level::Application, content, kind)) => {
                rest.starts_with(&content) && matches!(kind, None | Some(23)) || is_close(&content, kind)
            }
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("half a record that is wrong: {:02x?}", self.tail()))
        }
    }

    /// The last hello of the client.
    pub fn client_hello(&self) -> Option<&ClientHello> {
        self.hello.as_ref()
    }

    /// Whether the script came to its end.
    pub fn is_done(&self) -> bool {
        self.script.is_empty()
    }

    fn advance(&mut self) {
        while let Some(step) = self.script.front() {
            match step {
                Step::Await(Await::ClientHello) if self.hellos > 0 => self.hellos -= 1,
                Step::Await(Await::ClientFinished) if self.finishes > 0 => self.finishes -= 1,
                Step::Await(Await::Data(wanted)) if self.data.len() >= *wanted => {
                    self.data.drain(..*wanted).for_each(drop)
                }
                Step::Await(Await::Close) if self.client_closed => {}
                Step::Await(_) => return,
                Step::Echo => {
                    let data = std::mem::take(&mut self.data);
                    for piece in data.chunks(LONGEST) {
                        self.send(&Parcel::data(piece));
                    }
                    if !self.client_closed {
                        return;
                    }
                    self.send(&Parcel::close_notify());
                    self.ended = true;
                }
                Step::Source(0) => {}
                Step::Source(left) => {
                    if self.out.len() >= READY {
                        return;
                    }
                    let len = (*left).min(LONGEST as u64);
                    let start = *left;
                    let bytes: Vec<u8> = (0..len).map(|at| source_byte(start - at)).collect();
                    self.send(&Parcel::data(&bytes));
                    if let Some(Step::Source(left)) = self.script.front_mut() {
                        *left -= len;
                    }
                    continue;
                }
                Step::Wire(bytes) => {
                    let bytes = bytes.clone();
                    self.out.extend(bytes);
                }
                Step::Send(parcel) => {
                    let parcel = parcel.clone();
                    self.send(&parcel);
                }
                Step::End => self.ended = true,
            }
            self.script.pop_front();
        }
    }

    /// Sends what a parcel holds, and does what follows from its messages.
    fn send(&mut self, parcel: &Parcel) {
        let mut content = Vec::new();
        for message in &parcel.messages {
            let bytes = self.encode(message);
            match message.kind() {
                Kind::Certificate if !self.told.is_finished => self.told.certificates.push(bytes.clone()),
                Kind::CertificateVerify if !self.told.is_finished => {
                    self.told.proofs.push((sha256(&self.transcript), bytes.clone()));
                }
                Kind::Finished => self.told.is_finished = true,
                Kind::ServerHello
                | Kind::HelloRetryRequest
                | Kind::EncryptedExtensions
                | Kind::CertificateRequest
                | Kind::Certificate
                | Kind::CertificateVerify
                | Kind::NewSessionTicket
                | Kind::KeyUpdate
                | Kind::Other => {}
            }
            // Section 4.4.1: what comes behind the handshake is no part of it.
            let is_later = matches!(message.kind(), Kind::NewSessionTicket | Kind::KeyUpdate);
            if !message.is_hidden && !is_later {
                self.transcript.extend(&bytes);
            }
            content.extend(bytes);
            // Whatever protects this parcel was decided before: keys change behind a record.
            if let Some(step) = self.consequence(message) {
                self.write(parcel, &content);
                content.clear();
                step(self);
            }
        }
        content.extend(&parcel.content);
        if !content.is_empty() || parcel.messages.is_empty() {
            self.write(parcel, &content);
        }
    }

    /// What the sending of a message changes for the records behind it.
    fn consequence(&self, message: &Message) -> Option<fn(&mut Peer)> {
        match message.kind() {
            Kind::HelloRetryRequest => Some(Peer::retry),
            Kind::ServerHello if self.handshake.is_none() => Some(Peer::handshake_keys),
            Kind::Finished if self.application.is_none() => Some(Peer::application_keys),
            Kind::KeyUpdate => Some(|peer| {
                if let Some(keys) = &mut peer.application {
                    keys.update();
                }
            }),
            Kind::ServerHello
            | Kind::EncryptedExtensions
            | Kind::CertificateRequest
            | Kind::Certificate
            | Kind::CertificateVerify
            | Kind::Finished
            | Kind::NewSessionTicket
            | Kind::Other => None,
        }
    }

    /// RFC 8446, section 4.4.1: the first hello becomes a message of its hash.
    fn retry(&mut self) {
        let hello = self.hello.as_ref().map(|hello| hello.bytes.clone()).unwrap_or_default();
        if let Some(rest) = self.transcript.strip_prefix(&hello[..]) {
            let hash = sha256(&hello);
            self.transcript = [&[254, 0, 0, 32], &hash[..], rest].concat();
        }
    }

    fn handshake_keys(&mut self) {
        let shared = self.shared_secret();
        let (client, server) = self.schedule.handshake(&shared, &sha256(&self.transcript));
        self.log.keys(Level::Handshake, Traffic::new(client));
        self.handshake = Some(Traffic::new(server));
    }

    fn application_keys(&mut self) {
        let hash = sha256(&self.transcript);
        let (client, server) = self.schedule.application(&hash);
        self.log.keys(Level::Application, Traffic::new(client));
        self.application = Some(Traffic::new(server));
    }

    fn shared_secret(&self) -> Secret {
        let share = self
            .hello
            .as_ref()
            .and_then(ClientHello::share)
            .and_then(|point| p256::PublicKey::from_sec1_bytes(point).ok());
        share.map_or([0; 32], |public| {
            let shared = p256::ecdh::diffie_hellman(own_key().to_nonzero_scalar(), public.as_affine());
            (*shared.raw_secret_bytes()).into()
        })
    }

    fn encode(&self, message: &Message) -> Vec<u8> {
        let given = message::Given {
            session: self.hello.as_ref().map(|hello| &hello.session[..]).unwrap_or_default(),
            share: own_share(),
            identity: &self.identity,
            transcript: &self.transcript,
            finished_key: self.handshake.as_ref().map(Traffic::finished_key).unwrap_or_default(),
        };
        message.encode(&given)
    }

    /// Writes the records of a parcel.
    fn write(&mut self, parcel: &Parcel, content: &[u8]) {
        if parcel.protection == Protection::Application {
            match (parcel.kind, content) {
                (23, data) => self.told.data.extend(data),
                (21, [_, 0, ..]) => self.told.is_closed = true,
                _ => {}
            }
        }
        let mut wire = Vec::new();
        for piece in parcel.pieces(content) {
            match parcel.protection {
                Protection::Plain => {
                    wire.extend([parcel.outer.unwrap_or(parcel.kind), 3, 3]);
                    wire.extend((piece.len() as u16).to_be_bytes());
                    wire.extend(piece);
                }
                Protection::Handshake | Protection::Application | Protection::Unknown => {
                    let inner = match parcel.is_bare {
                        true => Vec::new(),
                        false => [piece, &[parcel.kind], &vec![0; parcel.padding]].concat(),
                    };
                    let outer = parcel.outer.unwrap_or(23);
                    wire.extend(self.protection(parcel.protection).seal(outer, &inner));
                }
            }
        }
        parcel.tamper.iter().for_each(|edit| edit.apply(&mut wire));
        self.out.extend(wire);
    }

    /// Keys, also where the script has not come to them.
    fn protection(&mut self, protection: Protection) -> &mut Traffic {
        match protection {
            Protection::Handshake => {
                if self.handshake.is_none() {
                    self.handshake_keys();
                }
                self.handshake.get_or_insert_with(|| Traffic::new([0; 32]))
            }
            Protection::Application => {
                if self.handshake.is_none() {
                    self.handshake_keys();
                }
                if self.application.is_none() {
                    self.application_keys();
                }
                self.application.get_or_insert_with(|| Traffic::new([0; 32]))
            }
            Protection::Plain | Protection::Unknown => self.schedule.unknown(),
        }
    }

    fn look_at(&mut self, seen: &Seen) {
        match (seen.level, seen.kind) {
            (Level::Plain | Level::Handshake, 22) => {
                self.messages.extend(&seen.content);
                while let Some(message) = message::split_first(&mut self.messages) {
                    self.client_message(&message);
                }
            }
            (Level::Application, 23) => self.data.extend(&seen.content),
            (_, 21) => self.client_closed = true,
            (Level::Plain | Level::Handshake | Level::Application, _) => {}
        }
    }

    fn client_message(&mut self, message: &[u8]) {
        match message[0] {
            1 => {
                match ClientHello::parse(message) {
                    Ok(hello) => self.hello = Some(hello),
                    Err(what) => self.log.blame(Fault::Hello(what)),
                }
                self.hellos += 1;
            }
            20 => {
                let hash = sha256(&self.transcript);
                if self.log.finished(&hash).as_deref() != message.get(4..) {
                    self.log.blame(Fault::Finished);
                }
                self.finishes += 1;
                self.log.finish();
            }
            _ => {}
        }
        self.transcript.extend(message);
    }
}

/// The key of all servers' shares.
fn own_key() -> p256::SecretKey {
    p256::SecretKey::from_slice(&Hash::Sha256.of(b"the server's share")).expect("below the order")
}

fn own_share() -> &'static [u8] {
    static SHARE: OnceLock<Vec<u8>> = OnceLock::new();
    SHARE.get_or_init(|| {
        own_key()
            .public_key()
            .as_affine()
            .to_sec1_point(false)
            .as_bytes()
            .to_vec()
    })
}

/// Whether this is the start of close_notify.
fn is_close(content: &[u8], kind: Option<u8>) -> bool {
    [1, 0].starts_with(content) && matches!(kind, None | Some(21))
}

/// A byte of an endless stream, by its distance from the end.
pub fn source_byte(left: u64) -> u8 {
    (left ^ left >> 8 ^ left >> 16) as u8
}

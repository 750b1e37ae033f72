//! A right script, changed as bytes say.

use mender_tls_tests::client::QUESTION;
use mender_tls_tests::key::{Hash, Key, Manner};
use mender_tls_tests::peer::message::{Body, Extension, Hello, Message, Proof, Share};
use mender_tls_tests::peer::{Await, Edit, Parcel, Protection, Script, Step};

/// What a right server answers.
pub const ANSWER: &[u8] = b"an answer";

/// Changes at most.
const CHANGES: usize = 6;

/// A right server that waits for nothing but the hello.
pub fn right() -> Script {
    let mut script = Script::handshake();
    script.steps.pop();
    script.steps.extend([
        Step::Send(Parcel::data(ANSWER)),
        Step::Send(Parcel::close_notify()),
        Step::End,
    ]);
    script
}

/// Bytes that become numbers; zeros behind the end.
struct Numbers<'b>(&'b [u8]);

impl Numbers<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = self.below(64);
        (0..len).map(|_| self.byte()).collect()
    }

    fn edit(&mut self) -> Edit {
        let at = isize::from(self.word() as i16);
        match self.below(4) {
            0 => Edit::Flip(at, self.byte()),
            1 => Edit::Set(at, self.bytes()),
            2 => Edit::Cut(at),
            _ => Edit::Add(self.bytes()),
        }
    }

    fn protection(&mut self) -> Protection {
        [
            Protection::Plain,
            Protection::Handshake,
            Protection::Application,
            Protection::Unknown,
        ][self.below(4)]
    }

    fn extensions(&mut self) -> Vec<Extension> {
        (0..self.below(4))
            .map(|_| Extension(self.word() % 60, self.bytes()))
            .collect()
    }

    fn proof(&mut self) -> Proof {
        let hash = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512][self.below(4)];
        let scheme = [0x0403, 0x0503, 0x0603, 0x0804, 0x0807, 0x0203, self.word()][self.below(7)];
        let mut proof = Proof::default();
        match self.below(7) {
            0 => proof.scheme = Some(scheme),
            1 => proof.manner = Manner::Ecdsa(hash),
            2 => proof.manner = Manner::Bytes(self.bytes()),
            3 => proof.key = Some(Key::p256("another")),
            4 => proof.context = b"TLS 1.3, client CertificateVerify",
            5 => proof.hash = Some([self.byte(); 32]),
            _ => proof.edits.push(self.edit()),
        }
        proof
    }

    fn hello(&mut self) -> Hello {
        let share = match self.below(5) {
            0 => Share::Right,
            1 => Share::Named(self.word()),
            2 => Share::Group(self.word()),
            3 => Share::Bytes(self.word(), self.bytes()),
            _ => Share::Missing,
        };
        let mut hello = Hello::default();
        match self.below(7) {
            0 => hello.share = share,
            1 => hello.version = Some(self.word()).filter(|version| *version != 0),
            2 => hello.suite = self.word(),
            3 => hello.session = Some(self.bytes()),
            4 => hello.random = Some([self.byte(); 32]),
            5 => hello.compression = self.byte(),
            _ => hello.more = self.extensions(),
        }
        hello
    }

    fn body(&mut self) -> Body {
        match self.below(11) {
            0 => Body::ServerHello(self.hello()),
            1 => Body::HelloRetryRequest(self.hello()),
            2 => Body::EncryptedExtensions(self.extensions()),
            3 => Body::CertificateRequest(self.bytes(), self.extensions()),
            4 => Body::Certificate(self.bytes(), None, self.extensions()),
            5 => Body::Certificate(
                Vec::new(),
                Some((0..self.below(20)).map(|_| self.bytes()).collect()),
                Vec::new(),
            ),
            6 => Body::CertificateVerify(self.proof()),
            7 => Body::Finished(Some(self.bytes()).filter(|bytes| !bytes.is_empty())),
            8 => Body::NewSessionTicket(self.bytes()),
            9 => Body::KeyUpdate(self.byte()),
            _ => Body::Other(self.byte(), self.bytes()),
        }
    }

    fn parcel(&mut self) -> Parcel {
        let protection = self.protection();
        match self.below(3) {
            0 => Parcel::messages(
                protection,
                (0..=self.below(3)).map(|_| self.body()).collect::<Vec<Body>>(),
            ),
            1 => Parcel::alert(protection, self.byte() % 4, self.byte()),
            _ => Parcel::new(self.byte() % 26, protection, &self.bytes()),
        }
    }
}

/// The right script, with some changes.
pub fn changed(bytes: &[u8]) -> Script {
    let mut numbers = Numbers(bytes);
    let mut script = right();
    for _ in 0..CHANGES {
        if numbers.0.is_empty() {
            break;
        }
        change(&mut script, &mut numbers);
    }
    script
}

fn change(script: &mut Script, numbers: &mut Numbers<'_>) {
    let steps = &mut script.steps;
    // The first is what everything waits for.
    let place = 1 + numbers.below(steps.len() - 1);
    match numbers.below(12) {
        0 if steps.len() > 3 => drop(steps.remove(place)),
        1 => steps.insert(place, steps[place].clone()),
        2 => {
            let other = 1 + numbers.below(steps.len() - 1);
            steps.swap(place, other);
        }
        3 => steps.insert(place, Step::Send(numbers.parcel())),
        4 => steps.insert(place, Step::Wire(numbers.bytes())),
        5 => steps.insert(place, Step::Await(Await::Data(QUESTION.len()))),
        6 => script.cut_off = Some(numbers.word().into()),
        7 => script.flipped = Some((numbers.word().into(), numbers.byte())),
        _ => {
            if let Some(Step::Send(parcel)) = steps.get_mut(place) {
                change_parcel(parcel, numbers);
            }
        }
    }
}

fn change_parcel(parcel: &mut Parcel, numbers: &mut Numbers<'_>) {
    let count = parcel.messages.len();
    let place = numbers.below(count);
    let kind = numbers.below(11);
    if let Some(message) = parcel.messages.get_mut(place) {
        match kind {
            0 => return message.edits.push(numbers.edit()),
            1 => return message.is_hidden = true,
            2 => return message.body = numbers.body(),
            3 => {
                message.body = match &message.body {
                    Body::ServerHello(_) => Body::ServerHello(numbers.hello()),
                    Body::CertificateVerify(_) => Body::CertificateVerify(numbers.proof()),
                    Body::EncryptedExtensions(_) => Body::EncryptedExtensions(numbers.extensions()),
                    other => other.clone(),
                };
                return;
            }
            4 => return parcel.messages.insert(place, Message::from(numbers.body())),
            _ => {}
        }
    }
    match kind {
        5 => parcel.protection = numbers.protection(),
        6 => parcel.padding = usize::from(numbers.word()) % 17_000,
        7 => parcel.cuts = (0..numbers.below(5)).map(|_| numbers.below(256)).collect(),
        8 => parcel.tamper.push(numbers.edit()),
        9 => parcel.kind = numbers.byte() % 26,
        _ => match numbers.below(3) {
            0 => parcel.outer = Some(numbers.byte() % 26),
            1 => parcel.is_bare = true,
            _ => parcel.content = numbers.bytes(),
        },
    }
}

//! What a server sends and waits for.

use super::message::{Body, Edit, Hello, Message, Proof};

/// What a server does, step by step.
#[derive(Clone)]
pub struct Script {
    /// The steps.
    pub steps: Vec<Step>,
    /// The connection ends behind so many bytes.
    pub cut_off: Option<usize>,
    /// Bits that are inverted on the way, in the byte behind so many others.
    pub flipped: Option<(usize, u8)>,
}

impl From<Vec<Step>> for Script {
    fn from(steps: Vec<Step>) -> Script {
        Script {
            steps,
            cut_off: None,
            flipped: None,
        }
    }
}

/// A step of a server.
#[derive(Clone)]
pub enum Step {
    /// Waits for the client.
    Await(Await),
    /// Sends records.
    Send(Parcel),
    /// Sends these bytes as they are.
    Wire(Vec<u8>),
    /// Sends back all application data, until the client closes; then closes likewise.
    Echo,
    /// Sends so many bytes ([`source_byte`](super::source_byte)).
    Source(u64),
    /// Ends the connection, without a word.
    End,
}

/// What a server waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Await {
    /// A hello.
    ClientHello,
    /// The end of the client's handshake.
    ClientFinished,
    /// So many bytes of application data.
    Data(usize),
    /// Its alert.
    Close,
}

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Names, groups, keys.
    ServerHello,
    /// Another share is wanted.
    HelloRetryRequest,
    /// What else was agreed on.
    EncryptedExtensions,
    /// The client is to show a certificate.
    CertificateRequest,
    /// The chain.
    Certificate,
    /// The proof that the server has the key.
    CertificateVerify,
    /// The proof that nothing was changed.
    Finished,
    /// For a later session.
    NewSessionTicket,
    /// Other keys from now on.
    KeyUpdate,
    /// Anything else.
    Other,
}

/// Keys that protect a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// None.
    Plain,
    /// The handshake's.
    Handshake,
    /// Those of application data.
    Application,
    /// Some that the client does not have.
    Unknown,
}

/// What goes into records together.
#[derive(Clone)]
pub struct Parcel {
    /// Messages of a handshake.
    pub messages: Vec<Message>,
    /// Bytes behind them.
    pub content: Vec<u8>,
    /// Content type.
    pub kind: u8,
    /// The content type that everybody sees, if another than the rules want.
    pub outer: Option<u8>,
    /// What protects it.
    pub protection: Protection,
    /// Zeros behind the content type of protected records.
    pub padding: usize,
    /// Whether protected records hold nothing at all, no content type either.
    pub is_bare: bool,
    /// Lengths of the content of the first records; what is left goes into the last.
    pub cuts: Vec<usize>,
    /// Changes to the bytes of all its records, behind protection.
    pub tamper: Vec<Edit>,
}

impl Parcel {
    /// Bytes of some type.
    pub fn new(kind: u8, protection: Protection, content: &[u8]) -> Parcel {
        Parcel {
            messages: Vec::new(),
            content: content.to_vec(),
            kind,
            outer: None,
            protection,
            padding: 0,
            is_bare: false,
            cuts: Vec::new(),
            tamper: Vec::new(),
        }
    }

    /// Messages of a handshake.
    pub fn messages(protection: Protection, bodies: impl IntoIterator<Item = Body>) -> Parcel {
        Parcel {
            messages: bodies.into_iter().map(Message::from).collect(),
            ..Parcel::new(22, protection, &[])
        }
    }

    /// Application data.
    pub fn data(content: &[u8]) -> Parcel {
        Parcel::new(23, Protection::Application, content)
    }

    /// An alert.
    pub fn alert(protection: Protection, level: u8, description: u8) -> Parcel {
        Parcel::new(21, protection, &[level, description])
    }

    /// The alert that ends a connection as it should end.
    pub fn close_notify() -> Parcel {
        Parcel::alert(Protection::Application, 1, 0)
    }

    /// Into records of these lengths.
    pub fn cut(mut self, cuts: &[usize]) -> Parcel {
        self.cuts = cuts.to_vec();
        self
    }

    /// With zeros behind the content.
    pub fn padded(mut self, padding: usize) -> Parcel {
        self.padding = padding;
        self
    }

    /// With changes behind protection.
    pub fn tampered(mut self, edits: &[Edit]) -> Parcel {
        self.tamper = edits.to_vec();
        self
    }

    /// The content of each record.
    pub(super) fn pieces<'c>(&self, mut content: &'c [u8]) -> Vec<&'c [u8]> {
        let mut pieces = Vec::new();
        for cut in &self.cuts {
            let (piece, rest) = content.split_at(content.len().min(*cut));
            pieces.push(piece);
            content = rest;
        }
        pieces.push(content);
        pieces
    }
}

impl Script {
    /// What a server does that keeps to the rules: it sends back what it gets.
    pub fn right() -> Script {
        let mut script = Script::handshake();
        script.steps.push(Step::Echo);
        script
    }

    /// Its handshake alone.
    pub fn handshake() -> Script {
        let protected = |body| Step::Send(Parcel::messages(Protection::Handshake, [body]));
        Script::from(vec![
            Step::Await(Await::ClientHello),
            Step::Send(Parcel::messages(
                Protection::Plain,
                [Body::ServerHello(Hello::default())],
            )),
            Step::Send(Parcel::new(20, Protection::Plain, &[1])),
            protected(Body::EncryptedExtensions(Vec::new())),
            protected(Body::Certificate(Vec::new(), None, Vec::new())),
            protected(Body::CertificateVerify(Proof::default())),
            protected(Body::Finished(None)),
            Step::Await(Await::ClientFinished),
        ])
    }

    /// These steps behind a right handshake.
    pub fn then(steps: impl IntoIterator<Item = Step>) -> Script {
        let mut script = Script::handshake();
        script.steps.extend(steps);
        script
    }

    /// All messages behind the hello in one record.
    pub fn in_one_record() -> Script {
        let mut script = Script::right();
        let messages: Vec<Message> = script.steps[3..7].iter().flat_map(Step::messages).cloned().collect();
        let parcel = Parcel {
            messages,
            ..Parcel::new(22, Protection::Handshake, &[])
        };
        script.steps.splice(3..7, [Step::Send(parcel)]).for_each(drop);
        script
    }

    /// Where a message is.
    ///
    /// # Panics
    ///
    /// If it is not there.
    pub fn place(&self, kind: Kind) -> usize {
        let found = self
            .steps
            .iter()
            .position(|step| step.messages().iter().any(|message| message.kind() == kind));
        found.unwrap_or_else(|| panic!("there is no {kind:?}"))
    }

    /// Changes what a message is sent in.
    ///
    /// # Panics
    ///
    /// If it is not there.
    pub fn parcel(mut self, kind: Kind, change: impl FnOnce(&mut Parcel)) -> Script {
        let place = self.place(kind);
        if let Step::Send(parcel) = &mut self.steps[place] {
            change(parcel);
        }
        self
    }

    /// Changes a message.
    ///
    /// # Panics
    ///
    /// If it is not there.
    pub fn message(self, kind: Kind, change: impl FnOnce(&mut Message)) -> Script {
        self.parcel(kind, |parcel| {
            let mut found = parcel.messages.iter_mut().filter(|message| message.kind() == kind);
            change(found.next().expect("it was looked for"));
        })
    }

    /// Says something else in the place of a message.
    ///
    /// # Panics
    ///
    /// If it is not there.
    pub fn body(self, kind: Kind, body: Body) -> Script {
        self.message(kind, |message| message.body = body)
    }

    /// Leaves a message out.
    ///
    /// # Panics
    ///
    /// If it is not there.
    pub fn without(mut self, kind: Kind) -> Script {
        let place = self.place(kind);
        self.steps.remove(place);
        self
    }

    /// Leaves the ChangeCipherSpec out.
    pub fn without_change_cipher_spec(mut self) -> Script {
        self.steps
            .retain(|step| !matches!(step, Step::Send(parcel) if parcel.kind == 20));
        self
    }

    /// Sends a message twice.
    ///
    /// # Panics
    ///
    /// If it is not there.
    pub fn twice(mut self, kind: Kind) -> Script {
        let place = self.place(kind);
        self.steps.insert(place, self.steps[place].clone());
        self
    }

    /// Exchanges two messages.
    ///
    /// # Panics
    ///
    /// If they are not there.
    pub fn swapped(mut self, one: Kind, other: Kind) -> Script {
        let (one, other) = (self.place(one), self.place(other));
        self.steps.swap(one, other);
        self
    }

    /// A step before a message.
    ///
    /// # Panics
    ///
    /// If it is not there.
    pub fn before(mut self, kind: Kind, step: Step) -> Script {
        let place = self.place(kind);
        self.steps.insert(place, step);
        self
    }

    /// A step behind a message.
    ///
    /// # Panics
    ///
    /// If it is not there.
    pub fn after(mut self, kind: Kind, step: Step) -> Script {
        let place = self.place(kind);
        self.steps.insert(place + 1, step);
        self
    }

    /// Inverts bits on the way.
    pub fn flipped(mut self, at: usize, bits: u8) -> Script {
        self.flipped = Some((at, bits));
        self
    }

    /// Ends the connection behind so many bytes.
    pub fn cut_off(mut self, bytes: usize) -> Script {
        self.cut_off = Some(bytes);
        self
    }
}

impl Step {
    /// The messages that it sends.
    pub fn messages(&self) -> &[Message] {
        match self {
            Step::Send(parcel) => &parcel.messages,
            Step::Await(_) | Step::Wire(_) | Step::Echo | Step::Source(_) | Step::End => &[],
        }
    }
}

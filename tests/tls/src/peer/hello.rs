//! What a client offers: RFC 8446, section 4.1.2.

/// A ClientHello.
#[derive(Clone, Debug)]
pub struct ClientHello {
    /// The whole message.
    pub bytes: Vec<u8>,
    /// Its random bytes.
    pub random: [u8; 32],
    /// Its session, which TLS 1.3 only echoes.
    pub session: Vec<u8>,
    /// Cipher suites in its order.
    pub suites: Vec<u16>,
    /// Extensions in its order.
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl ClientHello {
    /// Reads a message with its head.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(message: &[u8]) -> Result<ClientHello, &'static str> {
        let mut rest = Reader(message.get(4..).ok_or("no head")?);
        if rest.number()? != 0x0303 {
            return Err("legacy_version");
        }
        let random = *rest.bytes(32)?.first_chunk().ok_or("random")?;
        let session = rest.vector8()?.to_vec();
        let mut suites = Reader(rest.vector16()?);
        if rest.vector8()? != [0] {
            return Err("legacy_compression_methods");
        }
        let mut extensions = Reader(rest.vector16()?);
        if !rest.0.is_empty() {
            return Err("bytes behind the end");
        }
        let mut hello = ClientHello {
            bytes: message.to_vec(),
            random,
            session,
            suites: Vec::new(),
            extensions: Vec::new(),
        };
        while !suites.0.is_empty() {
            hello.suites.push(suites.number()?);
        }
        while !extensions.0.is_empty() {
            let kind = extensions.number()?;
            if hello.extension(kind).is_some() {
                return Err("an extension twice");
            }
            hello.extensions.push((kind, extensions.vector16()?.to_vec()));
        }
        if !hello.suites.contains(&0x1301) {
            return Err("no TLS_AES_128_GCM_SHA256");
        }
        if hello
            .extension(43)
            .is_none_or(|versions| !versions[1..].chunks(2).any(|version| version == [3, 4]))
        {
            return Err("no TLS 1.3");
        }
        Ok(hello)
    }

    /// The content of an extension.
    pub fn extension(&self, kind: u16) -> Option<&[u8]> {
        let found = self.extensions.iter().find(|extension| extension.0 == kind)?;
        Some(&found.1)
    }

    /// Its share of secp256r1.
    pub fn share(&self) -> Option<&[u8]> {
        let mut shares = Reader(Reader(self.extension(51)?).vector16().ok()?);
        while !shares.0.is_empty() {
            let (group, share) = (shares.number().ok()?, shares.vector16().ok()?);
            if group == 23 {
                return Some(share);
            }
        }
        None
    }

    /// The host that it names.
    pub fn server_name(&self) -> Option<String> {
        let mut names = Reader(Reader(self.extension(0)?).vector16().ok()?);
        let kind = names.bytes(1).ok()?;
        let name = names.vector16().ok()?;
        (kind == [0]).then(|| String::from_utf8_lossy(name).into_owned())
    }

    /// The signature schemes that it takes.
    pub fn schemes(&self) -> Vec<u16> {
        let list = self.extension(13).unwrap_or_default().get(2..).unwrap_or_default();
        list.chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect()
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn bytes(&mut self, len: usize) -> Result<&'b [u8], &'static str> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or("too short")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u16, &'static str> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn vector8(&mut self) -> Result<&'b [u8], &'static str> {
        let len = self.bytes(1)?[0];
        self.bytes(len.into())
    }

    fn vector16(&mut self) -> Result<&'b [u8], &'static str> {
        let len = self.number()?;
        self.bytes(len.into())
    }
}

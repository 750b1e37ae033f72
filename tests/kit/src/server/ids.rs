//! Identifiers, and where new ones come from.

use std::fmt;

use sha2::{Digest, Sha256};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text of the id, a UUID unless a test made it up.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

id! {
    /// A device, known by its identity attributes.
    DeviceId
}
id! {
    /// A pair of device and public key, which is what is accepted or rejected.
    AuthSetId
}
id! {
    /// An uploaded artifact.
    ArtifactId
}
id! {
    /// A deployment; the same for all its devices.
    DeploymentId
}

/// A stream of random-looking bytes that depends on the seed alone.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next 32 bytes.
    pub(crate) fn block(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.drawn.to_be_bytes());
        hash.finalize().into()
    }

    /// The next UUID of version 4.
    pub(crate) fn uuid(&mut self) -> String {
        let block = self.block();
        let mut hex: Vec<char> = hex(&block).chars().take(32).collect();
        hex[12] = '4';
        hex[16] = ['8', '9', 'a', 'b'][usize::from(block[8] & 3)];
        let part = |from: usize, to: usize| hex[from..to].iter().collect::<String>();
        format!(
            "{}-{}-{}-{}-{}",
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32)
        )
    }
}

/// Lower-case hexadecimal digits of some bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text has the form of a UUID.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, character)| match at {
            8 | 13 | 18 | 23 => character == '-',
            _ => character.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_of_version_4_distinct_and_repeatable() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.uuid()).collect::<Vec<_>>()
        };
        let ids = draw(1);
        for (at, id) in ids.iter().enumerate() {
            assert!(is_uuid(id), "{id}");
            assert_eq!(&id[14..15], "4");
            assert!(!ids[..at].contains(id));
        }
        assert_eq!(ids, draw(1));
        assert_ne!(ids, draw(2));
    }
}

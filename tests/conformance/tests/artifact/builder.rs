//! Writes artifacts whose checksums are right whatever their documents say.

use sha2::{Digest, Sha256};

use crate::run::hex;

/// The parts of an artifact.
#[derive(Clone, Debug)]
pub struct Parts {
    pub version: Vec<u8>,
    pub header_info: Vec<u8>,
    pub type_info: Vec<u8>,
    pub meta_data: Option<Vec<u8>>,
    pub scripts: Vec<String>,
    pub files: Vec<(String, Vec<u8>)>,
}

impl Default for Parts {
    fn default() -> Parts {
        Parts {
            version: br#"{"format":"mender","version":3}"#.to_vec(),
            header_info: br#"{"payloads":[{"type":"t"}],"artifact_provides":{"artifact_name":"n"},"artifact_depends":{"device_type":["d"]}}"#.to_vec(),
            type_info: br#"{"type":"t"}"#.to_vec(),
            meta_data: None,
            scripts: Vec::new(),
            files: vec![("f".to_owned(), b"payload".to_vec())],
        }
    }
}

/// A tar header block with a right checksum.
pub fn block(name: &str, size: usize, typeflag: u8) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000600\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[148..156].fill(b' ');
    block[156] = typeflag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    block
}

/// Makes the checksum of a header block right.
pub fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// An entry with its padding, and a GNU long name in front if it needs one.
pub fn entry(tar: &mut Vec<u8>, name: &str, data: &[u8]) {
    if name.len() > 100 {
        tar.extend(block("././@LongLink", name.len() + 1, b'L'));
        tar.extend(name.as_bytes());
        tar.push(0);
        tar.resize(tar.len().next_multiple_of(512), 0);
        return entry(tar, &name[..100], data);
    }
    tar.extend(block(name, data.len(), b'0'));
    tar.extend(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// The two end blocks.
pub fn end(tar: &mut Vec<u8>) {
    tar.extend([0; 1024]);
}

impl Parts {
    pub fn header_tar(&self) -> Vec<u8> {
        let mut header = Vec::new();
        entry(&mut header, "header-info", &self.header_info);
        for script in &self.scripts {
            entry(&mut header, &format!("scripts/{script}"), b"#!/bin/sh\n");
        }
        entry(&mut header, "headers/0000/type-info", &self.type_info);
        if let Some(meta_data) = &self.meta_data {
            entry(&mut header, "headers/0000/meta-data", meta_data);
        }
        end(&mut header);
        header
    }

    pub fn payload_tar(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        for (name, data) in &self.files {
            entry(&mut payload, name, data);
        }
        end(&mut payload);
        payload
    }

    pub fn manifest(&self, header: &[u8]) -> String {
        let line = |data: &[u8], name: &str| format!("{}  {name}\n", hex(&Sha256::digest(data)));
        let mut manifest = String::new();
        for (name, data) in &self.files {
            manifest += &line(data, &format!("data/0000/{name}"));
        }
        manifest + &line(header, "header.tar") + &line(&self.version, "version")
    }

    /// The artifact, with other bytes for its inner archives where they are given; the manifest covers the header's.
    pub fn build_with(&self, header: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut artifact = Vec::new();
        entry(&mut artifact, "version", &self.version);
        entry(&mut artifact, "manifest", self.manifest(header).as_bytes());
        entry(&mut artifact, "header.tar", header);
        entry(&mut artifact, "data/0000.tar", payload);
        end(&mut artifact);
        artifact
    }

    pub fn build(&self) -> Vec<u8> {
        self.build_with(&self.header_tar(), &self.payload_tar())
    }
}

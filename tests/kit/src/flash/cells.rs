//! The cells of a chip: what they hold and which of them were written. Copies share sectors until one of them changes.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The value of an erased byte.
pub(super) const ERASED: u8 = 0xff;

/// All sectors of a chip. Cloning copies no cell.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    sectors: Vec<Arc<Sector>>,
    write_len: usize,
    sector_len: usize,
}

#[derive(Debug)]
struct Sector {
    bytes: Vec<u8>,
    /// Per word: not to be written before the next erase.
    written: Vec<bool>,
    /// Of both, once somebody has asked.
    digest: OnceLock<u64>,
}

impl Clone for Sector {
    fn clone(&self) -> Sector {
        Sector {
            bytes: self.bytes.clone(),
            written: self.written.clone(),
            // A copy is made to be changed.
            digest: OnceLock::new(),
        }
    }
}

impl Cells {
    /// All erased.
    pub(super) fn new(write_len: usize, sector_len: usize, sectors: usize) -> Cells {
        let sector = Arc::new(Sector {
            bytes: vec![ERASED; sector_len],
            written: vec![false; sector_len / write_len],
            digest: OnceLock::new(),
        });
        Cells {
            sectors: vec![sector; sectors],
            write_len,
            sector_len,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sectors.len() * self.sector_len
    }

    /// A number that differs between chips in different states, and is equal between chips in the same.
    pub(super) fn digest(&self) -> u64 {
        let mut all = DefaultHasher::new();
        for sector in &self.sectors {
            let digest = sector.digest.get_or_init(|| {
                let mut one = DefaultHasher::new();
                sector.bytes.hash(&mut one);
                sector.written.hash(&mut one);
                one.finish()
            });
            all.write_u64(*digest);
        }
        all.finish()
    }

    /// The parts of a range by sector: which one, where in it, and where in the range.
    fn parts(&self, range: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>, Range<usize>)> + use<> {
        let sector_len = self.sector_len;
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let sector = at / sector_len;
            let end = range.end.min((sector + 1) * sector_len);
            let inside = at - sector * sector_len..end - sector * sector_len;
            let outside = at - range.start..end - range.start;
            at = end;
            Some((sector, inside, outside))
        })
    }

    fn change(&mut self, sector: usize) -> &mut Sector {
        let sector = Arc::make_mut(&mut self.sectors[sector]);
        sector.digest = OnceLock::new();
        sector
    }

    pub(super) fn read(&self, start: usize, out: &mut [u8]) {
        for (sector, inside, outside) in self.parts(start..start + out.len()) {
            out[outside].copy_from_slice(&self.sectors[sector].bytes[inside]);
        }
    }

    pub(super) fn to_vec(&self, range: Range<usize>) -> Vec<u8> {
        let mut bytes = vec![0; range.len()];
        self.read(range.start, &mut bytes);
        bytes
    }

    pub(super) fn is_blank(&self, range: Range<usize>) -> bool {
        self.parts(range).all(|(sector, inside, _)| {
            let bytes = &self.sectors[sector].bytes[inside];
            bytes.iter().all(|byte| *byte == ERASED)
        })
    }

    /// The first word of a range, in whole words, that is not to be written.
    pub(super) fn first_written(&self, range: Range<usize>) -> Option<usize> {
        let write_len = self.write_len;
        self.parts(range).find_map(|(sector, inside, _)| {
            let words = inside.start / write_len..inside.end / write_len;
            let written = &self.sectors[sector].written;
            let word = words.into_iter().find(|word| written[*word])?;
            Some(sector * self.sector_len + word * write_len)
        })
    }

    /// Clears bits; the words, which are whole ones, count as written.
    pub(super) fn program(&mut self, start: usize, data: &[u8]) {
        let write_len = self.write_len;
        for (sector, inside, outside) in self.parts(start..start + data.len()) {
            let sector = self.change(sector);
            for (cell, new) in sector.bytes[inside.clone()].iter_mut().zip(&data[outside]) {
                *cell &= new;
            }
            sector.written[inside.start / write_len..inside.end / write_len].fill(true);
        }
    }

    /// Lets a word be written again.
    pub(super) fn forget_write(&mut self, offset: usize) {
        let (sector_len, write_len) = (self.sector_len, self.write_len);
        self.change(offset / sector_len).written[offset % sector_len / write_len] = false;
    }

    /// Works on a whole sector's bytes; all of its words count as written after it, or none.
    pub(super) fn change_sector(&mut self, start: usize, written: bool, work: impl FnOnce(&mut [u8])) {
        let sector = self.change(start / self.sector_len);
        work(&mut sector.bytes);
        sector.written.fill(written);
    }

    /// Replaces everything. A word that is not all `0xff` counts as written.
    pub(super) fn load(&mut self, bytes: &[u8]) {
        let write_len = self.write_len;
        for (sector, bytes) in bytes.chunks(self.sector_len).enumerate() {
            let sector = self.change(sector);
            sector.bytes.copy_from_slice(bytes);
            for (word, written) in bytes.chunks(write_len).zip(&mut sector.written) {
                *written = word.iter().any(|byte| *byte != ERASED);
            }
        }
    }
}

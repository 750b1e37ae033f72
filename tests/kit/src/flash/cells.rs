//! The cells of a chip: what they hold and which of them were written. Copies share pages until one of them changes.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The value of an erased byte.
pub(super) const ERASED: u8 = 0xff;

/// The longest piece that copies share: of a chip with long sectors little is copied and compared where little has changed.
const LONGEST_PAGE: usize = 4096;

/// All cells of a chip. Cloning copies none of them.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    pages: Vec<Arc<Page>>,
    /// As after an erase.
    erased: Arc<Page>,
    write_len: usize,
    sector_len: usize,
    /// Whole words; a sector is a whole number of pages.
    page_len: usize,
}

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    /// Per word: 1 if it is not to be written before the next erase, else 0.
    written: Vec<u8>,
    /// Of both, once somebody has asked.
    digest: OnceLock<u64>,
}

impl Clone for Page {
    fn clone(&self) -> Page {
        Page {
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
        let fits = sector_len.is_multiple_of(LONGEST_PAGE) && LONGEST_PAGE.is_multiple_of(write_len);
        let page_len = if fits { LONGEST_PAGE } else { sector_len };
        let erased = Arc::new(Page {
            bytes: vec![ERASED; page_len],
            written: vec![0; page_len / write_len],
            digest: OnceLock::new(),
        });
        Cells {
            pages: vec![Arc::clone(&erased); sectors * (sector_len / page_len)],
            erased,
            write_len,
            sector_len,
            page_len,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pages.len() * self.page_len
    }

    /// A number that differs between chips in different states, and is equal between chips in the same.
    pub(super) fn digest(&self) -> u64 {
        let mut all = DefaultHasher::new();
        for page in &self.pages {
            let digest = page.digest.get_or_init(|| {
                let mut one = DefaultHasher::new();
                page.bytes.hash(&mut one);
                page.written.hash(&mut one);
                one.finish()
            });
            all.write_u64(*digest);
        }
        all.finish()
    }

    /// The parts of a range by page: which one, where in it, and where in the range.
    fn parts(&self, range: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>, Range<usize>)> + use<> {
        let page_len = self.page_len;
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let page = at / page_len;
            let end = range.end.min((page + 1) * page_len);
            let inside = at - page * page_len..end - page * page_len;
            let outside = at - range.start..end - range.start;
            at = end;
            Some((page, inside, outside))
        })
    }

    fn change(&mut self, page: usize) -> &mut Page {
        let page = Arc::make_mut(&mut self.pages[page]);
        page.digest = OnceLock::new();
        page
    }

    pub(super) fn read(&self, start: usize, out: &mut [u8]) {
        for (page, inside, outside) in self.parts(start..start + out.len()) {
            out[outside].copy_from_slice(&self.pages[page].bytes[inside]);
        }
    }

    pub(super) fn to_vec(&self, range: Range<usize>) -> Vec<u8> {
        let mut bytes = vec![0; range.len()];
        self.read(range.start, &mut bytes);
        bytes
    }

    pub(super) fn is_blank(&self, range: Range<usize>) -> bool {
        self.parts(range).all(|(page, inside, _)| {
            let bytes = &self.pages[page].bytes[inside];
            bytes.iter().all(|byte| *byte == ERASED)
        })
    }

    /// The first word of a range, in whole words, that is not to be written.
    pub(super) fn first_written(&self, range: Range<usize>) -> Option<usize> {
        let write_len = self.write_len;
        self.parts(range).find_map(|(page, inside, _)| {
            let words = inside.start / write_len..inside.end / write_len;
            let written = &self.pages[page].written;
            let word = words.into_iter().find(|word| written[*word] != 0)?;
            Some(page * self.page_len + word * write_len)
        })
    }

    /// Clears bits; the words, which are whole ones, count as written.
    pub(super) fn program(&mut self, start: usize, data: &[u8]) {
        let write_len = self.write_len;
        for (page, inside, outside) in self.parts(start..start + data.len()) {
            let page = self.change(page);
            for (cell, new) in page.bytes[inside.clone()].iter_mut().zip(&data[outside]) {
                *cell &= new;
            }
            page.written[inside.start / write_len..inside.end / write_len].fill(1);
        }
    }

    /// Lets a word be written again.
    pub(super) fn forget_write(&mut self, offset: usize) {
        let (page_len, write_len) = (self.page_len, self.write_len);
        self.change(offset / page_len).written[offset % page_len / write_len] = 0;
    }

    /// Erases a sector.
    pub(super) fn erase(&mut self, start: usize) {
        let first = start / self.page_len;
        self.pages[first..first + self.sector_len / self.page_len].fill(Arc::clone(&self.erased));
    }

    /// Works on a sector's bytes, page by page: the closure is told where in the sector a page begins. All of its words count as
    /// written after it.
    pub(super) fn disturb(&mut self, start: usize, mut work: impl FnMut(usize, &mut [u8])) {
        for (page, _, outside) in self.parts(start..start + self.sector_len) {
            let page = self.change(page);
            work(outside.start, &mut page.bytes);
            page.written.fill(1);
        }
    }

    /// Replaces everything. A word that is not all `0xff` counts as written.
    pub(super) fn load(&mut self, bytes: &[u8]) {
        let write_len = self.write_len;
        for (page, bytes) in bytes.chunks(self.page_len).enumerate() {
            let page = self.change(page);
            page.bytes.copy_from_slice(bytes);
            for (word, written) in bytes.chunks(write_len).zip(&mut page.written) {
                *written = word.iter().any(|byte| *byte != ERASED).into();
            }
        }
    }
}

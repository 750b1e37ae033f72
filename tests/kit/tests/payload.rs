//! Payloads from memory: where one breaks that is to break.

use mender::update_module::{Payload, PayloadError};
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

/// All that comes of three files, one of them empty, and how it ended.
fn comes_of(mut source: MemoryPayload) -> (Vec<u8>, Result<(), PayloadError>) {
    let mut came = Vec::new();
    let ended = block_on(async {
        let mut payload = Payload::new(&mut source);
        while let Some(mut file) = payload.next_file().await? {
            while let Some(chunk) = file.next_chunk().await? {
                came.extend_from_slice(chunk);
            }
        }
        Ok(())
    });
    assert_eq!(source.handed_out(), came.len());
    (came, ended)
}

#[test]
fn it_breaks_after_so_many_bytes_of_all_files() {
    let whole = || {
        MemoryPayload::new("any", 3)
            .file("a", "abcd")
            .file("b", "")
            .file("c", "efgh")
    };
    let error = PayloadError::Connection;
    for limit in 0..=8 {
        let (came, ended) = comes_of(whole().breaks_after(limit, error));
        assert_eq!((&came[..], ended), (&b"abcdefgh"[..limit], Err(error)), "{limit}");
    }
    // At the latest in place of the end.
    let wanted = || (b"abcdefgh".to_vec(), Err(error));
    assert_eq!(comes_of(whole().breaks_after(9, error)), wanted());
    assert_eq!(comes_of(whole().breaks_after(usize::MAX, error)), wanted());
    assert_eq!(comes_of(whole()), (wanted().0, Ok(())));
}

//! A response of the server, head and body, in pieces of any length: what the client makes of it does not depend on them.

use std::iter::repeat;

use mender::__fuzz::{Asked, Lent, Outcome, answer};

use crate::chance;

/// The first byte says what was asked, the others are the response.
pub fn response(bytes: &[u8]) {
    let Some((first, stream)) = bytes.split_first() else {
        return;
    };
    let asked = [Asked::Token, Asked::Deployment, Asked::Status][usize::from(first % 3)];
    let mut chance = chance::of(bytes);
    let longest = [2, 9, 256][chance.below(3)];
    let whole = read(asked, stream, repeat(256));
    compare(&whole, &read(asked, stream, repeat(1)));
    compare(
        &whole,
        &read(asked, stream, std::iter::from_fn(|| Some(1 + chance.below(longest)))),
    );
}

type Kept = (Vec<u8>, Vec<u8>);

fn read(asked: Asked, stream: &[u8], pieces: impl Iterator<Item = usize>) -> (Outcome, Kept) {
    let (mut token, mut link, mut spare) = (vec![0; 64], vec![0; 96], vec![0; 16]);
    let lent = Lent {
        token: &mut token,
        link: &mut link,
        spare: &mut spare,
    };
    let outcome = answer(asked, stream, pieces, lent);
    if outcome.code != 0 {
        assert!((100..=999).contains(&outcome.code), "{outcome:?}");
    }
    assert!(
        outcome.retry_after.is_none_or(|wait| wait.as_secs() <= 24 * 3600),
        "{outcome:?}"
    );
    if let Ok(len) = outcome.token {
        let text = &token[..usize::from(len)];
        assert!(
            asked != Asked::Token || (len > 0 && text.iter().all(u8::is_ascii_graphic)),
            "{outcome:?}"
        );
    }
    if let (Asked::Deployment, Ok(Some(len))) = (asked, &outcome.link) {
        let kept = &link[..usize::from(*len).min(link.len())];
        assert!(!kept.is_empty() && kept.iter().all(u8::is_ascii_graphic), "{outcome:?}");
        assert!(mender::api::next::is_valid_id(&outcome.id), "{outcome:?}");
    }
    (outcome, (token, link))
}

fn compare((whole, whole_kept): &(Outcome, Kept), (cut, cut_kept): &(Outcome, Kept)) {
    assert_eq!(whole.code, cut.code);
    if whole.end.is_err() || cut.end.is_err() {
        // Nothing else of it is looked at.
        return assert_eq!(whole.end, cut.end);
    }
    // Bytes behind the end are seen only if they come with the end, and then the connection is closed. Of a body that nobody needs
    // a broken or a long one is given up at once, with all that came in the same piece.
    let given_up = |outcome: &Outcome| outcome.end == Ok(Some(false));
    if given_up(whole) || given_up(cut) {
        assert!(
            matches!((&whole.end, &cut.end), (Ok(Some(_)), Ok(Some(_)))),
            "{whole:?}\n{cut:?}"
        );
        if matches!(whole.status, 404 | 405 | 409 | 502) || whole.code / 100 != 2 {
            return;
        }
    }
    let comparable = |outcome: &Outcome| Outcome {
        end: outcome.end.map(|end| end.map(|_| true)),
        taken: 0,
        ..outcome.clone()
    };
    assert_eq!(comparable(whole), comparable(cut));
    assert_eq!(whole_kept, cut_kept);
}

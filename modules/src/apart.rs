//! Keeps the code of a long future out of its caller's. Depends on nothing.

use core::pin::Pin;
use core::task::{Context, Poll};

/// Polls, never inlined: a future inside of a large one is reached by large offsets, which cost a microcontroller more bytes
/// than the call.
#[inline(never)]
pub(crate) fn poll_apart<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(cx)
}

//! Futures, polled one time after the other.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

#[derive(Debug)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What came of polling a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled<T> {
    /// Its end.
    Ready(T),
    /// It waits for something that nobody brings.
    Waits,
    /// It was polled as often as was allowed.
    Dropped,
}

impl<T> Polled<T> {
    /// What a future came to.
    ///
    /// # Panics
    ///
    /// If it came to no end.
    pub fn ready(self, what: &str) -> T {
        match self {
            Polled::Ready(value) => value,
            Polled::Waits => panic!("{what} waits for ever"),
            Polled::Dropped => panic!("{what} was dropped"),
        }
    }
}

/// Polls a future until its end, as long as it is woken, but at most so many times; then drops it.
pub fn at_most<F: Future>(polls: usize, future: F) -> Polled<F::Output> {
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Polled::Ready(value);
        }
        if !flag.0.swap(false, Ordering::Relaxed) {
            return Polled::Waits;
        }
    }
    Polled::Dropped
}

/// Polls a future until its end, as long as it is woken.
pub fn until_end<F: Future>(future: F) -> Polled<F::Output> {
    at_most(usize::MAX, future)
}

/// Polls a future at most so many times, then drops it: a future that lets others go on beside it.
pub async fn given_up<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            // Whoever gives up does not wait to be woken.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Lets others be polled so many times.
pub async fn let_others(mut polls: usize) {
    std::future::poll_fn(move |context| {
        if polls == 0 {
            return Poll::Ready(());
        }
        polls -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A future's place in an executor that has one waker for each.
#[derive(Debug)]
pub struct Task {
    flag: Arc<Flag>,
}

impl Default for Task {
    fn default() -> Task {
        Task {
            flag: Arc::new(Flag(AtomicBool::new(true))),
        }
    }
}

impl Task {
    /// Polls the future, woken or not.
    pub fn poll<F: Future + ?Sized>(&mut self, future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        self.forget();
        let waker = Waker::from(self.flag.clone());
        match future.poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    /// Whether it was woken since.
    pub fn is_woken(&self) -> bool {
        self.flag.0.load(Ordering::Relaxed)
    }

    /// As if it had not been.
    pub fn forget(&mut self) {
        self.flag.0.store(false, Ordering::Relaxed);
    }
}

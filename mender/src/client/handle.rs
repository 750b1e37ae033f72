//! What other tasks may ask of a running client.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Poll, Waker};

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

use crate::agent::Requests;

/// The way to a running client from other tasks: a `static`, given to [`Client::run_with`](super::Client::run_with).
///
/// Each request is remembered until it is served; several of a kind are one. They are heard in every pause and between two
/// blocks of a download; an update module's callback delays them by its length, and an exchange with the server by the rest of it.
///
/// ```
/// static MENDER: mender::client::Handle = mender::client::Handle::new();
///
/// fn on_button() {
///     MENDER.check_for_update();
/// }
/// ```
pub struct Handle {
    asked: Mutex<CriticalSectionRawMutex, RefCell<Asked>>,
}

struct Asked {
    requests: Requests,
    /// The client's, while it waits. Not a `Signal`, which wakes the waker that it has when another one comes: executors may have
    /// several wakers of one task that do not know each other (`Waker::will_wake` is only a guess), and then the client would wake
    /// itself for ever.
    waker: Option<Waker>,
}

impl core::fmt::Debug for Handle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Handle").field(&self.requests()).finish()
    }
}

impl Default for Handle {
    fn default() -> Handle {
        Handle::new()
    }
}

impl Handle {
    /// A handle that no client has yet.
    pub const fn new() -> Handle {
        Handle {
            asked: Mutex::new(RefCell::new(Asked {
                requests: Requests::NONE,
                waker: None,
            })),
        }
    }

    /// Ask the server for an update now rather than after the interval. Ends a pause between retries too, also within a
    /// deployment: of a download, at the commit gate, before its outcome is delivered again.
    pub fn check_for_update(&self) {
        self.ask(|requests| requests.update = true);
    }

    /// Send the inventory now.
    pub fn send_inventory(&self) {
        self.ask(|requests| requests.inventory = true);
    }

    /// Let [`Client::run_with`](super::Client::run_with) return: at once in every pause, while the network comes up, and while an
    /// artifact is downloaded. A deployment whose artifact has come goes on until it is over, or until it waits for something. An exchange
    /// with the server is brought to its end, but not tried again.
    ///
    /// Nothing is lost by it but the part of an artifact that has come, where its module does not [keep](crate::update_module::File::have)
    /// it: its download begins anew in the next run. An outcome that the server could not be told yet stays in storage; new software that
    /// cannot reach the server for its commit is looked at again.
    pub fn stop(&self) {
        self.ask(|requests| requests.stop = true);
    }

    fn ask(&self, change: impl FnOnce(&mut Requests)) {
        let waker = self.with(|asked| {
            change(&mut asked.requests);
            asked.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Asked) -> T) -> T {
        // Borrowed for the length of `work` alone, which never comes back here.
        self.asked.lock(|asked| work(&mut asked.borrow_mut()))
    }

    fn requests(&self) -> Requests {
        self.with(|asked| asked.requests)
    }

    /// What was asked since the last time.
    pub(super) fn take(&self) -> Requests {
        self.with(|asked| core::mem::replace(&mut asked.requests, Requests::NONE))
    }

    /// Ends when the client is to stop, and was not told so before.
    pub(super) async fn stopped(&self) {
        // Whatever else is asked is found when the client looks, which it does before it waits again.
        self.until(|requests| requests.stop).await;
    }

    /// Ends when something is asked.
    pub(super) async fn asked(&self) {
        self.until(|requests| requests != Requests::NONE).await;
    }

    async fn until(&self, is_so: impl Fn(Requests) -> bool) {
        poll_fn(|cx| {
            self.with(|asked| {
                if is_so(asked.requests) {
                    return Poll::Ready(());
                }
                asked.waker = Some(cx.waker().clone());
                Poll::Pending
            })
        })
        .await;
    }
}

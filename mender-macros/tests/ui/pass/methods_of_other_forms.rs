//! `&self`, functions that return a future, `Self`, an alias for `Result`, names of the trait's own methods.
use core::future::{Future, ready};
use mender::update_module;
use mender::update_module::{Failure, Payload};

type Outcome = Result<(), Failure>;

#[update_module(
    artifact_type = "a",
    on(download = download, install = call, commit = shared, cleanup = returns_future, failure = ready_made)
)]
struct Module<'b>(&'b str);

impl<'b> Module<'b> {
    async fn download(&self, payload: &mut Payload<'_>) -> Outcome {
        let _ = payload.artifact();
        Ok(())
    }

    async fn call(self: &mut Self) -> Outcome {
        Ok(())
    }

    async fn shared(&self) -> Outcome {
        Ok(())
    }

    fn returns_future(&mut self) -> impl Future<Output = Result<(), &'b str>> {
        ready(Err(self.0))
    }

    fn ready_made(&mut self) -> core::future::Ready<Outcome> {
        ready(Ok(()))
    }
}

fn main() {}

//! In the place of the client: a payload from memory, and a deployment's states in a given order.

use std::fs;
use std::task::{Context, Poll};

use mender::UpdateModule;
use mender::update_module::{
    Artifact, CallbackState, Failure, ModuleSet, Payload, PayloadError, PayloadEvent, PayloadSource,
};

use crate::Greeting;

type Modules = (Greeting,);

/// One deployment: the download of `text`, then `states`. Ends with the first failure.
pub fn deploy(modules: &mut Modules, text: &str, states: &[CallbackState]) -> Result<(), Failure> {
    let module = Modules::find("greeting").ok_or_else(|| Failure::new("no module for this artifact"))?;
    let mut source = OneFile::new("greeting.txt", text);
    pollster::block_on(modules.download(module, &mut Payload::new(&mut source)))?;
    show(modules, "download", "done")?;
    for state in states {
        pollster::block_on(modules.call(module, *state))?;
        let listed = Greeting::DESCRIPTOR.states.contains(*state);
        show(
            modules,
            state.name(),
            if listed { "done" } else { "not listed, succeeds" },
        )?;
    }
    Ok(())
}

fn show(modules: &Modules, state: &str, result: &str) -> Result<(), Failure> {
    let greeting = fs::read_to_string(&modules.0.file).map_err(Failure::new)?;
    println!("  {state:9} {result:21} the greeting is {greeting:?}");
    Ok(())
}

/// An artifact's payload that is one file. Its data come in chunks of a few bytes, as from a network.
struct OneFile<'a> {
    name: &'a str,
    chunks: Vec<&'a [u8]>,
    len: u64,
    /// Events handed out so far.
    events: usize,
}

impl<'a> OneFile<'a> {
    fn new(name: &'a str, text: &'a str) -> OneFile<'a> {
        OneFile {
            name,
            chunks: text.as_bytes().chunks(5).collect(),
            len: text.len() as u64,
            events: 0,
        }
    }
}

impl PayloadSource for OneFile<'_> {
    fn artifact(&self) -> Artifact<'_> {
        Artifact {
            name: "example",
            payload_type: "greeting",
            meta_data: None,
        }
    }

    fn poll_next(&mut self, _cx: &mut Context<'_>) -> Poll<Result<PayloadEvent, PayloadError>> {
        let event = match self.events.checked_sub(1) {
            None => PayloadEvent::File { len: self.len },
            Some(chunk) if chunk < self.chunks.len() => PayloadEvent::Data,
            Some(chunk) if chunk == self.chunks.len() => PayloadEvent::FileEnd,
            Some(_) => PayloadEvent::End,
        };
        self.events += 1;
        Poll::Ready(Ok(event))
    }

    fn file_name(&self) -> &str {
        if self.events == 0 { "" } else { self.name }
    }

    fn data(&self) -> &[u8] {
        let chunk = self.events.checked_sub(2).and_then(|chunk| self.chunks.get(chunk));
        chunk.copied().unwrap_or_default()
    }
}

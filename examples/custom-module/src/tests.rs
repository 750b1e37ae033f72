//! Single methods, without a client around them.

use mender::UpdateModule as _;
use mender_testkit::payload::MemoryPayload;

use super::*;

fn downloaded(payload: MemoryPayload) -> (Files, Result<(), String>) {
    let files = Files::default();
    block_on(files.write("greeting", b"Hello"));
    let mut source = payload;
    let result = block_on(Greeting::new(files.clone()).download(&mut Payload::new(&mut source)));
    (files, result.map_err(|failure| failure.to_string()))
}

#[test]
fn nothing_new_is_active_after_the_download() {
    let (files, result) = downloaded(MemoryPayload::new("greeting", 5).file("text", "Good morning"));
    assert_eq!(result, Ok(()));
    assert_eq!(files.read("greeting").as_deref(), Some(&b"Hello"[..]));
    assert_eq!(files.read("new").as_deref(), Some(&b"Good morning"[..]));
}

#[test]
fn an_artifact_without_a_file_is_refused() {
    let (files, result) = downloaded(MemoryPayload::new("greeting", 5));
    assert_eq!(result, Err("the artifact has no file".into()));
    assert_eq!(files.names(), ["greeting"]);
}

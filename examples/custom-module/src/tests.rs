//! Single methods, without a client around them.

use mender::UpdateModule as _;
use mender_testkit::flash::SimFlash;
use mender_testkit::payload::MemoryPayload;

use super::*;

type Flash = Partition<4, 4096>;

/// A device that says `Hello`.
fn made() -> Greeting<Flash> {
    let mut greeting = Greeting::new(SimFlash::new(2).partition(0..2 * 4096));
    assert_eq!(now(greeting.make(b"Hello")), Some(Ok(())));
    greeting
}

fn download(greeting: &mut Greeting<Flash>, mut source: MemoryPayload) -> Result<(), String> {
    let result = now(greeting.download(&mut Payload::new(&mut source))).expect("neither flash nor payload waits");
    result.map_err(|failure| failure.to_string())
}

fn downloaded(payload: MemoryPayload) -> (Greeting<Flash>, Result<(), String>) {
    let mut greeting = made();
    let result = download(&mut greeting, payload);
    (greeting, result)
}

fn says(greeting: &Greeting<Flash>) -> Result<String, Failure> {
    // As after a restart.
    shown(Greeting::new(greeting.flash.clone()))
}

#[test]
fn nothing_new_is_active_after_the_download() {
    let (greeting, result) = downloaded(MemoryPayload::new("greeting", 5).file("text", "Good morning"));
    assert_eq!(result, Ok(()));
    assert_eq!(says(&greeting), Ok("Hello".into()));
    assert_eq!(greeting.flash.to_bytes()[4096 + 32..][..12], *b"Good morning");
}

#[test]
fn an_artifact_without_a_file_is_refused() {
    let (greeting, result) = downloaded(MemoryPayload::new("greeting", 5));
    assert_eq!(result, Err("the artifact has no file".into()));
    assert_eq!(greeting.flash.to_bytes(), made().flash.to_bytes());
}

#[test]
fn a_greeting_of_the_wrong_length_is_refused_and_cannot_be_installed() {
    for (len, text) in [
        (0, "the greeting is empty"),
        (4065, "more came than fits into the flash"),
    ] {
        let (mut greeting, result) = downloaded(MemoryPayload::new("greeting", 512).file("text", vec![b'!'; len]));
        assert_eq!(result, Err(text.into()));
        assert!(now(greeting.swap()).is_some_and(|done| done.is_err()));
        assert_eq!(says(&greeting), Ok("Hello".into()));
    }
    let (mut greeting, result) = downloaded(MemoryPayload::new("greeting", 512).file("text", vec![b'!'; 4064]));
    assert_eq!(result, Ok(()));
    assert_eq!(now(greeting.swap()), Some(Ok(())));
}

#[test]
fn a_download_that_breaks_is_not_what_an_earlier_one_was() {
    let (mut greeting, result) = downloaded(MemoryPayload::new("greeting", 5).file("text", "Good morning"));
    assert_eq!(result, Ok(()));
    assert!(download(&mut greeting, MemoryPayload::new("greeting", 5)).is_err());
    assert!(now(greeting.swap()).is_some_and(|done| done.is_err()));
    assert_eq!(says(&greeting), Ok("Hello".into()));
}

/// The next number would be 0, and the old greeting would be taken for the newer one.
#[test]
fn no_greeting_follows_the_one_with_the_highest_number() {
    let mut greeting = Greeting::new(SimFlash::<4, 4096>::new(2).partition(0..2 * 4096));
    let written = now(async {
        greeting.flash.write(32, b"Last").await?;
        greeting.flash.write(0, &header(u32::MAX, 4)).await
    });
    assert_eq!(written, Some(Ok(())));
    assert_eq!(
        download(&mut greeting, MemoryPayload::new("greeting", 5).file("text", "Next")),
        Ok(())
    );
    assert!(now(greeting.swap()).is_some_and(|done| done.is_err()));
    assert_eq!(says(&greeting), Ok("Last".into()));
}

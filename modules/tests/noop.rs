//! The module `noop`.

use mender::UpdateModule;
use mender::update_module::{CallbackState, Payload, PayloadError};
use mender_modules::noop::Noop;
use mender_testkit::module_test::ModuleTest;
use mender_testkit::payload::MemoryPayload;
use pollster::block_on;

#[test]
fn every_payload_is_taken_and_read_to_its_end() {
    let sources = [
        MemoryPayload::new("noop", 7),
        MemoryPayload::new("noop", 7)
            .file("a", [1; 100])
            .file("b", [])
            .file("c", [2; 3]),
    ];
    for mut source in sources {
        let mut payload = Payload::new(&mut source);
        block_on(Noop.download(&mut payload)).unwrap();
        assert!(block_on(payload.next_file()).unwrap().is_none());
    }
    for state in CallbackState::ALL {
        assert!(!Noop::DESCRIPTOR.states.contains(state));
        block_on(Noop.call(state)).unwrap();
    }
    assert_eq!(Noop::DESCRIPTOR.artifact_type, "noop");
    const { assert!(!Noop::DESCRIPTOR.requires_reboot && !Noop::DESCRIPTOR.supports_rollback) };
}

#[test]
fn a_damaged_payload_fails() {
    let mut source = MemoryPayload::new("noop", 7)
        .file("a", [1; 100])
        .breaks_after(50, PayloadError::Artifact);
    let failure = block_on(Noop.download(&mut Payload::new(&mut source))).unwrap_err();
    assert_eq!(failure.as_str(), PayloadError::Artifact.to_string());
}

#[test]
fn every_flow_and_power_cut_ends_as_reported() {
    let summary = ModuleTest::new(|_| Noop).changes_nothing().run();
    assert!(summary.cuts > 100 && summary.left_out == 0, "{summary}");
}

//! Whole deployments, by the test kit: the module in the real client, on a simulated board with a simulated server.

use custom_module::{on_a_board, on_a_chip};

#[test]
fn every_flow_and_every_power_cut_ends_as_reported() {
    let summary = on_a_board().run();
    assert!(summary.scenarios > 30 && summary.cuts > 900, "{summary}");
}

#[test]
fn flash_of_each_write_unit_will_do() {
    for summary in [on_a_chip::<1>().run(), on_a_chip::<8>().run(), on_a_chip::<32>().run()] {
        assert!(summary.scenarios > 30 && summary.cuts > 100, "{summary}");
    }
}

/// The lines that `cargo run` shows.
fn events(story: &str) -> Vec<String> {
    let events = on_a_board()
        .play_one(story)
        .unwrap_or_else(|violation| panic!("{violation}"));
    // Without the time.
    let text = |event: &String| event.split_once(" s  ").map(|(_, text)| text.to_owned());
    events.iter().filter_map(text).collect()
}

#[test]
fn a_new_greeting_is_there_after_the_deployment() {
    let events = events("success");
    let last = events.iter().rfind(|event| event.starts_with("boot"));
    assert!(
        last.is_some_and(|boot| boot.ends_with("Ok(\"Good morning\")")),
        "{events:#?}"
    );
}

#[test]
fn a_rollback_brings_the_old_greeting_back() {
    let events = events("the server refuses the commit");
    let at = |text: &str| events.iter().position(|event| event == text).expect(text);
    assert!(at("callback install") < at("callback rollback"));
    assert!(at("callback rollback") < at("reported: failure"));
    let boot = events[at("reported: failure")..]
        .iter()
        .find(|event| event.starts_with("boot"));
    assert!(boot.is_some_and(|boot| boot.ends_with("Ok(\"Hello\")")), "{events:#?}");
}

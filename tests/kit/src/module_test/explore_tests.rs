use std::collections::BTreeSet;

use mender::update_module::{CallbackState, Descriptor, Failure, Payload, States};

use super::super::memo::Legs;
use super::super::scenario::Ground;
use super::super::{Board, ModuleTest};
use super::*;
use crate::files::Files;
use crate::flash::FlashError;

/// Writes in place what should be written beside, and has a way back that forgets one file of two.
struct Careless {
    files: Files,
    reset: crate::device::ResetLine,
}

impl UpdateModule for Careless {
    const DESCRIPTOR: Descriptor = Descriptor {
        artifact_type: "careless",
        other_types: &[],
        requires_reboot: true,
        supports_rollback: true,
        states: States::NONE
            .with(CallbackState::Install)
            .with(CallbackState::Reboot)
            .with(CallbackState::VerifyReboot)
            .with(CallbackState::Rollback)
            .with(CallbackState::RollbackReboot)
            .with(CallbackState::RollbackVerifyReboot)
            .with(CallbackState::Cleanup),
    };

    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        while let Some(mut file) = payload.next_file().await? {
            while let Some(chunk) = file.next_chunk().await? {
                bytes.extend_from_slice(chunk);
            }
        }
        self.files.write("new", &bytes).await;
        Ok(())
    }

    async fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        let read = |name| self.files.read(name).unwrap_or_default();
        match state {
            CallbackState::Install => {
                self.files.write("old", &read("next")).await;
                self.files.write("next", &read("new")).await;
            }
            CallbackState::Reboot | CallbackState::RollbackReboot => self.reset.pull(),
            CallbackState::Rollback => self.files.write("next", &read("old")).await,
            CallbackState::Cleanup => drop(self.files.remove("new").await),
            CallbackState::VerifyReboot
            | CallbackState::RollbackVerifyReboot
            | CallbackState::Commit
            | CallbackState::Failure => {}
        }
        Ok(())
    }
}

fn boot(board: &Board) -> Result<(), FlashError> {
    let files = board.files();
    let next = files.read("next").unwrap_or_default();
    if files.read("now").is_some_and(|now| now == next) {
        return Ok(());
    }
    // The future of a change ends at once, unless the power goes.
    match embassy_futures::poll_once(files.write("now", &next)) {
        std::task::Poll::Ready(()) => Ok(()),
        std::task::Poll::Pending => Err(FlashError::PowerLost),
    }
}

/// What is resumed, compared and remembered comes to the same as what is played from its beginning: cut by cut, for a module
/// in which many of them go wrong.
#[test]
fn what_is_known_is_what_is_played() {
    let test = ModuleTest::new(|board: &Board| Careless {
        files: board.files(),
        reset: board.reset(),
    })
    .factory(|board| {
        let files = board.files();
        embassy_futures::block_on(files.write("now", b"old"));
        embassy_futures::block_on(files.write("next", b"old"));
    })
    .boot(boot)
    .observe(|board| board.files().read("now"))
    .payload([7; 40]);
    let bench = test.new_board().expect("it can be brought into service");
    let site = Site {
        bench,
        legs: Legs::new(),
    };
    let within = Within { seed: 3, seeds: 1 };
    let (mut good, mut bad, mut boots) = (0, BTreeSet::new(), 0);
    // In the order of a sweep, with the memory of all before it.
    for scenario in test.all_scenarios() {
        // Those with a reset on the way are many and alike.
        let left_out = !scenario.cuts || scenario.name.contains("a reset");
        if left_out || !matches!(scenario.ground, Ground::New | Ground::Failed) {
            continue;
        }
        let mut explorer = Explorer::new(&test, &site, &scenario, within);
        let mut summary = Summary::default();
        let Ok(recorded) = explorer.undisturbed(Keep::All, &mut summary) else {
            continue;
        };
        assert_eq!(recorded.different, recorded.remains.len());
        for remains in &recorded.remains {
            let resumed = explorer.resume(remains, None, &mut summary);
            let played = test.play(&site.bench, &scenario, &remains.cuts());
            let case = Case::of(&scenario, &remains.cuts());
            assert_eq!(resumed.is_ok(), played.is_ok(), "{case}");
            match played {
                Ok(_) => good += 1,
                Err(_) => drop(bad.insert(case.to_string())),
            }
        }
        boots += summary.boots;
    }
    assert!(boots < 2 * good, "not much was known: {boots} boots");
    assert!(good > 500 && bad.len() > 30, "{good} good, {} bad", bad.len());
}

//! What can happen to a deployment: the scenarios of a module, from its table.

use std::fmt;

use mender::deployment::State;
use mender::update_module::{CallbackState, Descriptor};

use super::bench::Release;

/// A call of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callback {
    /// [`UpdateModule::download`](mender::UpdateModule::download).
    Download,
    /// [`UpdateModule::call`](mender::UpdateModule::call) for this state.
    State(CallbackState),
}

impl Callback {
    /// The state's name.
    pub const fn name(self) -> &'static str {
        match self {
            Callback::Download => "download",
            Callback::State(state) => state.name(),
        }
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// In the place of the module's own code.
    AtOnce,
    /// After the module's own code has done its work.
    AtEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Fail,
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    Always,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    Callback {
        callback: Callback,
        when: When,
        what: What,
        times: Times,
    },
    /// The operator aborts the deployment before the report of this state.
    Abort { entering: State },
    /// The server refuses the report at the commit gate.
    RefuseCommit,
    /// A byte of the payload is damaged on its way.
    DamagePayload,
    /// The download breaks within the payload, and no try to resume it gets through.
    BreakDownload,
    /// At the commit gate no request gets through.
    LoseServer,
    /// The new software starts, but its client never gets to run: it waits for its watchdog, or resets at once.
    DeadFirmware { hangs: bool },
}

/// What the board has been through before a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ground {
    /// Nothing: it comes from the factory.
    New,
    /// The same deployment, failed: so that there is something left over in flash.
    Failed,
    /// A deployment that succeeded; what comes is another one.
    Updated,
    /// A deployment that failed; what comes is another one.
    OtherFailed,
}

impl Ground {
    /// How the names of scenarios on it end.
    const fn suffix(self) -> &'static str {
        match self {
            Ground::New => " (new board)",
            Ground::Failed => "",
            Ground::Updated => " (second update)",
            Ground::OtherFailed => " (another one failed)",
        }
    }

    /// What runs, and what is deployed.
    pub(super) const fn releases(self) -> (Release, Release) {
        match self {
            Ground::New | Ground::Failed => (Release::Factory, Release::First),
            Ground::Updated => (Release::First, Release::Next),
            Ground::OtherFailed => (Release::Factory, Release::Next),
        }
    }
}

/// How a deployment has to end if the power holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Success,
    Failure,
    Aborted,
    /// Not even a power cut can make a success of it.
    OnlyFailure,
    /// One of them; what runs decides which is right.
    Either,
}

/// A deployment with what goes wrong in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) disturbances: Vec<Disturbance>,
    pub(super) expected: Expected,
    /// What goes wrong can keep the module from going back.
    pub(super) may_be_inconsistent: bool,
    /// Power cuts are of interest here: not where the device restarts all the time anyway.
    pub(super) cuts: bool,
    pub(super) ground: Ground,
}

/// The names of the scenarios whose power cuts come first.
pub(super) const SUCCESS: &str = "success";
pub(super) const COMMIT_REFUSED: &str = "the server refuses the commit";
const PAYLOAD_DAMAGED: &str = "the payload is damaged";
const DEAD: &str = "the new software hangs";
const ABORTED: &str = "aborted at the commit";

impl Scenario {
    fn new(name: impl Into<String>, disturbances: Vec<Disturbance>, expected: Expected) -> Scenario {
        Scenario {
            name: name.into(),
            disturbances,
            expected,
            may_be_inconsistent: false,
            cuts: true,
            ground: Ground::Failed,
        }
    }

    fn on(self, ground: Ground) -> Scenario {
        Scenario {
            name: format!("{}{}", self.name, ground.suffix()),
            ground,
            ..self
        }
    }

    /// What goes wrong goes wrong with the payload's data.
    pub(super) fn needs_payload(&self) -> bool {
        let of_payload = |what: &Disturbance| matches!(what, Disturbance::DamagePayload | Disturbance::BreakDownload);
        self.disturbances.iter().any(of_payload)
    }

    /// The abort comes when the new software is committed already, and stays.
    pub(super) fn aborts_too_late(&self) -> bool {
        self.disturbances.contains(&Disturbance::Abort {
            entering: State::Cleanup,
        })
    }

    /// The ones whose recoveries are cut everywhere: success, a failed commit, dead firmware, an abort, each on a board that is
    /// not new.
    pub(super) fn is_main(&self) -> bool {
        self.ground == Ground::Failed && [SUCCESS, COMMIT_REFUSED, DEAD, ABORTED].contains(&self.story())
    }

    /// The new software does not get as far as its client.
    pub(super) fn has_dead_firmware(&self) -> bool {
        let is_dead = |what: &Disturbance| matches!(what, Disturbance::DeadFirmware { .. });
        self.disturbances.iter().any(is_dead)
    }

    /// The name without the board.
    pub(super) fn story(&self) -> &str {
        self.name.strip_suffix(self.ground.suffix()).unwrap_or(&self.name)
    }

    /// Not a deployment yet: the board's first start.
    pub(super) fn registration() -> Scenario {
        Scenario::new("the first start", vec![], Expected::Either)
    }

    fn inconsistent(mut self, may_be: bool) -> Scenario {
        self.may_be_inconsistent |= may_be;
        self
    }
}

/// The deployment that leads from a new board to this ground: its story. `None` for the new board itself.
pub(super) fn way_to(ground: Ground, module: &Descriptor) -> Option<&'static str> {
    match ground {
        Ground::New => None,
        Ground::Failed | Ground::OtherFailed if module.supports_rollback => Some(COMMIT_REFUSED),
        Ground::Failed | Ground::OtherFailed => Some(PAYLOAD_DAMAGED),
        Ground::Updated => Some(SUCCESS),
    }
}

/// Every flow of a module with this table.
pub(super) fn all(module: &Descriptor) -> Vec<Scenario> {
    use CallbackState::{
        Cleanup, Commit, Failure, Install, Reboot, Rollback, RollbackReboot, RollbackVerifyReboot, VerifyReboot,
    };
    use Disturbance::{Abort, BreakDownload, DamagePayload, DeadFirmware, LoseServer, RefuseCommit};

    let listed = |state: &CallbackState| module.states.contains(*state);
    let reboots = module.requires_reboot;
    let one_way = !module.supports_rollback;
    let on = |callback, when, what, times| Disturbance::Callback {
        callback,
        when,
        what,
        times,
    };
    let success = Scenario::new(SUCCESS, vec![], Expected::Success);
    let refused = Scenario::new(COMMIT_REFUSED, vec![RefuseCommit], Expected::Failure).inconsistent(one_way);
    let damaged = Scenario::new(PAYLOAD_DAMAGED, vec![DamagePayload], Expected::Failure);
    let dead = |name: &str, hangs| Scenario::new(name, vec![DeadFirmware { hangs }], Expected::OnlyFailure);
    // Only a bootloader that goes back by itself can help then.
    let survives_dead_firmware = reboots && !one_way;
    let mut all = vec![
        success.clone().on(Ground::New),
        refused.clone().on(Ground::New),
        damaged.clone().on(Ground::New),
        success.clone(),
        refused.clone(),
        damaged.clone(),
        Scenario::new("the download breaks", vec![BreakDownload], Expected::Failure),
        Scenario::new(
            "the server is lost before the commit",
            vec![LoseServer],
            Expected::Failure,
        )
        .inconsistent(one_way),
    ];
    if survives_dead_firmware {
        all.push(dead(DEAD, true).on(Ground::New));
        all.push(dead(DEAD, true));
        all.push(dead("the new software resets at once", false));
    }

    // Aborts, at each report.
    let abort = |report: &str, entering, expected_inconsistent| {
        Scenario::new(
            format!("aborted at {report}"),
            vec![Abort { entering }],
            Expected::Aborted,
        )
        .inconsistent(expected_inconsistent)
    };
    all.push(abort("downloading", State::Download, false));
    all.push(abort("installing", State::Install, false));
    if reboots {
        all.push(abort("rebooting", State::Reboot, one_way));
    }
    all.push(abort("the commit", State::Commit, one_way));
    all.push(abort("success", State::Cleanup, one_way));
    all.push(
        Scenario::new(
            format!("{COMMIT_REFUSED}, aborted at failure"),
            vec![
                RefuseCommit,
                Abort {
                    entering: State::Failure,
                },
            ],
            Expected::Aborted,
        )
        .inconsistent(one_way),
    );

    // Failures on the way to success.
    for when in [When::AtOnce, When::AtEnd] {
        let fails = |callback: Callback, expected| {
            let disturbance = on(callback, when, What::Fail, Times::Once);
            Scenario::new(format!("{callback} fails {when}"), vec![disturbance], expected)
        };
        all.push(fails(Callback::Download, Expected::Failure));
        for state in [Install, Reboot, VerifyReboot, Commit, Cleanup]
            .into_iter()
            .filter(listed)
        {
            // What has restarted the board cannot fail any more.
            if state == Reboot && when == When::AtEnd {
                continue;
            }
            let expected = if state == Cleanup {
                Expected::Success
            } else {
                Expected::Failure
            };
            let going_back = state != Cleanup && !(state == Install && reboots);
            all.push(fails(Callback::State(state), expected).inconsistent(one_way && going_back));
        }
    }

    // Failures on the way back.
    for state in [Rollback, RollbackReboot, RollbackVerifyReboot, Failure, Cleanup]
        .into_iter()
        .filter(listed)
    {
        for when in [When::AtOnce, When::AtEnd] {
            if state == RollbackReboot && when == When::AtEnd {
                continue;
            }
            let callback = Callback::State(state);
            let scenario = Scenario::new(
                format!("{COMMIT_REFUSED}, {callback} fails {when}"),
                vec![RefuseCommit, on(callback, when, What::Fail, Times::Once)],
                Expected::Failure,
            );
            all.push(scenario.inconsistent(one_way || state == Rollback));
        }
    }

    // Restarts out of the blue, on the way to success and on the way back.
    let forth = [Install, Reboot, VerifyReboot, Commit, Cleanup];
    let back = [Rollback, RollbackReboot, RollbackVerifyReboot, Failure, Cleanup];
    let forth = forth.into_iter().filter(listed).map(Callback::State);
    let back = back.into_iter().filter(listed).map(Callback::State);
    for when in [When::AtOnce, When::AtEnd] {
        let moment = |callback: Callback| match when {
            When::AtOnce => format!("a reset before {callback}"),
            When::AtEnd => format!("a reset after {callback}"),
        };
        let restarts = |callback: &Callback| {
            when == When::AtOnce || !matches!(callback, Callback::State(Reboot) | Callback::State(RollbackReboot))
        };
        for callback in [Callback::Download].into_iter().chain(forth.clone()).filter(&restarts) {
            let reset = on(callback, when, What::Reset, Times::Once);
            all.push(Scenario::new(moment(callback), vec![reset], Expected::Either).inconsistent(one_way));
        }
        for callback in back.clone().filter(&restarts) {
            let reset = on(callback, when, What::Reset, Times::Once);
            let name = format!("{COMMIT_REFUSED}, {}", moment(callback));
            let disturbances = vec![RefuseCommit, reset];
            all.push(Scenario::new(name, disturbances, Expected::Failure).inconsistent(one_way));
        }
    }

    // The limit of transitions.
    let endless = |name: String, disturbances, expected| Scenario {
        may_be_inconsistent: true,
        cuts: false,
        ..Scenario::new(name, disturbances, expected)
    };
    for state in [VerifyReboot, Cleanup].into_iter().filter(listed) {
        let callback = Callback::State(state);
        let expected = if state == Cleanup {
            Expected::Success
        } else {
            Expected::Failure
        };
        let reset = on(callback, When::AtOnce, What::Reset, Times::Always);
        all.push(endless(format!("{callback} always resets"), vec![reset], expected));
    }
    for state in [Rollback, RollbackReboot, RollbackVerifyReboot, Failure]
        .into_iter()
        .filter(listed)
    {
        let callback = Callback::State(state);
        let reset = on(callback, When::AtOnce, What::Reset, Times::Always);
        all.push(endless(
            format!("{COMMIT_REFUSED}, {callback} always resets"),
            vec![RefuseCommit, reset],
            Expected::Failure,
        ));
    }
    if listed(&RollbackVerifyReboot) {
        let callback = Callback::State(RollbackVerifyReboot);
        let fails = on(callback, When::AtEnd, What::Fail, Times::Always);
        all.push(endless(
            format!("{COMMIT_REFUSED}, {callback} always fails"),
            vec![RefuseCommit, fails],
            Expected::Failure,
        ));
    }

    // Another deployment after one that succeeded, and after one that failed.
    let aborted = abort("the commit", State::Commit, one_way);
    let mut after_success = vec![success.clone(), refused.clone(), damaged, aborted];
    if survives_dead_firmware {
        after_success.push(dead(DEAD, true));
    }
    all.extend(after_success.into_iter().map(|scenario| scenario.on(Ground::Updated)));
    all.extend([success, refused].map(|scenario| scenario.on(Ground::OtherFailed)));
    all
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            When::AtOnce => "at once",
            When::AtEnd => "at its end",
        })
    }
}

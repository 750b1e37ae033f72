//! One deployment to be played: a scenario and its power cuts, and the line that names it.

use std::fmt;

use super::scenario::Scenario;
use crate::flash::{CutAt, PowerCut};

/// A scenario with power cuts. Its text, e.g. `success / cut 17 within 3 / cut 2 after`, replays it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Case {
    /// The scenario's name.
    pub scenario: String,
    /// The cuts. The first counts operations from the deployment's beginning, each further one from when the power came
    /// back.
    pub cuts: Vec<PowerCut>,
}

/// Why a text names no case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CaseError {
    NoScenario { name: String, known: Vec<String> },
    NoCut(String),
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaseError::NoScenario { name, known } => {
                writeln!(f, "the module under test has no scenario `{name}`; it has:")?;
                known.iter().try_for_each(|known| writeln!(f, "  {known}"))
            }
            CaseError::NoCut(text) => write!(
                f,
                "`{text}` is no power cut: expected `cut N before`, `cut N within SEED` or `cut N after`"
            ),
        }
    }
}

const SEPARATOR: &str = " / ";

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scenario)?;
        self.cuts.iter().try_for_each(|cut| write!(f, "{SEPARATOR}{cut}"))
    }
}

impl Case {
    pub(super) fn of(scenario: &Scenario, cuts: &[PowerCut]) -> Case {
        Case {
            scenario: scenario.name.clone(),
            cuts: cuts.to_vec(),
        }
    }

    /// The scenario and the cuts that a text names.
    pub(super) fn find<'s>(text: &str, scenarios: &'s [Scenario]) -> Result<(&'s Scenario, Case), CaseError> {
        let mut parts = text.split(SEPARATOR).map(str::trim);
        let name = parts.next().unwrap_or_default();
        let scenario =
            scenarios
                .iter()
                .find(|scenario| scenario.name == name)
                .ok_or_else(|| CaseError::NoScenario {
                    name: name.to_owned(),
                    known: scenarios.iter().map(|scenario| scenario.name.clone()).collect(),
                })?;
        let cuts = parts
            .map(|part| cut(part).ok_or_else(|| CaseError::NoCut(part.to_owned())))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((scenario, Case::of(scenario, &cuts)))
    }
}

fn cut(text: &str) -> Option<PowerCut> {
    let mut words = text.split_whitespace();
    let is_cut = words.next()? == "cut";
    let operation = words
        .next()?
        .parse()
        .ok()
        .filter(|operation| is_cut && *operation > 0)?;
    let at = match words.next()? {
        "before" => CutAt::Before,
        "within" => CutAt::Within {
            seed: words.next()?.parse().ok()?,
        },
        "after" => CutAt::After,
        _ => return None,
    };
    words.next().is_none().then_some(PowerCut { operation, at })
}

#[cfg(test)]
mod tests {
    use mender::update_module::{Descriptor, States};

    use super::super::scenario;
    use super::*;

    #[test]
    fn a_case_is_found_by_its_own_text() {
        let scenarios = scenario::all(&Descriptor {
            artifact_type: "t",
            other_types: &[],
            requires_reboot: false,
            supports_rollback: false,
            states: States::NONE,
        });
        let cuts = [(1, CutAt::Before), (22, CutAt::Within { seed: 3 }), (4, CutAt::After)]
            .map(|(operation, at)| PowerCut { operation, at });
        for scenario in &scenarios {
            let case = Case::of(scenario, &cuts);
            assert_eq!(Case::find(&case.to_string(), &scenarios), Ok((scenario, case)));
        }
        for bad in [
            "success / cut 0 before",
            "success / cut 1",
            "success / cut 1 after 2",
            "success / 1",
        ] {
            assert!(matches!(Case::find(bad, &scenarios), Err(CaseError::NoCut(_))), "{bad}");
        }
        assert!(matches!(
            Case::find("unheard of", &scenarios),
            Err(CaseError::NoScenario { .. })
        ));
    }
}

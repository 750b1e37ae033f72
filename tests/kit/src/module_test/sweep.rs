//! Which cases are played, in which order.

use mender::UpdateModule;

use super::board::Seen;
use super::case::Case;
use super::play::{Bench, Played};
use super::scenario::{self, COMMIT_REFUSED, SUCCESS, Scenario};
use super::{ModuleTest, REPLAY_VARIABLE, Sight, Summary, Violation};
use crate::flash::{CutAt, PowerCut};

/// Set to anything, all single cuts are played, and more double ones.
const ALL_VARIABLE: &str = "MENDER_TESTKIT_ALL";

/// Deployments with two cuts: one in so many of all with cuts.
const DOUBLE_SHARE: usize = 8;
/// And with [`ALL_VARIABLE`].
const ALL_DOUBLES: usize = 2000;

pub(super) fn run<M: UpdateModule, const WRITE: usize, const SECTOR: usize>(
    test: &ModuleTest<M, WRITE, SECTOR>,
) -> Result<Summary, Box<Violation>> {
    let mut sweep = Sweep::new(test)?;
    let from_environment = std::env::var(REPLAY_VARIABLE).ok();
    if let Some(text) = test.replay.as_deref().or(from_environment.as_deref()) {
        let played = sweep.replay(text)?;
        eprintln!("{text}: nothing is wrong with this one");
        for event in played.events {
            eprintln!("{event}");
        }
    } else {
        sweep.all()?;
    }
    Ok(sweep.summary)
}

/// Plays one case and gives its events.
pub(super) fn play<M: UpdateModule, const WRITE: usize, const SECTOR: usize>(
    test: &ModuleTest<M, WRITE, SECTOR>,
    text: &str,
) -> Result<Vec<String>, Box<Violation>> {
    Ok(Sweep::new(test)?.replay(text)?.events)
}

struct Sweep<'t, M, const WRITE: usize, const SECTOR: usize> {
    test: &'t ModuleTest<M, WRITE, SECTOR>,
    scenarios: Vec<Scenario>,
    bench: Bench<WRITE, SECTOR>,
    /// A board that has been through a failed deployment.
    worn: Option<Bench<WRITE, SECTOR>>,
    /// What the new software looks like, once it was seen.
    new: Option<Box<dyn Seen>>,
    summary: Summary,
}

impl<'t, M: UpdateModule, const WRITE: usize, const SECTOR: usize> Sweep<'t, M, WRITE, SECTOR> {
    fn new(test: &'t ModuleTest<M, WRITE, SECTOR>) -> Result<Self, Box<Violation>> {
        let bench = test.prepare()?;
        let mut scenarios = scenario::all(&M::DESCRIPTOR);
        if bench.payload_at.is_none() {
            // An artifact without data: there is nothing to damage.
            scenarios.retain(|scenario| !scenario.needs_payload());
        }
        let mut sweep = Sweep {
            test,
            scenarios,
            bench,
            worn: None,
            new: None,
            summary: Summary::default(),
        };
        sweep.learn()?;
        Ok(sweep)
    }

    fn play(&mut self, scenario: &Scenario, cuts: &[PowerCut]) -> Result<Played, Box<Violation>> {
        let new = match &self.test.sight {
            Sight::Knows(new) => Some(&**new),
            Sight::ChangesNothing => Some(&*self.bench.old),
            Sight::Learns | Sight::None => self.new.as_deref(),
        };
        let bench = match &self.worn {
            Some(worn) if !scenario.new_board => worn,
            Some(_) | None => &self.bench,
        };
        let played = self.test.play(bench, scenario, cuts, new)?;
        self.summary.deployments += played.deployments;
        self.summary.cuts += played.cuts;
        self.summary.resets += played.resets;
        self.summary.excused += u64::from(played.excused);
        Ok(played)
    }

    /// The deployment in which nothing goes wrong: what runs after it is the new software. And the one that leaves a worn
    /// board behind.
    fn learn(&mut self) -> Result<(), Box<Violation>> {
        let scenarios = self.scenarios.clone();
        let on_new_board = |story: &str| {
            let mut scenarios = scenarios.iter();
            scenarios.find(|scenario| scenario.new_board && scenario.story() == story)
        };
        if let Some(success) = on_new_board(SUCCESS) {
            self.new = self.play(success, &[])?.new;
        }
        if let Some(failure) = on_new_board(scenario::wearing(&M::DESCRIPTOR)) {
            self.worn = self.test.wear(&self.bench, failure)?;
        }
        // These are played again.
        self.summary = Summary::default();
        Ok(())
    }

    fn replay(&mut self, text: &str) -> Result<Played, Box<Violation>> {
        let scenarios = self.scenarios.clone();
        let (scenario, case) = Case::find(text, &scenarios).unwrap_or_else(|error| panic!("{error}"));
        self.play(scenario, &case.cuts)
    }

    fn all(&mut self) -> Result<(), Box<Violation>> {
        let scenarios = self.scenarios.clone();
        let mut first = Vec::new();
        let mut others = Vec::new();
        for scenario in &scenarios {
            let played = self.play(scenario, &[])?;
            self.summary.scenarios += 1;
            if !scenario.cuts {
                continue;
            }
            let group = if [SUCCESS, COMMIT_REFUSED].contains(&scenario.story()) {
                &mut first
            } else {
                &mut others
            };
            for operation in 1..=played.operations {
                let within = CutAt::Within {
                    seed: self.test.seed.wrapping_mul(1000).wrapping_add(operation),
                };
                for at in [CutAt::Before, within, CutAt::After] {
                    group.push((scenario, PowerCut { operation, at }));
                }
            }
        }

        let all = std::env::var_os(ALL_VARIABLE).is_some();
        let doubles = if all {
            ALL_DOUBLES
        } else {
            self.test.bound / DOUBLE_SHARE
        };
        let mut left = if all { usize::MAX } else { self.test.bound - doubles };
        for group in [&first, &others] {
            let chosen = sample(group.len(), left, self.test.seed);
            self.summary.left_out += (group.len() - chosen.len()) as u64;
            left -= chosen.len();
            for index in chosen {
                let (scenario, cut) = group[index];
                self.play(scenario, &[cut])?;
            }
        }
        first.extend(others);
        let spread = Spread(self.test.seed);
        for (place, index) in sample(first.len(), doubles, self.test.seed).into_iter().enumerate() {
            let (scenario, cut) = first[index];
            // Recoveries are short: the first few operations after the power came back.
            let number = spread.at(place as u64);
            let second = PowerCut {
                operation: 1 + number % 24,
                at: match number / 24 % 3 {
                    0 => CutAt::Before,
                    1 => CutAt::After,
                    _ => CutAt::Within {
                        seed: number / 72 % 1000,
                    },
                },
            };
            self.play(scenario, &[cut, second])?;
        }
        Ok(())
    }
}

/// At most `most` of `0..len`, evenly spread, not always the same ones.
fn sample(len: usize, most: usize, seed: u64) -> Vec<usize> {
    if len <= most {
        return (0..len).collect();
    }
    let start = (seed % len as u64) as usize;
    let mut chosen: Vec<usize> = (0..most).map(|n| (n * len / most + start) % len).collect();
    chosen.sort_unstable();
    chosen
}

/// Numbers without a pattern.
struct Spread(u64);

impl Spread {
    fn at(&self, place: u64) -> u64 {
        let mut z = (self.0 ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_even_and_without_repetition() {
        assert_eq!(sample(3, 5, 1), [0, 1, 2]);
        assert_eq!(sample(10, 0, 1), [] as [usize; 0]);
        for (len, most, seed) in [(10, 3, 0), (1000, 999, 7), (7, 6, u64::MAX)] {
            let mut chosen = sample(len, most, seed);
            assert!(chosen.iter().all(|index| *index < len));
            chosen.dedup();
            assert_eq!(chosen.len(), most);
        }
    }
}

//! Which cases are played, in which order.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use mender::UpdateModule;

use super::case::Case;
use super::explore::{Explorer, Keep, Remains, Site, Spread, Within};
use super::memo::Legs;
use super::play::Played;
use super::scenario::{self, COMMIT_REFUSED, Ground, SUCCESS, Scenario};
use super::{ModuleTest, REPLAY_VARIABLE, Summary, Violation};

/// Set to anything, all single cuts are played, and all second cuts in the recovery from each cut of the main scenarios.
const ALL_VARIABLE: &str = "MENDER_TESTKIT_ALL";

/// Deployments with two cuts: one in so many of all with cuts.
const DOUBLE_SHARE: usize = 8;

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
    scenarios: Rc<[Scenario]>,
    sites: HashMap<Ground, Rc<Site<WRITE, SECTOR>>>,
    summary: Summary,
}

impl<'t, M: UpdateModule, const WRITE: usize, const SECTOR: usize> Sweep<'t, M, WRITE, SECTOR> {
    fn new(test: &'t ModuleTest<M, WRITE, SECTOR>) -> Result<Self, Box<Violation>> {
        let bench = test.new_board()?;
        let mut scenarios = test.all_scenarios();
        if !bench.has_payload() {
            // An artifact without data: there is nothing to damage.
            scenarios.retain(|scenario| !scenario.needs_payload());
        }
        let mut sweep = Sweep {
            test,
            scenarios: scenarios.into(),
            sites: HashMap::new(),
            summary: Summary::default(),
        };
        sweep.open(Ground::New, bench)?;
        Ok(sweep)
    }

    fn find(&self, ground: Ground, story: &str) -> Option<Scenario> {
        let mut scenarios = self.scenarios.iter();
        scenarios
            .find(|scenario| scenario.ground == ground && scenario.story() == story)
            .cloned()
    }

    /// Takes a bench into use: learns what the new software looks like, if the author has not said it.
    fn open(&mut self, ground: Ground, mut bench: super::bench::Bench<WRITE, SECTOR>) -> Result<(), Box<Violation>> {
        if bench.new.is_none()
            && let Some(success) = self.find(ground, SUCCESS)
        {
            bench.new = self.test.play(&bench, &success, &[])?.new;
        }
        let site = Site {
            bench,
            legs: Legs::new(),
        };
        self.sites.insert(ground, Rc::new(site));
        Ok(())
    }

    /// Where a scenario begins. A ground that cannot be reached is replaced by a new board.
    fn site(&mut self, ground: Ground) -> Result<Rc<Site<WRITE, SECTOR>>, Box<Violation>> {
        let new = Rc::clone(&self.sites[&Ground::New]);
        if let Some(site) = self.sites.get(&ground) {
            return Ok(Rc::clone(site));
        }
        let story = scenario::way_to(ground, &M::DESCRIPTOR);
        let bench = match story.and_then(|story| self.find(Ground::New, story)) {
            Some(way) => self.test.prepare(ground, &new.bench, &way)?,
            None => None,
        };
        match bench {
            Some(bench) => self.open(ground, bench)?,
            None => {
                self.sites.insert(ground, new);
            }
        }
        Ok(Rc::clone(&self.sites[&ground]))
    }

    fn replay(&mut self, text: &str) -> Result<Played, Box<Violation>> {
        let scenarios = Rc::clone(&self.scenarios);
        let (scenario, case) = Case::find(text, &scenarios).unwrap_or_else(|error| panic!("{error}"));
        let site = self.site(scenario.ground)?;
        let played = self.test.play(&site.bench, scenario, &case.cuts)?;
        self.summary.deployments += played.deployments;
        self.summary.cuts += played.cuts;
        self.summary.resets += played.resets;
        self.summary.excused += u64::from(played.excused);
        Ok(played)
    }

    fn all(&mut self) -> Result<(), Box<Violation>> {
        let all = std::env::var_os(ALL_VARIABLE).is_some();
        let within = Within {
            seed: self.test.seed,
            seeds: if all { self.test.seeds } else { 1 },
        };
        let scenarios = Rc::clone(&self.scenarios);
        // Each scenario without a cut; how many cuts it has.
        let mut first = Vec::new();
        let mut others = Vec::new();
        for (place, scenario) in scenarios.iter().enumerate() {
            let site = self.site(scenario.ground)?;
            let mut explorer = Explorer::new(self.test, &site, scenario, within);
            let recorded = explorer.undisturbed(Keep::None, &mut self.summary)?;
            self.summary.scenarios += 1;
            self.summary.deployments += recorded.judged.deployments;
            if !scenario.cuts {
                continue;
            }
            self.summary.repeated += recorded.repeated;
            let group = if [SUCCESS, COMMIT_REFUSED].contains(&scenario.story()) {
                &mut first
            } else {
                &mut others
            };
            group.extend((0..recorded.different).map(|number| (place, number)));
        }

        let doubles = self.test.bound / DOUBLE_SHARE;
        let mut left = if all { usize::MAX } else { self.test.bound - doubles };
        let mut chosen = Vec::new();
        for group in [&first, &others] {
            let of_group = sample(group.len(), left, self.test.seed);
            self.summary.left_out += (group.len() - of_group.len()) as u64;
            left -= of_group.len();
            chosen.extend(of_group.into_iter().map(|index| group[index]));
        }
        for (place, scenario) in scenarios.iter().enumerate() {
            self.cut(scenario, &of_scenario(&chosen, place), within)?;
        }
        // Second cuts: in the recovery from each cut of the main scenarios all of them; else one each, after a sample.
        let thorough = |place: usize| all && !self.test.few_second_cuts && scenarios[place].is_main();
        let rest: Vec<_> = chosen.iter().copied().filter(|(place, _)| !thorough(*place)).collect();
        let doubles = if all { rest.len() / DOUBLE_SHARE } else { doubles };
        let rest: Vec<_> = sample(rest.len(), doubles, self.test.seed)
            .into_iter()
            .map(|index| rest[index])
            .collect();
        let thorough: Vec<bool> = (0..scenarios.len()).map(thorough).collect();
        for (place, scenario) in scenarios.iter().enumerate() {
            let of = if thorough[place] { &chosen } else { &rest };
            self.cut_twice(scenario, &of_scenario(of, place), thorough[place], within)?;
        }
        Ok(())
    }

    /// Plays a scenario's cuts with these numbers.
    fn cut(&mut self, scenario: &Scenario, numbers: &HashSet<usize>, within: Within) -> Result<(), Box<Violation>> {
        if numbers.is_empty() {
            return Ok(());
        }
        let site = self.site(scenario.ground)?;
        let mut explorer = Explorer::new(self.test, &site, scenario, within);
        for remains in &again(&mut explorer, scenario, numbers)? {
            explorer.resume(remains, None, &mut self.summary)?;
        }
        Ok(())
    }

    /// Plays second cuts in the recovery from these: all, or one of each.
    fn cut_twice(
        &mut self,
        scenario: &Scenario,
        numbers: &HashSet<usize>,
        all: bool,
        within: Within,
    ) -> Result<(), Box<Violation>> {
        if numbers.is_empty() {
            return Ok(());
        }
        let site = self.site(scenario.ground)?;
        let mut explorer = Explorer::new(self.test, &site, scenario, within);
        for (place, remains) in again(&mut explorer, scenario, numbers)?.iter().enumerate() {
            let keep = if all {
                Keep::All
            } else {
                Keep::One(Spread(self.test.seed ^ (place as u64) << 32))
            };
            let mut aside = Summary::default();
            let seconds = explorer.resume(remains, Some(keep), &mut aside)?;
            self.summary.repeated += aside.repeated;
            for second in &seconds {
                explorer.resume(second, None, &mut self.summary)?;
            }
        }
        Ok(())
    }
}

/// Plays a scenario once more, and gives what its cuts with these numbers leave.
fn again<M: UpdateModule, const WRITE: usize, const SECTOR: usize>(
    explorer: &mut Explorer<'_, M, WRITE, SECTOR>,
    scenario: &Scenario,
    numbers: &HashSet<usize>,
) -> Result<Vec<Remains<WRITE, SECTOR>>, Box<Violation>> {
    // It was counted the first time.
    let mut aside = Summary::default();
    let recorded = explorer.undisturbed(Keep::These(numbers.clone()), &mut aside)?;
    assert!(
        recorded.remains.len() == numbers.len(),
        "`{}` has other power cuts than when it was played before, {} of {} are missing: something that does not survive a \
         restart has survived one, in the module, or in a closure of the test; or the module goes by chance",
        scenario.name,
        numbers.len() - recorded.remains.len(),
        numbers.len(),
    );
    Ok(recorded.remains)
}

fn of_scenario(chosen: &[(usize, usize)], place: usize) -> HashSet<usize> {
    let of_it = chosen.iter().filter(|(of, _)| *of == place);
    of_it.map(|(_, number)| *number).collect()
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

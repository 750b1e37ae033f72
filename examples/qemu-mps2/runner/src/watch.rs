//! What the board has said: lines that begin with `@` are for programs. Depends on nothing here.

use std::collections::BTreeMap;

/// A start of the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// What the bootloader found in its state, before it did what it says.
    pub state: String,
    /// The firmware that runs then.
    pub version: String,
}

/// A number by its name.
pub type Figures = BTreeMap<String, u64>;

/// All that was said since the start of the program, or since it was looked at.
#[derive(Debug, Default)]
pub struct Watch {
    /// What the bootloader said last, before a firmware runs.
    bootloader: String,
    /// Each start.
    pub boots: Vec<Boot>,
    /// Bytes of the download, and of how many.
    pub progress: Option<(u64, u64)>,
    /// The client has nothing to do.
    pub is_idle: bool,
    /// What the board is doing: a state of the deployment, or what comes between.
    pub doing: String,
    /// Number and checksum of the calibration table at the last start.
    pub table: Option<(u32, u32)>,
    /// What must not happen.
    pub faults: Vec<String>,
    /// The worst of each figure, by what it is of.
    pub worst: BTreeMap<String, Figures>,
}

impl Watch {
    /// Takes a line; gives what people want to know of it.
    pub fn take(&mut self, line: &str) -> Option<String> {
        let Some(said) = line.strip_prefix('@') else {
            return Some(line.to_owned());
        };
        let mut words = said.split(' ');
        let (kind, rest) = (words.next().unwrap_or_default(), words.collect::<Vec<_>>());
        let figures = rest.iter().filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name, value.parse::<u64>().ok()?))
        });
        let names = rest.iter().filter(|word| !word.contains('='));
        let name = [kind]
            .into_iter()
            .chain(names.copied().take(1))
            .collect::<Vec<_>>()
            .join(" ");
        for (figure, value) in figures {
            let worst = self
                .worst
                .entry(name.clone())
                .or_default()
                .entry(figure.to_owned())
                .or_insert(0);
            *worst = value.max(*worst);
        }
        let number = |index: usize| rest.get(index).and_then(|word| word.parse::<u64>().ok());
        match kind {
            "swaps" => {
                self.doing = "swap".to_owned();
                Some("bootloader: swaps the images, or back if nobody has confirmed the new one".to_owned())
            }
            "bootloader" => {
                let state = rest.first().and_then(|word| word.strip_prefix("state="));
                match state {
                    Some(state) => self.bootloader = state.to_owned(),
                    None => self.faults.push(said.to_owned()),
                }
                None
            }
            "running" => {
                let version = rest.concat();
                self.boots.push(Boot {
                    state: std::mem::take(&mut self.bootloader),
                    version: version.clone(),
                });
                (self.progress, self.is_idle) = (None, false);
                self.doing = "start".to_owned();
                Some(format!("firmware {version} runs"))
            }
            "calibration" => {
                let word = |index: usize| rest.get(index).and_then(|word| word.parse().ok());
                self.table = word(0).zip(word(1));
                Some(format!("its calibration table is number {}", rest.first()?))
            }
            "progress" => {
                self.progress = number(0).zip(number(1));
                None
            }
            "idle" => {
                let known = std::mem::replace(&mut self.is_idle, true);
                self.doing = "idle".to_owned();
                (!known).then(|| "asks for an update: there is none".to_owned())
            }
            "offered" => {
                self.is_idle = false;
                self.doing = "begin".to_owned();
                Some(format!("is offered {}", rest.concat()))
            }
            "resumed" => Some(format!(
                "finds an unfinished deployment in its flash, goes on with {}",
                rest.concat()
            )),
            "status" => {
                let lost = if rest.contains(&"stored=true") {
                    ""
                } else {
                    ", but the server did not take it"
                };
                Some(format!("reports {:?}{lost}", rest.first()?))
            }
            "authorized" => Some("logs in".to_owned()),
            "finished" => Some(format!("the deployment is over: {}", rest.concat())),
            "violation" | "panic" => {
                self.faults.push(said.to_owned());
                Some(said.to_owned())
            }
            "state" => {
                self.doing = rest.concat();
                None
            }
            "phase" | "connected" | "refused" | "took" | "inventory" | "unauthorized" => None,
            _ => {
                self.faults.push(format!("says what nobody knows: {said}"));
                None
            }
        }
    }

    /// The firmware that runs.
    pub fn version(&self) -> Option<&str> {
        Some(&self.boots.last()?.version)
    }
}

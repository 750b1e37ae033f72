//! Walks through everything that can happen, and looks at the graph that this gives.
//!
//! A node is a run before something that can end in more than one way, or a start of the device. What has only one outcome is
//! done at once, so it is part of an edge.

extern crate std;

use core::fmt::{self, Display};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::print::Print;
use super::run::{After, Fixture, Run};
use super::world::{Asked, Bounds, End, FaultAt, Lie, Note, Outcome, World};

/// Longer than this nothing goes on without a choice: it would be for ever.
const LONGEST_CHAIN: u32 = 300;

type Node = u32;

/// From a node to the next one.
#[derive(Clone, Copy)]
struct Edge {
    from: Node,
    to: Node,
    /// Ios before the first long sleep, or all.
    before: u32,
    /// Ios behind the last long sleep, if there is one.
    after: Option<u32>,
}

/// How a node was found first.
#[derive(Clone, Copy)]
struct Found {
    from: Node,
    asked: Asked,
    outcome: Option<Outcome>,
}

/// What was found.
pub(super) struct Report {
    pub(super) ends: BTreeMap<End, u32>,
    /// Each lie, by the failing operation that led to it, with the way to one.
    pub(super) lies: Vec<(Option<FaultAt>, Lie, u32, String)>,
    pub(super) nodes: usize,
    pub(super) boots: usize,
    pub(super) edges: usize,
    pub(super) steps: u64,
    /// The most Ios without a long sleep.
    pub(super) busiest: u32,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            nodes,
            boots,
            edges,
            steps,
            busiest,
            ends,
            ..
        } = self;
        write!(
            f,
            "{nodes} states ({boots} starts), {edges} ways between them, {steps} Ios, at most {busiest} without a pause; ends {ends:?}"
        )
    }
}

/// See the [module](self).
pub(super) struct Explorer {
    fixture: &'static Fixture,
    bounds: Bounds,
    seen: HashMap<u64, Node>,
    starts: HashMap<World, Node>,
    found: Vec<Found>,
    open: Vec<(Node, Asked, Run)>,
    edges: Vec<Edge>,
    /// The nodes from which an end follows without another choice.
    ended: Vec<Node>,
    /// The worlds in which it was over.
    over: HashSet<World>,
    print: Print,
    report: Report,
}

impl Explorer {
    pub(super) fn new(fixture: &'static Fixture, bounds: Bounds) -> Explorer {
        Explorer {
            fixture,
            bounds,
            seen: HashMap::new(),
            starts: HashMap::new(),
            found: Vec::new(),
            open: Vec::new(),
            edges: Vec::new(),
            ended: Vec::new(),
            over: HashSet::new(),
            print: Print::default(),
            report: Report {
                ends: BTreeMap::new(),
                lies: Vec::new(),
                nodes: 0,
                boots: 0,
                edges: 0,
                steps: 0,
                busiest: 0,
            },
        }
    }

    /// All that can happen from starts of the device in these worlds.
    pub(super) fn explore(mut self, worlds: impl IntoIterator<Item = World>) -> Report {
        for world in worlds {
            self.start(world, None);
        }
        while let Some((node, asked, run)) = self.open.pop() {
            for outcome in run.world.outcomes(asked, self.bounds) {
                let found = Found {
                    from: node,
                    asked,
                    outcome: Some(outcome),
                };
                self.follow(run.clone(), outcome, found);
            }
        }
        self.report.nodes = self.found.len();
        self.report.boots = self.starts.len();
        self.report.edges = self.edges.len();
        self.check_that_it_pauses();
        self.check_that_it_ends();
        self.report
    }

    fn node(&mut self, found: Found) -> Node {
        self.found.push(found);
        Node::try_from(self.found.len() - 1).expect("few enough")
    }

    /// The device starts; the node of that.
    fn start(&mut self, world: World, found: Option<Found>) -> Node {
        if let Some(node) = self.starts.get(&world) {
            return *node;
        }
        let node = self.node(found.unwrap_or(Found {
            from: 0,
            asked: Asked::Restart,
            outcome: None,
        }));
        self.starts.insert(world.clone(), node);
        let run = Run::boot(self.fixture, world);
        self.chain(
            run,
            Edge {
                from: node,
                to: 0,
                before: 0,
                after: None,
            },
            Found {
                from: node,
                asked: Asked::Restart,
                outcome: None,
            },
        );
        node
    }

    /// An outcome, and what follows without another choice.
    fn follow(&mut self, mut run: Run, outcome: Outcome, found: Found) {
        let mut edge = Edge {
            from: found.from,
            to: 0,
            before: 0,
            after: None,
        };
        self.pass(&mut edge, found.asked);
        match run.step(|_, _| Some(outcome)) {
            After::On | After::Choice(_) => self.chain(run, edge, found),
            After::Reset => self.reset(run.world, edge, found),
        }
    }

    fn reset(&mut self, mut world: World, mut edge: Edge, found: Found) {
        world.reset();
        edge.to = self.start(world, Some(found));
        self.edges.push(edge);
    }

    fn pass(&mut self, edge: &mut Edge, asked: Asked) {
        self.report.steps += 1;
        if let Asked::Sleep { long: true } = asked {
            edge.after = Some(0);
        } else {
            match &mut edge.after {
                Some(after) => *after += 1,
                None => edge.before += 1,
            }
        }
    }

    /// On, until there is a choice.
    fn chain(&mut self, mut run: Run, mut edge: Edge, mut found: Found) {
        for _ in 0..LONGEST_CHAIN {
            let before = run.clone();
            let mut decided = None;
            let bounds = self.bounds;
            let after = run.step(|world, asked| {
                let only = match (world.end(asked), &world.outcomes(asked, bounds)[..]) {
                    (None, [outcome]) => *outcome,
                    (None | Some(_), _) => return None,
                };
                decided = Some((asked, only));
                Some(only)
            });
            let asked = match (after, decided) {
                (After::Choice(asked), _) | (_, Some((asked, _))) => asked,
                (After::On | After::Reset, None) => panic!("nothing is done without a decision"),
            };
            // Power may be lost before anything: that is also after everything.
            if before.world.resets_left > 0 {
                let mut world = before.world.clone();
                world.resets_left -= 1;
                let found = Found {
                    from: found.from,
                    asked,
                    outcome: None,
                };
                self.reset(world, edge, found);
            }
            let Some((_, outcome)) = decided else {
                return match before.world.end(asked) {
                    Some(end) => self.end(before, end, edge, found),
                    None => {
                        edge.to = self.meet(before, asked, found);
                        self.edges.push(edge);
                    }
                };
            };
            self.pass(&mut edge, asked);
            if let Asked::Write(_) | Asked::Call(_) = asked {
                found = Found {
                    from: self.node(found),
                    asked,
                    outcome: Some(outcome),
                };
                let next = Edge {
                    from: found.from,
                    to: 0,
                    before: 0,
                    after: None,
                };
                edge.to = found.from;
                self.edges.push(core::mem::replace(&mut edge, next));
            }
            if after == After::Reset {
                return self.reset(run.world, edge, found);
            }
        }
        panic!("it goes on for ever:\n{}", self.way(found));
    }

    /// A node, seen before or not.
    fn meet(&mut self, mut run: Run, asked: Asked, found: Found) -> Node {
        let fingerprint = run.fingerprint(&mut self.print);
        let next = Node::try_from(self.found.len()).expect("few enough");
        match self.seen.entry(fingerprint) {
            Entry::Occupied(node) => *node.get(),
            Entry::Vacant(place) => {
                place.insert(next);
                self.found.push(found);
                self.open.push((next, asked, run));
                next
            }
        }
    }

    fn end(&mut self, mut run: Run, end: End, edge: Edge, found: Found) {
        self.report.busiest = self.report.busiest.max(edge.before);
        self.ended.push(edge.from);
        if end != End::Lie {
            let name = run.own_name();
            if self.over.insert(run.world.clone()) {
                assert_eq!(run.polled_name(), name);
            }
            run.world.check_end(&name);
        }
        let Some(lie) = run.world.lie else {
            *self.report.ends.entry(end).or_default() += 1;
            return;
        };
        *self.report.ends.entry(End::Lie).or_default() += 1;
        let Note(fault) = run.world.fault;
        let known = self
            .report
            .lies
            .iter_mut()
            .find(|known| (known.0, known.1) == (fault, lie));
        match known {
            Some(known) => known.2 += 1,
            None => {
                let way = format!("{}{:?}", self.way(found), run.world);
                self.report.lies.push((fault, lie, 1, way));
            }
        }
    }

    /// How it came there.
    fn way(&self, mut found: Found) -> String {
        let mut steps = Vec::new();
        loop {
            steps.push(format!("{:?} {:?}", found.asked, found.outcome));
            if found.from == 0 {
                break;
            }
            found = self.found[found.from as usize];
        }
        steps.reverse();
        let mut text = String::new();
        for step in steps {
            text.push_str(&step);
            text.push('\n');
        }
        text
    }

    /// Without the long sleeps nothing goes round: every cycle has a pause. And between two pauses not much is done.
    fn check_that_it_pauses(&mut self) {
        let count = self.found.len();
        let mut next: Vec<Vec<(Node, u32)>> = vec![Vec::new(); count];
        let mut incoming = vec![0_u32; count];
        let mut longest = vec![0_u32; count];
        for edge in &self.edges {
            match edge.after {
                None => {
                    next[edge.from as usize].push((edge.to, edge.before));
                    incoming[edge.to as usize] += 1;
                }
                Some(after) => longest[edge.to as usize] = longest[edge.to as usize].max(after),
            }
        }
        let mut ready: Vec<usize> = (0..count).filter(|node| incoming[*node] == 0).collect();
        let mut sorted = 0;
        while let Some(node) = ready.pop() {
            sorted += 1;
            for &(to, weight) in &next[node] {
                let to = to as usize;
                longest[to] = longest[to].max(longest[node] + weight);
                incoming[to] -= 1;
                if incoming[to] == 0 {
                    ready.push(to);
                }
            }
        }
        if sorted < count {
            let node = (0..count).find(|node| incoming[*node] > 0).unwrap_or(0);
            panic!("it goes round without a pause:\n{}", self.way(self.found[node]));
        }
        for edge in &self.edges {
            let to_the_pause = longest[edge.from as usize] + edge.before;
            self.report.busiest = self.report.busiest.max(to_the_pause);
        }
    }

    /// From everywhere an end can be reached.
    fn check_that_it_ends(&self) {
        let count = self.found.len();
        let mut before: Vec<Vec<Node>> = vec![Vec::new(); count];
        for edge in &self.edges {
            before[edge.to as usize].push(edge.from);
        }
        let mut ends = vec![false; count];
        let mut open = self.ended.clone();
        while let Some(node) = open.pop() {
            if !core::mem::replace(&mut ends[node as usize], true) {
                open.extend(&before[node as usize]);
            }
        }
        if let Some(node) = ends.iter().position(|ends| !ends) {
            panic!("there is no end from here:\n{}", self.way(self.found[node]));
        }
    }
}

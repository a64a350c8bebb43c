//! The ways through a flow: which nodes are met, whether every one has a way out, and which answers are sure to be there.

use crate::flow::graph::Target;
use std::collections::{BTreeSet, VecDeque};

/// One way from a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Where it begins.
    pub from: usize,
    /// Where it leads.
    pub to: Target,
    /// How it comes to be taken.
    pub by: By,
}

/// How a way comes to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// With an answer.
    Answer,
    /// Nothing was asked: a `say` went on.
    Saying,
    /// The question was left without an answer by someone who answers: an optional one was skipped.
    Skipping,
    /// Three answers were not understood.
    Otherwise,
}

/// The ways of a flow with so many nodes.
pub struct Ways {
    nodes: usize,
    ways: Vec<Way>,
}

impl Ways {
    /// Takes the ways of a flow.
    pub fn new(nodes: usize, ways: Vec<Way>) -> Ways {
        Ways { nodes, ways }
    }

    fn from(&self, node: usize) -> impl Iterator<Item = &Way> {
        self.ways.iter().filter(move |way| way.from == node)
    }

    /// The nodes that no way leads to.
    pub fn unreachable(&self) -> Vec<usize> {
        let mut met = BTreeSet::from([0]);
        let mut next = VecDeque::from([0]);
        while let Some(node) = next.pop_front() {
            for way in self.from(node) {
                if let Target::Node(to) = way.to
                    && met.insert(to)
                {
                    next.push_back(to);
                }
            }
        }
        (0..self.nodes).filter(|node| !met.contains(node)).collect()
    }

    /// The rounds that are gone without any answer that was understood: someone who types nonsense would never come out, and
    /// a round of `say` would never stop by itself. Each once, from its first node in the file.
    ///
    /// Every node has such a way onward, so where there is no round, the end can be reached from everywhere.
    pub fn rounds(&self) -> Vec<Vec<usize>> {
        let mut rounds = Vec::new();
        let mut done = BTreeSet::new();
        for start in 0..self.nodes {
            if let Some(round) = self.round(start, &done) {
                done.extend(round.iter().copied());
                rounds.push(round);
            }
        }
        rounds
    }

    /// The shortest round from `start` back to it that keeps clear of `done`.
    fn round(&self, start: usize, done: &BTreeSet<usize>) -> Option<Vec<usize>> {
        if done.contains(&start) {
            return None;
        }
        let mut paths = VecDeque::from([vec![start]]);
        let mut met = done.clone();
        while let Some(path) = paths.pop_front() {
            let last = *path.last().expect("a path has a beginning");
            for way in self.from(last).filter(|way| matches!(way.by, By::Saying | By::Otherwise)) {
                match way.to {
                    Target::Node(to) if to == start => return Some(path),
                    Target::Node(to) if met.insert(to) => {
                        paths.push_back(path.iter().copied().chain([to]).collect());
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// For each node, the nodes whose answers are there on every way to it. A node that is never met has them all.
    pub fn given(&self) -> Vec<BTreeSet<usize>> {
        let all: BTreeSet<usize> = (0..self.nodes).collect();
        let mut given = vec![all; self.nodes];
        if let Some(first) = given.first_mut() {
            first.clear();
        }
        loop {
            let before = given.clone();
            for way in &self.ways {
                let Target::Node(to) = way.to else { continue };
                let mut brought = given[way.from].clone();
                match way.by {
                    By::Answer => brought.insert(way.from),
                    By::Saying | By::Skipping | By::Otherwise => brought.remove(&way.from),
                };
                given[to].retain(|node| brought.contains(node));
            }
            if given == before {
                return given;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ways written as `0>1 1~2 2>.`: `>` with an answer, `-` a saying, `?` skipped, `~` otherwise, `.` the end.
    fn ways(nodes: usize, written: &str) -> Ways {
        let way = |word: &str| {
            let (from, rest) = word.split_at(1);
            let (by, to) = rest.split_at(1);
            let by = match by {
                ">" => By::Answer,
                "-" => By::Saying,
                "?" => By::Skipping,
                _ => By::Otherwise,
            };
            let to = to.parse().map_or(Target::End, Target::Node);
            Way { from: from.parse().expect("a digit"), to, by }
        };
        Ways::new(nodes, written.split_whitespace().map(way).collect())
    }

    fn check(nodes: usize, written: &str, unreachable: &[usize], rounds: &[&[usize]]) {
        let ways = ways(nodes, written);
        assert_eq!(ways.unreachable(), unreachable, "{written}");
        assert_eq!(ways.rounds(), rounds, "{written}");
    }

    #[test]
    fn every_node_is_met_and_has_a_way_out() {
        check(2, "0>1 0~1 1-.", &[], &[]);
        check(3, "0>2 0~2 1>2 1~2 2-.", &[1], &[]);
        check(2, "0>1 0~. 1>0 1~0", &[], &[]);
        check(2, "0>1 0~1 1-1", &[], &[&[1]]);
        check(3, "0-1 1-2 2-1 2-.", &[], &[&[1, 2]]);
        check(2, "0>. 0~1 1>. 1~0", &[], &[&[0, 1]]);
        check(1, "0>. 0~0", &[], &[&[0]]);
    }

    fn given(nodes: usize, written: &str, expected: &[&[usize]]) {
        let given: Vec<Vec<usize>> =
            ways(nodes, written).given().into_iter().map(|set| set.into_iter().collect()).collect();
        assert_eq!(given, expected, "{written}");
    }

    #[test]
    fn an_answer_is_sure_only_when_every_way_brings_it() {
        given(3, "0>1 1>2 2>.", &[&[], &[0], &[0, 1]]);
        given(3, "0>1 0~2 1>2 1~2 2-.", &[&[], &[0], &[]]);
        given(3, "0>1 0>2 1>2 2-.", &[&[], &[0], &[0]]);
        given(3, "0>1 0?1 1>2 2-.", &[&[], &[], &[1]]);
        given(2, "0>1 1>0 1~0 1>.", &[&[], &[0]]);
    }
}

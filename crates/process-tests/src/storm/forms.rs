//! In which forms victims stream.

use crate::steps::{acts::Act, ends::End};

/// How elements are sent and received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One by one: `push` and `pop`.
    Single,
    /// `push_slice` and `pop_slice`.
    Batch,
    /// `reserve` and `commit`, `drain`.
    InPlace,
    /// `push_blocking` and `pop_blocking`; both ways it is a ping-pong.
    Blocking,
    /// `Interface::run`, both ways.
    RunLoop,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The victim sends.
    Sends,
    /// The victim receives.
    Receives,
    /// Both at a time.
    Both,
}

impl Flow {
    /// Whether the victim sends.
    pub fn sends(self) -> bool {
        self != Self::Receives
    }

    /// Whether the victim receives.
    pub fn receives(self) -> bool {
        self != Self::Sends
    }
}

/// One kind of storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storm {
    /// What the victim uses.
    pub form: Form,
    /// Which way the elements go.
    pub flow: Flow,
    /// Which end the victim is.
    pub end: End,
    /// Words of an element.
    pub words: usize,
    /// Of each ring.
    pub capacity: usize,
}

/// The capacities of rings: always full or empty, in flow, and large.
const CAPACITIES: [usize; 3] = [1, 8, 256];

impl Storm {
    /// The storm of that number: each combination comes by in turn.
    pub fn number(number: usize) -> Self {
        let all = Self::all();
        all[number % all.len()]
    }

    /// Every combination, in an order in which neighbours differ in everything.
    pub fn all() -> Vec<Self> {
        let mut storms = Vec::new();
        for capacity in CAPACITIES {
            for words in crate::steps::SIZES {
                for form in [Form::Single, Form::Batch, Form::InPlace, Form::Blocking, Form::RunLoop] {
                    for (flow, end) in ways(form) {
                        storms.push(Self { form, flow, end, words, capacity });
                    }
                }
            }
        }
        // A step that has no divisor in common with the number of storms comes to each of them.
        let n = storms.len();
        let step = (n * 2 / 5..).find(|&step| gcd(step, n) == 1).unwrap_or(1);
        (0..n).map(|index| storms[index * step % n]).collect()
    }

    /// What the victim does, over and over.
    pub fn acts(&self) -> Vec<Act> {
        let (send, receive) = match self.form {
            Form::Single => (Act::Push, Act::Pop),
            Form::Batch => (Act::PushSlice, Act::PopSlice),
            Form::InPlace => (Act::Commit, Act::Drain),
            Form::Blocking | Form::RunLoop => (Act::PushBlocking, Act::PopBlocking),
        };
        let receives = self.flow.receives().then_some(receive);
        receives.into_iter().chain(self.flow.sends().then_some(send)).collect()
    }
}

fn ways(form: Form) -> Vec<(Flow, End)> {
    let both = [(Flow::Both, End::Client), (Flow::Both, End::Server)];
    match form {
        Form::RunLoop => both.to_vec(),
        _ => [
            (Flow::Sends, End::Producer),
            (Flow::Receives, End::Consumer),
            (Flow::Sends, End::Server),
            (Flow::Receives, End::Client),
        ]
        .into_iter()
        .chain(both)
        .collect(),
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storm_comes_by() {
        let all = Storm::all();
        for storm in &all {
            assert_eq!(all.iter().filter(|other| *other == storm).count(), 1, "{storm:?}");
        }
        assert_eq!(all.len(), 3 * 2 * (4 * 6 + 2));
    }
}

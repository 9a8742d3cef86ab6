//! The table of cases: what the hostile peer does, whom it meets, and what is expected of them.

mod attacks;
mod bells;
mod descriptors;
pub mod ends;
mod floods;
mod frames;
mod hello;
mod holding;
mod positions;
mod second;
mod segments;
mod silence;

use std::fmt;

use crate::{
    expect::{Expect, Honest, Waits},
    kind::Kind,
    offer::Offer,
    raw::Evil,
    wire,
};

/// Words of an element that is copied in one block: from 512 bytes on.
const LARGE: usize = 128;

/// What is done with the socket, told what is expected.
type Deed = Box<dyn Fn(Evil, &Expect)>;

/// One thing that a hostile peer does.
pub struct Case {
    /// The test it belongs to.
    pub group: &'static str,
    /// Its name: an argument of the program.
    pub name: String,
    /// The ends that it is played to.
    pub kinds: &'static [Kind],
    /// How those are set up.
    pub honest: Honest,
    /// Whether the program kills itself.
    pub dies: bool,
    /// Why it cannot be played on this machine, if so.
    pub lacks: Option<String>,
    deed: Deed,
    expect: Box<dyn Fn(Kind) -> Expect>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("group", &self.group).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Case {
    /// A case that does something of its own with the socket.
    fn new(
        group: &'static str,
        name: impl Into<String>,
        kinds: &'static [Kind],
        deed: impl Fn(Evil) + 'static,
        expect: impl Fn(Kind) -> Expect + 'static,
    ) -> Self {
        Self {
            group,
            name: format!("{group}/{}", name.into()),
            kinds,
            honest: Honest::default(),
            dies: false,
            lacks: None,
            deed: Box::new(move |evil, _| deed(evil)),
            expect: Box::new(expect),
        }
    }

    /// A case whose Hello or descriptors are wrong, or odd.
    fn offer(
        group: &'static str,
        name: impl Into<String>,
        kinds: &'static [Kind],
        change: impl Fn(&mut Offer) + 'static,
        expect: impl Fn(Kind) -> Expect + 'static,
    ) -> Self {
        let deed = move |evil: Evil, expect: &Expect| {
            let mut offer = Offer::new(evil.kind);
            change(&mut offer);
            match expect {
                Expect::Opens(_) => evil.open_with(offer, wire::send).serve_well(),
                Expect::Refused { .. } => {
                    evil.hear();
                    offer.send(&evil.stream);
                    assert_told(&evil, expect);
                }
                _ => {
                    evil.hear();
                    offer.send(&evil.stream);
                    wire::until_over(&evil.stream);
                }
            }
        };
        Self { deed: Box::new(deed), ..Self::new(group, name, kinds, |_| {}, expect) }
    }

    fn with(mut self, change: impl FnOnce(&mut Honest)) -> Self {
        change(&mut self.honest);
        self
    }

    /// The same with elements that are copied in one block.
    fn large(mut self) -> Self {
        self.name = format!("{}-large", self.name);
        self.with(|honest| honest.words = LARGE)
    }

    /// The same with an end that waits in that way.
    fn waiting(mut self, waits: Waits) -> Self {
        self.name = format!("{}-{waits:?}", self.name).to_lowercase();
        self.with(|honest| honest.waits = waits)
    }

    fn only_if(self, possible: Result<(), String>) -> Self {
        Self { lacks: possible.err(), ..self }
    }

    /// What is expected of that end.
    pub fn expect(&self, kind: Kind) -> Expect {
        (self.expect)(kind)
    }

    /// Plays it.
    pub fn play(&self, evil: Evil) {
        let expect = self.expect(evil.kind);
        (self.deed)(evil, &expect);
    }
}

/// The peer of an end that refuses is told what that end reports.
fn assert_told(evil: &Evil, expect: &Expect) {
    let Expect::Refused { reason, here, there } = expect else { panic!("{expect:?} tells nobody anything") };
    let told = wire::told(&evil.stream).expect("a Reject");
    let fits = (told.0, told.1) == (*reason, *here) && there.contains(&told.2);
    assert!(fits, "told {told:?} instead of {expect:?}");
}

/// Every case.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    hello::add(&mut cases);
    segments::add(&mut cases);
    descriptors::add(&mut cases);
    frames::add(&mut cases);
    silence::add(&mut cases);
    second::add(&mut cases);
    holding::add(&mut cases);
    positions::add(&mut cases);
    bells::add(&mut cases);
    floods::add(&mut cases);
    attacks::add(&mut cases);
    ends::add(&mut cases);
    cases
}

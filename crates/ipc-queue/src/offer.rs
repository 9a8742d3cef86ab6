//! What goes with a side's Hello: its segment and, both ways, one end of a pair of sockets.

use std::os::{fd::OwnedFd, unix::net::UnixStream};

use crate::{
    Error,
    frames::{Direction, Hello},
    layout::Word,
    segment::Segment,
};

/// The largest segment that is made for a peer who has not said a word yet.
const SMALL: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) segment: Segment,
    /// The end of the pair that this side keeps: what the peer rings there is heard here.
    pub(crate) inbox: Option<UnixStream>,
    /// What the peer gets.
    pub(crate) fds: Vec<OwnedFd>,
    present: bool,
}

impl Offer {
    /// Makes what belongs to this Hello.
    pub(crate) fn make(ours: &Hello) -> Result<Self, Error> {
        let (segment, fd) = Segment::create(ours.geometry(), &ours.name)?;
        let mut offer = Self { segment, inbox: None, fds: vec![fd], present: false };
        if ours.direction == Direction::Both as u8 {
            let (inbox, theirs) = UnixStream::pair().map_err(Error::io("making the second ring's sockets"))?;
            fdpass::keep_out_of_band_inline(&inbox);
            offer.inbox = Some(inbox);
            offer.fds.push(theirs.into());
        }
        Ok(offer)
    }

    /// Whether it may be made before the peer is known.
    pub(crate) fn is_small(ours: &Hello) -> bool {
        ours.geometry().size().is_some_and(|size| size <= SMALL)
    }

    /// Maps the segment's pages, so that no first touch faults. `false`: that was done before.
    pub(crate) fn make_present(&mut self) -> bool {
        let more = !self.present;
        if more {
            self.segment.make_present();
            self.present = true;
        }
        more
    }

    /// Both positions of a ring start where its producer says. The peer looks only after it has this side's Accept.
    pub(crate) fn start(&self, ours: &Hello, theirs: &Hello) {
        self.segment.start(Word::Tail, Word::WakeHead, ours.start);
        self.segment.start(Word::Head, Word::WakeTail, theirs.start);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    use super::*;
    use crate::{
        Options, Reason, Role,
        meet::{Meeting, Step},
    };

    /// Segments that this process has mapped.
    fn segments() -> usize {
        let maps = fs::read_to_string("/proc/self/maps").expect("proc(5)");
        maps.lines().filter(|line| line.contains("memfd:memenpsf")).count()
    }

    /// A server that has come as far as it can without a word of its client.
    fn waiting(capacity: usize) -> (Meeting, UnixStream) {
        let (stream, client) = UnixStream::pair().expect("a pair of sockets");
        let options = Options::new().capacity(capacity);
        let mut meeting =
            Meeting::new::<[u64; 8]>(stream, Role::Server, Direction::Both, false, &options).expect("a meeting");
        assert!(matches!(meeting.step(), Ok(Step::Wait(_))));
        (meeting, client)
    }

    #[test]
    fn for_a_client_that_says_nothing_a_small_segment_is_made_and_no_large_one() {
        let before = segments();
        for (capacity, made) in [(8192, 1), (16384, 0)] {
            let (_meeting, _client) = waiting(capacity);
            assert_eq!(segments() - before, made, "{capacity}");
        }
    }

    #[test]
    fn what_is_in_the_way_early_and_out_of_it_when_the_client_comes_is_no_error() {
        let (limit, most) = getrlimit(Resource::RLIMIT_FSIZE).expect("a limit");
        setrlimit(Resource::RLIMIT_FSIZE, 4096, most).expect("a lower limit");
        let (mut server, stream) = waiting(1024);
        setrlimit(Resource::RLIMIT_FSIZE, limit, most).expect("the limit that was there");
        let options = Options::new().capacity(1024);
        let mut client =
            Meeting::new::<[u64; 8]>(stream, Role::Client, Direction::Both, false, &options).expect("a meeting");
        let mut open = || [&mut client, &mut server].map(|side| matches!(side.step().expect("no error"), Step::Done));
        let opened = (0..4).any(|_| open() == [true, true]);
        assert!(opened, "the client, then the server, twice");
    }

    #[test]
    fn a_client_that_is_refused_leaves_nothing_of_what_was_made_for_it() {
        let count = || (segments(), fs::read_dir("/proc/self/fd").expect("proc(5)").count());
        let before = count();
        let (mut meeting, mut client) = waiting(1024);
        client.write_all(&[0; 16]).expect("room for a header");
        match meeting.step() {
            Err(Error::Refused(refused)) => assert_eq!(refused.reason(), Reason::Magic),
            _ => panic!("a header of zeros is refused"),
        }
        drop((meeting, client));
        assert_eq!(count(), before);
    }
}

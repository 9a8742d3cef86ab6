//! What only the sending half does: finish, flush, send its positions.

use std::time::Instant;

use super::{Half, HalfSide, Unready};
use crate::{
    XmitErrorKind,
    doorbell::{Bell, Rung},
    layout::Word,
    ring::Sending,
};

impl Half<Sending> {
    /// Says that no more will come, and rings whether or not anybody asked.
    pub(crate) fn finish(&mut self) -> Result<(), Unready> {
        self.check_guard()?;
        match self.ended {
            Some(Unready::Closed) => {
                // Rings what is owed.
                let _ = self.look(1);
                return Ok(());
            }
            Some(ended) => return Err(ended),
            None => {}
        }
        self.end.finish();
        self.ring(Bell::Finished);
        self.close();
        Ok(())
    }

    /// Nothing more is sent from here.
    fn close(&mut self) {
        self.end.close();
        self.ended = Some(Unready::Closed);
    }

    /// Waits until the peer has taken everything: until there is room for a whole ring.
    pub(crate) fn flush(&mut self, deadline: Option<Instant>) -> Result<(), Unready> {
        let closed = self.ended == Some(Unready::Closed);
        if closed {
            self.ended = None;
            self.end.open();
        }
        let result = self.wait_for(self.capacity(), deadline);
        if closed {
            self.close();
        }
        match result {
            // It took everything and then left.
            Err(Unready::Disconnected) if self.end.theirs() == self.end.position() => Ok(()),
            result => result.map(drop),
        }
    }

    /// Sends a control message with this side's positions.
    pub(crate) fn send_control(&mut self) -> Result<(), XmitErrorKind> {
        self.check_guard()?;
        let (tail, _) = self.positions();
        let head = self.end.memory().own_page().word(Word::Head).load(crate::sync::Ordering::Relaxed);
        match self.doorbell.ring(Bell::Control, tail, head) {
            Rung::Sent => Ok(()),
            Rung::Crowded | Rung::Owed => Err(XmitErrorKind::Full),
            Rung::Gone => Err(XmitErrorKind::Disconnected),
            Rung::Mute => {
                self.fall_silent();
                Err(XmitErrorKind::Disconnected)
            }
        }
    }

    /// The peer's position, looked at now while it can be.
    pub(crate) fn acknowledged(&mut self) -> u64 {
        let looks = self.check_guard().is_ok() && matches!(self.ended, None | Some(Unready::Closed));
        if looks && let Err(seen) = self.end.look() {
            self.give_up(Sending::corrupt(seen, self.end.count()));
        }
        self.end.theirs()
    }
}

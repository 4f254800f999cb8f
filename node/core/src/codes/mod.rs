//! The two sides of a code, without the sockets: who gives something to whoever has the words ([`CodeOffer`]), and who
//! gets it ([`CodeCall`]). Both talk to a tracker's desk, and neither knows where that is.
//!
//! One input, then drain: pass in datagrams, then call `poll` until it says to wait or that it is over.

mod call;
mod offer;

#[cfg(test)]
mod tests;

pub use call::{CallEnd, CodeCall, CodeCallStep};
pub use offer::{CodeOffer, CodeOfferStep, OfferEnd, OfferLimits, OfferNews};

use std::time::Duration;

use messages::Timestamp;

/// A desk that says nothing for so long is none.
const DESK_TIMEOUT: Duration = Duration::from_secs(5);
/// A message is first repeated after this long, and the time to the next repetition doubles.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// Who is asked to come again later does so after this long at the latest, whatever is said.
const MAX_REST: Duration = Duration::from_secs(10);

/// When something is said again until it is answered.
#[derive(Clone, Copy, Debug)]
struct Repetition {
    due: Timestamp,
    pause: Duration,
}

impl Repetition {
    /// Now, and then again and again.
    fn from(now: Timestamp) -> Repetition {
        Repetition { due: now, pause: FIRST_RETRY }
    }

    /// Whether it is to be said at `now`. Then it was.
    fn is_due(&mut self, now: Timestamp) -> bool {
        let is_due = now >= self.due;
        if is_due {
            self.due = now + self.pause;
            self.pause = (2 * self.pause).min(LAST_RETRY);
        }
        is_due
    }

    /// Not before `rest` is over, which somebody else has asked for.
    fn rest(&mut self, rest_ms: u32, now: Timestamp) {
        let rest = Duration::from_millis(rest_ms.into()).clamp(FIRST_RETRY, MAX_REST);
        self.due = self.due.max(now + rest);
    }
}

//! REQUEST, which names what the owner is asked for, or tells it that nothing more is wanted.

use messages::List;
use messages::node_to_node::{ByteRange, Request};

use super::{Session, SessionState};
use crate::context::Context;

impl Session {
    /// Sends one REQUEST for consecutive request numbers from `first` on.
    pub(crate) fn send_request(&mut self, first: u32, ranges: List<ByteRange, 16>, cx: &mut Context<'_>) {
        self.has_released_slot = false;
        self.liveness.on_asked(cx.now);
        self.speed_trial.on_asked(self.meter.total(), cx.now);
        self.write_request(first, ranges, cx);
    }

    fn write_request(&mut self, first: u32, ranges: List<ByteRange, 16>, cx: &mut Context<'_>) {
        let SessionState::Established(established) = &self.state else {
            unreachable!(
                "an owner is asked for something once it has answered, and only then told that nothing more is"
            );
        };
        self.sent_at_last = cx.now;
        let request = Request {
            first_request: first,
            highest_sequence: self.feedback.highest_sequence(),
            ping_echo: self.feedback.take_echo(),
            segment_size: established.flow.segment_size(),
            ranges,
        };
        cx.send(self.contact.peer, established.remote, &request);
    }

    /// Tells an owner that serves this node that there is nothing to ask for now, so that other nodes may have its
    /// slot.
    pub(crate) fn release_slot_if_unchoked(&mut self, cx: &mut Context<'_>) {
        if self.is_unchoked() {
            self.release_slot(cx);
        }
    }

    /// Tells the owner that this node wants nothing more, whether it is served or waits for a slot. The owner is told
    /// once after each request.
    pub(crate) fn release_slot(&mut self, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.has_released_slot, true) {
            let (first, none) = (0, List::default());
            self.write_request(first, none, cx);
        }
    }
}

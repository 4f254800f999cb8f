//! The stream of a node's events: bounded, and with a mark where events were missed.

use riffle_core::Event;
use tokio::sync::broadcast;

/// Why there is no next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventsError {
    /// So many events were missed because they were not read in time. The next ones follow;
    /// [`Node::milestones`](crate::Node::milestones) tells what must be known of those that were missed.
    #[error("{0} events were missed")]
    Lagged(u64),
    /// The node has ended.
    #[error("the node has ended")]
    Ended,
}

/// The events of a node from the moment on at which this was made, see [`Node::events`](crate::Node::events).
///
/// Each share has an [`Event::Announced`] of its own, also when several shares have one content.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    pub(crate) fn new(receiver: broadcast::Receiver<Event>) -> Events {
        Events { receiver }
    }

    /// Waits for the next event. Nothing is lost when the future is dropped before it is ready.
    ///
    /// # Errors
    /// [`EventsError::Lagged`] once after events were missed, [`EventsError::Ended`] when the node has ended.
    pub async fn next(&mut self) -> Result<Event, EventsError> {
        self.receiver.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(missed) => EventsError::Lagged(missed),
            broadcast::error::RecvError::Closed => EventsError::Ended,
        })
    }
}

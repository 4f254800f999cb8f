//! What happened, for whoever writes the log.

use std::net::SocketAddr;
use std::time::Duration;

use channel::Suite;
use messages::codes::CodeNumber;
use messages::tracker_to_node::RefusalCode;
use messages::{ContentId, DecodeError, Name, NodeId};

/// Something that a person who reads the log may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are: a node, its address, a content, its name")]
pub enum Event {
    /// A node that was not in the tables registered.
    NodeJoined { node: NodeId, address: SocketAddr },
    /// A registered node began a new life: its old contents are forgotten unless it still names the same.
    NodeReturned { node: NodeId, address: SocketAddr },
    /// The same life of a node has another port now.
    NodeMoved { node: NodeId, from: SocketAddr, to: SocketAddr },
    /// Somebody else registers with the id of a live node; the node is asked whether it still answers.
    IdClaimed { node: NodeId, registered: SocketAddr, claimant: SocketAddr },
    /// The old holder of an id did not answer: the claimant has it now.
    NodeTakenOver { node: NodeId, from: SocketAddr, to: SocketAddr },
    /// A node left with EXIT.
    NodeLeft { node: NodeId, address: SocketAddr },
    /// A node was silent until its lease ended.
    NodeExpired { node: NodeId, address: SocketAddr },
    /// A registered node is a member of the swarm no longer.
    NodeLetGo { node: NodeId, address: SocketAddr },
    /// A node's table differs from the tracker's: the node is told to announce all its contents again.
    ResyncAsked { node: NodeId, known: usize, reported: u32 },
    /// A node has some of a content that it did not have before.
    ContentAnnounced { node: NodeId, content: ContentId, name: Name, length: u64, permille: u16 },
    /// A node now has all of a content of which it had a part.
    ContentCompleted { node: NodeId, content: ContentId, name: Name },
    /// A node no longer has a content.
    ContentWithdrawn { node: NodeId, content: ContentId },
    /// A node has opened a sealed channel.
    ChannelOpened { node: NodeId, address: SocketAddr, suite: Suite },
    /// A question was answered.
    NeedAnswered { node: NodeId, address: SocketAddr, found: Found },
    /// A request was not carried out.
    Refused { node: NodeId, address: SocketAddr, code: RefusalCode, retry_after: Duration },
    /// Bytes that are no datagram of this wire version.
    Undecodable { from: SocketAddr, error: DecodeError },
    /// A sender has a number for a code.
    CodeOffered { number: CodeNumber, address: SocketAddr },
    /// The number of a code is nobody's any more.
    CodeEnded { number: CodeNumber },
    /// A datagram that is for a node, not for a tracker.
    Misdirected { from: SocketAddr },
}

/// What a question found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that fits.
    Nothing,
    /// One content and this many owners for this asker.
    Owners(ContentId, usize),
    /// A page of this many contents.
    Contents(usize),
}

use messages::{Cookie, Layout, Name};

use super::*;
use crate::context::Shared;

const NOW: Timestamp = Timestamp::ZERO;
const DOWNLOADER: NodeId = NodeId::from_bytes([2; 16]);
const ANOTHER: NodeId = NodeId::from_bytes([9; 16]);

fn peer() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 9))
}

fn hello(node: NodeId) -> Hello {
    Hello {
        nonce: 1,
        content: ContentId::from_bytes([1; 32]),
        node,
        conversation: Conversation(3),
        capabilities: 0,
        sent_at: 0,
        cookie: Cookie::NONE,
    }
}

fn uploads() -> Uploads {
    let mut uploads = Uploads::new(CookieJar::new([7; 32]));
    let outboard = Arc::new(Outboard::imagined(Layout::of(300_000).expect("two pieces"), "test"));
    let name = Name::new("a").expect("a name");
    let content = ContentId::from_bytes([1; 32]);
    let local = LocalContent { share: ShareId(0), content, name, outboard, file: FileMetadata::default() };
    assert!(uploads.serve(local));
    uploads
}

#[test]
fn a_channel_proves_the_address_and_nobody_greets_over_it_in_the_name_of_another() {
    let (mut shared, mut uploads) = (Shared::of_test(NodeId::from_bytes([5; 16]), 1, NOW), uploads());
    uploads.handle_hello(peer(), &hello(DOWNLOADER), &mut shared.context(NOW));
    assert!(uploads.uploads(NOW).is_empty(), "in the clear it needs a cookie");
    shared.sender = Some(ANOTHER);
    uploads.handle_hello(peer(), &hello(DOWNLOADER), &mut shared.context(NOW));
    assert!(uploads.uploads(NOW).is_empty());
    shared.sender = Some(DOWNLOADER);
    uploads.handle_hello(peer(), &hello(DOWNLOADER), &mut shared.context(NOW));
    assert_eq!(uploads.uploads(NOW).len(), 1);
}

#[test]
fn in_a_session_only_its_downloader_is_heard() {
    let (mut shared, mut uploads) = (Shared::of_test(NodeId::from_bytes([5; 16]), 1, NOW), uploads());
    shared.sender = Some(DOWNLOADER);
    uploads.handle_hello(peer(), &hello(DOWNLOADER), &mut shared.context(NOW));
    let ours = uploads.sessions.find(peer(), Conversation(3)).expect("a session");
    let bye: NodeToNode = Bye { reason: ByeReason::Done }.into();
    shared.sender = Some(ANOTHER);
    uploads.handle_message(peer(), ours, &bye, &mut shared.context(NOW));
    let answered = shared.out.datagrams.len();
    uploads.handle_hello(peer(), &hello(ANOTHER), &mut shared.context(NOW));
    assert_eq!(
        (uploads.uploads(NOW).len(), shared.out.datagrams.len()),
        (1, answered),
        "nothing ended or begun"
    );
    shared.sender = Some(DOWNLOADER);
    uploads.handle_message(peer(), ours, &bye, &mut shared.context(NOW));
    assert!(uploads.uploads(NOW).is_empty());
}

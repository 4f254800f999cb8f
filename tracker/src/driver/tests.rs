//! The real socket on loopback: which datagrams are answered, from which address, and which process gets the port.

use std::net::{Ipv4Addr, SocketAddr};

use messages::node_to_tracker::{Asker, Need, OwnDigest, Query, Register};
use messages::tracker_to_node::{Owners, RefusalCode, Registered};
use messages::{BootEpoch, ContentId, Conversation, Cookie, Datagram, NodeId, NodeToTracker, TrackerToNode};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use super::*;

fn register(number: u8, cookie: Cookie) -> Vec<u8> {
    let asker = Asker { node: NodeId::from_bytes([number; 16]), cookie };
    let register = Register { asker, epoch: BootEpoch(1), contents: 0, digest: OwnDigest(0) };
    let mut bytes = Vec::new();
    NodeToTracker::from(register).encode(Conversation(99), &mut bytes);
    bytes
}

async fn ask(client: &UdpSocket, request: &[u8]) -> TrackerToNode {
    client.send(request).await.unwrap();
    let mut bytes = [0; 2000];
    let answer = tokio::time::timeout(Duration::from_secs(10), client.recv(&mut bytes));
    let length = answer.await.expect("an answer in time").unwrap();
    match Datagram::decode(&bytes[..length]).unwrap() {
        Datagram::FromTracker(Conversation(99), message) => message,
        other => panic!("{other:?}"),
    }
}

/// A node joins through `tracker_ip` from a socket that is connected, so that it hears that address alone.
async fn join(number: u8, tracker_ip: Ipv4Addr, port: u16) -> Registered {
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    client.connect((tracker_ip, port)).await.unwrap();
    let TrackerToNode::Refused(refused) = ask(&client, &register(number, Cookie::NONE)).await else {
        panic!("no cookie, no entry")
    };
    assert_eq!(refused.code, RefusalCode::Cookie);
    match ask(&client, &register(number, refused.cookie)).await {
        TrackerToNode::Registered(registered) => {
            assert_eq!(registered.observed.address(), client.local_addr().unwrap());
            registered
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_serves_both_families_from_the_address_that_was_reached_until_told_to_stop() {
    let socket = bind("[::]:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().port();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = run(socket, TrackerSettings::default(), StaticKey::from_secret([1; 32]), async {
        let _ = stopped.await;
    });
    let asking = async {
        let first = join(7, Ipv4Addr::LOCALHOST, port).await;
        // All of 127.0.0.0/8 is this host on Linux only.
        if cfg!(target_os = "linux") {
            let second = join(8, Ipv4Addr::new(127, 0, 0, 2), port).await;
            assert_eq!(first.tracker_epoch, second.tracker_epoch);
        }
        stop.send(()).unwrap();
    };
    let (served, ()) = tokio::join!(serving, asking);
    served.unwrap();
}

/// The time in which the tracker at `socket` may still learn of contents that it does not know.
async fn whole_in(socket: Socket) -> u32 {
    let port = socket.local_addr().port();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = run(socket, TrackerSettings::default(), StaticKey::from_secret([1; 32]), async {
        let _ = stopped.await;
    });
    let asking = async {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        client.connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let TrackerToNode::Refused(refused) = ask(&client, &register(7, Cookie::NONE)).await else {
            panic!("no cookie, no entry")
        };
        let asker = Asker { node: NodeId::from_bytes([7; 16]), cookie: refused.cookie };
        let need = Need { asker, query: Query::Content(ContentId::from_bytes([1; 32])) };
        let mut bytes = Vec::new();
        NodeToTracker::from(need).encode(Conversation(99), &mut bytes);
        let answer = ask(&client, &bytes).await;
        stop.send(()).unwrap();
        match answer {
            TrackerToNode::Owners(Owners::Unknown { whole_in_ms }) => whole_in_ms,
            other => panic!("{other:?}"),
        }
    };
    let (served, whole_in) = tokio::join!(serving, asking);
    served.unwrap();
    whole_in
}

#[tokio::test]
async fn it_is_young_only_where_somebody_may_know_it() {
    let fresh = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = fresh.local_addr();
    assert_eq!(whole_in(fresh).await, 0);
    assert!(whole_in(bind(address).unwrap()).await > 15_000);
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = first.local_addr();
    for listen in [address, SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()))] {
        let refused = bind(listen).unwrap_err();
        assert!(matches!(refused, BindError::InUse { .. }), "{refused:?}");
        assert!(refused.to_string().contains(&listen.to_string()), "{refused}");
    }
    drop(first);
    assert_eq!(bind(address).unwrap().local_addr(), address);
}

#[test]
fn an_address_of_another_host_is_refused_as_such() {
    let refused = bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
    assert!(matches!(refused, BindError::NotHere { .. }), "{refused:?}");
}

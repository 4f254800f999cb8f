//! A box between all programs of a scene, as a translating router is one: it passes on every datagram, and keeps
//! examples of each kind. What it sends again comes from the address that the receiver knows.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it passes on real datagrams, in threads"
)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The offset of a datagram's kind in the datagram.
const KIND_AT: usize = 3;
/// The number of datagrams of each kind that are kept for each direction between two programs.
const EXAMPLES: usize = 12;
/// The time after which a thread notices at the latest that the box is to close.
const LOOKS_UP: Duration = Duration::from_millis(20);

/// A datagram that was passed on.
#[derive(Clone)]
pub(crate) struct Captured {
    pub(crate) bytes: Vec<u8>,
    pub(crate) to: SocketAddr,
    via: Arc<UdpSocket>,
}

impl Captured {
    /// The same again, from the same address.
    pub(crate) fn replay(&self) {
        let _ = self.via.send_to(&self.bytes, self.to);
    }
}

/// The box: one socket that stands for the tracker, and one for each node that has spoken to it.
pub(crate) struct Relay {
    inner: Arc<Inner>,
}

struct Inner {
    tracker: SocketAddr,
    face: Arc<UdpSocket>,
    state: Mutex<State>,
    closing: AtomicBool,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<SocketAddr, Arc<UdpSocket>>,
    captured: BTreeMap<(SocketAddr, SocketAddr, u8), Vec<Captured>>,
    threads: Vec<JoinHandle<()>>,
}

/// An IPv4 loopback socket whose thread looks up now and then.
fn socket() -> Arc<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(LOOKS_UP)).expect("a time");
    Arc::new(socket)
}

impl Relay {
    /// A box in front of `tracker`, which nodes take for the tracker at [`Relay::address`].
    pub(crate) fn new(tracker: SocketAddr) -> Relay {
        let face = socket();
        let (state, closing) = (Mutex::default(), AtomicBool::new(false));
        let inner = Arc::new(Inner { tracker, face: face.clone(), state, closing });
        Inner::serve(&inner, face, None);
        Relay { inner }
    }

    pub(crate) fn address(&self) -> String {
        self.inner.face.local_addr().expect("bound").to_string()
    }

    /// The real addresses of the nodes that have spoken so far.
    pub(crate) fn nodes(&self) -> Vec<SocketAddr> {
        self.inner.state.lock().expect("whole").nodes.keys().copied().collect()
    }

    /// Some of the datagrams of each kind and direction that were passed on so far.
    pub(crate) fn captured(&self) -> Vec<Captured> {
        self.inner.state.lock().expect("whole").captured.values().flatten().cloned().collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.inner.closing.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut self.inner.state.lock().expect("whole").threads);
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Inner {
    /// Passes on what arrives at `socket`, which stands for `node`, or for the tracker.
    fn serve(inner: &Arc<Inner>, socket: Arc<UdpSocket>, node: Option<SocketAddr>) {
        let its = inner.clone();
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !its.closing.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    Inner::pass_on(&its, &buffer[..length], from, node);
                }
            }
        });
        inner.state.lock().expect("whole").threads.push(thread);
    }

    fn pass_on(inner: &Arc<Inner>, bytes: &[u8], from: SocketAddr, node: Option<SocketAddr>) {
        let to = node.unwrap_or(inner.tracker);
        let known = inner.state.lock().expect("whole").nodes.get(&from).cloned();
        let via = match (known, node) {
            (_, Some(_)) if from == inner.tracker => inner.face.clone(),
            (Some(via), _) => via,
            // Only who speaks to the tracker is a node.
            (None, Some(_)) => return,
            (None, None) => {
                let via = socket();
                inner.state.lock().expect("whole").nodes.insert(from, via.clone());
                Inner::serve(inner, via.clone(), Some(from));
                via
            }
        };
        let _ = via.send_to(bytes, to);
        let kind = bytes.get(KIND_AT).copied().unwrap_or(0);
        let mut state = inner.state.lock().expect("whole");
        let examples = state.captured.entry((from, to, kind)).or_default();
        if examples.len() < EXAMPLES {
            examples.push(Captured { bytes: bytes.to_vec(), to, via });
        }
    }
}

//! Receiving: batches of datagrams, as the kernel joined them (generic receive offload).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::socket::Family;
use crate::platform::aligned_bytes::AlignedBytes;

/// One receive gives at most so many bytes: joined datagrams (GRO) are together no longer than the longest single one.
const BUFFER: usize = 64 << 10;
/// One system call receives at most so many buffers.
const BATCH: usize = 8;

/// The buffers into which datagrams are received.
pub(crate) struct Receiver {
    family: Family,
    memory: AlignedBytes,
    metas: [RecvMeta; BATCH],
    filled: usize,
}

impl Receiver {
    /// Buffers for a socket of that family.
    pub(crate) fn new(family: Family) -> Receiver {
        Receiver {
            family,
            memory: AlignedBytes::zeroed(BATCH * BUFFER),
            metas: [RecvMeta::default(); BATCH],
            filled: 0,
        }
    }

    /// Receives what is there, up to one batch, and returns whether more may be there. The socket is asked whatever the
    /// reactor knows of it, so that a turn that follows another at once need not go by the reactor.
    ///
    /// # Errors
    /// What the system says of a datagram that was sent once; the socket goes on working.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, state: &UdpSocketState) -> io::Result<bool> {
        self.filled = 0;
        let mut buffers = self.memory.chunks_exact_mut(BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH] = std::array::from_fn(|_| {
            IoSliceMut::new(buffers.next().expect("there is memory for a whole batch"))
        });
        match state.recv(UdpSockRef::from(socket), &mut slices, &mut self.metas) {
            Ok(filled) => {
                self.filled = filled;
                Ok(true)
            }
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                // The reactor hears that nothing is left, and says when something comes.
                let _left: io::Result<()> =
                    socket.try_io(Interest::READABLE, || Err(io::ErrorKind::WouldBlock.into()));
                Ok(false)
            }
            Err(cause) => Err(cause),
        }
    }

    /// The datagrams of the last batch in the order of their arrival, each with its sender.
    pub(crate) fn datagrams(&mut self) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        let joined = self.memory.chunks_exact_mut(BUFFER).zip(&self.metas[..self.filled]);
        joined.flat_map(|(buffer, meta)| {
            let from = self.family.inward(meta.addr);
            let bytes = &mut buffer[..meta.len.min(BUFFER)];
            bytes.chunks_mut(meta.stride.max(1)).map(move |datagram| (from, datagram))
        })
    }
}

//! Sending a burst where the system cannot send from mapped memory: each datagram is read into a buffer and sent from
//! there.

use std::io;
use std::net::SocketAddr;

use messages::CHUNK_HEADER;
use quinn_udp::Transmit;
use riffle_core::{Burst, BurstPart};

use crate::driver::serve::Bytes;
use crate::platform::file_io::read_exact_at;

/// Sends bursts through a buffer of its own.
#[derive(Debug, Default)]
pub(crate) struct Portable {
    buffer: Vec<u8>,
}

impl Portable {
    /// Sends the datagrams of `burst` from `next` on, each by `try_send`, and counts `next` up by those that the system
    /// took.
    ///
    /// # Errors
    /// `WouldBlock`: come again with the same `next`. `UnexpectedEof`: the file no longer has the bytes. Others: the
    /// system's.
    pub(crate) fn send(
        &mut self,
        try_send: impl Fn(&Transmit<'_>) -> io::Result<()>,
        to: SocketAddr,
        burst: &Burst,
        bytes: Bytes<'_>,
        next: &mut usize,
    ) -> io::Result<()> {
        while *next < burst.datagrams() {
            match burst.part(*next) {
                BurstPart::Segment(index) => self.assemble(burst, bytes, index)?,
                BurstPart::Ping(ping) => {
                    self.buffer.clear();
                    messages::encode(burst.first.conversation, &ping, &mut self.buffer);
                }
            }
            let transmit = Transmit {
                destination: to,
                ecn: None,
                contents: &self.buffer,
                segment_size: None,
                src_ip: None,
            };
            try_send(&transmit)?;
            *next += 1;
        }
        Ok(())
    }

    fn assemble(&mut self, burst: &Burst, bytes: Bytes<'_>, index: usize) -> io::Result<()> {
        let span = burst.payload(index);
        let length = (span.end - span.start) as usize;
        self.buffer.resize(CHUNK_HEADER + length, 0);
        let (header, payload) = self.buffer.split_at_mut(CHUNK_HEADER);
        header.copy_from_slice(&burst.header(index).encode());
        match bytes {
            Bytes::Served(served) => read_exact_at(&served.file, payload, span.start),
            Bytes::Memory(bytes) => {
                let at = (span.start - burst.start) as usize;
                payload.copy_from_slice(&bytes[at..at + length]);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::time::Duration;

    use messages::{ChunkHeader, Conversation, PieceIndex};
    use quinn_udp::UdpSocketState;
    use riffle_core::{ShareId, Source};

    use super::*;
    use crate::driver::disk::ServedFile;
    use crate::driver::test_bytes;

    #[test]
    fn a_burst_arrives_to_the_byte_without_a_mapping() {
        let bytes = test_bytes(10_000);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let served = ServedFile { path: "f".into(), file: Arc::new(file), map: None, identity: None };
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let to = receiver.local_addr().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let state = UdpSocketState::new((&sender).into()).unwrap();
        let try_send = |transmit: &Transmit<'_>| state.try_send((&sender).into(), transmit);
        let first = ChunkHeader {
            conversation: Conversation(9),
            sequence: 0,
            request: 5,
            piece: PieceIndex(2),
            offset: 4096,
            sent_at: 77,
            index: 0,
            count: 4,
            hold: 3,
        };
        let source = Source::Share(ShareId(0));
        let burst = Burst {
            to,
            source,
            start: 3000,
            length: 4000,
            segment_size: 1168,
            first,
            no_gso: false,
            ping: None,
        };
        let mut datagram = [0; 2000];
        for source in [Bytes::Served(&served), Bytes::Memory(&bytes[3000..7000])] {
            Portable::default().send(try_send, to, &burst, source, &mut 0).unwrap();
            for index in 0..4 {
                let received = receiver.recv(&mut datagram).unwrap();
                let (header, payload) = ChunkHeader::decode(&datagram[..received]).unwrap();
                let span = burst.payload(index);
                assert_eq!(
                    (header, payload),
                    (burst.header(index), &bytes[span.start as usize..span.end as usize])
                );
            }
        }
        served.file.set_len(5000).unwrap();
        let mut next = 0;
        let shortened =
            Portable::default().send(try_send, to, &burst, Bytes::Served(&served), &mut next).unwrap_err();
        assert_eq!((shortened.kind(), next), (io::ErrorKind::UnexpectedEof, 1));
    }
}

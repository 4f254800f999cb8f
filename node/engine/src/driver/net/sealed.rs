//! Sending bursts over a sealed channel: their bytes are read, or copied, to where they are sealed and sent from, in
//! memory that stays in the processor's cache. The mapping is not touched: a file that was cut short is an error.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::ops::Range;

use channel::{SEALED_CHUNK_PREFIX, SEALED_OVERHEAD, Sealer, TAG_LENGTH};
use messages::CHUNK_HEADER;
use messages::limits::{MAX_BURST_SEGMENTS, MAX_DATAGRAM};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use riffle_core::{Burst, BurstPart};
use tokio::net::UdpSocket;

use crate::driver::serve::Bytes;
use crate::platform::aligned_bytes::AlignedBytes;
use crate::platform::file_io::read_exact_scattered;

/// Seals bursts and sends them.
#[derive(Default)]
pub(crate) struct SealedSender {
    /// The frames of one system call, one behind the other.
    frames: Option<AlignedBytes>,
    /// A PING among the segments, as it is before and after it is sealed.
    ping: (Vec<u8>, Vec<u8>),
}

impl SealedSender {
    /// Sends the datagrams of `burst` from `next` on, whose bytes are `source` (all of the burst's), and counts `next` up
    /// by those that the kernel took.
    ///
    /// # Errors
    /// `WouldBlock`: come again with the same `next`. `UnexpectedEof`: the file no longer has the bytes. Others: the
    /// system's.
    pub(crate) fn send(
        &mut self,
        (state, socket): (&UdpSocketState, &UdpSocket),
        destination: SocketAddr,
        burst: &Burst,
        source: Bytes<'_>,
        sealer: &mut Sealer,
        next: &mut usize,
    ) -> io::Result<()> {
        // A range of one segment may be shorter than that, and so is the PING beside it.
        let longest = usize::from(burst.segment_size).min(burst.length as usize);
        let segment = longest + CHUNK_HEADER + SEALED_OVERHEAD;
        while *next < burst.datagrams() {
            let may_join = !burst.no_gso && state.max_gso_segments() > 1;
            let most = if may_join { (MAX_DATAGRAM / segment).clamp(1, MAX_BURST_SEGMENTS) } else { 1 };
            let parts = *next..burst.datagrams().min(*next + most);
            let length = self.lay_out(burst, source, sealer, parts.clone(), segment)?;
            let frames = self.frames.as_deref().unwrap_or_default();
            let transmit = Transmit {
                destination,
                ecn: None,
                contents: &frames[..length],
                segment_size: (parts.len() > 1).then_some(segment),
                src_ip: None,
            };
            match state.try_send(UdpSockRef::from(socket), &transmit) {
                // The offload is broken, and is not used from now on: what was sealed is sealed anew.
                Err(cause) if parts.len() > 1 && state.max_gso_segments() <= 1 => drop(cause),
                sent => {
                    sent?;
                    *next = parts.end;
                }
            }
        }
        Ok(())
    }

    /// Writes the sealed datagrams `parts` one behind the other, `segment` bytes each but the last. Returns how long they
    /// are together.
    fn lay_out(
        &mut self,
        burst: &Burst,
        source: Bytes<'_>,
        sealer: &mut Sealer,
        parts: Range<usize>,
        segment: usize,
    ) -> io::Result<usize> {
        let frames = self.frames.get_or_insert_with(|| AlignedBytes::zeroed(MAX_DATAGRAM));
        let payload_of = |index| burst.payload(index);
        let length_of = |part| match burst.part(part) {
            BurstPart::Segment(index) => {
                let payload = payload_of(index);
                (payload.end - payload.start) as usize + CHUNK_HEADER + SEALED_OVERHEAD
            }
            BurstPart::Ping(_) => segment,
        };
        let length = (parts.len() - 1) * segment + length_of(parts.end - 1);
        let mut slots: [IoSliceMut<'_>; MAX_BURST_SEGMENTS] =
            std::array::from_fn(|_| IoSliceMut::new(&mut []));
        let (mut used, mut first) = (0, None);
        for (part, frame) in parts.clone().zip(frames[..length].chunks_mut(segment)) {
            if let BurstPart::Segment(index) = burst.part(part) {
                let end = frame.len() - TAG_LENGTH;
                slots[used] = IoSliceMut::new(&mut frame[SEALED_CHUNK_PREFIX..end]);
                used += 1;
                first.get_or_insert(payload_of(index).start);
            }
        }
        if let Some(start) = first {
            read(source, burst, &mut slots[..used], start)?;
        }
        for (part, frame) in parts.zip(frames[..length].chunks_mut(segment)) {
            match burst.part(part) {
                BurstPart::Segment(index) => sealer.seal_chunk(&burst.header(index), frame),
                BurstPart::Ping(ping) => {
                    let (plain, sealed) = &mut self.ping;
                    plain.clear();
                    sealed.clear();
                    messages::encode(burst.first.conversation, &ping, plain);
                    sealer.seal(plain, sealed);
                    frame.copy_from_slice(sealed);
                }
            }
        }
        Ok(length)
    }
}

/// Fills `slots` one after the other with the bytes of the source from `start` on.
fn read(source: Bytes<'_>, burst: &Burst, slots: &mut [IoSliceMut<'_>], start: u64) -> io::Result<()> {
    match source {
        Bytes::Served(served) => read_exact_scattered(&served.file, slots, start),
        Bytes::Memory(bytes) => {
            let mut rest = &bytes[(start - burst.start) as usize..];
            for slot in slots {
                let (here, behind) = rest.split_at(slot.len());
                slot.copy_from_slice(here);
                rest = behind;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;

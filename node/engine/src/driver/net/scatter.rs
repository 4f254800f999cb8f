//! Sending a burst: `[header][mapped bytes][header][mapped bytes]...` in one system call, copied by the kernel alone.
//!
//! With segmentation offload (UDP_SEGMENT) the kernel joins all runs into one stream and cuts it every header +
//! segment bytes; without it, the same runs go as separate datagrams of one `sendmmsg`.

#![expect(
    unsafe_code,
    reason = "sendmsg over mapped memory is not offered by any safe interface; see each block"
)]

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::{mem, ptr};

use messages::CHUNK_HEADER;
use messages::limits::{MAX_BURST_SEGMENTS, MAX_DATAGRAM};
use riffle_core::{Burst, BurstPart};
use socket2::SockAddr;

use crate::platform::mapping::Run;

/// The bytes of one control message that carries a `u16`, aligned as the kernel requires.
#[repr(C, align(8))]
struct Control([u8; 32]);

/// Sends bursts over one socket; remembers whether that can offload segmentation.
pub(crate) struct Scatter {
    headers: Vec<[u8; CHUNK_HEADER]>,
    ping: Vec<u8>,
    runs: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
    offload: bool,
}

impl Scatter {
    /// `offload`: whether to try segmentation offload.
    pub(crate) fn new(offload: bool) -> Scatter {
        Scatter {
            headers: Vec::with_capacity(MAX_BURST_SEGMENTS),
            ping: Vec::new(),
            runs: Vec::with_capacity(2 * MAX_BURST_SEGMENTS),
            messages: Vec::with_capacity(MAX_BURST_SEGMENTS),
            offload,
        }
    }

    /// Whether segmentation is still offloaded.
    #[cfg(test)]
    pub(crate) fn offloads(&self) -> bool {
        self.offload
    }

    /// Sends the datagrams of `burst` from `next` on, whose bytes are `source` (all of the burst's), and counts `next`
    /// up by those that the kernel took.
    ///
    /// # Errors
    /// `WouldBlock`: come again with the same `next`. `EFAULT`: the file no longer has the bytes. Others: the system's.
    pub(crate) fn send(
        &mut self,
        socket: impl AsFd,
        to: &SockAddr,
        burst: &Burst,
        source: Run<'_>,
        next: &mut usize,
    ) -> io::Result<()> {
        assert_eq!(source.length(), burst.length as usize, "a burst is sent from exactly its bytes");
        let max_datagrams_a_call = max_datagrams_a_call(burst.segment_size);
        while *next < burst.datagrams() {
            let parts = *next..burst.datagrams().min(*next + max_datagrams_a_call);
            *next += self.send_some(socket.as_fd(), to, burst, source, parts)?;
        }
        Ok(())
    }

    /// Sends at least one of the datagrams `parts`, and returns how many it sent.
    fn send_some(
        &mut self,
        socket: BorrowedFd<'_>,
        to: &SockAddr,
        burst: &Burst,
        source: Run<'_>,
        parts: Range<usize>,
    ) -> io::Result<usize> {
        self.lay_out(burst, source, parts.clone());
        if parts.len() == 1 {
            return self.send_joined(socket, to, None).map(|()| 1);
        }
        if !self.offload || burst.no_gso {
            return self.send_separately(socket, to);
        }
        // The first of several is as long as any.
        let segment = self.runs[0].iov_len + self.runs[1].iov_len;
        match self.send_joined(socket, to, Some(segment as u16)) {
            Ok(()) => Ok(parts.len()),
            Err(cause) if cause.raw_os_error() == Some(libc::EIO) => {
                // The interface cannot do it, and says so each time.
                self.offload = false;
                self.send_separately(socket, to)
            }
            Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => {
                // Either the segment does not fit the path, and then it does not fit alone; or it is the offload.
                let sent = self.send_separately(socket, to)?;
                self.offload = false;
                Ok(sent)
            }
            Err(cause) => Err(cause),
        }
    }

    /// Prepares two runs for each of the datagrams `parts`: the header and the payload. The second run of a PING is
    /// empty.
    fn lay_out(&mut self, burst: &Burst, source: Run<'_>, parts: Range<usize>) {
        self.headers.clear();
        self.ping.clear();
        self.runs.clear();
        for index in parts.clone() {
            match burst.part(index) {
                BurstPart::Segment(index) => self.headers.push(burst.header(index).encode()),
                BurstPart::Ping(ping) => messages::encode(burst.first.conversation, &ping, &mut self.ping),
            }
        }
        let mut headers = self.headers.iter();
        for index in parts {
            let (head, payload) = match burst.part(index) {
                BurstPart::Segment(index) => {
                    let payload = burst.payload(index);
                    let relative =
                        (payload.start - burst.start) as usize..(payload.end - burst.start) as usize;
                    (Run::of(headers.next().expect("each segment has its header")), source.part(relative))
                }
                BurstPart::Ping(_) => (Run::of(&self.ping), Run::of(&[])),
            };
            self.runs.extend([iovec_of(head), iovec_of(payload)]);
        }
    }

    fn message(&mut self, to: &SockAddr, runs: Range<usize>) -> libc::msghdr {
        // SAFETY: a msghdr is a plain C struct; all zeros is a valid one (null pointers, lengths of zero).
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_name = to.as_ptr().cast_mut().cast();
        message.msg_namelen = to.len();
        let runs = &mut self.runs[runs];
        message.msg_iov = runs.as_mut_ptr();
        message.msg_iovlen = runs.len() as _;
        message
    }

    /// Sends all that is laid out in one system call. The kernel cuts it every `segment` bytes.
    fn send_joined(&mut self, socket: BorrowedFd<'_>, to: &SockAddr, segment: Option<u16>) -> io::Result<()> {
        let mut control = Control([0; 32]);
        let mut message = self.message(to, 0..self.runs.len());
        if let Some(segment) = segment {
            // SAFETY: CMSG_SPACE and CMSG_LEN only compute. The message's control is `control`, which outlives the
            // call, is aligned for a cmsghdr and, as asserted, has room for one with a u16 behind it; so
            // CMSG_FIRSTHDR gives a pointer into it, and the header and the u16 are written inside it (unaligned).
            unsafe {
                let space = libc::CMSG_SPACE(mem::size_of::<u16>() as _) as usize;
                assert!(space <= control.0.len());
                message.msg_control = control.0.as_mut_ptr().cast();
                message.msg_controllen = space as _;
                let header = libc::CMSG_FIRSTHDR(&message);
                (*header).cmsg_level = libc::SOL_UDP;
                (*header).cmsg_type = libc::UDP_SEGMENT;
                (*header).cmsg_len = libc::CMSG_LEN(mem::size_of::<u16>() as _) as _;
                ptr::write_unaligned(libc::CMSG_DATA(header).cast::<u16>(), segment);
            }
        }
        loop {
            // SAFETY: `message` points to `to`, `control` and `self.runs`, all alive and not moved until the call
            // returns; the runs point to `self.headers` and `self.ping`, alike, and into the source, which `send`
            // borrows. The kernel only reads them: pages that a shortened file no longer has are EFAULT, not a signal.
            let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_DONTWAIT) };
            match sent {
                0.. => return Ok(()),
                _ => interrupted_or(io::Error::last_os_error())?,
            }
        }
    }

    /// Sends each datagram that is laid out by itself, and returns how many the kernel took.
    fn send_separately(&mut self, socket: BorrowedFd<'_>, to: &SockAddr) -> io::Result<usize> {
        self.messages.clear();
        for index in 0..self.runs.len() / 2 {
            let msg_hdr = self.message(to, 2 * index..2 * index + 2);
            self.messages.push(libc::mmsghdr { msg_hdr, msg_len: 0 });
        }
        loop {
            // SAFETY: as for `sendmsg` above; `self.messages` has as many initialised entries as are announced, and
            // each points to two entries of `self.runs`, which is not touched between laying out and this call.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.messages.as_mut_ptr(),
                    self.messages.len() as _,
                    libc::MSG_DONTWAIT as _,
                )
            };
            match usize::try_from(sent) {
                Ok(sent) => return Ok(sent.max(1)),
                Err(_) => interrupted_or(io::Error::last_os_error())?,
            }
        }
    }
}

/// How many datagrams one system call takes: segmentation offload is limited to the bytes of the longest datagram.
fn max_datagrams_a_call(segment_size: u16) -> usize {
    let segment = usize::from(segment_size) + CHUNK_HEADER;
    (MAX_DATAGRAM / segment).clamp(1, MAX_BURST_SEGMENTS)
}

fn iovec_of(run: Run<'_>) -> libc::iovec {
    libc::iovec { iov_base: run.start().cast_mut().cast(), iov_len: run.length() }
}

fn interrupted_or(cause: io::Error) -> io::Result<()> {
    if cause.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(cause) }
}

#[cfg(test)]
mod tests;

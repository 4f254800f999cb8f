//! A bare sender with segmentation offload and a bare receiver with GRO: what UDP gives here when nothing is read, hashed
//! or written. The receiver grants a window, as Riffle's downloader does, so that nothing is lost in its buffer.
//!
//! Both are this very program, started again with a verb of their own, so that they can be in other namespaces and
//! are counted like everybody.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Contestant, LIMIT};
use crate::figures::Run;
use crate::process::{Process, Watch};
use crate::site::{End, Site};
use crate::stage::Stage;

/// The verbs that this program is started again with.
pub(crate) const GIVE: &str = "bare-give";
/// The same, for the receiver.
pub(crate) const TAKE: &str = "bare-take";
/// The longest payload of a datagram over IPv4, and so of what is cut into segments.
const LONGEST: usize = 65_507;
/// What one receive can give.
const BUFFER: usize = 64 << 10;
/// How much is under way: far less than a socket's buffer holds. Between 256 KiB and no window at all the rate over veth is
/// the same within a tenth; at 128 KiB it is a third less.
const WINDOW: u64 = 1 << 20;
/// How often the receiver says how much it has.
const GRANT_EVERY: u64 = 128 << 10;
/// What is under way is lost when nothing was heard for so long.
const LOST: Duration = Duration::from_millis(50);
/// Who takes says nothing any more: it has gone.
const GONE: Duration = Duration::from_secs(2);

/// The socket and what quinn-udp knows of it.
struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    fn bind(address: SocketAddr) -> Result<Socket> {
        let socket = UdpSocket::bind(address)?;
        let state = UdpSocketState::new((&socket).into())?;
        for size in [8 << 20, 4 << 20] {
            // As much as is granted.
            let _ = state.set_recv_buffer_size((&socket).into(), size);
            let _ = state.set_send_buffer_size((&socket).into(), size);
        }
        Ok(Socket { socket, state })
    }

    /// Waits until there is something to read or room to write; whether there is.
    fn wait(&self, what: PollFlags, longest: Duration) -> Result<bool> {
        let longest =
            Timespec { tv_sec: longest.as_secs() as i64, tv_nsec: i64::from(longest.subsec_nanos()) };
        Ok(poll(&mut [PollFd::new(&self.socket, what)], Some(&longest))? > 0)
    }

    /// A grant: how much is wanted in all, how much has come.
    fn hear(&self) -> Result<Option<(SocketAddr, u64, u64)>> {
        let mut bytes = [0; 16];
        match self.socket.recv_from(&mut bytes) {
            Ok((16, from)) => {
                let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or(0);
                Ok(Some((from, number(&bytes[..8]), number(&bytes[8..]))))
            }
            // Something else, or about a receiver that has gone.
            Ok(_) => Ok(None),
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }
}

/// Gives whoever asks as many bytes as it asks for, in segments of a size, one after the other, for ever.
pub(crate) fn give(listen: SocketAddr, segment: usize) -> Result<()> {
    let socket = Socket::bind(listen)?;
    println!("giving at {}", socket.socket.local_addr()?);
    loop {
        socket.wait(PollFlags::IN, GONE)?;
        if let Some((to, wanted, 0)) = socket.hear()? {
            give_to(&socket, to, wanted, segment)?;
        }
    }
}

fn give_to(socket: &Socket, to: SocketAddr, wanted: u64, segment: usize) -> Result<()> {
    let at_once = (LONGEST / segment).clamp(1, socket.state.max_gso_segments());
    let bytes = vec![7; at_once * segment];
    let transmit =
        Transmit { destination: to, ecn: None, contents: &bytes, segment_size: Some(segment), src_ip: None };
    let (mut sent, mut arrived) = (0_u64, 0_u64);
    let mut heard = Instant::now();
    while arrived < wanted {
        while let Some((from, _, has)) = socket.hear()? {
            if from == to && has > arrived {
                (arrived, heard) = (has, Instant::now());
            }
        }
        if sent.saturating_sub(arrived) < WINDOW {
            match socket.state.try_send((&socket.socket).into(), &transmit) {
                Ok(()) => sent += bytes.len() as u64,
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    socket.wait(PollFlags::OUT, LOST)?;
                }
                Err(cause) => return Err(cause).context("a bare burst"),
            }
        } else if !socket.wait(PollFlags::IN, LOST)? {
            sent = arrived;
        }
        if heard.elapsed() > GONE {
            return Ok(());
        }
    }
    Ok(())
}

/// Asks for `wanted` bytes and leaves when they have come.
pub(crate) fn take(listen: SocketAddr, from: SocketAddr, wanted: u64) -> Result<()> {
    let socket = Socket::bind(listen)?;
    let mut memory = vec![0; BATCH_SIZE * BUFFER];
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    let (mut has, mut granted) = (0_u64, 0_u64);
    let grant = |has: u64| -> Result<()> {
        let bytes = [wanted.to_le_bytes(), has.to_le_bytes()].concat();
        socket.socket.send_to(&bytes, from)?;
        Ok(())
    };
    grant(0)?;
    let began = Instant::now();
    while has < wanted {
        let mut buffers = memory.chunks_exact_mut(BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        match socket.state.recv((&socket.socket).into(), &mut slices, &mut metas) {
            Ok(count) => has += metas[..count].iter().map(|meta| meta.len as u64).sum::<u64>(),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                if !socket.wait(PollFlags::IN, LOST)? {
                    // Lost: the giver, which hears nothing, sends as much again.
                    grant(has)?;
                }
            }
            Err(cause) => return Err(cause.into()),
        }
        if has - granted >= GRANT_EVERY {
            granted = has;
            grant(has)?;
        }
        if began.elapsed() > LIMIT {
            bail!("{has} of {wanted} bytes after {LIMIT:?}");
        }
    }
    // Once would do, unless it is lost: then the giver leaves by itself, after a while.
    grant(has)
}

/// The pair, for a table.
pub(crate) struct Bare<'a> {
    site: &'a Site,
    giver: Process,
    address: String,
    segment: usize,
    length: u64,
}

impl<'a> Bare<'a> {
    /// Starts the giver.
    pub(crate) fn start(stage: &Stage, site: &'a Site, segment: usize, length: u64) -> Result<Bare<'a>> {
        let mut command = site.command(End::Giving, std::env::current_exe()?);
        command.args([GIVE, &format!("{}:0", site.address(End::Giving)), &segment.to_string()]);
        let mut giver = Process::start(&mut command, &format!("bare-giver-{segment}"), stage.path())?;
        let address = giver.wait_until(stage, "its address", |said| {
            Some(said.split_once("giving at ")?.1.split_once('\n')?.0.to_owned())
        })?;
        Ok(Bare { site, giver, address, segment, length })
    }
}

impl Contestant for Bare<'_> {
    fn name(&self) -> String {
        format!("bare UDP, GSO + GRO, {} B", self.segment)
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (Vec::new(), 0)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let mut command = self.site.command(End::Taking, std::env::current_exe()?);
        let listen = format!("{}:0", self.site.address(End::Taking));
        command.args([TAKE, &listen, &self.address, &self.length.to_string()]);
        let watch = Watch::begin([&mut self.giver])?;
        let taker = Process::start(&mut command, "bare-taker", stage.path())?;
        watch.until_ended(stage, vec![taker], self.length, LIMIT)
    }
}

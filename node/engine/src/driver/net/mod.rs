//! The socket: how it is bound, how batches of datagrams come in, and how datagrams and bursts go out.

#[cfg(any(test, not(target_os = "linux")))]
mod portable;
mod receive;
#[cfg(target_os = "linux")]
mod scatter;
mod sealed;
mod socket;
mod transmit;

pub(crate) use self::receive::Receiver;
pub(crate) use self::socket::{BoundSocket, receive_buffer_hint};
pub(crate) use self::transmit::{TransmitCounters, Transmitter};

#![doc = include_str!("../README.md")]

mod aead;
mod attempt;
mod budget;
mod channels;
mod code;
mod direction;
mod frame;
mod handshake;
mod handshake_times;
mod identity;
mod knock;
mod members;
mod policy;
mod publisher;
mod replay;
#[cfg(feature = "secret-files")]
pub mod secret_file;
mod swarm;
mod swarm_secrets;
mod swarms;
mod table;
mod text;
mod ticket;

pub use aead::Suite;
pub use channels::{
    ChannelCounters, ChannelNews, ChannelSettings, Channels, OpenedChunk, PeerChannel, Received, Role,
};
pub use code::{
    Code, CodeConfirmed, CodeGift, CodeReceiver, CodeSender, CodeWords, GiftError, ParseCodeError,
    complete_code,
};
pub use direction::Sealer;
pub use frame::{OPENED_CHUNK_PREFIX, SEALED_CHUNK_PREFIX, SEALED_OVERHEAD, TAG_LENGTH, sealed_length};
pub use identity::{PublicKey, StaticKey};
pub use knock::Knock;
pub use members::{Members, MembersMistake, ParseMembersError};
pub use policy::{Encryption, Policy};
pub use publisher::{ParsePublisherError, Publication, Publisher, PublisherKey};
#[cfg(feature = "secret-files")]
pub use secret_file::members_file::{MembersFile, MembersFileError, MembersFileTrouble};
#[cfg(feature = "secret-files")]
pub use secret_file::swarm_file::{SwarmFile, SwarmFileError, SwarmFileTrouble};
pub use swarm::SwarmSecret;
pub use swarm_secrets::{OlderSecret, ParseSecretError, ParseSecretsError, SwarmSecrets};
pub use text::ParseKeyError;
pub use ticket::{Ticket, TicketError, TicketTracker, TicketTrackerError};

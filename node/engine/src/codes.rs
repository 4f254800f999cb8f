//! Codes over the network: who offers one, and who redeems one. Each talks to a tracker's desk from a socket of its own,
//! with a key that nobody knows.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use channel::{
    ChannelSettings, Channels, Code, CodeGift, Policy, PublicKey, Received, Role, StaticKey, Suite,
    SwarmSecret,
};
use config::{NodeSettings, SecretFiles};
use messages::codes::UncalledReason;
use messages::{BootEpoch, Conversation, ExchangeId, Kind, Timestamp};
use rand::TryRng as _;
use rand::rngs::SysRng;
use riffle_core::{
    CallEnd, CodeCall, CodeCallStep, CodeOffer, CodeOfferStep, OfferEnd, OfferLimits, OfferNews,
};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};

use crate::tracker::{QueryError, TrackerChoice, TrackerQuery, TrackerStatus};

/// The longest datagram of a desk, in bytes, sealed.
const MAX_LENGTH: usize = messages::limits::CONTROL_DATAGRAM + 64;
/// A socket that cannot be used is tried again after this long.
const SOCKET_REST: Duration = Duration::from_millis(250);
/// How long the end of a code is waited for.
const WITHDRAW_TIME: Duration = Duration::from_secs(1);

/// A socket, and a channel with the desk of the tracker at one address.
struct DeskLink {
    address: SocketAddr,
    socket: UdpSocket,
    channels: Channels,
    started: Instant,
    received: [u8; MAX_LENGTH + 1],
}

impl DeskLink {
    /// To the desk at `address`, whose tracker has `key`, if that is known. Its time began at `started`.
    async fn open(address: SocketAddr, key: Option<PublicKey>, started: Instant) -> io::Result<DeskLink> {
        let any = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        socket.connect(address).await?;
        let mut channels = Channels::new(ChannelSettings {
            key: StaticKey::random()?,
            swarm: SwarmSecret::codes(),
            policy: Policy::SEALED,
            role: Role::Node,
            max_channels: 2,
            max_channels_per_host: 2,
            epoch: BootEpoch(0),
            secret: random()?,
            suite: Suite::preferred(),
        });
        if let Some(key) = key {
            channels.expect_key(address, key);
        }
        Ok(DeskLink { address, socket, channels, started, received: [0; MAX_LENGTH + 1] })
    }

    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.started.elapsed()
    }

    /// Sends one datagram, or what has to be said before it. What the path refuses is said again, like what is lost on it.
    async fn send(&mut self, datagram: &[u8]) {
        let (now, mut sealed) = (self.now(), Vec::new());
        let leaves = self.channels.seal(self.address, datagram, now, &mut sealed);
        self.send_outbox().await;
        if leaves {
            drop(self.socket.send(&sealed).await);
        }
    }

    async fn send_outbox(&mut self) {
        for (_, bytes) in self.channels.take_outbox() {
            drop(self.socket.send(&bytes).await);
        }
    }

    /// Whether the desk has proven to be there.
    fn is_open(&self) -> bool {
        !self.channels.is_empty()
    }

    /// Waits until `until` for something that the desk says. May be cancelled: nothing is lost by it.
    async fn receive(&mut self, until: Timestamp) -> Vec<Vec<u8>> {
        let left = until.since(self.now());
        let length = match tokio::time::timeout(left, self.socket.recv(&mut self.received)).await {
            Ok(Ok(length)) => length,
            // Nobody is there now: somebody may be before the time is over.
            Ok(Err(_)) => {
                tokio::time::sleep(left.min(SOCKET_REST)).await;
                return Vec::new();
            }
            Err(_) => return Vec::new(),
        };
        let now = self.now();
        let bytes = self.received.get_mut(..length).unwrap_or_default();
        if !Kind::is_channel(bytes) {
            return Vec::new();
        }
        match self.channels.handle(self.address, bytes, now) {
            Received::Opened { range, .. } => vec![bytes[range].to_vec()],
            Received::Greeted { early, .. } => early,
            Received::Answered | Received::Nothing => Vec::new(),
        }
    }
}

fn random<const LENGTH: usize>() -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Why a code could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// The system gives no random bytes, of which the words are made.
    #[error("the system gives no random bytes: {0}")]
    NoRandomBytes(#[from] io::Error),
}

/// What becomes of a code that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeNews {
    /// This is the code: it can be told now.
    Ready(Code),
    /// Somebody had the right words: so many by now.
    Given(u32),
    /// Somebody had wrong words. So many more are taken.
    WrongWords {
        /// How many more are taken.
        left: u32,
    },
    /// There were too many wrong words: the code is good for nobody any more.
    Dead,
    /// The code is over, or there never was one. This is the last news.
    Ended(OfferEnd),
}

/// A code that is offered, until it ends or this is dropped.
#[derive(Debug)]
pub struct OfferedCode {
    news: mpsc::UnboundedReceiver<CodeNews>,
    /// Dropped to end the code.
    offered: Option<oneshot::Sender<()>>,
}

impl OfferedCode {
    /// Offers `gift` at the desk of the tracker of `status`, and follows it.
    pub(crate) fn start(
        status: watch::Receiver<TrackerStatus>,
        gift: CodeGift,
        limits: OfferLimits,
    ) -> Result<OfferedCode, OfferError> {
        let started = Instant::now();
        let offer = CodeOffer::new(gift, limits, random()?, Timestamp::ZERO);
        let (told, news) = mpsc::unbounded_channel();
        let (offered, withdrawn) = oneshot::channel();
        tokio::spawn(serve(offer, (status, started), told, withdrawn));
        Ok(OfferedCode { news, offered: Some(offered) })
    }

    /// The next news; `None`: there is no more.
    pub async fn next(&mut self) -> Option<CodeNews> {
        self.news.recv().await
    }

    /// Ends the code now, and tells the desk.
    pub async fn withdraw(mut self) {
        drop(self.offered.take());
        let ended = async { while self.news.recv().await.is_some() {} };
        // A desk that is not told lets the number go by itself.
        let _ = tokio::time::timeout(WITHDRAW_TIME, ended).await;
    }
}

/// Carries what `offer` says to the desk and back, wherever the tracker is, until it is over.
async fn serve(
    mut offer: CodeOffer,
    (status, started): (watch::Receiver<TrackerStatus>, Instant),
    told: mpsc::UnboundedSender<CodeNews>,
    mut withdrawn: oneshot::Receiver<()>,
) {
    let now = || Timestamp::ZERO + started.elapsed();
    let (mut link, mut datagram): (Option<DeskLink>, _) = (None, Vec::new());
    loop {
        let address = status.borrow().address;
        if let Some(address) = address.filter(|address| link.as_ref().is_none_or(|it| it.address != *address))
        {
            let key = status.borrow().key;
            match DeskLink::open(address, key, started).await {
                Ok(opened) => link = Some(opened),
                Err(error) => tracing::debug!(%address, %error, "no way to the desk"),
            }
        }
        datagram.clear();
        let news = match offer.poll(now(), &mut datagram) {
            CodeOfferStep::Send => {
                if let Some(link) = &mut link {
                    link.send(&datagram).await;
                }
                continue;
            }
            CodeOfferStep::Wait(until) => {
                let until = until.min(now() + Duration::from_secs(1));
                tokio::select! {
                    heard = wait(&mut link, until, now) => {
                        heard.iter().for_each(|datagram| offer.handle_datagram(datagram, now()));
                        if let Some(link) = &mut link {
                            link.send_outbox().await;
                        }
                    }
                    // Whoever had the code is gone, or has asked for the end. Nothing is waited for behind that.
                    _ = &mut withdrawn => offer.withdraw(),
                }
                continue;
            }
            CodeOfferStep::News(OfferNews::Ready(code)) => {
                tracing::info!(number = %code.number, "a code is offered");
                CodeNews::Ready(code)
            }
            CodeOfferStep::News(OfferNews::Given(given)) => {
                tracing::info!(given, "a code was redeemed");
                CodeNews::Given(given)
            }
            CodeOfferStep::News(OfferNews::WrongWords { left }) => {
                tracing::warn!(left, "somebody called a code with wrong words");
                CodeNews::WrongWords { left }
            }
            CodeOfferStep::News(OfferNews::Dead) => {
                tracing::warn!("too many wrong words: the code is good for nobody any more");
                CodeNews::Dead
            }
            CodeOfferStep::Over(end) => {
                tracing::info!(?end, "a code has ended");
                let _ = told.send(CodeNews::Ended(end));
                return;
            }
        };
        let _ = told.send(news);
    }
}

/// What the desk says until then, if there is a way to it.
async fn wait(link: &mut Option<DeskLink>, until: Timestamp, now: impl Fn() -> Timestamp) -> Vec<Vec<u8>> {
    match link {
        Some(link) => link.receive(until).await,
        None => {
            tokio::time::sleep(until.since(now()).min(SOCKET_REST)).await;
            Vec::new()
        }
    }
}

/// Why a code brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// The tracker cannot be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The tracker's name leads nowhere.
    #[error("the tracker {0} is not there: {1}")]
    NoTracker(String, String),
    /// The system gives no socket to it, or no random bytes.
    #[error("the tracker {0} cannot be asked: {1}")]
    NoSocket(String, #[source] io::Error),
    /// It was asked, and this came of it.
    #[error("{}", in_words(.end, .tracker))]
    Refused {
        /// How it ended; never [`CallEnd::Got`].
        end: CallEnd,
        /// The tracker that was asked.
        tracker: String,
    },
}

/// What a person is told.
fn in_words(end: &CallEnd, tracker: &str) -> String {
    match end {
        CallEnd::Got(_) => "the code was right".to_owned(),
        CallEnd::Wrong => {
            "the code is wrong, or somebody in between is guessing: compare it with the sender's, \
                           who is told of each wrong one; if it is the same, ask for another code"
                .to_owned()
        }
        CallEnd::Dead => {
            "the code is dead: wrong words were tried too often, by whomever; ask the sender for \
                          another code"
                .to_owned()
        }
        CallEnd::NoSuchNumber => format!(
            "the tracker {tracker} knows no code with this number: compare it with the sender's, and the tracker; \
             --tracker HOST:PORT names another"
        ),
        CallEnd::Ended => {
            "the code has ended: its time is over, or the sender is gone; ask for another code".to_owned()
        }
        CallEnd::Busy => {
            format!("the tracker {tracker} is asked for too many codes at once: try again in a minute")
        }
        CallEnd::SenderSilent => {
            "the sender does not answer, though the code was good a moment ago: try again".to_owned()
        }
        CallEnd::DeskSilent => format!("no tracker that serves codes answers at {tracker}{WITHOUT_DESK}"),
        CallEnd::Unusable => {
            "the code is right, and what it stands for is of a version that this riffle does not \
                              know; a later one does"
                .to_owned()
        }
    }
}

/// Behind what has no desk.
const WITHOUT_DESK: &str = ": a tracker of a closed swarm serves codes if it was started with --codes always, and an \
                            older one does not; --tracker HOST:PORT names another";

impl CodeNews {
    /// What a person is told when the code is over.
    #[must_use]
    pub fn end_in_words(end: OfferEnd, tracker: &TrackerStatus) -> String {
        match end {
            OfferEnd::TimeOver => "the code has ended: its time is over".to_owned(),
            OfferEnd::Withdrawn => "the code was withdrawn".to_owned(),
            OfferEnd::DeskSilent => {
                format!("there is no code: no tracker that serves codes answers at {tracker}{WITHOUT_DESK}")
            }
            OfferEnd::Refused(UncalledReason::Full) => {
                format!("there is no code: the tracker {tracker} has too many codes already")
            }
            OfferEnd::Refused(_) => {
                "the code has ended: the tracker was restarted, and others have its number now".to_owned()
            }
        }
    }
}

/// Gets what `code` stands for from its sender, by way of the tracker of `choice`: the ticket of a content, and in a
/// closed swarm its secrets. `settings` say where to listen. It is tried once: each try is a guess, of whoever answers
/// too.
///
/// # Errors
/// Why the code brought nothing, in words for a person.
pub async fn redeem_code(
    code: &Code,
    choice: &TrackerChoice,
    settings: &NodeSettings,
) -> Result<CodeGift, RedeemError> {
    // Who redeems a code has no secret yet, and needs none.
    let mut query = TrackerQuery::new(
        choice,
        &NodeSettings { secret_file: SecretFiles::NONE, ..settings.clone() },
        None,
    )?;
    let address = query.locate().await;
    let TrackerStatus { trouble, key, .. } = query.tracker().clone();
    let tracker = query.tracker().to_string();
    let Some(address) = address else {
        let trouble = trouble.unwrap_or_else(|| "its name leads nowhere".to_owned());
        return Err(RedeemError::NoTracker(tracker, trouble));
    };
    match call(code, address, key).await {
        Ok(CallEnd::Got(gift)) => Ok(*gift),
        Ok(end) => Err(RedeemError::Refused { end, tracker }),
        Err(error) => Err(RedeemError::NoSocket(tracker, error)),
    }
}

/// One exchange with the sender of `code`, over the desk at `address`.
async fn call(code: &Code, address: SocketAddr, key: Option<PublicKey>) -> io::Result<CallEnd> {
    let mut link = DeskLink::open(address, key, Instant::now()).await?;
    let conversation = Conversation(u32::from_le_bytes(random()?));
    let exchange = ExchangeId::from_bytes(random()?);
    let mut call = CodeCall::new(code, exchange, conversation, &random()?, link.now());
    let mut datagram = Vec::new();
    loop {
        datagram.clear();
        match call.poll(link.now(), &mut datagram) {
            CodeCallStep::Send => link.send(&datagram).await,
            CodeCallStep::Over(end) => return Ok(end),
            CodeCallStep::Wait(until) => {
                let heard = link.receive(until).await;
                heard.iter().for_each(|datagram| call.handle_datagram(datagram, link.now()));
                if link.is_open() {
                    call.on_desk();
                }
                link.send_outbox().await;
            }
        }
    }
}

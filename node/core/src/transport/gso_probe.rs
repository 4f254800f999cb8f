//! Whether bursts arrive whole, or segmentation offload (GSO) is silently broken on the way: bursts are lost from some
//! segment on while datagrams that are sent one by one arrive.
//!
//! ```text
//!   Bursts ──8 in a row break──▶ Singles ──most of 16 arrive──▶ Confirming ──3 more break──▶ Broken
//!     ▲                             │ else                        │ one does not
//!     ╰─────────────────────────────┴─────────────────────────────╯
//! ```
//!
//! A burst breaks when all is lost behind as many of its first segments as arrived of the one that broke before it: a
//! full queue takes other parts of each. So loss, full queues and outages, which take single datagrams as well, are not
//! taken for it.

use messages::Timestamp;

use super::outstanding::Outstanding;

/// So many bursts in a row break before single segments are tried. A burst no longer than what arrived of the broken
/// ones says nothing.
const SUSPICIOUS_BURSTS: u32 = 8;
/// So many single segments are asked for then.
const SINGLES: u32 = 16;
/// So many of the single segments have to arrive.
const MIN_ARRIVED_SINGLES: u32 = 12;
/// So many bursts more have to break to confirm it.
const CONFIRMING_BURSTS: u32 = 3;

/// What bursts did lately. What was asked for before `since` says nothing about the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GsoProbe {
    Bursts { broken: BrokenBursts },
    Singles { since: Timestamp, broken: BrokenBursts, arrived: u32, lost: u32 },
    Confirming { since: Timestamp, broken: BrokenBursts },
    Broken,
}

/// Bursts that broke one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BrokenBursts {
    count: u32,
    /// How many segments of the last one arrived.
    arrived: u32,
}

impl BrokenBursts {
    /// The count with `burst`, of which nothing more is expected.
    fn and(self, burst: &Outstanding) -> BrokenBursts {
        let (segments, arrived) = (burst.segments(), burst.arrived());
        let breaks = arrived < segments && burst.arrived_is_first();
        match breaks {
            true if arrived == self.arrived => BrokenBursts { count: self.count + 1, arrived },
            true => BrokenBursts { count: 1, arrived },
            false if segments <= self.arrived => self,
            false => BrokenBursts::default(),
        }
    }
}

impl Default for GsoProbe {
    fn default() -> GsoProbe {
        GsoProbe::Bursts { broken: BrokenBursts::default() }
    }
}

impl GsoProbe {
    /// Whether single segments are to be asked for, to see how they fare.
    pub(super) fn wants_singles(self) -> bool {
        matches!(self, GsoProbe::Singles { .. })
    }

    /// A segment arrived that had been given up: it was late, not lost.
    pub(super) fn on_late(&mut self) {
        if *self != GsoProbe::Broken {
            *self = GsoProbe::default();
        }
    }

    /// Nothing more is expected of `burst`.
    pub(super) fn on_finished(&mut self, burst: &Outstanding, now: Timestamp) {
        let (is_single, asked_at) = (burst.segments() == 1, burst.asked_at());
        *self = match *self {
            GsoProbe::Bursts { broken } if !is_single => match broken.and(burst) {
                broken if broken.count >= SUSPICIOUS_BURSTS => {
                    GsoProbe::Singles { since: now, broken, arrived: 0, lost: 0 }
                }
                broken => GsoProbe::Bursts { broken },
            },
            GsoProbe::Singles { since, broken, arrived, lost } if is_single && asked_at >= since => {
                let (arrived, lost) = (arrived + burst.arrived(), lost + 1 - burst.arrived());
                match arrived + lost >= SINGLES {
                    true if arrived >= MIN_ARRIVED_SINGLES => GsoProbe::Confirming { since: now, broken },
                    true => GsoProbe::default(),
                    false => GsoProbe::Singles { since, broken, arrived, lost },
                }
            }
            GsoProbe::Confirming { since, broken } if !is_single && asked_at >= since => {
                match broken.and(burst) {
                    broken if broken.count >= SUSPICIOUS_BURSTS + CONFIRMING_BURSTS => GsoProbe::Broken,
                    BrokenBursts { count: 0, .. } => GsoProbe::default(),
                    broken => GsoProbe::Confirming { since, broken },
                }
            }
            unchanged => unchanged,
        };
    }
}

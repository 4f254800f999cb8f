//! Whether bursts arrive whole, or segmentation offload (GSO) is silently broken on the way, so that bursts are lost
//! from some segment on while datagrams that are sent one by one arrive.
//!
//! ```text
//!   Bursts ──8 in a row break──▶ Singles ──most of 16 arrive──▶ Confirming ──3 more break──▶ Broken
//!     ▲                             │ else                        │ one does not
//!     ╰─────────────────────────────┴─────────────────────────────╯
//! ```
//!
//! A burst breaks when all its segments are lost but the first ones, and as many of these arrived as of the burst that
//! broke before it. A full queue takes different parts of each burst. So random loss, full queues and outages, which
//! take single datagrams as well, are not mistaken for broken offload.

use messages::Timestamp;

use super::outstanding::Outstanding;

/// This many bursts in a row break before single segments are tried. A burst that is no longer than what arrived of the
/// broken ones does not count.
const SUSPICIOUS_BURSTS: u32 = 8;
/// This many single segments are then asked for.
const SINGLES: u32 = 16;
/// At least this many of the single segments have to arrive.
const MIN_ARRIVED_SINGLES: u32 = 12;
/// This many further bursts have to break to confirm that offload is broken.
const CONFIRMING_BURSTS: u32 = 3;

/// The state of the probe. Segments that were asked for before `since` do not count in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GsoProbe {
    Bursts { broken: BrokenBursts },
    Singles { since: Timestamp, broken: BrokenBursts, arrived: u32, lost: u32 },
    Confirming { since: Timestamp, broken: BrokenBursts },
    Broken,
}

/// The bursts that broke one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BrokenBursts {
    count: u32,
    /// How many segments of the last broken burst arrived.
    arrived: u32,
}

impl BrokenBursts {
    /// The count after `burst`, of which nothing more is expected.
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
    /// Whether single segments are to be asked for, to find out whether they arrive.
    pub(super) fn wants_singles(self) -> bool {
        matches!(self, GsoProbe::Singles { .. })
    }

    /// Records that a segment that had been given up has arrived: it was late, not lost.
    pub(super) fn on_late(&mut self) {
        if *self != GsoProbe::Broken {
            *self = GsoProbe::default();
        }
    }

    /// Records that nothing more is expected of `burst`.
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

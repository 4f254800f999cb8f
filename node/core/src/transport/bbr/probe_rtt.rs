//! ProbeRtt: the flow asks for little for a while, to measure the path without its queue (draft-ietf-ccwg-bbr §5.3.4).

use std::time::Duration;

use messages::Timestamp;

use super::gain::Gain;

/// The round-trip time is measured anew for at least this long (draft: ProbeRTTDuration).
const MIN_DURATION: Duration = Duration::from_millis(200);
/// The part of the bandwidth-delay product that may be outstanding meanwhile (draft: ProbeRTTCwndGain).
pub(super) const CWND_GAIN: Gain = Gain(50);
/// A shorter round trip than this consists more of the hosts' time than of the path's. A recent value is enough there,
/// and no probe is needed.
pub(super) const MIN_PROBED_RTT: Duration = Duration::from_millis(2);

/// One measurement of the round-trip time.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProbeRtt {
    until: Timestamp,
    /// The lowest round-trip time since the measurement began.
    lowest: Option<Duration>,
}

impl ProbeRtt {
    /// Begins a measurement on a path whose lowest round-trip time was `min_rtt`.
    pub(super) fn new(min_rtt: Duration, now: Timestamp) -> ProbeRtt {
        ProbeRtt { until: now + MIN_DURATION.max(min_rtt), lowest: None }
    }

    /// Records that a round trip took `rtt`.
    pub(super) fn on_rtt(&mut self, rtt: Duration) {
        self.lowest = Some(self.lowest.map_or(rtt, |lowest| lowest.min(rtt)));
    }

    /// The lowest round-trip time, once it has been measured for long enough.
    pub(super) fn result(self, now: Timestamp) -> Option<Duration> {
        self.lowest.filter(|_| now >= self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_round_trip_of_two_tenths_of_a_second_is_the_result() {
        let at = |millis| Timestamp::ZERO + Duration::from_millis(millis);
        let mut probe = ProbeRtt::new(Duration::from_millis(50), at(0));
        [60, 40, 50].into_iter().for_each(|millis| probe.on_rtt(Duration::from_millis(millis)));
        assert_eq!(probe.result(at(199)), None);
        assert_eq!(probe.result(at(200)), Some(Duration::from_millis(40)));
        let long = ProbeRtt::new(Duration::from_millis(700), at(0));
        assert_eq!(long.result(at(900)), None, "nothing has arrived");
    }
}

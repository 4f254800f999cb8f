//! An inquiry to a tracker that is silent or lies. The inquiries to the real tables are in `tests/swarm/inquiries.rs`.

use messages::tracker_to_node::Listing;
use messages::{ContentId, List, Name, PageEnd};
use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

fn start() -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(100)
}

fn all(prefix: &str) -> Question {
    Question::All(Prefix::new(prefix).expect("short"))
}

fn inquiry(question: Question) -> Inquiry {
    Inquiry::new(question, NodeId::from_bytes([0xee; 16]), 70, PATIENCE, start())
}

fn content(number: u16) -> ContentId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    ContentId::from_bytes(bytes)
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn listed(number: u16, text: &str) -> Listed {
    let (complete, partial, hosts, age_s) = (1, 0, 1, 0);
    Listed { content: content(number), length: 1, complete, partial, hosts, age_s, name: name(text) }
}

const ALL_OF_IT: InquiryEnd = InquiryEnd::Answered { may_still_come: Duration::ZERO };

#[test]
fn a_tracker_that_says_nothing_is_given_up() {
    let mut inquiry = inquiry(all(""));
    let (mut now, mut sent) = (start(), 0);
    let end = loop {
        match inquiry.poll(now, &mut Vec::new()) {
            InquiryStep::Send => sent += 1,
            InquiryStep::Wait(until) => now = until,
            InquiryStep::Found(found) => panic!("{found:?}"),
            InquiryStep::Over(end) => break end,
        }
    };
    assert_eq!((end, now), (InquiryEnd::Silent, start() + PATIENCE));
    assert!((5..10).contains(&sent), "{sent} questions");
}

/// Answers every question with `answer`. Returns how the inquiry ended, how many questions there were and how many
/// contents were found.
fn against(question: Question, mut answer: impl FnMut(u32) -> TrackerToNode) -> (InquiryEnd, u32, usize) {
    let mut inquiry = inquiry(question);
    let (mut now, mut sent, mut found) = (start(), 0, 0);
    loop {
        let mut datagram = Vec::new();
        match inquiry.poll(now, &mut datagram) {
            InquiryStep::Send => {
                sent += 1;
                let Ok(Datagram::ToTracker(conversation, _)) = Datagram::decode(&datagram) else {
                    panic!("no question")
                };
                datagram.clear();
                answer(sent).encode(conversation, &mut datagram);
                inquiry.handle_datagram(&datagram, now);
            }
            InquiryStep::Wait(until) => now = until,
            InquiryStep::Found(more) => found += more.len(),
            InquiryStep::Over(end) => return (end, sent, found),
        }
    }
}

#[test]
fn refusals_are_not_followed_for_ever() {
    for (code, retry_after_ms) in
        [(RefusalCode::Cookie, 0), (RefusalCode::TooFast, u32::MAX), (RefusalCode::Full, 0)]
    {
        let refused = Refused { code, retry_after_ms, cookie: Cookie::NONE };
        let (end, sent, _) = against(all(""), |_| refused.into());
        assert_eq!((end, sent), (InquiryEnd::Refused(code), MAX_REFUSALS + 1));
    }
}

#[test]
fn pages_that_lead_back_or_nowhere_end_it() {
    let page = |contents: &[Listed], tier, number| -> TrackerToNode {
        let (contents, more) = (List::first_of(contents.iter().cloned()), Some(PageEnd { tier, number }));
        Owners::Contents(Listing { contents, more }).into()
    };
    assert_eq!(against(all(""), |_| page(&[], 0, 1)), (ALL_OF_IT, 1, 0));
    assert_eq!(against(all(""), |_| page(&[listed(1, "a")], 0, 1)), (ALL_OF_IT, 2, 2));
    let back = |sent| page(&[listed(1, "a")], 0, if sent == 1 { 2 } else { 1 });
    assert_eq!(against(all(""), back), (ALL_OF_IT, 2, 2));
    let on = |sent: u32| page(&[listed(1, "a")], sent as u8 / 2, u64::from(sent % 2));
    assert_eq!(against(all(""), |sent| if sent == 9 { on(0) } else { on(sent) }), (ALL_OF_IT, 9, 9));
}

#[test]
fn what_may_still_come_is_told() {
    let young = |_| Owners::Unknown { whole_in_ms: 20_000 }.into();
    let end = InquiryEnd::Answered { may_still_come: Duration::from_secs(20) };
    assert_eq!(against(all(""), young).0, end);
}

proptest! {
    #[test]
    fn any_bytes_change_nothing_but_answers(bytes: Vec<u8>) {
        let mut inquiry = inquiry(all(""));
        prop_assert_eq!(inquiry.poll(start(), &mut Vec::new()), InquiryStep::Send);
        inquiry.handle_datagram(&bytes, start());
        prop_assert!(matches!(inquiry.poll(start(), &mut Vec::new()), InquiryStep::Wait(_)));
    }
}

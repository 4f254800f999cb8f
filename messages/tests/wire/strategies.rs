//! Any value that can be said.

use std::net::{IpAddr, SocketAddr};

use messages::codes::{
    Answer, AnswerStep, Call, CallStep, CodeNumber, Offer, Offered, Uncalled, UncalledReason, Withdraw,
};
use messages::collection::Modified;
use messages::limits::{
    CONTROL_DATAGRAM, MAX_BURST, MAX_CODE_NUMBER, MAX_CONTENT, MAX_NAME, MAX_OUTBOARD, MAX_PIECES,
    MAX_SEALED_GIFT, MAX_SEGMENT,
};
use messages::node_to_node::{
    Bitfield, Bye, ByeReason, ByteRange, Control, Have, Hello, Hint, Operation, Ping, Pong, Probe, ProbeSize,
    Probed, Request, Retry, Welcome,
};
use messages::node_to_tracker::{
    Asker, Credit, Exit, Need, Own, OwnDigest, OwnEntry, Permille, Query, Register, TrackerPong, Update,
};
use messages::tracker_to_node::{
    ContentOwners, Goodbye, Listed, Listing, Owned, Owner, Owners, RefusalCode, Refused, Registered,
    TrackerPing, Updated,
};
use messages::{
    Bits, BootEpoch, ChunkHeader, CodeMessage, ContentId, Conversation, Cookie, Cursor, Digits, Endpoint,
    ExchangeId, FileMetadata, List, Name, NodeId, NodeToNode, NodeToTracker, PageEnd, PieceIndex, PieceRun,
    Prefix, TrackerToNode,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::Said;

/// Any message.
pub(crate) fn said() -> impl Strategy<Value = Said> {
    let chunk =
        (chunk_header(), vec(any::<u8>(), 1..2000)).prop_map(|(header, bytes)| Said::Chunk(header, bytes));
    prop_oneof![
        6 => to_tracker().prop_map(Said::ToTracker),
        7 => from_tracker().prop_map(Said::FromTracker),
        12 => peer().prop_map(Said::Peer),
        5 => code().prop_map(Said::Code),
        1 => chunk,
    ]
}

fn code() -> impl Strategy<Value = CodeMessage> {
    let number = || (1..=MAX_CODE_NUMBER).prop_map(|number| CodeNumber::new(number).expect("a number"));
    let exchange = || any::<[u8; 16]>().prop_map(ExchangeId::from_bytes);
    let call_step = prop_oneof![
        any::<[u8; 32]>().prop_map(CallStep::Begin),
        any::<[u8; 32]>().prop_map(CallStep::Confirm)
    ];
    let gift = (any::<[u8; 32]>(), vec(any::<u8>(), 0..=MAX_SEALED_GIFT))
        .prop_map(|(proof, sealed)| AnswerStep::Gift { proof, sealed: List::first_of(sealed) });
    let answer_step = prop_oneof![
        any::<[u8; 32]>().prop_map(AnswerStep::Begin),
        gift,
        Just(AnswerStep::Wrong),
        Just(AnswerStep::Dead)
    ];
    let reason = select(vec![
        UncalledReason::NoSuchNumber,
        UncalledReason::Ended,
        UncalledReason::Taken,
        UncalledReason::Full,
        UncalledReason::TooFast,
    ]);
    prop_oneof![
        proptest::option::of(number()).prop_map(|number| Offer { number }.into()),
        (number(), any::<u32>()).prop_map(|(number, lease_ms)| Offered { number, lease_ms }.into()),
        number().prop_map(|number| Withdraw { number }.into()),
        (number(), exchange(), call_step).prop_map(|(number, exchange, step)| Call {
            number,
            exchange,
            step
        }
        .into()),
        (exchange(), answer_step).prop_map(|(exchange, step)| Answer { exchange, step }.into()),
        (reason, any::<u32>())
            .prop_map(|(reason, retry_after_ms)| Uncalled { reason, retry_after_ms }.into()),
    ]
}

fn to_tracker() -> impl Strategy<Value = NodeToTracker> {
    let register =
        (asker(), any::<u64>(), any::<u32>(), any::<u64>()).prop_map(|(asker, epoch, contents, digest)| {
            Register { asker, epoch: BootEpoch(epoch), contents, digest: OwnDigest(digest) }
        });
    let own = (asker(), vec(own_entry(), 0..=16)).prop_map(|(asker, entries)| {
        let entries = fitting(Own::WIRE_FIXED, entries, OwnEntry::wire_length);
        Own { asker, entries: List::first_of(entries) }
    });
    let need = (asker(), query()).prop_map(|(asker, query)| Need { asker, query });
    let credit = (node(), any::<u64>()).prop_map(|(owner, bytes)| Credit { owner, bytes });
    let update = (asker(), any::<u32>(), content(), list(credit))
        .prop_map(|(asker, sequence, content, credits)| Update { asker, sequence, content, credits });
    let exit = (asker(), any::<u64>()).prop_map(|(asker, epoch)| Exit { asker, epoch: BootEpoch(epoch) });
    prop_oneof![
        register.prop_map(NodeToTracker::from),
        own.prop_map(NodeToTracker::from),
        need.prop_map(NodeToTracker::from),
        update.prop_map(NodeToTracker::from),
        exit.prop_map(NodeToTracker::from),
        any::<u64>().prop_map(|nonce| TrackerPong { nonce }.into()),
    ]
}

fn from_tracker() -> impl Strategy<Value = TrackerToNode> {
    let registered = (cookie(), any::<u64>(), any::<u32>(), any::<bool>(), endpoint()).prop_map(
        |(cookie, tracker_epoch, interval_ms, resync, observed)| {
            Registered { cookie, tracker_epoch, interval_ms, resync, observed }.into()
        },
    );
    let code = select(vec![
        RefusalCode::Cookie,
        RefusalCode::NotRegistered,
        RefusalCode::IdInUse,
        RefusalCode::TooFast,
        RefusalCode::Full,
    ]);
    let refused = (code, any::<u32>(), cookie())
        .prop_map(|(code, retry_after_ms, cookie)| Refused { code, retry_after_ms, cookie }.into());
    prop_oneof![
        registered,
        any::<u16>().prop_map(|accepted| Owned { accepted }.into()),
        owners().prop_map(TrackerToNode::from),
        any::<u32>().prop_map(|sequence| Updated { sequence }.into()),
        Just(Goodbye.into()),
        refused,
        any::<u64>().prop_map(|nonce| TrackerPing { nonce }.into()),
    ]
}

fn owners() -> impl Strategy<Value = Owners> {
    let owner = (node(), endpoint(), permille()).prop_map(|(node, endpoint, permille)| Owner {
        node,
        endpoint,
        permille,
    });
    let content = (listed(), list(owner))
        .prop_map(|(content, owners)| Owners::Content(ContentOwners { content, owners }));
    let contents = (vec(listed(), 0..=16), any::<Option<(u8, u64)>>()).prop_map(|(contents, more)| {
        let more = more.map(|(tier, number)| PageEnd { tier, number });
        let contents = fitting(Listing::WIRE_FIXED, contents, Listed::wire_length);
        Owners::Contents(Listing { contents: List::first_of(contents), more })
    });
    let unknown = any::<u32>().prop_map(|whole_in_ms| Owners::Unknown { whole_in_ms });
    prop_oneof![unknown, content, contents]
}

fn peer() -> impl Strategy<Value = NodeToNode> {
    let control =
        (operation(), any::<u16>(), any::<u32>()).prop_map(|(operation, retry_after_ms, request)| {
            Control { operation, retry_after_ms, request }.into()
        });
    let reason = select(vec![ByeReason::Done, ByeReason::Leaving, ByeReason::Cancelled, ByeReason::Fault]);
    let bits =
        (any::<u32>(), list(any::<u8>())).prop_map(|(first, bytes)| Bits { first: PieceIndex(first), bytes });
    prop_oneof![
        hello().prop_map(NodeToNode::from),
        (any::<u64>(), any::<u32>(), cookie()).prop_map(|(nonce, echoed_at, cookie)| Retry {
            nonce,
            echoed_at,
            cookie
        }
        .into()),
        welcome().prop_map(NodeToNode::from),
        bits.prop_map(|bits| Bitfield { bits }.into()),
        list(piece_run()).prop_map(|runs| Have { runs }.into()),
        list(piece_run()).prop_map(|runs| Hint { runs }.into()),
        request().prop_map(NodeToNode::from),
        control,
        (any::<u32>(), list(probe_size())).prop_map(|(id, sizes)| Probe { id, sizes }.into()),
        (any::<u32>(), probe_size()).prop_map(|(id, size)| Probed { id, size }.into()),
        (1..=u64::MAX, Ping::MIN_SIZE..=65_507).prop_map(|(nonce, size)| Ping { nonce, size }.into()),
        any::<u64>().prop_map(|nonce| Pong { nonce }.into()),
        reason.prop_map(|reason| Bye { reason }.into()),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    (any::<u64>(), content(), node(), any::<[u32; 3]>(), cookie()).prop_map(
        |(nonce, content, node, [conversation, capabilities, sent_at], cookie)| {
            let conversation = Conversation(conversation);
            Hello { nonce, content, node, conversation, capabilities, sent_at, cookie }
        },
    )
}

fn welcome() -> impl Strategy<Value = Welcome> {
    (any::<u64>(), any::<[u32; 5]>(), 0..=MAX_CONTENT, probe_size(), (node(), file_metadata())).prop_map(
        |(
            nonce,
            [echoed_at, conversation, have, max_outstanding, capabilities],
            length,
            size,
            (node, file),
        )| {
            Welcome {
                nonce,
                echoed_at,
                conversation: Conversation(conversation),
                length,
                have,
                max_outstanding,
                max_datagram: size.bytes(),
                capabilities,
                node,
                file,
            }
        },
    )
}

fn file_metadata() -> impl Strategy<Value = FileMetadata> {
    let time = (any::<i64>(), 0..1_000_000_000u32);
    let modified = proptest::option::of(time.prop_map(|(seconds, nanos)| Modified { seconds, nanos }));
    (modified, any::<bool>()).prop_map(|(modified, is_executable)| FileMetadata { modified, is_executable })
}

fn request() -> impl Strategy<Value = Request> {
    (any::<[u32; 2]>(), any::<u64>(), 1..=MAX_SEGMENT, vec(byte_range(), 0..=16)).prop_map(
        |([first_request, highest_sequence], ping_echo, segment_size, ranges)| {
            let fitting = ranges.into_iter().filter(|range| range.fits_burst(segment_size));
            let ranges = List::first_of(fitting);
            Request { first_request, highest_sequence, ping_echo, segment_size, ranges }
        },
    )
}

fn chunk_header() -> impl Strategy<Value = ChunkHeader> {
    (any::<[u32; 5]>(), 1..=64u8, any::<u8>(), any::<u16>()).prop_map(
        |([sequence, request, piece, offset, sent_at], count, index, hold)| ChunkHeader {
            conversation: Conversation(0),
            sequence,
            request,
            piece: PieceIndex(piece),
            offset,
            sent_at,
            index: index % count,
            count,
            hold,
        },
    )
}

fn byte_range() -> impl Strategy<Value = ByteRange> {
    let of_piece = (0..MAX_PIECES, 0..8u32 << 20).prop_map(|(piece, offset)| (PieceIndex(piece), offset));
    let of_outboard = (0..MAX_OUTBOARD).prop_map(|offset| (PieceIndex::OUTBOARD, offset));
    (prop_oneof![of_piece, of_outboard], prop_oneof![1..=MAX_BURST, 1..2000u32])
        .prop_filter_map("beyond the end", |((piece, offset), length)| ByteRange::new(piece, offset, length))
}

fn query() -> impl Strategy<Value = Query> {
    let prefix = "\\PC{0,80}".prop_filter_map("too long", |text| Prefix::new(&text).ok());
    let search =
        (prefix, proptest::option::of(cursor())).prop_map(|(prefix, after)| Query::Search { prefix, after });
    let digits = "[0-9a-fA-F]{8,63}".prop_filter_map("no digits", |text| Digits::new(&text).ok());
    prop_oneof![
        content().prop_map(Query::Content),
        name().prop_map(Query::Name),
        search,
        digits.prop_map(Query::Digits),
        name().prop_map(Query::Newest),
        (name(), content()).prop_map(|(name, from)| Query::NameFrom { name, from }),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    select(Operation::ALL.to_vec())
}

/// Any name.
pub(crate) fn name() -> impl Strategy<Value = Name> {
    let of_any_length = vec(b'a'..=b'z', 1..=MAX_NAME)
        .prop_map(|letters| letters.into_iter().map(char::from).collect::<String>());
    prop_oneof!["\\PC{1,60}", of_any_length, "[a-z]{1,12}\\.[a-z]{3}"]
        .prop_filter_map("not a name", |text| Name::new(&text).ok())
}

/// Any entry of an OWN.
pub(crate) fn own_entry() -> impl Strategy<Value = OwnEntry> {
    (content(), 0..=MAX_CONTENT, permille(), any::<bool>(), name()).prop_map(
        |(content, length, permille, withdrawn, name)| OwnEntry {
            content,
            length,
            permille,
            withdrawn,
            name,
        },
    )
}

fn listed() -> impl Strategy<Value = Listed> {
    (content(), 0..=MAX_CONTENT, any::<[u32; 4]>(), name()).prop_map(
        |(content, length, [complete, partial, hosts, age_s], name)| Listed {
            content,
            length,
            complete,
            partial,
            hosts,
            age_s,
            name,
        },
    )
}

fn cursor() -> impl Strategy<Value = Cursor> {
    (any::<u8>(), name(), any::<u32>(), any::<u64>()).prop_map(|(tier, name, hosts, number)| Cursor {
        tier,
        name,
        hosts,
        number,
    })
}

/// Any run of pieces.
pub(crate) fn piece_run() -> impl Strategy<Value = PieceRun> {
    (0..MAX_PIECES)
        .prop_flat_map(|first| (Just(first), 1..=MAX_PIECES - first))
        .prop_map(|(first, count)| PieceRun::new(PieceIndex(first), count).expect("a run within the pieces"))
}

/// Any socket address, mapped IPv4 among them.
pub(crate) fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<bool>(), any::<u16>()).prop_map(|(ip, mapped, port)| match ip {
        IpAddr::V4(ip) if mapped => (ip.to_ipv6_mapped(), port).into(),
        ip => (ip, port).into(),
    })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    address().prop_map(Endpoint::new)
}

fn permille() -> impl Strategy<Value = Permille> {
    (0..=1000u32).prop_map(|have| Permille::of(have, 1000))
}

fn probe_size() -> impl Strategy<Value = ProbeSize> {
    prop_oneof![1200..=1500u16, 1200..=65_507u16].prop_map(|bytes| ProbeSize::new(bytes).expect("a size"))
}

fn asker() -> impl Strategy<Value = Asker> {
    (node(), cookie()).prop_map(|(node, cookie)| Asker { node, cookie })
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<[u8; 16]>().prop_map(NodeId::from_bytes)
}

/// Any content.
pub(crate) fn content() -> impl Strategy<Value = ContentId> {
    any::<[u8; 32]>().prop_map(ContentId::from_bytes)
}

fn cookie() -> impl Strategy<Value = Cookie> {
    any::<[u8; 16]>().prop_map(Cookie::from_bytes)
}

fn list<T: std::fmt::Debug, const MAX: usize>(
    item: impl Strategy<Value = T>,
) -> impl Strategy<Value = List<T, MAX>> {
    vec(item, 0..=MAX).prop_map(List::first_of)
}

/// As many of `items`, from the first on, as fit a control datagram behind `fixed` bytes.
fn fitting<T>(fixed: usize, items: Vec<T>, length: fn(&T) -> usize) -> Vec<T> {
    let mut used = fixed;
    let fits = |item: &T| {
        used += length(item);
        used <= CONTROL_DATAGRAM
    };
    items.into_iter().take_while(fits).collect()
}

mod strangers;

use std::time::Duration;

use super::*;
use crate::frame::TAG_LENGTH;

/// Two endpoints and the datagrams between them.
struct Pair {
    now: Timestamp,
    sides: [Channels; 2],
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + side as u8], 4000))
}

fn endpoint(side: u8, role: Role, swarm: SwarmSecret) -> Channels {
    Channels::new(settings(side, role, swarm))
}

fn settings(side: u8, role: Role, swarm: SwarmSecret) -> ChannelSettings {
    ChannelSettings {
        key: StaticKey::from_secret([side + 1; 32]),
        swarm,
        policy: Policy::SEALED,
        role,
        max_channels: 8,
        max_channels_per_host: 8,
        epoch: BootEpoch(1_700_000_000_000),
        secret: [side + 100; 32],
        suite: Suite::Aes128Gcm,
    }
}

fn datagram(kind: Kind, conversation: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Header { kind, conversation: Conversation(conversation) }.encode().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

impl Pair {
    fn new() -> Pair {
        Pair::of([SwarmSecret::open(), SwarmSecret::open()])
    }

    fn of([one, other]: [SwarmSecret; 2]) -> Pair {
        let now = Timestamp::ZERO + Duration::from_secs(1000);
        Pair { now, sides: [endpoint(0, Role::Node, one), endpoint(1, Role::Node, other)] }
    }

    /// `side` learns the id of the other.
    fn meet(&mut self, side: usize) {
        let node = self.sides[1 - side].node_id();
        self.sides[side].expect(address(1 - side), node);
    }

    /// What leaves when `side` says `datagram`.
    fn say(&mut self, side: usize, datagram: &[u8]) -> Vec<Vec<u8>> {
        let mut sealed = Vec::new();
        let is_sealed = self.sides[side].seal(address(1 - side), datagram, self.now, &mut sealed);
        let mut leaving = self.leaving(side);
        leaving.extend(is_sealed.then_some(sealed));
        leaving
    }

    fn leaving(&mut self, side: usize) -> Vec<Vec<u8>> {
        self.sides[side].take_outbox().into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// `side` takes in datagrams of the other. Returns what they say to it.
    fn take(&mut self, side: usize, datagrams: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        for mut bytes in datagrams {
            match self.sides[side].handle(address(1 - side), &mut bytes, self.now) {
                Received::Opened { range, peer } => {
                    assert_eq!(peer, self.sides[1 - side].node_id());
                    said.push(bytes[range].to_vec());
                }
                Received::Greeted { early, peer } => {
                    assert_eq!(peer, self.sides[1 - side].node_id());
                    said.extend(early);
                }
                Received::Answered | Received::Nothing => {}
            }
        }
        said
    }

    /// Passes on all that there is to say until nothing is, beginning with `first` of `side`. Returns what the sides heard.
    fn exchange(&mut self, side: usize, first: Vec<Vec<u8>>) -> [Vec<Vec<u8>>; 2] {
        let (mut heard, mut on_way, mut to) = ([Vec::new(), Vec::new()], first, 1 - side);
        for _ in 0..10 {
            if on_way.is_empty() {
                break;
            }
            let said = self.take(to, on_way);
            heard[to].extend(said);
            on_way = self.leaving(to);
            to = 1 - to;
        }
        heard
    }
}

#[test]
fn what_is_said_before_there_is_a_channel_arrives_with_the_handshake_after_one_round_trip() {
    let mut pair = Pair::new();
    pair.meet(0);
    let mut hello = datagram(Kind::Hello, 7, b"hello");
    hello.resize(1200, 0);
    let need = datagram(Kind::Need, 8, b"who has it?");
    let mut knock = pair.say(0, &hello);
    knock.extend(pair.say(0, &need));
    assert_eq!(knock.iter().map(Vec::len).collect::<Vec<_>>(), [KNOCK], "said once");
    assert!(pair.take(1, knock).is_empty());
    let cookie = pair.leaving(1);
    assert_eq!(cookie[0].len(), KNOCK, "no longer than the question");
    pair.take(0, cookie);
    let initiate = pair.leaving(0);
    assert_eq!(initiate[0].len(), INITIATE);
    assert_eq!(pair.take(1, initiate), [hello, need]);
    // The responder can say something at once.
    let welcome = datagram(Kind::Welcome, 7, b"welcome");
    let answer = pair.say(1, &welcome);
    assert_eq!(
        answer.iter().map(Vec::len).collect::<Vec<_>>(),
        [ACCEPT, welcome.len() + frame::SEALED_OVERHEAD + 4]
    );
    assert_eq!(pair.take(0, answer), [welcome]);
}

#[test]
fn a_conversation_of_the_channel_costs_twenty_one_bytes() {
    let mut pair = Pair::new();
    pair.meet(0);
    let mut rng = StdRng::seed_from_u64(1);
    let now = pair.now;
    let ours = pair.sides[0].draw_conversation(address(1), |_| true, &mut rng, now);
    let hello = pair.say(0, &datagram(Kind::Hello, ours.0, b"x"));
    pair.exchange(0, hello);
    let chunk = datagram(Kind::Welcome, ours.0, &[9; 100]);
    let sealed = pair.say(1, &chunk);
    assert_eq!(sealed[0].len(), chunk.len() + frame::SEALED_OVERHEAD);
    assert_eq!(frame::SEALED_OVERHEAD, 21);
    assert_eq!(pair.take(0, sealed), [chunk]);
}

#[test]
fn sealed_chunks_are_opened_like_any_other_datagram() {
    let (mut pair, header, frame) = pair_with_chunk();
    assert!(!frame.windows(16).any(|run| run == [7; 16]));
    let opened = pair.take(0, vec![frame]);
    let (found, payload) = messages::ChunkHeader::decode(&opened[0]).expect("a CHUNK");
    assert_eq!((found, payload), (header, &[7; 1000][..]));
    let other = Conversation(!header.conversation.0);
    assert!(pair.sides[1].sealer(address(0), other).is_none(), "not of any channel");
}

/// A pair with a channel, and a sealed CHUNK of 1000 sevens for the first of them.
fn pair_with_chunk() -> (Pair, messages::ChunkHeader, Vec<u8>) {
    let mut pair = Pair::new();
    pair.meet(0);
    let mut rng = StdRng::seed_from_u64(1);
    let now = pair.now;
    let ours = pair.sides[0].draw_conversation(address(1), |_| true, &mut rng, now);
    let hello = pair.say(0, &datagram(Kind::Hello, ours.0, b"x"));
    pair.exchange(0, hello);
    let header = messages::ChunkHeader {
        conversation: ours,
        sequence: 1,
        request: 2,
        piece: messages::PieceIndex(3),
        offset: 4,
        sent_at: 5,
        index: 0,
        count: 1,
        hold: 6,
    };
    let mut frame = vec![0; frame::SEALED_CHUNK_PREFIX + 1000 + TAG_LENGTH];
    frame[frame::SEALED_CHUNK_PREFIX..][..1000].fill(7);
    let sealer = pair.sides[1].sealer(address(0), ours).expect("a channel with the conversation");
    sealer.seal_chunk(&header, &mut frame);
    (pair, header, frame)
}

/// Room for the payload of a CHUNK of 1000 bytes, behind bytes that stay.
fn room() -> Vec<u8> {
    vec![b'p'; OPENED_CHUNK_PREFIX + 1000]
}

#[test]
fn a_chunk_is_opened_to_where_it_belongs_and_what_stands_before_that_stays() {
    let (mut pair, header, mut frame) = pair_with_chunk();
    let (now, mut room) = (pair.now, room());
    let peer = pair.sides[1].node_id();
    let opened = pair.sides[0].open_chunk(address(1), &mut frame, &mut room, now);
    assert_eq!(opened, Ok(OpenedChunk { header, peer }));
    assert_eq!(room[..OPENED_CHUNK_PREFIX], [b'p'; OPENED_CHUNK_PREFIX]);
    assert_eq!(room[OPENED_CHUNK_PREFIX..], [7; 1000]);
    let again = pair.sides[0].open_chunk(address(1), &mut frame, &mut room, now);
    assert_eq!(again, Err(Received::Nothing), "once");
    assert_eq!(pair.sides[0].counters().replayed, 1);
}

#[test]
fn what_was_expected_to_be_a_chunk_and_is_none_is_opened_all_the_same() {
    let (mut pair, header, _) = pair_with_chunk();
    let now = pair.now;
    // As long as the CHUNK: of the session, and of another conversation.
    for conversation in [header.conversation.0, 77] {
        let mut room = room();
        let overhead = if conversation == 77 { 4 } else { 0 };
        let body = vec![9; 1000 + messages::CHUNK_HEADER - HEADER_LENGTH - overhead];
        let welcome = datagram(Kind::Welcome, conversation, &body);
        let mut sealed = pair.say(1, &welcome).remove(0);
        assert_eq!(sealed.len(), room.len() + frame::TEXT_AT + TAG_LENGTH);
        let opened = pair.sides[0].open_chunk(address(1), &mut sealed, &mut room, now);
        let Err(Received::Opened { range, peer }) = opened else { panic!("{opened:?}") };
        assert_eq!((&sealed[range], peer), (&welcome[..], pair.sides[1].node_id()));
        assert_eq!(room[..OPENED_CHUNK_PREFIX], [b'p'; OPENED_CHUNK_PREFIX]);
    }
}

#[test]
fn a_forged_chunk_is_nothing_and_the_real_one_is_opened_after_it() {
    let (mut pair, header, frame) = pair_with_chunk();
    let (now, mut room) = (pair.now, room());
    for at in [0, 5, 9, 12, 40, frame.len() - 1] {
        let mut forged = frame.clone();
        forged[at] ^= 1;
        let opened = pair.sides[0].open_chunk(address(1), &mut forged, &mut room, now);
        assert_eq!(opened, Err(Received::Nothing), "byte {at} was changed");
        assert_eq!(room[..OPENED_CHUNK_PREFIX], [b'p'; OPENED_CHUNK_PREFIX]);
    }
    let opened = pair.sides[0].open_chunk(address(1), &mut frame.clone(), &mut room, now);
    assert_eq!(opened.map(|chunk| chunk.header), Ok(header));
    // Room for another payload than it has: it is opened where it stands.
    let (mut pair, header, mut frame) = pair_with_chunk();
    let opened = pair.sides[0].open_chunk(address(1), &mut frame, &mut [0; 500], now);
    let Err(Received::Opened { range, .. }) = opened else { panic!("{opened:?}") };
    assert_eq!(messages::ChunkHeader::decode(&frame[range]), Ok((header, &[7; 1000][..])));
}

#[test]
fn a_datagram_counts_once_and_only_as_it_was_sealed() {
    let mut pair = Pair::new();
    pair.meet(0);
    let first = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    pair.exchange(0, first);
    let sealed = pair.say(0, &datagram(Kind::Bye, 1, b"done"));
    for at in 0..sealed[0].len() {
        let mut changed = sealed[0].clone();
        changed[at] ^= 1;
        assert!(pair.take(1, vec![changed]).is_empty(), "byte {at} was changed");
    }
    assert_eq!(pair.take(1, sealed.clone()).len(), 1);
    assert!(pair.take(1, sealed).is_empty());
    assert_eq!(pair.sides[1].counters().replayed, 1);
}

#[test]
fn another_secret_and_another_node_get_no_channel() {
    let mut pair = Pair::of([SwarmSecret::from_bytes([1; 32]), SwarmSecret::from_bytes([2; 32])]);
    pair.meet(0);
    let knock = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    assert!(pair.take(1, knock).is_empty());
    assert!(pair.leaving(1).is_empty(), "silence");

    let mut pair = Pair::new();
    pair.sides[0].expect(address(1), NodeId::from_bytes([9; 16]));
    let knock = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    let heard = pair.exchange(0, knock);
    assert!(heard.iter().all(Vec::is_empty));
    assert_eq!(pair.sides[0].peer(address(1)), None);
}

#[test]
fn a_forgotten_channel_is_told_of_and_opened_anew() {
    let mut pair = Pair::new();
    pair.meet(0);
    let first = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    pair.exchange(0, first);
    let (numbers, _) = pair.sides[1].table.newest(address(0)).expect("open");
    pair.sides[1].table.remove(numbers.channel().0);
    let lost = pair.say(0, &datagram(Kind::Ping, 1, b"there?"));
    assert_eq!(pair.exchange(0, lost), [Vec::<Vec<u8>>::new(), Vec::new()]);
    assert_eq!(pair.sides[0].peer(address(1)), None, "the token was the responder's");
    pair.now += Duration::from_secs(1);
    let again = pair.say(0, &datagram(Kind::Ping, 1, b"there?"));
    assert_eq!(pair.exchange(0, again)[1].len(), 1);
}

#[test]
fn in_a_closed_swarm_nobody_is_told_of_a_forgotten_channel_and_its_other_side_notices_the_silence() {
    let secret = || SwarmSecret::from_bytes([3; 32]);
    let mut pair = Pair::of([secret(), secret()]);
    pair.meet(0);
    let hello = datagram(Kind::Hello, 7, b"hello");
    let first = pair.say(0, &hello);
    assert_eq!(pair.exchange(0, first)[1], std::slice::from_ref(&hello));
    pair.sides[1] = endpoint(1, Role::Node, secret());
    for kind in 0x41..=0x46 {
        let mut bytes = [&b"rf\x02"[..], &[kind], &[0; 1196]].concat();
        assert_eq!(pair.sides[1].handle(address(0), &mut bytes, pair.now), Received::Nothing);
    }
    let lost = pair.say(0, &hello);
    assert_eq!(pair.exchange(0, lost), [Vec::<Vec<u8>>::new(), Vec::new()]);
    assert_eq!(pair.sides[1].take_outbox(), [], "a stranger could have said that");
    pair.now += MAX_SILENCE;
    let again = pair.say(0, &hello);
    pair.exchange(0, again);
    let heard = pair.say(0, &hello);
    assert_eq!(pair.exchange(0, heard)[1], [hello]);
}

/// The secret that follows from `byte`.
fn secret(byte: u8) -> SwarmSecret {
    SwarmSecret::from_bytes([byte; 32])
}

/// The secret of 1, which has been changed for that of 2.
fn rotated() -> SwarmSecrets {
    SwarmSecrets::from(secret(1)).rotated(secret(2), 1000)
}

/// Whether what `side` says is heard when it says it again and again for some seconds.
fn is_heard(pair: &mut Pair, side: usize) -> bool {
    (0..5).any(|number| {
        let said = datagram(Kind::Ping, number, b"there?");
        pair.now += Duration::from_secs(1);
        let first = pair.say(side, &said);
        !pair.exchange(side, first)[1 - side].is_empty()
    })
}

#[test]
fn who_has_the_new_secret_and_who_has_the_old_one_hear_each_other_whoever_begins() {
    for (rotates, begins) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for knows_key in [false, true] {
            let mut pair = Pair::of([secret(1), secret(1)]);
            pair.sides[rotates].change_secrets(&rotated());
            let key = pair.sides[1 - begins].key.public();
            match knows_key {
                true => pair.sides[begins].expect_key(address(1 - begins), key),
                false => pair.meet(begins),
            }
            assert!(is_heard(&mut pair, begins), "{rotates} {begins} {knows_key}");
            // Both are rotated now, and the old secret goes.
            for side in [0, 1] {
                pair.sides[side].change_secrets(&rotated());
            }
            assert_eq!(pair.sides.each_ref().map(Channels::len), [1, 1], "it is still good");
            for side in [0, 1] {
                pair.sides[side].change_secrets(&secret(2).into());
            }
            assert_eq!(pair.sides.each_ref().map(Channels::len), [0, 0], "what it opened is closed");
            assert!(is_heard(&mut pair, begins), "under the new one");
        }
    }
}

#[test]
fn members_with_the_new_secret_use_it_at_once() {
    let mut pair = Pair::of([secret(1), secret(1)]);
    for side in [0, 1] {
        pair.sides[side].change_secrets(&rotated());
    }
    pair.meet(0);
    let first = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    assert_eq!(first.len(), 1, "one KNOCK");
    assert_eq!(pair.exchange(0, first)[1].len(), 1);
    for side in [0, 1] {
        pair.sides[side].change_secrets(&secret(2).into());
    }
    assert_eq!(pair.sides.each_ref().map(Channels::len), [1, 1], "the old secret was not used");
    let again = pair.say(0, &datagram(Kind::Hello, 2, b"x"));
    assert_eq!(pair.exchange(0, again)[1].len(), 1);
}

#[test]
fn who_has_kept_an_old_secret_beyond_its_end_is_a_stranger() {
    for (keeps, begins) in [(0, 0), (0, 1)] {
        let mut pair = Pair::of([secret(1), secret(1)]);
        pair.meet(begins);
        assert!(is_heard(&mut pair, begins));
        pair.sides[1 - keeps].change_secrets(&rotated().at(1000));
        assert!(!is_heard(&mut pair, keeps), "{keeps} {begins}");
        assert_eq!(pair.sides[1 - keeps].len(), 0);
    }
}

#[test]
fn the_same_secrets_again_disturb_nothing() {
    let mut pair = Pair::of([secret(2), secret(2)]);
    pair.meet(0);
    let knock = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    pair.sides[0].change_secrets(&secret(2).into());
    assert_eq!(pair.exchange(0, knock)[1].len(), 1);
    pair.sides[0].change_secrets(&secret(2).into());
    assert_eq!(pair.sides[0].len(), 1);
}

#[test]
fn a_life_with_another_key_at_the_address_is_spoken_to_after_a_while() {
    let mut hub = [1, 7].map(|side| endpoint(side, Role::Tracker, SwarmSecret::open()));
    let mut node = endpoint(0, Role::Node, SwarmSecret::open());
    let mut now = Timestamp::ZERO + Duration::from_secs(1000);
    let mut heard = [0, 0];
    for second in 0..20 {
        let life = usize::from(second >= 5);
        let mut out = Vec::new();
        if node.seal(address(1), &datagram(Kind::Register, second, b"x"), now, &mut out) {
            heard[life] += usize::from(hub[life].handle(address(0), &mut out, now) != Received::Nothing);
            let mut answer = Vec::new();
            if hub[life].peer(address(0)).is_some() {
                hub[life].seal(address(0), &datagram(Kind::Goodbye, second, b""), now, &mut answer);
                node.handle(address(1), &mut answer, now);
            }
        }
        for _ in 0..3 {
            for (_, mut bytes) in node.take_outbox() {
                hub[life].handle(address(0), &mut bytes, now);
            }
            for (_, mut bytes) in hub[life].take_outbox() {
                node.handle(address(1), &mut bytes, now);
            }
        }
        now += Duration::from_secs(1);
    }
    assert!(heard[0] >= 4 && heard[1] >= 8, "{heard:?}");
}

#[test]
fn who_sends_from_anothers_address_gets_nothing_that_is_meant_for_the_other() {
    let mut pair = Pair::new();
    pair.meet(0);
    let first = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    pair.exchange(0, first);
    let owner = pair.sides[1].node_id();
    // On the path, under keys of its own, one life after the other.
    for life in 0..6 {
        pair.sides[1] = endpoint(40 + life, Role::Node, SwarmSecret::open());
        let (victim, at) = (pair.sides[0].node_id(), address(0));
        pair.sides[1].expect(at, victim);
        let mut on_way = pair.say(1, &datagram(Kind::Hello, 9, b"y"));
        let mut to = 0;
        for _ in 0..4 {
            for mut bytes in on_way {
                pair.sides[to].handle(address(1 - to), &mut bytes, pair.now);
            }
            on_way = pair.leaving(to);
            to = 1 - to;
        }
        assert!(pair.sides[1].peer(at).is_some(), "it has a channel");
        assert_eq!(pair.sides[0].peer(address(1)), Some(owner));
        let meant_for_the_other = pair.say(0, &datagram(Kind::Register, 7, b"z"));
        let mut bytes = meant_for_the_other[0].clone();
        assert_eq!(pair.sides[1].handle(address(0), &mut bytes, pair.now), Received::Nothing);
        pair.leaving(1);
    }
}

#[test]
fn what_overtakes_the_accept_does_not_end_the_channel() {
    let mut pair = Pair::new();
    pair.meet(0);
    let knock = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    pair.take(1, knock);
    let cookie = pair.leaving(1);
    pair.take(0, cookie);
    let initiate = pair.leaving(0);
    pair.take(1, initiate);
    let mut answer = pair.say(1, &datagram(Kind::Welcome, 1, b"y"));
    answer.reverse();
    assert_eq!(pair.take(0, answer), [datagram(Kind::Welcome, 1, b"y")], "heard when the channel is open");
    assert!(pair.leaving(0).is_empty(), "nothing is said of it");
}

#[test]
fn nobody_else_can_say_that_a_channel_is_forgotten() {
    let mut pair = Pair::new();
    pair.meet(0);
    let first = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    pair.exchange(0, first);
    let remote = pair.sides[1].table.newest(address(0)).expect("open").0.channel();
    let mut unknown = Header { kind: Kind::Unknown, conversation: remote }.encode().to_vec();
    unknown.extend_from_slice(&[0; 16]);
    pair.take(0, vec![unknown]);
    assert!(pair.sides[0].peer(address(1)).is_some());
}

#[test]
fn another_host_is_not_told_how_to_say_that_a_channel_is_forgotten() {
    let mut pair = Pair::new();
    pair.meet(0);
    let first = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    pair.exchange(0, first);
    let number = pair.sides[1].table.newest(address(0)).expect("open").0.channel();
    // A stranger asks with the number of the channel, and says what it is told in the other's name.
    let stranger = SocketAddr::from(([10, 9, 9, 9], 4000));
    let mut sealed = datagram(Kind::Sealed, number.0, &[0; 40]);
    pair.sides[1].handle(stranger, &mut sealed, pair.now);
    let told = pair.leaving(1);
    assert_eq!(told[0].len(), UNKNOWN);
    pair.take(0, told);
    assert!(pair.sides[0].peer(address(1)).is_some());
    assert!(pair.leaving(0).is_empty(), "nothing follows from it");
}

#[test]
fn who_is_at_another_host_than_before_opens_another_channel() {
    let mut pair = Pair::new();
    pair.meet(0);
    let first = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    pair.exchange(0, first);
    let elsewhere = SocketAddr::from(([10, 7, 7, 7], 4000));
    pair.say(0, &datagram(Kind::Ping, 1, b"there?"));
    pair.now += MAX_SILENCE;
    let mut waiting = pair.say(0, &datagram(Kind::Ping, 1, b"there?"));
    for _ in 0..4 {
        for mut bytes in waiting.drain(..) {
            pair.sides[1].handle(elsewhere, &mut bytes, pair.now);
        }
        for (to, mut bytes) in pair.sides[1].take_outbox() {
            assert_eq!(to, elsewhere);
            pair.sides[0].handle(address(1), &mut bytes, pair.now);
        }
        waiting = pair.leaving(0);
    }
    assert_eq!(pair.sides[1].peer(elsewhere), Some(pair.sides[0].node_id()));
    let [mut said] = <[Vec<u8>; 1]>::try_from(pair.say(0, &datagram(Kind::Ping, 1, b"there?"))).expect("one");
    assert!(matches!(pair.sides[1].handle(elsewhere, &mut said, pair.now), Received::Opened { .. }));
}

#[test]
fn lost_answers_are_said_again_and_a_replayed_handshake_opens_nothing() {
    let mut pair = Pair::new();
    pair.meet(0);
    let hello = datagram(Kind::Hello, 1, b"x");
    let knock = pair.say(0, &hello);
    pair.take(1, knock);
    let cookie = pair.leaving(1);
    pair.take(0, cookie);
    let initiate = pair.leaving(0);
    assert_eq!(pair.take(1, initiate.clone()).len(), 1);
    let lost = pair.leaving(1);
    pair.now += Duration::from_millis(500);
    let again = pair.say(0, &hello);
    assert_eq!(again, initiate);
    assert_eq!(pair.take(1, again), [hello], "its answer may be lost");
    let accept = pair.leaving(1);
    assert_eq!(accept, lost);
    pair.take(0, accept);
    let confirms = pair.say(0, &datagram(Kind::Bye, 1, b"y"));
    assert_eq!(pair.take(1, confirms).len(), 1);
    let opened = pair.sides[1].counters().opened;
    assert!(pair.take(1, initiate).is_empty());
    assert!(pair.leaving(1).is_empty());
    assert_eq!(pair.sides[1].counters().opened, opened);
}

#[test]
fn a_cookie_of_another_life_costs_one_round_trip_more() {
    let mut pair = Pair::new();
    pair.meet(0);
    let first = pair.say(0, &datagram(Kind::Hello, 1, b"x"));
    pair.exchange(0, first);
    let mut later = endpoint(1, Role::Node, SwarmSecret::open());
    later.cookies = CookieJar::new([7; 32]);
    pair.sides[1] = later;
    let (numbers, _) = pair.sides[0].table.newest(address(1)).expect("open");
    pair.sides[0].table.remove(numbers.channel().0);
    let initiate = pair.say(0, &datagram(Kind::Hello, 2, b"y"));
    assert_eq!(initiate[0].len(), INITIATE, "the key is remembered");
    let heard = pair.exchange(0, initiate);
    assert_eq!(heard[1], [datagram(Kind::Hello, 2, b"y")]);
}

#[test]
fn both_may_begin_at_once_and_each_hears_the_other() {
    let mut pair = Pair::new();
    pair.meet(0);
    pair.meet(1);
    let (one, other) =
        (pair.say(0, &datagram(Kind::Hello, 1, b"x")), pair.say(1, &datagram(Kind::Hello, 2, b"y")));
    pair.take(1, one);
    pair.take(0, other);
    for _ in 0..4 {
        let (one, other) = (pair.leaving(0), pair.leaving(1));
        pair.take(1, one);
        pair.take(0, other);
    }
    for side in [0, 1] {
        let said = pair.say(side, &datagram(Kind::Ping, 3, b"there?"));
        assert_eq!(pair.take(1 - side, said).len(), 1);
    }
}

/// A tracker, and nodes that greet it from any address.
struct Hub {
    now: Timestamp,
    hub: Channels,
    keys: u32,
}

impl Hub {
    fn new(max_channels: usize, max_channels_per_host: usize) -> Hub {
        let now = Timestamp::ZERO + Duration::from_secs(1000);
        let settings = ChannelSettings {
            max_channels,
            max_channels_per_host,
            ..settings(1, Role::Tracker, SwarmSecret::open())
        };
        Hub { now, hub: Channels::new(settings), keys: 0 }
    }

    /// The INITIATE, with a good cookie, of a node with a key of its own at `at`.
    fn initiate(&mut self, at: SocketAddr) -> Vec<u8> {
        self.keys += 1;
        let mut key = [7; 32];
        key[8..12].copy_from_slice(&self.keys.to_le_bytes());
        let settings = settings(2, Role::Node, SwarmSecret::open());
        let mut node = Channels::new(ChannelSettings { key: StaticKey::from_secret(key), ..settings });
        node.seal(address(1), &datagram(Kind::Register, 1, b"x"), self.now, &mut Vec::new());
        let (_, mut knock) = node.take_outbox().pop().expect("a KNOCK");
        self.hub.handle(at, &mut knock, self.now);
        let (_, mut cookie) = self.hub.take_outbox().pop().expect("a COOKIE");
        node.handle(address(1), &mut cookie, self.now);
        node.take_outbox().pop().expect("an INITIATE").1
    }

    /// Whether a node at `at` gets a channel.
    fn greet(&mut self, at: SocketAddr) -> bool {
        let mut initiate = self.initiate(at);
        matches!(self.hub.handle(at, &mut initiate, self.now), Received::Greeted { .. })
    }

    fn of_host(&self, host: u8) -> usize {
        let of_host = |channel: &PeerChannel| channel.address.ip() == from(host, 0).ip();
        self.hub.open_channels().filter(of_host).count()
    }
}

fn from(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, host], 4000 + port))
}

#[test]
fn the_least_used_channel_makes_way() {
    let mut hub = Hub::new(8, 8);
    for number in 0..20 {
        hub.now += Duration::from_secs(1);
        assert!(hub.greet(from(number, 0)));
        assert_eq!(hub.hub.len(), 8.min(usize::from(number) + 1));
        assert!(hub.hub.peer(from(number, 0)).is_some());
    }
    assert!(hub.hub.peer(from(11, 0)).is_none() && hub.hub.peer(from(12, 0)).is_some());
}

#[test]
fn a_host_with_its_share_of_channels_makes_way_for_itself() {
    let mut hub = Hub::new(8, 3);
    assert!(hub.greet(from(1, 0)) && hub.greet(from(2, 0)));
    for port in 0..20 {
        hub.now += Duration::from_secs(1);
        assert!(hub.greet(from(9, port)));
    }
    assert_eq!((hub.of_host(1), hub.of_host(2), hub.of_host(9)), (1, 1, 3));
    for port in 0..20 {
        assert_eq!(hub.hub.peer(from(9, port)).is_some(), port >= 17, "its newest stay: {port}");
    }
    // Others have room that is left, and a share that was given back can be had again.
    for host in 20..30 {
        assert!(hub.greet(from(host, 0)));
    }
    assert_eq!((hub.hub.len(), hub.of_host(9)), (8, 0));
    assert!((0..5).all(|port| hub.greet(from(9, port))));
    assert_eq!(hub.of_host(9), 3);
}

#[test]
fn programs_of_this_machine_have_no_share() {
    let mut hub = Hub::new(8, 3);
    for port in 0..8 {
        assert!(hub.greet(SocketAddr::from(([127, 0, 0, 1], 4000 + port))));
    }
    assert_eq!(hub.hub.len(), 8);
}

#[test]
fn a_host_that_asks_for_too_many_key_agreements_is_not_answered_and_others_are() {
    let mut hub = Hub::new(100, 100);
    for port in 0..256 {
        assert!(hub.greet(from(9, port)), "{port}");
    }
    let mut initiate = hub.initiate(from(9, 300));
    assert_eq!(hub.hub.handle(from(9, 300), &mut initiate, hub.now), Received::Nothing);
    assert!(hub.hub.take_outbox().iter().all(|(to, _)| *to != from(9, 300)), "nothing");
    assert_eq!((hub.hub.counters().over_budget, hub.hub.counters().refused), (1, 0));
    assert!(hub.greet(from(8, 0)));
    // What was not answered is said again, and then there is some again.
    hub.now += Duration::from_millis(100);
    assert!(matches!(hub.hub.handle(from(9, 300), &mut initiate, hub.now), Received::Greeted { .. }));
}

#[test]
fn a_handshake_that_was_overheard_opens_nothing_when_its_channel_is_gone() {
    let mut hub = Hub::new(2, 2);
    let mut overheard = hub.initiate(from(1, 0));
    let mut again = overheard.clone();
    assert!(matches!(hub.hub.handle(from(1, 0), &mut overheard, hub.now), Received::Greeted { .. }));
    assert!(hub.greet(from(2, 0)) && hub.greet(from(3, 0)) && hub.greet(from(4, 0)));
    assert!(hub.hub.peer(from(1, 0)).is_none());
    assert_eq!(hub.hub.handle(from(1, 0), &mut again, hub.now), Received::Nothing);
    assert!(hub.hub.peer(from(1, 0)).is_none());
}

#[test]
fn where_channels_are_preferred_one_is_done_without_when_nobody_answers() {
    let mut pair = Pair::new();
    pair.sides[0].policy = Policy { elsewhere: Encryption::Prefer, loopback: Encryption::Never };
    pair.meet(0);
    let hello = datagram(Kind::Hello, 1, b"x");
    for _ in 0..TRIES_BEFORE_OPEN {
        assert_eq!(pair.say(0, &hello)[0].len(), KNOCK);
        pair.now += Duration::from_millis(250);
    }
    assert_eq!(pair.say(0, &hello), std::slice::from_ref(&hello), "in the clear");
    assert!(pair.sides[0].takes_in_the_clear(address(1)) && !pair.sides[0].is_sealed(address(1)));
    assert_eq!(pair.sides[0].take_news(), [ChannelNews::InTheClear(address(1))]);
    // Whoever answers later is heard.
    pair.now += RETRY_WITHOUT;
    let said = pair.say(0, &hello);
    assert_eq!(said.iter().map(Vec::len).collect::<Vec<_>>(), [KNOCK, hello.len()]);
    let knock = said[..1].to_vec();
    pair.exchange(0, knock);
    assert!(pair.sides[0].is_sealed(address(1)) && !pair.sides[0].takes_in_the_clear(address(1)));
    for side in [0, 1] {
        let other = &pair.sides[1 - side];
        let (node, key) = (other.node_id(), other.key.public());
        let opened = PeerChannel { address: address(1 - side), node, key, suite: Suite::Aes128Gcm };
        assert_eq!(pair.sides[side].with(address(1 - side)), Some(opened));
        assert_eq!(pair.sides[side].take_news(), [ChannelNews::Opened(opened)]);
    }
}

#[test]
fn that_somebody_is_spoken_to_in_the_clear_is_news_once_and_only_when_they_are_heard() {
    let mut pair = Pair::new();
    let at = address(1);
    pair.sides[0].tell_of_the_clear(at);
    pair.sides[0].policy = Policy { elsewhere: Encryption::Prefer, loopback: Encryption::Never };
    pair.sides[0].tell_of_the_clear(at);
    assert!(pair.sides[0].takes_in_the_clear(at));
    assert_eq!(pair.sides[0].take_news(), [], "anybody can seem to be there");
    pair.sides[0].tell_of_the_clear(at);
    pair.sides[0].tell_of_the_clear(at);
    assert_eq!(pair.sides[0].take_news(), [ChannelNews::InTheClear(at)]);
    // Who opens a channel after all is spoken to over that.
    pair.meet(1);
    let hello = datagram(Kind::Hello, 1, b"x");
    let first = pair.say(1, &hello);
    pair.exchange(1, first);
    assert!(matches!(pair.sides[0].take_news()[..], [ChannelNews::Opened(_)]));
    pair.sides[0].tell_of_the_clear(at);
    assert_eq!(pair.sides[0].take_news(), [], "it is sealed");
    pair.sides[0].policy = Policy::OPEN;
    pair.sides[0].tell_of_the_clear(at);
    assert_eq!(pair.sides[0].take_news(), [], "nothing else is wanted");
}

#[test]
fn of_several_swarms_behind_one_socket_each_datagram_of_an_exchange_concerns_its_own_alone() {
    let mut pair = Pair::of([secret(1), secret(1)]);
    let mut others = [endpoint(0, Role::Node, secret(2)), endpoint(1, Role::Node, SwarmSecret::open())];
    pair.meet(0);
    let mut on_way = pair.say(0, &datagram(Kind::Need, 8, b"who has it?"));
    let mut to = 1;
    let mut kinds = Vec::new();
    for _ in 0..4 {
        for bytes in &on_way {
            let kind = Header::decode(bytes).expect("a header").kind;
            kinds.push(kind);
            let from = address(1 - to);
            assert!(pair.sides[to].concerns(from, bytes), "{kind:?}");
            assert!(!others[to].concerns(from, bytes), "{kind:?}");
            let elsewhere = SocketAddr::from(([10, 9, 9, 9], 9));
            let is_greeting = matches!(kind, Kind::Knock | Kind::Initiate);
            assert_eq!(pair.sides[to].concerns(elsewhere, bytes), is_greeting, "{kind:?}");
        }
        pair.take(to, std::mem::take(&mut on_way));
        on_way = pair.leaving(to);
        if kinds.last() == Some(&Kind::Initiate) {
            on_way.extend(pair.say(to, &datagram(Kind::Owners, 8, b"you have")));
        }
        to = 1 - to;
    }
    assert_eq!(kinds, [Kind::Knock, Kind::Cookie, Kind::Initiate, Kind::Accept, Kind::Sealed]);
    assert!(others.iter_mut().all(|other| !other.has_outbox()));
}

fn members(verb: &str, of: &Channels) -> Members {
    format!("{verb} {}", of.node_id()).parse().unwrap()
}

#[test]
fn who_is_no_member_gets_what_a_stranger_gets_and_its_channels_end() {
    let secret = SwarmSecret::from_bytes([3; 32]);
    let mut pair = Pair::of([secret.clone(), secret]);
    pair.meet(0);
    let hello = datagram(Kind::Hello, 7, b"hello");
    let first = pair.say(0, &hello);
    assert_eq!(pair.exchange(0, first)[1], std::slice::from_ref(&hello));
    let overheard = pair.say(0, &hello);
    let denying = members("deny", &pair.sides[0]);
    pair.sides[1].change_members(denying);
    assert!(pair.sides[1].is_empty() && pair.sides[0].len() == 1);
    assert_eq!(pair.exchange(0, overheard), [Vec::<Vec<u8>>::new(), Vec::new()]);
    assert!(pair.say(1, &hello).is_empty(), "nothing is said to it either, not even a KNOCK");
    // It begins anew, as far as its secret leads.
    pair.now += MAX_SILENCE;
    pair.sides[0] = Channels::new(ChannelSettings {
        epoch: BootEpoch(1_700_000_000_001),
        ..settings(0, Role::Node, SwarmSecret::from_bytes([3; 32]))
    });
    pair.meet(0);
    let knock = pair.say(0, &hello);
    assert!(pair.take(1, knock).is_empty());
    let cookie = pair.leaving(1);
    assert!(pair.take(0, cookie).is_empty());
    let initiate = pair.leaving(0);
    assert_eq!(initiate.len(), 1, "who has the secret may find out the key");
    let refused = pair.sides[1].counters().refused;
    assert!(pair.take(1, initiate.clone()).is_empty() && pair.leaving(1).is_empty());
    assert_eq!((pair.sides[1].counters().refused, pair.sides[1].len()), (refused + 1, 0));
    // It is a member again.
    pair.sides[1].change_members(Members::default());
    assert_eq!(pair.exchange(0, initiate)[1], [hello]);
}

#[test]
fn with_a_list_of_members_only_those_are_talked_to_by_either_side() {
    for list_at in [0, 1] {
        for (verb, named, talks) in [("allow", true, true), ("allow", false, false), ("deny", true, false)] {
            let mut pair = Pair::new();
            pair.meet(0);
            let other = if named { 1 - list_at } else { list_at };
            let list = members(verb, &pair.sides[other]);
            pair.sides[list_at].change_members(list);
            let hello = datagram(Kind::Hello, 7, b"hello");
            let first = pair.say(0, &hello);
            assert_eq!(first.is_empty(), list_at == 0 && !talks, "nobody is asked who is no member");
            let heard = pair.exchange(0, first);
            assert_eq!(heard[1].len(), usize::from(talks), "{verb} {named} at {list_at}");
        }
    }
}

#[test]
fn a_tracker_is_heard_although_it_is_in_no_list_of_members_unless_it_is_denied() {
    let ours = |pair: &Pair| members("allow", &pair.sides[0]);
    for knows_key in [false, true] {
        let mut pair = Pair::new();
        pair.sides[1] = endpoint(1, Role::Tracker, SwarmSecret::open());
        if knows_key {
            pair.sides[0].expect_key(address(1), StaticKey::from_secret([2; 32]).public());
        }
        let list = ours(&pair);
        pair.sides.iter_mut().for_each(|side| side.change_members(list.clone()));
        let register = datagram(Kind::Register, 7, b"register");
        let first = pair.say(0, &register);
        assert_eq!(pair.exchange(0, first)[1], std::slice::from_ref(&register));
        // The list is read again, and the channel stays.
        pair.sides[0].change_members(ours(&pair));
        assert_eq!(pair.sides[0].len(), 1);
        let denying = members("deny", &pair.sides[1]);
        pair.sides[0].change_members(denying);
        assert!(pair.sides[0].is_empty() && pair.say(0, &register).is_empty());
    }
}

#[test]
fn a_member_at_an_address_where_somebody_was_let_go_is_answered() {
    let mut pair = Pair::new();
    pair.meet(0);
    let hello = datagram(Kind::Hello, 7, b"hello");
    let first = pair.say(0, &hello);
    pair.exchange(0, first);
    let denying = members("deny", &pair.sides[0]);
    pair.sides[1].change_members(denying);
    assert!(pair.say(1, &hello).is_empty());
    pair.sides[0] = endpoint(7, Role::Node, SwarmSecret::open());
    pair.meet(0);
    let first = pair.say(0, &hello);
    assert_eq!(pair.exchange(0, first)[1], std::slice::from_ref(&hello));
    let answer = pair.say(1, &hello);
    assert_eq!(pair.take(0, answer), [hello]);
}

#[test]
fn a_handshake_that_another_of_the_same_node_has_overtaken_is_begun_anew_later() {
    let mut pair = Pair::new();
    pair.meet(0);
    let hello = datagram(Kind::Hello, 7, b"hello");
    let knock = pair.say(0, &hello);
    pair.take(1, knock);
    let cookie = pair.leaving(1);
    pair.take(0, cookie);
    let overtaken = pair.leaving(0);
    let later =
        HandshakeTime::of_life(BootEpoch(1_700_000_000_000)).next(BootEpoch(1_700_000_001_000), pair.now);
    let node = pair.sides[0].node_id();
    let now = pair.now;
    pair.sides[1].times.record(node, later, now);
    assert!(pair.take(1, overtaken.clone()).is_empty() && pair.leaving(1).is_empty());
    pair.now += Duration::from_millis(500);
    assert_eq!(pair.say(0, &hello), overtaken, "the same again");
    pair.now += Duration::from_millis(1000);
    let anew = pair.say(0, &hello);
    assert_ne!(anew, overtaken);
    assert_eq!(pair.exchange(0, anew)[1], [hello]);
}

#[test]
fn a_short_life_with_the_same_key_does_not_make_the_handshakes_of_a_longer_one_old() {
    let mut pair = Pair::new();
    pair.meet(0);
    let hello = datagram(Kind::Hello, 7, b"hello");
    let first = pair.say(0, &hello);
    assert_eq!(pair.exchange(0, first)[1], std::slice::from_ref(&hello));
    // A program of the same node that began later asks something, and ends.
    let later = BootEpoch(1_700_000_000_000 + 1_005_000);
    let question =
        Channels::new(ChannelSettings { epoch: later, ..settings(0, Role::Node, SwarmSecret::open()) });
    let first_life = std::mem::replace(&mut pair.sides[0], question);
    let began = pair.now;
    pair.now = Timestamp::ZERO;
    pair.meet(0);
    let asked = pair.say(0, &hello);
    pair.now = began + Duration::from_secs(5);
    assert!(pair.exchange(0, asked)[1].contains(&hello));
    // The long one opens another channel.
    pair.sides[0] = first_life;
    let (numbers, _) = pair.sides[0].table.newest(address(1)).unwrap();
    pair.sides[0].table.remove(numbers.channel().0);
    pair.now += Duration::from_secs(1);
    let again = pair.say(0, &hello);
    assert_eq!(pair.exchange(0, again)[1], [hello]);
}

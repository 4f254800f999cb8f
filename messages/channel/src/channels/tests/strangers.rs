//! What somebody gets who has recorded everything, sits behind the same address, or has another's key.

use super::*;

/// What was seen on the way: from which side, to which, in order.
type Capture = Vec<(usize, Vec<u8>)>;

/// Two endpoints open a channel and talk, both ways. Returns all that passed between them.
fn recorded(pair: &mut Pair) -> Capture {
    let mut capture = Capture::new();
    pair.meet(0);
    let mut on_way = pair.say(0, &datagram(Kind::Need, 1, b"who has it?"));
    let mut from = 0;
    while !on_way.is_empty() {
        capture.extend(on_way.iter().map(|bytes| (from, bytes.clone())));
        pair.take(1 - from, on_way);
        from = 1 - from;
        on_way = pair.leaving(from);
    }
    for number in 0..20u8 {
        for from in [0, 1] {
            let said = pair.say(from, &datagram(Kind::Ping, number.into(), &[number; 40]));
            capture.extend(said.iter().map(|bytes| (from, bytes.clone())));
            assert_eq!(pair.take(1 - from, said).len(), 1, "it is heard the first time");
        }
    }
    capture
}

/// Says all of `capture` again to the endpoints, as if from `source` of each side. Returns how many bytes were said, how
/// many came back, and what was heard.
fn say_again(
    sides: &mut [Channels; 2],
    now: Timestamp,
    capture: &Capture,
    source: impl Fn(usize) -> SocketAddr,
) -> (usize, usize, usize) {
    let (mut said, mut answered, mut heard) = (0, 0, 0);
    for (from, bytes) in capture {
        let to = &mut sides[1 - from];
        said += bytes.len();
        match to.handle(source(*from), &mut bytes.clone(), now) {
            Received::Opened { .. } => heard += 1,
            Received::Greeted { early, .. } => heard += early.len(),
            Received::Answered | Received::Nothing => {}
        }
        answered += to.take_outbox().iter().map(|(_, answer)| answer.len()).sum::<usize>();
    }
    (said, answered, heard)
}

#[test]
fn a_whole_capture_said_again_is_heard_nowhere_and_costs_no_more_than_it_says() {
    let mut pair = Pair::new();
    let capture = recorded(&mut pair);
    assert_eq!(capture.len(), 44, "the handshake and what was said over the channel");
    let (now, open) = (pair.now, [pair.sides[0].len(), pair.sides[1].len()]);
    // At once, from where it came, and from elsewhere; and when the cookies in it are too old.
    for later in [Duration::ZERO, Duration::from_secs(1000)] {
        let elsewhere = |side| SocketAddr::from(([192, 0, 2, 1 + side as u8], 5000));
        let (said, answered, heard) = say_again(&mut pair.sides, now + later, &capture, address);
        assert_eq!(heard, 0);
        assert!(answered <= said, "{answered} for {said}");
        let (said, answered, heard) = say_again(&mut pair.sides, now + later, &capture, elsewhere);
        assert_eq!(heard, 0);
        assert!(answered <= said, "{answered} for {said}");
        assert_eq!([pair.sides[0].len(), pair.sides[1].len()], open, "no channel more, and none less");
    }
    // The two still understand each other.
    let said = pair.say(0, &datagram(Kind::Bye, 1, b"done"));
    assert_eq!(pair.take(1, said).len(), 1);
}

#[test]
fn a_capture_of_one_swarm_is_nothing_to_the_same_two_in_another() {
    let mut pair = Pair::of([secret(1), secret(1)]);
    let capture = recorded(&mut pair);
    let mut others = Pair::of([secret(2), secret(2)]);
    recorded(&mut others);
    let (_, answered, heard) = say_again(&mut others.sides, others.now, &capture, address);
    assert_eq!((answered, heard), (0, 0), "not a byte");
}

#[test]
fn two_behind_one_address_have_a_channel_each_and_neither_can_use_what_the_other_was_given() {
    let mut hub = Hub::new(8, 8);
    let [first, second] = [from(1, 0), from(1, 1)];
    let mut initiate = hub.initiate(first);
    // The cookie of one port, used from the other: it is answered with another cookie and opens nothing.
    let mut stolen = initiate.clone();
    assert_eq!(hub.hub.handle(second, &mut stolen, hub.now), Received::Nothing);
    let answers = hub.hub.take_outbox();
    let lengths: Vec<_> = answers.iter().map(|(to, answer)| (*to, answer.len())).collect();
    assert_eq!(lengths, [(second, KNOCK)]);
    assert!(hub.hub.peer(second).is_none());
    assert!(matches!(hub.hub.handle(first, &mut initiate, hub.now), Received::Greeted { .. }));
    assert!(hub.greet(second));
    let peers = [first, second].map(|at| hub.hub.peer(at).expect("a channel"));
    assert_ne!(peers[0], peers[1]);
}

#[test]
fn a_copied_key_opens_channels_of_its_own_and_reads_none_of_the_others() {
    let mut hub = Hub::new(8, 8);
    let (original, copy) = (from(1, 0), from(2, 0));
    let key = StaticKey::from_secret([9; 32]);
    let mut nodes = [BootEpoch(1_700_000_000_000), BootEpoch(1_700_000_500_000)].map(|epoch| {
        let settings = settings(2, Role::Node, SwarmSecret::open());
        Channels::new(ChannelSettings { key: key.clone(), epoch, secret: [epoch.0 as u8; 32], ..settings })
    });
    let mut said = Vec::new();
    for (node, at) in nodes.iter_mut().zip([original, copy]) {
        node.seal(address(1), &datagram(Kind::Register, 1, b"x"), hub.now, &mut Vec::new());
        for _ in 0..2 {
            for (_, mut bytes) in node.take_outbox() {
                hub.hub.handle(at, &mut bytes, hub.now);
            }
            for (to, mut bytes) in hub.hub.take_outbox() {
                assert_eq!(to, at);
                node.handle(address(1), &mut bytes, hub.now);
            }
        }
        assert_eq!(hub.hub.peer(at), Some(key.node_id()), "the key is all that a node is known by");
        let mut sealed = Vec::new();
        assert!(node.seal(address(1), &datagram(Kind::Bye, 1, b"of it"), hub.now, &mut sealed));
        said.push(sealed);
    }
    // What one says is nothing from the address of the other, and what is said to one is nothing to the other.
    for (at, bytes) in [copy, original].into_iter().zip(&said) {
        assert_eq!(hub.hub.handle(at, &mut bytes.clone(), hub.now), Received::Nothing);
    }
    let mut answer = Vec::new();
    assert!(hub.hub.seal(original, &datagram(Kind::Owners, 1, b"for it"), hub.now, &mut answer));
    assert_eq!(nodes[1].handle(address(1), &mut answer.clone(), hub.now), Received::Nothing);
    assert!(matches!(nodes[0].handle(address(1), &mut answer, hub.now), Received::Opened { .. }));
    for (at, bytes) in [original, copy].into_iter().zip(&said) {
        assert!(matches!(hub.hub.handle(at, &mut bytes.clone(), hub.now), Received::Opened { .. }));
    }
}

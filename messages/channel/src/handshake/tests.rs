use proptest::prelude::*;

use super::*;
use crate::swarm::SwarmSecret;

proptest! {
    /// A member of the swarm may offer anything: it is refused, or within the limits.
    #[test]
    fn any_offer_is_refused_or_within_the_limits(
        mut offer in prop::collection::vec(any::<u8>(), OFFER_LENGTH),
        (free_bits, suite, is_long) in (0..20u8, 0..3u8, any::<bool>()),
    ) {
        (offer[8], offer[9]) = (free_bits, suite);
        if !is_long {
            // One datagram of 30 bytes, ten of which travel.
            offer[OFFER_FIELDS + EARLY_FIELDS + 10..].fill(0);
            offer[OFFER_FIELDS + EARLY_FIELDS + 3] = Kind::Hello as u8;
            offer[OFFER_FIELDS + EARLY_FIELDS + 9] = 1;
            offer[OFFER_FIELDS..][..EARLY_FIELDS].copy_from_slice(&[30, 0, 10, 0]);
        }
        let (swarm, mut rng) = (SwarmSecret::open().keys(), StdRng::seed_from_u64(1));
        let [initiator, responder] = [1, 2].map(|byte| StaticKey::from_secret([byte; 32]));
        let mut message = [0; INITIATE];
        message[4..HEADER_LENGTH].copy_from_slice(&0xabc0_0000u32.to_le_bytes());
        let (prologue, peer) = (prologue(&message), responder.public());
        let mut state = builder(&initiator, &swarm, &prologue, &mut rng)
            .and_then(|builder| builder.remote_public_key(peer.as_bytes()))
            .and_then(Builder::build_initiator)
            .expect("all is given");
        state.write_message(&offer, &mut message[NOISE_AT..INITIATE - SWARM_TAG]).expect("it fits");
        let numbers = Numbers::new(0x1234_0000, 14).expect("as many bits as may be free");
        let terms = Terms { numbers, suite: Suite::Aes128Gcm, token: [3; 16] };
        let mut accept = [0; ACCEPT];
        let response = respond(&responder, &swarm, terms, &message, &mut accept, &mut rng);
        let may_be_good = free_bits <= Numbers::MAX_FREE_BITS && suite < 2;
        prop_assert!(may_be_good || response.is_none());
        prop_assert!(!may_be_good || is_long || response.is_some());
        if let Some((offer, _)) = response {
            prop_assert_eq!(offer.agreed.peer, initiator.public());
            prop_assert!(offer.early.len() <= MAX_EARLY);
            prop_assert!(offer.early.iter().all(|early| early.len() <= messages::limits::CONTROL_DATAGRAM));
        }
    }
}

#[test]
fn early_datagrams_are_few_and_none_belongs_to_a_channel() {
    let one = [0xb0, 4, 0, 0];
    let mut space = [0; OFFER_LENGTH];
    for fields in space.chunks_exact_mut(EARLY_FIELDS).take(MAX_EARLY) {
        fields.copy_from_slice(&one);
    }
    assert_eq!(read_early(&space).map(|early| early.len()), Some(MAX_EARLY));
    space[MAX_EARLY * EARLY_FIELDS..][..EARLY_FIELDS].copy_from_slice(&one);
    assert_eq!(read_early(&space), None, "longer than what carries them by far");
    let nested = messages::Header { kind: Kind::Sealed, conversation: messages::Conversation(1) }.encode();
    let mut space = [0; OFFER_LENGTH];
    assert_eq!(write_early(&[nested.to_vec()], &mut space), 1);
    assert_eq!(read_early(&space), None, "nothing of a channel is sealed in another");
}

#[test]
fn early_datagrams_travel_without_the_zeros_at_their_end_as_many_as_fit() {
    let long = [&[1; 500][..], &[0; 700]].concat();
    let datagrams = vec![long.clone(), vec![2; 400], vec![3; 300]];
    let mut space = [0; 1000];
    assert_eq!(write_early(&datagrams, &mut space), 2, "the third does not fit");
    assert_eq!(read_early(&space), Some(vec![long, vec![2; 400]]));
    assert_eq!(read_early(&[0; 100]), Some(Vec::new()));
    let mut wrong = [0; 100];
    wrong[..4].copy_from_slice(&[200, 0, 150, 0]);
    assert_eq!(read_early(&wrong), None, "more than there is");
    wrong[..4].copy_from_slice(&[1, 0, 2, 0]);
    assert_eq!(read_early(&wrong), None, "more than it is long");
    wrong[..4].copy_from_slice(&[0xff, 0xff, 1, 0]);
    assert_eq!(read_early(&wrong), None, "longer than any control datagram");
    for wrong in [&[9, 0, 1, 0, 0][..], &[0, 0, 0, 0, 1], &[9, 0, 1, 0, 5, 1], &[9, 0, 0, 0, 0, 0, 0, 7]] {
        assert_eq!(read_early(wrong), None, "said in another way: {wrong:?}");
    }
    assert_eq!(read_early(&[9, 0, 1, 0, 5, 0]), Some(vec![vec![5, 0, 0, 0, 0, 0, 0, 0, 0]]));
}

/// The vector of the cacophony project for this very protocol. Snow's own tests read it, too, with a feature that nobody
/// asks for here: this holds the primitives that this build chose.
#[test]
fn noise_is_noise() {
    let hex = |digits: &str| -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
        (0..digits.len()).step_by(2).map(byte).collect()
    };
    let psk: [u8; 32] = *b"This is my Austrian perspective!";
    let side = |secret: &str, ephemeral: &str, peer: Option<&str>| {
        let (secret, ephemeral, peer) = (hex(secret), hex(ephemeral), peer.map(hex));
        let builder = Builder::with_resolver(
            PATTERN.parse().expect("a pattern"),
            Box::new(SeededResolver { seed: [0; 32] }),
        )
        .prologue(b"John Galt")
        .and_then(|builder| builder.local_private_key(&secret))
        .and_then(|builder| builder.psk(1, &psk))
        .expect("all is as long as it must be")
        .fixed_ephemeral_key_for_testing_only(&ephemeral);
        match &peer {
            Some(peer) => builder.remote_public_key(peer).and_then(Builder::build_initiator),
            None => builder.build_responder(),
        }
        .expect("all is given")
    };
    let mut initiator = side(
        "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
        "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
        Some("31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62"),
    );
    let mut responder = side(
        "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
        "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
        None,
    );
    let (mut message, mut text) = ([0; 200], [0; 200]);
    let length = initiator.write_message(b"Ludwig von Mises", &mut message).expect("it fits");
    let first = "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c794498e192a0a94102bd8fa1a182979c012f\
                 4fa2558d899e2e58d4d4aba041a56b35297560de33bf7fe93f8e567791039539f59e76a00721ea7c1095fbccf10a13df\
                 79f3b5605bfb0617c309698737c73429";
    assert_eq!(message[..length], hex(first));
    assert_eq!(responder.read_message(&message[..length], &mut text), Ok(16));
    let length = responder.write_message(b"Murray Rothbard", &mut message).expect("it fits");
    let second = "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088434523a21bc9f1ce57af3dc28365e1e33c\
                  25f577fc4aa2149d5d6a2ab0911beb";
    assert_eq!(message[..length], hex(second));
    assert_eq!(initiator.read_message(&message[..length], &mut text), Ok(15));
    let hash = "a02debd3baac76b19863f7d1175927193fcee661e9f7ae87b6d086cb4926c783";
    assert_eq!(initiator.get_handshake_hash(), hex(hash));
}

use messages::{Header, Kind};
use proptest::prelude::*;

use super::*;
use crate::frame::Numbers;

fn halves(suite: Suite) -> (Sealer, Opener) {
    let remote = Numbers::new(0x1234_0000, 16).expect("as many bits as may be free");
    let secret = || Zeroizing::new([5; 32]);
    (Sealer::new(suite, secret(), remote), Opener::new(suite, secret()))
}

fn ping() -> Vec<u8> {
    let mut bytes = Header { kind: Kind::Ping, conversation: Conversation(0x1234_5678) }.encode().to_vec();
    bytes.extend_from_slice(b"are you there?");
    bytes
}

fn sealed(sealer: &mut Sealer) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.seal(&ping(), &mut out);
    out
}

#[test]
fn keys_change_and_late_datagrams_of_the_key_before_are_opened() {
    for suite in [Suite::Aes128Gcm, Suite::ChaCha20Poly1305] {
        let (mut sealer, mut opener) = halves(suite);
        for generation in 1..4 {
            sealer.next = generation * GENERATION - 2;
            let mut late = sealed(&mut sealer);
            for _ in 0..3 {
                let mut frame = sealed(&mut sealer);
                assert_eq!(opener.open(&mut frame), Ok(()));
                assert_eq!(frame::unwrap(&mut frame).map(|range| frame[range].to_vec()), Some(ping()));
            }
            assert_eq!(opener.current.number, generation);
            assert_eq!(opener.open(&mut late), Ok(()));
        }
    }
}

#[test]
fn a_forged_datagram_changes_no_key() {
    let (mut sealer, mut opener) = halves(Suite::Aes128Gcm);
    sealer.next = GENERATION + 5;
    let mut forged = sealed(&mut sealer);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(opener.open(&mut forged), Err(NotOpened::Forged));
    assert_eq!(opener.current.number, 0);
}

/// The exact bytes of a PING in packets of several generations: which key and which nonce seal it must not change. The
/// secret of the direction is 32 times the byte 5; `README.md` says how the keys follow from it.
#[test]
fn the_key_schedule_is_known() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (suite, number, known) in KNOWN {
        let (mut sealer, _) = halves(suite);
        for _ in 0..number / GENERATION {
            sealer.generation = sealer.generation.next();
        }
        sealer.next = number;
        assert_eq!(hex(&sealed(&mut sealer)), known, "{suite:?}, packet {number}");
    }
}

const KNOWN: [(Suite, u64, &str); 4] = [
    (
        Suite::Aes128Gcm,
        0,
        "7266024578563412000000000ae974c044f8479686294c512a9a61c908678ed0625fc025113cc1a5302375",
    ),
    (
        Suite::ChaCha20Poly1305,
        0,
        "726602457856341200000000eda5e1b8a6fa05a12018a094845f586732fc43b8f7de0c4b351ddf1c38af5a",
    ),
    (
        Suite::Aes128Gcm,
        5 * GENERATION + 7,
        "7266024578563412070040016688b6a2e03cecaa72d2c7219d4d0c3225e3fa670404c24f0736fb3f4dd69f",
    ),
    (
        Suite::ChaCha20Poly1305,
        (1 << 32) + 1,
        "7266024578563412010000001e6e5add9fcac24da9fc2cf9872921bca80f5f61d2a46715ebee0769e432ab",
    ),
];

proptest! {
    /// In whatever order sealed datagrams arrive, each is opened once, unless it is too late.
    #[test]
    fn each_is_opened_once(order in Just((0..200usize).collect::<Vec<_>>()).prop_shuffle(), seen_again in 0..200usize) {
        let (mut sealer, mut opener) = halves(Suite::Aes128Gcm);
        let frames: Vec<Vec<u8>> = (0..200).map(|_| sealed(&mut sealer)).collect();
        for &which in &order {
            prop_assert_eq!(opener.open(&mut frames[which].clone()), Ok(()));
        }
        prop_assert_eq!(opener.open(&mut frames[seen_again].clone()), Err(NotOpened::Replayed));
    }
}

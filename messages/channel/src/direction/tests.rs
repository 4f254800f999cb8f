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

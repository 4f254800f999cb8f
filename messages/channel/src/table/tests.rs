use rand::SeedableRng as _;
use zeroize::Zeroizing;

use super::*;

const START: Timestamp = Timestamp::from_nanos(1_000_000_000_000);

fn address(number: u32) -> SocketAddr {
    SocketAddr::from((std::net::Ipv4Addr::from_bits(0x0a00_0000 + number), 4000))
}

fn table() -> Table {
    Table::new(10_000, 10_000, 0)
}

/// Opens a channel with `address`, of numbers that are drawn.
fn open(table: &mut Table, address: SocketAddr, rng: &mut StdRng, now: Timestamp) -> u32 {
    let numbers = table.free_numbers(|_| false, rng);
    let (suite, secret) = (Suite::Aes128Gcm, || Zeroizing::new([7; 32]));
    let halves = (Sealer::new(suite, secret(), numbers), Opener::new(suite, secret()));
    let peer = PublicKey::from_bytes([1; 32]);
    table.insert(
        numbers,
        Channel::new(address, peer, suite, halves, ([0; 16], SecretId::default()), None, now),
    );
    numbers.channel().0
}

fn seal(table: &mut Table, address: SocketAddr) {
    let channel = table.for_conversation(address, Conversation(0)).expect("open");
    channel.sealer.seal(&[0; 8], &mut Vec::new());
}

fn with_keys(table: &Table) -> usize {
    table.iter().filter(|channel| channel.sealer.is_ready()).count()
}

#[test]
fn keys_of_as_many_channels_as_are_used_at_a_time_are_kept_and_no_more() {
    let (mut table, mut rng) = (table(), StdRng::seed_from_u64(1));
    let count = MAX_READY as u32 + 1000;
    for number in 0..count {
        open(&mut table, address(number), &mut rng, START);
    }
    assert_eq!(with_keys(&table), 0, "not before they are used");
    table.on_time(START);
    for _ in 0..2 {
        for number in 0..count {
            seal(&mut table, address(number));
            assert!(table.ready.len() <= MAX_READY);
        }
        assert!((MAX_READY - 1..=MAX_READY).contains(&with_keys(&table)));
    }
}

#[test]
fn keys_of_an_idle_channel_are_forgotten_and_those_of_another_are_not() {
    let (mut table, mut rng) = (table(), StdRng::seed_from_u64(1));
    for number in 0..3 {
        open(&mut table, address(number), &mut rng, START);
        seal(&mut table, address(number));
    }
    for second in 0..=READY_FOR.as_secs() + 2 {
        table.on_time(START + Duration::from_secs(second));
        seal(&mut table, address(1));
    }
    assert_eq!(with_keys(&table), 1);
    assert_eq!(table.ready.len(), 1);
    seal(&mut table, address(0));
    assert_eq!(with_keys(&table), 2);
}

#[test]
fn of_one_address_the_newest_channels_stay() {
    let (mut table, mut rng) = (table(), StdRng::seed_from_u64(1));
    let numbers: Vec<u32> = (0..7).map(|_| open(&mut table, address(1), &mut rng, START)).collect();
    assert_eq!(table.len(), MAX_AT_ADDRESS);
    assert!(numbers[3..].iter().all(|number| table.by_number.contains_key(number)));
    let newest = |table: &Table| table.newest(address(1)).map(|(numbers, _)| numbers.channel().0);
    assert_eq!(newest(&table), Some(numbers[6]));
    table.remove(numbers[6]);
    table.remove(numbers[4]);
    assert_eq!(newest(&table), Some(numbers[5]));
    table.remove(numbers[5]);
    assert_eq!(newest(&table), Some(numbers[3]));
    table.remove(numbers[3]);
    assert!(table.by_address.is_empty() && table.by_host.is_empty() && table.of_host.is_empty());
    assert!(table.by_use.is_empty() && table.by_number.is_empty());
}

//! Thousands of bogus owners, which announce contents that they do not have: nobody answers at their addresses, or the
//! answer is useless. A downloader has to try them; it must neither give up nor let them make it flood others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::Timestamp;
use riffle_core::{Destination, DownloadOrder, DownloadTimeouts, Existing, Wanted};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::OwnerScript;
use riffle_sim::world::{HostId, Manners, World};

const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";
/// The time by which every owner has announced its contents.
const BEGINS: Duration = Duration::from_secs(5);
/// The most HELLOs that a downloader sends in a second, those that owners answer with BUSY at once included.
const MAX_IN_A_SECOND: u64 = 300;
/// The most HELLOs that a downloader sends to one host in a second: as many as it has slots every 250 ms, and some
/// repetitions.
const MAX_AT_A_HOST: u64 = 48;
/// The most datagrams that a downloader sends to one owner that does not answer.
const MAX_OF_ONE: u64 = 16;

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

/// A number of bogus owners, some honest owners that come after `before` of the bogus ones, and one downloader of the
/// content that all of them announce.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    seed: u64,
    bogus: usize,
    manners: Manners,
    honest: usize,
    before: usize,
    /// The packets that are lost of a million.
    loss: u32,
    /// The number of addresses that the bogus owners share; `None`: each has an address of its own.
    addresses: Option<u8>,
}

impl Crowd {
    const fn new(bogus: usize, manners: Manners) -> Crowd {
        Crowd { seed: 1, bogus, manners, honest: 1, before: 0, loss: 0, addresses: None }
    }

    fn world(self) -> (World, HostId) {
        let link = LinkSpec { loss: self.loss, ..lan() };
        let mut world = World::new(self.seed, LinkSpec { up: 0, down: 0, ..lan() });
        world.record.max_events = 64;
        let content = world.library.add(NAME, 16 * MIB);
        for number in 0..self.bogus + self.honest {
            let host = world.add_host(link, NodeSettings::default());
            if !(self.before..self.before + self.honest).contains(&number) {
                world.hosts[host.0].manners = self.manners;
                if let Some(addresses) = self.addresses {
                    let ip = [198, 51, 100, (number % usize::from(addresses)) as u8];
                    world.move_to(host, (ip, 10_000 + number as u16).into());
                }
            }
            world.share(host, Path::new("/shared").join(NAME), content.name.clone(), content.id);
        }
        let host = world.add_host(link, NodeSettings::default());
        let order = DownloadOrder {
            wanted: Wanted::Content(content.id),
            destination: Destination::Folder(PathBuf::from("/saved")),
            existing: Existing::Keep,
            select: Vec::new(),
            save: riffle_core::SaveOptions::default(),
            sequential: false,
            timeouts: DownloadTimeouts::NONE,
        };
        world.wish(Timestamp::ZERO + BEGINS, host, order);
        world.count_unsolicited(host);
        (world, host)
    }

    /// The time that the download takes. The number of its datagrams to bogus owners is asserted to be bounded.
    fn takes(self) -> Duration {
        let (mut world, host) = self.world();
        let until = Timestamp::ZERO + BEGINS + Duration::from_secs(300);
        let done = world.run(until, |world| world.hosts[host.0].is_content());
        assert!(done, "{self:?}");
        let sent = world.record.unsolicited.as_ref().expect("it is counted");
        assert!(sent.count() > 0, "{self:?}");
        assert!(sent.max_in_a_second() <= MAX_IN_A_SECOND, "{self:?}: {sent:?}");
        assert!(sent.max_at_a_host() <= MAX_AT_A_HOST, "{self:?}: {sent:?}");
        assert!(sent.max_of_one() <= MAX_OF_ONE, "{self:?}: {sent:?}");
        world.now.since(Timestamp::ZERO + BEGINS)
    }
}

const MANNERS: [Manners; 3] =
    [Manners::Silent, Manners::Scripted(OwnerScript::TalksNonsense), Manners::Scripted(OwnerScript::IsFull)];

#[test]
fn one_honest_owner_among_hundreds_is_found_in_seconds() {
    for (seed, before) in [(1, 0), (2, 200), (3, 400)] {
        for manners in MANNERS {
            let took = Crowd { seed, before, ..Crowd::new(400, manners) }.takes();
            assert!(took <= Duration::from_secs(8), "{manners:?}: {took:?}");
        }
    }
}

#[test]
fn one_honest_owner_among_thousands_is_found_in_a_minute_or_so() {
    // In the last of them it is asked nearly last.
    for (seed, before, manners) in
        [(1, 0, MANNERS[0]), (2, 2000, MANNERS[1]), (3, 4000, MANNERS[0]), (3, 4000, MANNERS[2])]
    {
        let took = Crowd { seed, before, ..Crowd::new(4000, manners) }.takes();
        assert!(took <= Duration::from_secs(75), "{manners:?}: {took:?}");
    }
    let two = Crowd { seed: 3, before: 3000, honest: 2, ..Crowd::new(4000, MANNERS[0]) }.takes();
    assert!(two <= Duration::from_secs(75), "{two:?}");
}

#[test]
fn one_whose_answer_is_lost_is_asked_again() {
    // Of those that are greeted once only, in haste, one in three answers nothing that arrives.
    for seed in 1..=4 {
        let took = Crowd { seed, before: 200, loss: 100_000, ..Crowd::new(400, Manners::Silent) }.takes();
        assert!(took <= Duration::from_secs(40), "seed {seed}: {took:?}");
    }
}

#[test]
fn thousands_at_a_few_hosts_hide_nobody() {
    for manners in MANNERS {
        let crowd = Crowd { before: 4000, addresses: Some(16), ..Crowd::new(4000, manners) };
        let took = crowd.takes();
        assert!(took <= Duration::from_secs(75), "{manners:?}: {took:?}");
    }
}

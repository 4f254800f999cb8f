//! Many who want the same at once: how near the swarm comes to the bound, and what the first owner uploads.

mod harness;

use harness::{MIB, Swarm, run};

#[test]
fn zz_try() {
    for n in std::env::var("NN").unwrap_or("8 32".into()).split(' ').map(|n| n.parse::<usize>().unwrap()) {
        for swarm in [Swarm::fair(n, 64 * MIB), Swarm::tit_for_tat(n, 64 * MIB)] {
            let t = std::time::Instant::now();
            eprintln!("{n} {:?} {:?} {:?}", swarm.policy, run(&swarm, 1), t.elapsed());
        }
    }
}

//! The SHA-1 of several byte sequences at once, in one thread.
//!
//! SHA-1 is one chain of steps, each of which waits for the one before, and the processor's instructions for it take
//! longer to answer than to begin: a single sequence leaves most of a core idle. Sequences that have nothing to do with
//! each other fill it. `driver/README.md` has the measurement for which this file exists; no kept crate does it.
//! Where the processor has no such instructions the crate `sha1` hashes one sequence after the other.

#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "calling a function that needs instructions which not every processor has; see the block"
    )
)]

use sha1::block_api;

/// So many at once: more do not fit the processor's registers, and are slower again.
pub(crate) const MAX_LANES: usize = 4;

type HashState = [u32; 5];
type Block = [u8; 64];

/// FIPS 180-4, 5.3.1.
const INITIAL: HashState = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// The SHA-1 of one sequence, under way.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    state: HashState,
    length: u64,
    /// The bytes after the last whole block.
    rest: Block,
}

impl Lane {
    /// Of a sequence that begins.
    pub(crate) fn new() -> Lane {
        Lane { state: INITIAL, length: 0, rest: [0; 64] }
    }

    /// The hash, once every byte was taken.
    pub(crate) fn finish(mut self) -> [u8; 20] {
        let mut last = [[0; 64]; 2];
        let rest = (self.length % 64) as usize;
        let bytes = last.as_flattened_mut();
        bytes[..rest].copy_from_slice(&self.rest[..rest]);
        bytes[rest] = 0x80;
        let blocks = if rest < 56 { 1 } else { 2 };
        bytes[64 * blocks - 8..64 * blocks].copy_from_slice(&(8 * self.length).to_be_bytes());
        block_api::compress(&mut self.state, &last[..blocks]);
        let mut hash = [0; 20];
        for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        hash
    }

    /// Notes the bytes, and leaves the whole blocks of them to be done.
    fn take<'a>(&'a mut self, bytes: &'a [u8]) -> Work<'a> {
        assert!(
            bytes.is_empty() || self.length.is_multiple_of(64),
            "only the last bytes may end within a block"
        );
        let (blocks, rest) = bytes.as_chunks();
        self.length += bytes.len() as u64;
        self.rest[..rest.len()].copy_from_slice(rest);
        Work { state: &mut self.state, blocks }
    }
}

/// What is to be done for one sequence.
struct Work<'a> {
    state: &'a mut HashState,
    blocks: &'a [Block],
}

/// Takes the next bytes of each sequence: whole blocks of 64, but for its last.
///
/// # Panics
/// When there are more than [`MAX_LANES`], or bytes follow a block that was not whole.
pub(crate) fn update<'a>(lanes: impl Iterator<Item = (&'a mut Lane, &'a [u8])>) {
    let mut work: Vec<Work<'_>> = lanes.map(|(lane, bytes)| lane.take(bytes)).collect();
    assert!(work.len() <= MAX_LANES, "{} sequences at once", work.len());
    loop {
        work.retain(|work| !work.blocks.is_empty());
        let Some(common) = work.iter().map(|work| work.blocks.len()).min() else { return };
        advance(&mut work, common);
        work.iter_mut().for_each(|work| work.blocks = &work.blocks[common..]);
    }
}

/// Does the first `count` blocks of each.
fn advance(work: &mut [Work<'_>], count: usize) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sha")
        && std::arch::is_x86_feature_detected!("ssse3")
        && std::arch::is_x86_feature_detected!("sse4.1")
    {
        // SAFETY: the processor has the instructions that this function uses beyond those of every x86-64; it takes
        // and gives safe values, and that is all it needs.
        return unsafe { x86::advance(work, count) };
    }
    one_by_one(work, count);
}

fn one_by_one(work: &mut [Work<'_>], count: usize) {
    for Work { state, blocks } in work {
        block_api::compress(state, &blocks[..count]);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128,
        _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_shuffle_epi8,
        _mm_xor_si128,
    };

    use super::{Work, one_by_one};

    /// Does the first `count` blocks of each.
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub(super) fn advance(work: &mut [Work<'_>], count: usize) {
        match work.len() {
            2 => together::<2>(work, count),
            3 => together::<3>(work, count),
            4 => together::<4>(work, count),
            _ => one_by_one(work, count),
        }
    }

    /// Four rounds at a time of every sequence, then the next four. Loops over `N`, not closures: those are compiled
    /// without the instructions.
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    #[expect(
        clippy::needless_range_loop,
        reason = "an iterator's closures would be compiled without them too"
    )]
    fn together<const N: usize>(work: &mut [Work<'_>], count: usize) {
        let zero = _mm_setzero_si128();
        let (mut abcd, mut e) = ([zero; N], [zero; N]);
        let mut blocks = [&[][..]; N];
        for lane in 0..N {
            let [a, b, c, d, last] = work[lane].state.map(u32::cast_signed);
            abcd[lane] = _mm_set_epi32(a, b, c, d);
            e[lane] = _mm_set_epi32(last, 0, 0, 0);
            blocks[lane] = &work[lane].blocks[..count];
        }
        for at in 0..count {
            let before = (abcd, e);
            let mut words = [[zero; 4]; N];
            for lane in 0..N {
                let (quarters, _) = blocks[lane][at].as_chunks();
                for (words, quarter) in words[lane].iter_mut().zip(quarters) {
                    *words = load(quarter);
                }
            }
            // `$kind`: which function and constant of FIPS 180-4; `$group`: which four of the 80 rounds.
            macro_rules! rounds {
                ($kind:literal: $($group:literal)*) => {$(
                    for lane in 0..N {
                        let [w0, w1, w2, w3] = [0, 1, 2, 3].map(|next| ($group + next) % 4);
                        let words = &mut words[lane];
                        if $group >= 4 {
                            let sum = _mm_xor_si128(_mm_sha1msg1_epu32(words[w0], words[w1]), words[w2]);
                            words[w0] = _mm_sha1msg2_epu32(sum, words[w3]);
                        }
                        let next = match $group {
                            0 => _mm_add_epi32(e[lane], words[w0]),
                            _ => _mm_sha1nexte_epu32(e[lane], words[w0]),
                        };
                        e[lane] = abcd[lane];
                        abcd[lane] = _mm_sha1rnds4_epu32::<$kind>(abcd[lane], next);
                    }
                )*};
            }
            rounds!(0: 0 1 2 3 4);
            rounds!(1: 5 6 7 8 9);
            rounds!(2: 10 11 12 13 14);
            rounds!(3: 15 16 17 18 19);
            for lane in 0..N {
                abcd[lane] = _mm_add_epi32(before.0[lane], abcd[lane]);
                e[lane] = _mm_sha1nexte_epu32(e[lane], before.1[lane]);
            }
        }
        for lane in 0..N {
            let (abcd, e) = (abcd[lane], e[lane]);
            let words = [
                _mm_extract_epi32::<3>(abcd),
                _mm_extract_epi32::<2>(abcd),
                _mm_extract_epi32::<1>(abcd),
                _mm_extract_epi32::<0>(abcd),
                _mm_extract_epi32::<3>(e),
            ];
            *work[lane].state = words.map(i32::cast_unsigned);
        }
    }

    /// Four big-endian words, the first one highest.
    #[target_feature(enable = "ssse3")]
    fn load(bytes: &[u8; 16]) -> __m128i {
        let order = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
        let value = u128::from_le_bytes(*bytes).cast_signed();
        _mm_shuffle_epi8(_mm_set_epi64x((value >> 64) as i64, value as i64), order)
    }
}

#[cfg(test)]
mod tests {
    use sha1::{Digest, Sha1};

    use super::*;
    use crate::driver::test_bytes;

    fn together(sequences: &[&[u8]], step: usize) -> Vec<[u8; 20]> {
        let mut lanes = vec![Lane::new(); sequences.len()];
        let longest = sequences.iter().map(|bytes| bytes.len()).max().unwrap_or(0);
        for at in (0..longest).step_by(step) {
            let parts =
                sequences.iter().map(|bytes| &bytes[at.min(bytes.len())..(at + step).min(bytes.len())]);
            update(lanes.iter_mut().zip(parts));
        }
        lanes.into_iter().map(Lane::finish).collect()
    }

    #[test]
    fn sequences_hashed_together_hash_to_what_each_hashes_to_alone() {
        let bytes = test_bytes(9_000);
        let lengths = [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000, 4096, 5000];
        for (number, first) in lengths.into_iter().enumerate() {
            for count in 1..=MAX_LANES {
                // Each begins elsewhere, and all are of different lengths.
                let length = |lane: usize| {
                    if lane == 0 { first } else { lengths[(number + 3 * lane) % lengths.len()] }
                };
                let sequences: Vec<_> =
                    (0..count).map(|lane| &bytes[1000 * lane + lane..][..length(lane)]).collect();
                let alone: Vec<[u8; 20]> = sequences.iter().map(|bytes| Sha1::digest(bytes).into()).collect();
                for step in [64, 640, 8192] {
                    assert_eq!(together(&sequences, step), alone, "{first} {count} {step}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "only the last bytes")]
    fn nothing_follows_a_block_that_is_not_whole() {
        let mut lane = Lane::new();
        update([(&mut lane, &[1; 65][..])].into_iter());
        update([(&mut lane, &[1; 64][..])].into_iter());
    }
}

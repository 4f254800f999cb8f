//! What shows that a journal is ours: every header and record carries a seal, keyed BLAKE3 under a secret of the state
//! folder over all that stands before it. So nobody else writes, adds to, reorders or transplants what a journal says;
//! what is torn off its end takes nothing else along. It keeps out whoever cannot read the secret: not a program of the
//! same user.

/// Bytes of a seal.
pub(crate) const SEAL: usize = 16;
/// The secret may come to serve other ends, under other words.
const CONTEXT: &str = "riffle 2026 the seals of journals";

/// What this person's journals are sealed under, on this host.
#[derive(Clone, Copy)]
pub(crate) struct JournalKey([u8; 32]);

impl JournalKey {
    /// The key that belongs to a secret.
    pub(crate) fn of_secret(secret: &[u8; 32]) -> JournalKey {
        JournalKey(blake3::derive_key(CONTEXT, secret))
    }

    /// The beginning of a journal.
    pub(crate) fn begin(&self) -> Chain {
        Chain { key: self.0, before: [0; 32] }
    }
}

/// Never shown.
impl std::fmt::Debug for JournalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JournalKey")
    }
}

/// All that was sealed so far, as one value.
#[derive(Clone, Copy)]
pub(crate) struct Chain {
    key: [u8; 32],
    before: [u8; 32],
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chain")
    }
}

impl Chain {
    /// The seal of `fields`, which stand behind all that was sealed before.
    pub(crate) fn seal(&mut self, fields: &[u8]) -> [u8; SEAL] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.before).update(fields);
        self.before = *hasher.finalize().as_bytes();
        *self.before.first_chunk().expect("a BLAKE3 value is longer than a seal")
    }

    /// The fields in front of their seal, if that is right; then what comes next stands behind them.
    pub(crate) fn opened<'a>(&mut self, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (fields, seal) = sealed.split_last_chunk::<SEAL>()?;
        let mut next = *self;
        (next.seal(fields) == *seal).then(|| {
            *self = next;
            fields
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_one_key_and_of_all_that_stands_before_it() {
        let sealed = |key: [u8; 32], said: &[&[u8]]| {
            let mut chain = JournalKey::of_secret(&key).begin();
            said.iter().map(|fields| [fields, &chain.seal(fields)[..]].concat()).collect::<Vec<_>>()
        };
        let said = sealed([1; 32], &[b"header", b"one", b"two", b"one"]);
        let opens = |key: [u8; 32], said: &[&Vec<u8>]| {
            let mut chain = JournalKey::of_secret(&key).begin();
            said.iter().take_while(|sealed| chain.opened(sealed).is_some()).count()
        };
        let [header, one, two, again] = &said[..] else { panic!("four") };
        assert_eq!(opens([1; 32], &[header, one, two, again]), 4);
        assert_eq!(opens([2; 32], &[header, one, two, again]), 0, "another key");
        assert_eq!(opens([1; 32], &[header, two, one]), 1, "another order");
        assert_eq!(opens([1; 32], &[header, one, again]), 2, "one left out");
        assert_eq!(opens([1; 32], &[header, one, one]), 2, "said twice");
        let other = sealed([1; 32], &[b"another", b"one"]);
        assert_eq!(opens([1; 32], &[header, &other[1]]), 1, "of another journal");
        assert_eq!(opens([1; 32], &[&header[..5].to_vec()]), 0);
    }
}

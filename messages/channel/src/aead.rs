//! The ciphers that seal datagrams (RFC 5116 AEADs of aws-lc), and which of them to use.

use aws_lc_rs::aead::{AES_128_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::frame::TAG_LENGTH;

/// A cipher with authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum Suite {
    /// AES-128-GCM (NIST SP 800-38D): the fastest where the processor has AES.
    #[cfg_attr(feature = "serde", serde(rename = "AES-128-GCM"))]
    Aes128Gcm = 0,
    /// ChaCha20-Poly1305 (RFC 8439): the fastest elsewhere.
    #[cfg_attr(feature = "serde", serde(rename = "ChaCha20-Poly1305"))]
    ChaCha20Poly1305 = 1,
}

impl Suite {
    /// What this processor does best.
    #[must_use]
    pub fn preferred() -> Suite {
        #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
        let has_aes = std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq");
        #[cfg(target_arch = "aarch64")]
        let has_aes = std::arch::is_aarch64_feature_detected!("aes");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
        let has_aes = false;
        if has_aes { Suite::Aes128Gcm } else { Suite::ChaCha20Poly1305 }
    }

    /// What two sides use of whom each prefers one: AES where both have it in hardware.
    #[must_use]
    pub fn agreed(self, other: Suite) -> Suite {
        if self == other { self } else { Suite::ChaCha20Poly1305 }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Suite> {
        match byte {
            0 => Some(Suite::Aes128Gcm),
            1 => Some(Suite::ChaCha20Poly1305),
            _ => None,
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Suite::Aes128Gcm => "AES-128-GCM",
            Suite::ChaCha20Poly1305 => "ChaCha20-Poly1305",
        }
    }
}

/// One key with its nonces: what one side seals, or opens, in one generation.
pub(crate) struct AeadKey {
    key: LessSafeKey,
    /// Combined with the packet number to a nonce (RFC 9001 §5.3).
    iv: [u8; 12],
}

impl AeadKey {
    /// The key that follows from the secret of one direction and generation.
    pub(crate) fn derive(suite: Suite, secret: &[u8; 32]) -> AeadKey {
        let bytes = Zeroizing::new(blake3::derive_key("riffle 2026-11 channel: key", secret));
        let algorithm = match suite {
            Suite::Aes128Gcm => &AES_128_GCM,
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, &bytes[..algorithm.key_len()])
            .unwrap_or_else(|_| unreachable!("the key is as long as its algorithm asks for"));
        let hash = blake3::derive_key("riffle 2026-11 channel: iv", secret);
        let mut iv = [0; 12];
        iv.copy_from_slice(&hash[..12]);
        AeadKey { key: LessSafeKey::new(key), iv }
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, of_number) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= of_number;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Seals `text` where it stands. Returns its tag. No number may be used twice.
    pub(crate) fn seal(&self, number: u64, header: &[u8], text: &mut [u8]) -> [u8; TAG_LENGTH] {
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(number), Aad::from(header), text)
            .unwrap_or_else(|_| unreachable!("a datagram is shorter than what the cipher takes"));
        let mut bytes = [0; TAG_LENGTH];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Opens `text`, whose last bytes are its tag, where it stands. Returns whether it is authentic; if it is not, it is
    /// of no use any more.
    pub(crate) fn open(&self, number: u64, header: &[u8], text: &mut [u8]) -> bool {
        self.key.open_in_place(self.nonce(number), Aad::from(header), text).is_ok()
    }

    /// Opens `text`, whose last bytes are its tag, into `plain`, which is shorter by the tag. Returns whether it is
    /// authentic; if it is not, `plain` is of no use any more.
    pub(crate) fn open_into(&self, number: u64, header: &[u8], text: &[u8], plain: &mut [u8]) -> bool {
        let Some((text, tag)) = text.split_last_chunk::<TAG_LENGTH>() else { return false };
        self.key.open_separate_gather(self.nonce(number), Aad::from(header), text, tag, plain).is_ok()
    }
}

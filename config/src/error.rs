//! What can be wrong with a setting. Every message is one line and says what a person can write instead.

/// Why a value could not be read from its text, wherever the text came from (a flag, the environment, a file).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a number of bytes.
    #[error(
        "`{0}` is not a size: write a number and B, kB, KiB, MB, MiB, GB, GiB, TB or TiB, such as 64MiB (64M is the same)"
    )]
    NotASize(String),
    /// Not a rate in bytes per second.
    #[error(
        "`{0}` is not a limit: write bytes a second, such as 10MiB or 10M, bits, such as 80Mbit, or none"
    )]
    NotALimit(String),
    /// A rate without its unit, which is a slip.
    #[error(
        "`{0}` would be {0} bytes a second: write {0}M for MiB a second, {0}Mbit for megabits, or {0}B if it is meant"
    )]
    TinyLimit(String),
    /// A rate with a unit that is bits to some people and bytes to others.
    #[error("`{text}` is bits to some and bytes to others: write {number}{unit}bit or {number}{unit}B")]
    BitsOrBytes {
        /// The rate as written.
        text: String,
        /// Its number.
        number: String,
        /// The unit before the `b`.
        unit: String,
    },
    /// Not a policy of giving upload slots.
    #[error("`{0}` is not a policy: write tit-for-tat or fair")]
    NotAPolicy(String),
    /// Not a way of sealing datagrams.
    #[error("`{0}` says nothing about encryption: write always, prefer or never")]
    NotAnEncryption(String),
    /// Not a rule of when codes are served.
    #[error("`{0}` says nothing about codes: write auto, always or never")]
    NotWhenCodes(String),
    /// A limit of nothing at all would stop every transfer.
    #[error("a limit of 0 would stop every transfer: write a rate above it, or none")]
    ZeroLimit,
    /// Not a length of time.
    #[error("`{0}` is not a duration: write numbers and ms, s, m, h or d, such as 250ms, 20s or 1h30m")]
    NotADuration(String),
    /// A length of time without a unit.
    #[error("the duration `{0}` needs a unit: write ms, s, m, h or d, such as {0}s")]
    NoUnit(String),
    /// Not a length of time, nor `none`.
    #[error("`{0}` is neither a duration nor none: write how often, such as 10s or 1m, or none")]
    NotAnInterval(String),
    /// An interval that is too short for anybody to read.
    #[error("`{0}` is too often: write 100ms or more, or none")]
    ShortInterval(String),
    /// More than the type holds.
    #[error("`{0}` is too large")]
    TooLarge(String),
    /// Not an address to listen at.
    #[error(
        "`{0}` is not an address to listen at: write IP:PORT, such as 0.0.0.0:12345 or [::]:12345, or a port alone"
    )]
    NotAListenAddress(String),
    /// Not the address of a tracker.
    #[error("`{0}` is not a tracker's address: write HOST:PORT, such as 10.0.0.1:12345 or [fd00::1]:12345")]
    NotATrackerAddress(String),
    /// Not a label of a node.
    #[error("`{0}` is not a label: write 1 to 32 letters, digits, `-` or `_`")]
    NotALabel(String),
}

/// Why a settings file was refused. The message names the line and the key, not the file, whose path the caller knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What the TOML parser says.
        message: String,
    },
    /// A key that no setting has.
    #[error("line {line}: unknown key `{key}`{}", did_you_mean(.nearest))]
    UnknownKey {
        /// Counted from 1.
        line: usize,
        /// The key as written, with its tables: `download.ownrs`.
        key: String,
        /// The known key that resembles it most, if any does.
        nearest: Option<String>,
    },
    /// A known key with a value of the wrong type or out of its range.
    #[error("line {line}: `{key}`: {message}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// The key with its tables: `download.owners`.
        key: String,
        /// What is wrong, and what is right.
        message: String,
    },
    /// Two settings that are each in range and contradict each other; one of them may be a default.
    #[error("`{key}` {message}")]
    Disagree {
        /// The key to change, with its tables.
        key: &'static str,
        /// How it disagrees with another.
        message: String,
    },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|key| format!(": did you mean `{key}`?")).unwrap_or_default()
}

//! Numbers that name downloads, shares, buffers and searches between the core and its driver, and sessions within the
//! core.

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub u32);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A download of this node. The numbers follow the order in which the downloads were ordered.
    DownloadId
}
number! {
    /// A file that this node serves or is about to serve.
    ShareId
}
number! {
    /// A buffer of the driver's pool, in which a piece or an outboard is put together.
    BufferId
}
number! {
    /// A search of a person.
    SearchId
}

/// A session of a download with an owner. The numbers follow the order in which the sessions were begun. The driver
/// does not see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionKey(pub(crate) u32);

//! Numbers that name things, most of them between the core and its driver.

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
    /// One download of this node, in the order in which they were asked for.
    DownloadId
}
number! {
    /// One file that this node serves, or is about to.
    ShareId
}
number! {
    /// One buffer of the driver's pool, in which a piece or a manifest is put together.
    BufferId
}
number! {
    /// One search that a person asked for.
    SearchId
}

/// One session of a download with an owner, in the order in which the sessions were begun. The driver does not see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionKey(pub(crate) u32);

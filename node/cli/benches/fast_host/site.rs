//! Between which places a transfer goes: loopback, or two network namespaces with something between them.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::call;

/// One of the two places of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Where the owners and the tracker are.
    Giving,
    /// Where the downloaders are.
    Taking,
}

/// Two places and the addresses that each has for the other.
#[derive(Debug)]
pub(crate) struct Site {
    /// Of the giving and of the taking end; `None`: this process's own.
    namespaces: [Option<String>; 2],
    addresses: [&'static str; 2],
}

impl Site {
    /// This host alone.
    pub(crate) fn loopback() -> Site {
        Site { namespaces: [None, None], addresses: ["127.0.0.1"; 2] }
    }

    /// Two empty network namespaces, named after this process and `what`, in which only loopback is up.
    pub(crate) fn namespaces(what: &str) -> Result<Site> {
        let name = |end: &str| Some(format!("riffle-{}-{what}-{end}", std::process::id()));
        // Made before the namespaces are, so that what is half made is removed, too.
        let site = Site { namespaces: [name("give"), name("take")], addresses: ["10.77.0.1", "10.77.0.2"] };
        for name in site.namespaces.iter().flatten() {
            ip(&["netns", "add", name])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
        }
        Ok(site)
    }

    /// Two namespaces with a cable between them: packets of the size of Ethernet, cut and joined as a network card
    /// without offloads has it done (tso, gso and checksums off, gro on).
    pub(crate) fn cable() -> Result<Site> {
        let site = Site::namespaces("cable")?;
        let [Some(give), Some(take)] = &site.namespaces else { unreachable!("both were made") };
        ip(&[
            "link", "add", "cable0", "netns", give, "type", "veth", "peer", "name", "cable0", "netns", take,
        ])?;
        for (name, address) in [give, take].into_iter().zip(site.addresses) {
            ip(&["-n", name, "addr", "add", &format!("{address}/24"), "dev", "cable0"])?;
            ip(&["-n", name, "link", "set", "cable0", "mtu", "1500", "up"])?;
            for (feature, state) in
                [("tso", "off"), ("gso", "off"), ("rx", "off"), ("tx", "off"), ("gro", "on")]
            {
                let words = ["netns", "exec", name, "ethtool", "-K", "cable0", feature, state];
                ip(&words)?;
            }
        }
        Ok(site)
    }

    /// The namespace of an end.
    pub(crate) fn namespace(&self, end: End) -> Option<&str> {
        self.namespaces[end as usize].as_deref()
    }

    /// The address of an end.
    pub(crate) fn address(&self, end: End) -> &'static str {
        self.addresses[end as usize]
    }

    /// A command that runs at an end, as the same process (`ip netns exec` becomes the program).
    pub(crate) fn command(&self, end: End, program: impl AsRef<OsStr>) -> Command {
        match self.namespace(end) {
            None => Command::new(program),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for name in self.namespaces.iter().flatten() {
            // It may never have been made.
            let _ = ip(&["netns", "del", name]);
        }
    }
}

fn ip(words: &[&str]) -> Result<String> {
    call(Command::new("ip").args(words)).context("network namespaces need root and iproute2")
}

//! Between which places a transfer goes: loopback, or network namespaces with something between them.

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
    /// Further hosts of owners, and the switch between all of them: their namespaces, and the addresses of the hosts.
    others: Vec<(String, Option<String>)>,
    /// Whether Riffle seals what it says here, where it would not without being told.
    is_sealed: bool,
}

impl Site {
    /// This host alone.
    pub(crate) fn loopback() -> Site {
        Site { namespaces: [None, None], addresses: ["127.0.0.1"; 2], others: Vec::new(), is_sealed: false }
    }

    /// This host alone, where Riffle seals what it says as between hosts.
    pub(crate) fn sealed_loopback() -> Site {
        let mut site = Site::loopback();
        site.is_sealed = true;
        site
    }

    /// Whether Riffle seals what it says here, where it would not without being told.
    pub(crate) fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Two empty network namespaces, named after this process and `what`, in which only loopback is up.
    pub(crate) fn namespaces(what: &str) -> Result<Site> {
        let name = |end: &str| Some(format!("riffle-{}-{what}-{end}", std::process::id()));
        // Made before the namespaces are, so that what is half made is removed, too.
        let addresses = ["10.77.0.1", "10.77.0.2"];
        let site = Site {
            namespaces: [name("give"), name("take")],
            addresses,
            others: Vec::new(),
            is_sealed: false,
        };
        site.namespaces.iter().flatten().try_for_each(|name| make(name))?;
        Ok(site)
    }

    /// A host for the downloader and one for each of `owners`, all at one switch.
    pub(crate) fn hosts(owners: usize) -> Result<Site> {
        let mut site = Site::namespaces("hosts")?;
        let switch = format!("riffle-{}-switch", std::process::id());
        site.others.push((switch.clone(), None));
        for index in 1..owners {
            let name = format!("riffle-{}-owner-{index}", std::process::id());
            site.others.push((name, Some(format!("10.77.0.{}", index + 2))));
        }
        site.others.iter().try_for_each(|(name, _)| make(name))?;
        ip(&["-n", &switch, "link", "add", "switch", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "switch", "up"])?;
        let ends = site.namespaces.iter().flatten().zip(site.addresses);
        let others = site.others.iter().filter_map(|(name, address)| Some((name, address.as_deref()?)));
        for (port, (name, address)) in ends.chain(others).enumerate() {
            let port = format!("port{port}");
            let pair = ["type", "veth", "peer", "name", &port, "netns", &switch];
            ip(&[&["link", "add", "cable0", "netns", name][..], &pair].concat())?;
            ip(&["-n", &switch, "link", "set", &port, "master", "switch", "up"])?;
            ip(&["-n", name, "addr", "add", &format!("{address}/24"), "dev", "cable0"])?;
            ip(&["-n", name, "link", "set", "cable0", "up"])?;
        }
        Ok(site)
    }

    /// The address of the owner `index`.
    pub(crate) fn address_of_owner(&self, index: usize) -> &str {
        self.others.get(index).and_then(|(_, address)| address.as_deref()).unwrap_or(self.addresses[0])
    }

    /// A command that runs at the owner `index`.
    pub(crate) fn command_of_owner(&self, index: usize, program: impl AsRef<OsStr>) -> Command {
        match self.others.get(index) {
            Some((name, Some(_))) => within(name, program),
            _ => self.command(End::Giving, program),
        }
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
        let mut command = match self.namespace(end) {
            None => Command::new(program),
            Some(name) => within(name, program),
        };
        if self.is_sealed {
            command.env("RIFFLE_LOOPBACK_ENCRYPTION", "always");
        }
        command
    }
}

/// A command that runs in a namespace.
fn within(name: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", name]).arg(program);
    command
}

/// Makes an empty namespace, in which only loopback is up.
fn make(name: &str) -> Result<()> {
    ip(&["netns", "add", name])?;
    ip(&["-n", name, "link", "set", "lo", "up"]).map(drop)
}

impl Drop for Site {
    fn drop(&mut self) {
        for name in self.namespaces.iter().flatten().chain(self.others.iter().map(|(name, _)| name)) {
            // It may never have been made.
            let _ = ip(&["netns", "del", name]);
        }
    }
}

fn ip(words: &[&str]) -> Result<String> {
    call(Command::new("ip").args(words)).context("network namespaces need root and iproute2")
}

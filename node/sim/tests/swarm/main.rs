//! Swarms in simulated time: the cores of nodes and tracker, links and disks, from one seed, without a byte of file.

mod accounts;
mod faults;
mod found;
mod head_start;
mod hostile;
mod inquiries;
mod links;
mod listing;
mod many;
mod paths;
mod registering;
mod sealed;
mod seeds;
mod several;
mod silence;
mod swarms;
mod trackers;
mod transfers;
mod trust;
mod uneven;
mod updates;

//! Swarms in simulated time: the cores of nodes and tracker, links and disks, from one seed, without a byte of file.

mod accounts;
mod content;
mod disk;
mod faults;
mod found;
mod hostile;
mod inquiries;
mod link;
mod links;
mod many;
mod paths;
mod scenario;
mod seeds;
mod silence;
mod swarms;
mod telling;
mod trackers;
mod transfers;
mod trust;
mod uneven;
mod vopr;
mod world;

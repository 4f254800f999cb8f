//! What nodes that mean harm do to others, and how little of it succeeds.

mod dripping;
mod names;
mod taking;
mod telling;

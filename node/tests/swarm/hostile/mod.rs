//! What nodes that mean harm do to others, and how little of it succeeds.

mod names;
mod taking;

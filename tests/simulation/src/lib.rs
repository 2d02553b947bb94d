//! The three functions in a world made of a seed, in which everything fails.
//!
//! The handlers are the real ones, over ports into a world in memory that keeps the rules of the services
//! (visibility, groups, conditions, the order of streams). Time is virtual; a seed decides every length of
//! time and everything that goes wrong, so that a round can be had again. What must hold, and what was tried
//! to see it fail, is in `docs/simulation.md`.
//!
//! Start with [`round::run`], [`scenario::Scenario`] and [`reference::demands`].

pub mod chaos;
mod course;
mod mapping;
mod ports;
mod queue;
pub mod reference;
pub mod round;
pub mod scenario;
pub mod shrink;
mod stream;
mod tables;
pub mod trace;
mod verdict;
mod world;

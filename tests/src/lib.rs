//! What the tests of the whole house stand on.
//!
//! [`rig`] says which tools there are, [`ministack`] runs a cloud on this machine, [`cloud`] talks to it
//! and [`stack`] deploys our own template there. [`runtime_api`] hands events to one function's binary
//! without any cloud, and [`stand_in`] answers what that function calls. [`scoring`] runs `anomaly serve`,
//! [`template`] reads our templates back.
//!
//! Nothing here sleeps for a fixed time: [`poll::until`] waits for a condition, with a deadline.

pub mod binaries;
pub mod cloud;
pub mod command;
pub mod events;
pub mod house;
pub mod http;
pub mod inbox;
pub mod ministack;
pub mod poll;
pub mod process;
pub mod rig;
pub mod runtime_api;
pub mod scoring;
pub mod stack;
pub mod stand_in;
pub mod template;

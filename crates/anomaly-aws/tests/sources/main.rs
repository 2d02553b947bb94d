//! Every source's events: what is read of them, and what the source is told.

mod aggregate;
mod any;
mod house;
mod http;
mod kafka;
mod push;
mod queue;
mod stream;

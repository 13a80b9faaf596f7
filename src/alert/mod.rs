//! What somebody learns when a honeytoken was used, and how it reaches them.

pub mod error;
pub mod message;
pub mod outbox;
pub mod sinks;

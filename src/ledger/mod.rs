//! The memory: which honeytoken is in which image, from intent to trigger.

pub mod chain;
pub mod contract;
pub mod error;
pub mod first_seen;
pub mod mention;
pub mod record;
pub mod seal;
pub mod sqlite;
pub mod tokens;
pub mod trace;

//! The memory: which honeytoken is in which image, from intent to trigger.

pub mod age;
pub mod agreement;
pub mod chain;
pub mod drills;
pub mod editions;
pub mod error;
pub mod first_seen;
pub mod mention;
pub mod place;
pub mod record;
pub mod seal;
pub mod stores;
pub mod tokens;
pub mod trace;
pub mod weave;

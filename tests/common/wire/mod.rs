//! The wire under test: a strict registry in memory that can be told to misbehave, and writes down everything it hears.

pub(crate) mod door;
pub(crate) mod fault;
pub(crate) mod message;
pub(crate) mod personality;
pub(crate) mod registry;

//! The memory: which honeytoken is in which image, from intent to trigger.

pub mod record;

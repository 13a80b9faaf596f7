//! The map of the house, lowest floor first. It defines nothing; ARCHITECTURE.md draws it.

pub mod oci;
pub mod secret;

pub mod image;
pub mod net;

pub mod bait;
pub mod forge;
pub mod registry;
pub mod scan;

pub mod decoy;
pub mod destination;
pub mod ledger;
pub mod policy;
pub mod provider;
pub mod reader;
pub mod source;

pub mod alert;
pub mod report;

pub mod config;
pub mod pipeline;

pub mod demo;

pub mod cli;

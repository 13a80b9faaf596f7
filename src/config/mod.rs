//! Settings: flags over variables over `honeycrate.yaml` over defaults, resolved once at the door.

pub mod error;
pub mod file;
pub mod inputs;
pub mod key;
pub mod positions;
pub mod reader;
pub mod resolve;
pub mod vars;
pub mod walk;

//! Honeytokens and the text that carries them: what is planted, where, and why it harms nobody.

pub mod claims;
pub mod danger;
pub mod dictionary;
pub mod dockerfile;
pub mod error;
pub mod history_style;
pub mod honeytoken;
pub mod host;
pub mod kinds;
pub mod own;
pub mod placement;
pub mod plan;
pub mod plant;
pub mod realism;
pub mod seed;
pub mod silence;
pub mod stealth;
pub mod surfaces;
pub mod surroundings;
pub mod token;
pub mod trigger;
pub mod visibility;

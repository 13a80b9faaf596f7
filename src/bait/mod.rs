//! Honeytokens and the text that carries them: what is planted, where, and why it harms nobody.

pub mod claims;
pub mod honeytoken;
pub mod placement;
pub mod surfaces;

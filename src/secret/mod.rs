//! Values that must not be seen, the keys that hide them, and the fingerprints that stand for them.

pub mod aws_account;
pub mod fingerprint;
pub mod key_ring;
pub mod value;

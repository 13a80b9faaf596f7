//! The providers: who mints honeytokens. One file each, and the table that lists them.

pub mod contract;
pub mod embedded;
pub mod error;

/// A provider's row: what help, documentation and validation say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub id: &'static str,
    pub describe: &'static str,
    /// Settings without which it cannot mint.
    pub needs: &'static [&'static str],
}

/// Every provider, the default first.
pub static PROVIDERS: [Row; 1] = [embedded::ROW];

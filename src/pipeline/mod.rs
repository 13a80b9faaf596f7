//! The journeys: what happens, in which order, when somebody types a command.

pub mod account;
pub mod clock;
pub mod dockerfile;
pub mod drill;
pub mod editor;
pub mod error;
pub mod files;
pub mod first_seen;
pub mod git;
pub mod head_start;
pub mod inspect;
pub mod memory;
pub mod minting;
pub mod packing;
pub mod plant;
pub mod progress;
pub mod read_back;
pub mod referrers;
pub mod session;
pub mod ship;
pub mod simulate;
pub mod tell;
pub mod trap;
pub mod under_way;
pub mod validation;
pub mod vendors;

//! Exit codes: what a script may rely on.

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Passed,
    Denied,
    Usage,
    Source,
    Planting,
    Registry,
    Provider,
    Ledger,
    Forge,
    Bug,
}

impl Exit {
    /// All codes with their numbers and meanings: the table that `explain` and the documents read.
    pub const TABLE: [(Self, u8, &'static str); 10] = [
        (Self::Passed, 0, "passed: nothing that the policy denies, and everything asked for was done"),
        (Self::Denied, 1, "denied by policy: the image was not pushed"),
        (Self::Usage, 2, "the command line or the configuration is wrong"),
        (Self::Source, 3, "the source image cannot be read, is damaged or hostile"),
        (Self::Planting, 4, "planting was refused or failed, or the bait could not be read back from the pushed image"),
        (Self::Registry, 5, "a registry or another destination could not be reached or refused"),
        (Self::Provider, 6, "a provider could not mint a honeytoken"),
        (Self::Ledger, 7, "the ledger cannot be opened, written or verified"),
        (Self::Forge, 8, "the change could not be annotated, and --strict-forge asked for it"),
        (Self::Bug, 70, "a bug in honeycrate; please report it"),
    ];

    #[must_use]
    pub fn code(self) -> u8 {
        Self::TABLE.iter().find(|(exit, ..)| *exit == self).map_or(70, |(_, code, _)| *code)
    }

    /// The ending with this code. An unknown code is a bug.
    #[must_use]
    pub fn of(code: u8) -> Self {
        Self::TABLE.iter().find(|(_, known, _)| *known == code).map_or(Self::Bug, |(exit, ..)| *exit)
    }
}

//! What every journey of one command shares.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use crate::ledger::place::Ledger;
use crate::ledger::record::Context;
use crate::pipeline::progress::Progress;
use crate::pipeline::under_way::UnderWay;
use crate::pipeline::vendor_tokens::VendorTokens;
use crate::pipeline::vendors::Asking;
use crate::policy::gate::Policy;
use crate::reader::cache::Cache;
use crate::registry::access::Access;
use crate::scan::rule_set::RuleSet;
use crate::secret::fingerprint::FingerprintKey;
use crate::secret::key_ring::KeyRing;

/// Settings and doors to the world, resolved once.
#[derive(Clone)]
pub struct Session {
    pub access: Access,
    pub rules: Rules,
    pub policy: Policy,
    /// Results of earlier scans.
    pub cache: Option<Arc<Cache>>,
    /// The owner's keys. Without them nothing is planted and own bait is not recognised.
    pub keys: Option<KeyRing>,
    /// Makes the fingerprints of findings the owner's own. Without it they are the same for everybody.
    pub fingerprint_key: Option<FingerprintKey>,
    /// Where the ledger is or would be, which is asked what it knows of findings. `None` where nobody is to ask.
    pub ledger: Option<Ledger>,
    /// Of that ledger.
    pub vendor_tokens: VendorTokens,
    /// What the CI job or the work tree says of the build.
    pub context: Context,
    /// Why what lies around may be a stranger's, as a phrase; `None` where it is the owner's.
    pub untrusted: Option<&'static str>,
    pub progress: Arc<dyn Progress>,
    /// What is to be given up when the program is told to end.
    pub under_way: UnderWay,
    /// Nothing is sent before the whole image has passed; else each layer leaves when its own scan has.
    pub hold: bool,
    /// Layers that are read at once.
    pub threads: usize,
    /// Whether vendors are asked about what is found.
    pub asking: Asking,
    /// This program, which becomes a reader process when it is told to. Without it, layers are read in this one.
    pub reader: Option<PathBuf>,
}

/// The built-in rules, or those and the user's.
#[derive(Clone)]
pub enum Rules {
    BuiltIn,
    Own(Arc<RuleSet>),
}

impl Deref for Rules {
    type Target = RuleSet;

    fn deref(&self) -> &RuleSet {
        match self {
            Self::BuiltIn => RuleSet::builtin(),
            Self::Own(rules) => rules,
        }
    }
}

//! A found credential with its values, for the one who knows whose it is: it goes no further than that.

use crate::scan::content::ContentHit;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::value::Secret;

/// What a rule found, before it becomes a sighting without values.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The rule's id.
    pub rule: &'a str,
    pub secret: &'a Secret,
    /// The holder's name, such as a key id: with some credentials it, and not the secret, tells whose they are.
    pub id: Option<&'a Secret>,
}

/// Tells which token of the owner's something found is. Bait is no finding.
pub type Recognise<'a> = dyn Fn(&Found<'_>) -> Option<Fingerprint> + Sync + 'a;

impl<'a> Found<'a> {
    #[must_use]
    pub fn of(hit: &'a ContentHit<'_>) -> Self {
        Self { rule: &hit.rule.id, secret: &hit.secret, id: hit.id.as_ref() }
    }

    /// What the finding will be called: the same for everybody.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_finding(self.rule, self.secret.expose().as_bytes())
    }

    /// The values, the secret first.
    pub fn values(&self) -> impl Iterator<Item = &'a Secret> + use<'a> {
        [self.secret].into_iter().chain(self.id)
    }
}

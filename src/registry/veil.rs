//! What must not be repeated: some servers say in their refusals what they were shown.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use crate::registry::credential::Credential;
use crate::secret::value::Secret;

/// Every secret that one registry and its token server were shown, in the forms that they travel in.
#[derive(Default)]
pub struct Veil(Mutex<Vec<Secret>>);

impl Veil {
    /// Hides a secret from now on.
    pub fn cover(&self, secret: &Secret) {
        let value = secret.expose();
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let forms = [value.to_owned(), encoded, BASE64_STANDARD.encode(value), BASE64_URL_SAFE_NO_PAD.encode(value)];
        let mut known = self.locked();
        for form in forms.into_iter().filter(|form| !form.is_empty()).map(Secret::new) {
            if !known.contains(&form) {
                known.push(form);
            }
        }
        // Longest first, so that a form that holds another one goes as a whole.
        known.sort_by_key(|form| std::cmp::Reverse(form.expose().len()));
    }

    /// Hides a credential and the header that it makes.
    pub fn cover_credential(&self, credential: &Credential) {
        let (Credential::Password { password: secret, .. } | Credential::Identity(secret)) = credential;
        self.cover(secret);
        self.cover(&Secret::new(credential.to_basic().expose().trim_start_matches("Basic ").to_owned()));
    }

    /// A text with stars where it repeats a secret.
    #[must_use]
    pub fn over(&self, text: &str) -> String {
        self.locked().iter().fold(text.to_owned(), |text, form| text.replace(form.expose(), "***"))
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_repeats_is_told_without_what_it_was_shown() {
        let veil = Veil::default();
        let credential = Credential::of_pair("ci".to_owned(), "correct horse/".to_owned());
        veil.cover_credential(&credential);
        veil.cover(&Secret::new("bought".to_owned()));
        let (basic, alone) = (BASE64_STANDARD.encode("ci:correct horse/"), BASE64_STANDARD.encode("correct horse/"));
        let said = format!("bad password correct horse/, correct+horse%2F or {alone} in Basic {basic}, not Bearer bought");
        assert_eq!(veil.over(&said), "bad password ***, *** or *** in Basic ***, not Bearer ***");
    }
}

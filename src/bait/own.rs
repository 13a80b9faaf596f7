//! Tells the owner's own bait from a leak: a found secret, or a text that holds one, is opened.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::bait::kinds;
use crate::bait::kinds::contract::Opened;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

/// How deep base64 is looked into: a pull secret of Kubernetes holds a Docker login in base64, and that holds another.
const DEPTH: usize = 3;
/// The longest text that is looked into; a secret with its surroundings is far shorter.
const LONGEST: usize = 64 * 1024;

static BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// Whether `text` is, or holds, a token that one of the ring's keys sealed. By value: a name or a place never counts.
#[must_use]
pub fn is_own_bait(ring: &KeyRing, text: &str) -> bool {
    find(ring, text).is_some()
}

/// The token that a found secret is, or holds.
#[must_use]
pub fn find_in(ring: &KeyRing, secret: &Secret) -> Option<Opened> {
    find(ring, secret.expose())
}

/// The token that a found secret is, or holds, and the characters of it that were sealed.
#[must_use]
pub fn sealed_in(ring: &KeyRing, secret: &Secret) -> Option<(Opened, Secret)> {
    let (opened, run) = search(ring, capped(secret.expose()), DEPTH)?;
    // A key pair's secret half is all sealed, and has not the shape of the other.
    let sealed = kinds::find(opened.kind)?.self_telling()?.sealed(&run).unwrap_or(&run).to_owned();
    Some((opened, Secret::new(sealed)))
}

/// The first of the owner's tokens in `text`, also within base64.
#[must_use]
pub fn find(ring: &KeyRing, text: &str) -> Option<Opened> {
    search(ring, capped(text), DEPTH).map(|(opened, _)| opened)
}

fn capped(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// The token, and the run of characters that it is.
fn search(ring: &KeyRing, text: &str, depth: usize) -> Option<(Opened, String)> {
    // Runs of the characters that tokens are made of: with dots (JSON Web Tokens, Vault), without, and base64 with its slashes.
    let dotted = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let bare = |c: char| c.is_ascii_alphanumeric();
    let keeps: [&dyn Fn(char) -> bool; 4] = [&dotted, &plain, &base64, &bare];
    for keep in keeps {
        let runs = text.split(|c| !keep(c)).map(|run| run.trim_matches('.')).filter(|run| run.len() >= 16);
        if let Some(found) = runs.clone().find_map(|run| Some((kinds::recognise(ring, run)?, run.to_owned()))) {
            return Some(found);
        }
    }
    if depth == 0 {
        return None;
    }
    let runs = text.split(|c| !base64(c)).filter(|run| run.len() >= 20);
    let decoded = runs.filter_map(|run| String::from_utf8(BASE64.decode(run).ok()?).ok());
    decoded.into_iter().find_map(|text| search(ring, &text, depth - 1))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    use super::*;
    use crate::bait::surfaces::Surface;
    use crate::bait::token::Codes;

    #[test]
    fn bait_is_found_in_any_surroundings_and_under_base64_in_base64() {
        let ring = KeyRing::new([2; 32]);
        let codes = Codes { service: 1, environment: 2, surface: Surface::Buried, epoch: 1 };
        let kind = kinds::find("git-credentials").and_then(|kind| kind.self_telling()).expect("kind");
        let token = ["gl", "pat-"].concat() + &kind.layout().seal(ring.newest(), codes, "", "");
        let login = STANDARD.encode(format!("ci:{token}"));
        let secret = STANDARD_NO_PAD.encode(format!(r#"{{"auths":{{"r":{{"auth":"{login}"}}}}}}"#));
        for text in [token.clone(), format!("'{token}',"), format!("https://ci:{token}@host/x.git"), format!("A={token}\n"), login, secret] {
            assert_eq!(find(&ring, &text).map(|opened| (opened.kind, opened.codes)), Some(("git-credentials", codes)), "{text}");
        }
        assert!(!is_own_bait(&ring, &token[..token.len() - 1]) && !is_own_bait(&KeyRing::new([3; 32]), &token));
    }
}

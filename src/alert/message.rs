//! The alert: a trigger joined with all that the ledger knows of its token.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::bait::claims::Claims;
use crate::bait::trigger::Trigger;
use crate::ledger::record::Context;
use crate::ledger::trace::{Change, Planting, Push, Trace};
use crate::oci::digest::Digest;
use crate::provider;
use crate::secret::fingerprint::Fingerprint;

/// The version of the document. Readers refuse others.
pub const SCHEMA: &str = "honeycrate/alert/v1";

/// Width of the text, characters.
const WIDTH: usize = 96;
/// How many images the text names.
const NAMED: usize = 3;

/// What happened, where, and what it means. It holds no value and does not say where in the image the bait lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub schema: String,
    /// The trigger's: the same however often this alert is delivered.
    pub id: String,
    /// When the token was used. RFC 3339, UTC.
    pub time: String,
    pub token: Claims,
    pub fingerprint: Fingerprint,
    /// What the use of a token from this surface tells.
    pub meaning: String,
    pub visitor: Visitor,
    /// Where the token lies, the newest push first. Empty when the ledger does not know.
    pub images: Vec<Image>,
    /// Earlier triggers of the same token, drills left out.
    pub earlier: usize,
    /// The drill that it belongs to: its owner used the token on purpose, and nobody needs to be woken.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drill: Option<String>,
    /// How the token was laid aside before it was used, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub laid_aside: Option<String>,
}

/// Who used it, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor {
    pub address: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<String>,
    pub request: String,
    /// Who saw it: a face of the decoy or a provider.
    pub seen_by: String,
}

/// An image with the token, as it arrived in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub reference: String,
    pub digest: Digest,
    pub platforms: BTreeMap<String, Digest>,
    /// The ids of the placements of the token, by platform, as the report and the ledger name them.
    #[serde(default)]
    pub placements: BTreeMap<String, String>,
    /// RFC 3339, UTC.
    pub pushed_at: String,
    #[serde(flatten)]
    pub context: Context,
}

impl Alert {
    /// Joins a trigger with its trace. `meaning` is the surface's.
    #[must_use]
    pub fn new(trigger: &Trigger, trace: Option<&Trace>, meaning: &str) -> Self {
        let pushes = trace.map_or(&[][..], |trace| &trace.pushes);
        let earlier = trace.map_or(0, |trace| trace.triggers.iter().filter(|known| is_earlier(known, trigger)).count());
        Self {
            schema: SCHEMA.to_owned(),
            id: trigger.id.clone(),
            time: trigger.time.clone(),
            token: trigger.claims.clone(),
            fingerprint: trigger.fingerprint.clone(),
            meaning: meaning.to_owned(),
            visitor: Visitor {
                address: printable(&trigger.address),
                user_agent: trigger.user_agent.as_deref().map(printable),
                request: printable(&trigger.request),
                seen_by: trigger.face.clone(),
            },
            images: images(pushes, trace.map_or(&[], |trace| &trace.placements)),
            earlier,
            drill: trigger.drill.clone(),
            laid_aside: trace.and_then(|trace| laid_aside(&trace.life)),
        }
    }

    /// One line of JSON.
    ///
    /// # Panics
    /// Never: an alert is texts, numbers and maps with text keys.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data is always valid JSON")
    }

    /// For somebody who is woken by it: what happened, where, what it means, what to do now.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let Claims { service, environment, surface, kind, .. } = &self.token;
        let mut line = |indent: usize, content: &str| wrap(&mut text, indent, content);
        if let Some(drill) = &self.drill {
            line(0, &format!("DRILL {drill}: the owner used this token on purpose; nothing has to be done."));
            line(0, "");
        }
        line(0, &format!("A honeytoken of {service} ({environment}) was used from {}", self.visitor.address));
        line(2, &format!("{} by {}", self.time, self.visitor.user_agent.as_deref().unwrap_or("a client that gave no name")));
        let seen_by = &self.visitor.seen_by;
        let who = if provider::find(seen_by).is_some() { "provider" } else { "the decoy's face" };
        line(2, &format!("{} (seen by {who} {seen_by})", self.visitor.request));
        match self.earlier {
            0 => line(2, "It is the first use of this token."),
            1 => line(2, "It was used once before."),
            times => line(2, &format!("It was used {times} times before.")),
        }
        if let Some(laid_aside) = &self.laid_aside {
            line(2, laid_aside);
        }
        line(0, "");
        line(0, "Where the token lies");
        if self.images.is_empty() {
            line(2, "The ledger knows no image with it: it was shipped with another ledger, or its push was not recorded.");
        }
        for image in self.images.iter().take(NAMED) {
            line(2, &image.reference);
            line(4, image.digest.as_str());
            for (platform, digest) in image.platforms.iter().filter(|(_, digest)| **digest != image.digest) {
                line(4, &format!("{digest} {platform}"));
            }
            line(4, &format!("pushed {}{}", image.pushed_at, origin(&image.context)));
        }
        if self.images.len() > NAMED {
            line(2, &format!("and {} earlier images, which carry the same token", self.images.len() - NAMED));
        }
        line(0, "");
        line(0, "What it means");
        line(2, &format!("The token lay on the {surface} surface, as bait of the kind {kind}. {}", self.meaning));
        line(0, "");
        line(0, "What to do now");
        for (number, step) in self.steps().iter().enumerate() {
            line(2, &format!("{}. {step}", number + 1));
        }
        line(0, "");
        line(0, &format!("token {}, epoch {}, alert {}", self.fingerprint, self.token.epoch, self.id));
        text
    }

    fn steps(&self) -> Vec<String> {
        if self.drill.is_some() {
            return vec!["Nothing: tell whoever began the drill that it arrived.".to_owned()];
        }
        let environment = &self.token.environment;
        let mut steps = Vec::new();
        if let Some(image) = self.images.first() {
            let name = image.reference.split('@').next().unwrap_or_default();
            steps.push(format!("Revoke and rotate the credentials that can pull {name}: robots, deploy tokens, pull secrets."));
            steps.push(format!("Rotate every real secret that this image or a container of {environment} can reach."));
            steps.push(format!("Look for pulls of {} by strangers since {}.", image.digest.short(), image.pushed_at));
        } else {
            steps.push(format!("Find the image: ask the ledger of the job that ships {} to {environment}.", self.token.service));
            steps.push("Revoke and rotate the credentials that can pull it, and every real secret that it can reach.".to_owned());
        }
        steps.push(format!("Look for {} in the logs of the registry, the cluster and the identity provider.", self.visitor.address));
        steps.push(format!("See the whole story with `honeycrate token show {}`.", self.fingerprint));
        steps.push(format!("This token is burnt: `honeycrate token rotate {}`, then ship again, plants another.", self.fingerprint));
        steps
    }
}

fn is_earlier(known: &Trigger, trigger: &Trigger) -> bool {
    known.id != trigger.id && known.time <= trigger.time && known.drill.is_none()
}

/// The last that its owner did with it, where that was its end or its replacement.
fn laid_aside(life: &[(String, Change)]) -> Option<String> {
    life.iter().rev().find_map(|(time, change)| match change {
        Change::Rotated { .. } => Some(format!("It was rotated at {time}: whoever used it read an image from before that time.")),
        Change::Retired { reason } => Some(format!("It was retired at {time} ({reason}): whoever used it has an old copy.")),
        Change::Revoked { reason } => Some(format!("It was revoked at {time} ({reason}).")),
        Change::Drilled { .. } => None,
    })
}

/// The newest first. A rebuild with the same digest is the same image: what counts is since when it could be pulled.
fn images(pushes: &[Push], placements: &[Planting]) -> Vec<Image> {
    let mut images: Vec<Image> = Vec::new();
    for push in pushes {
        if !images.iter().any(|known| known.reference == push.reference && known.digest == push.digest) {
            images.push(image(push, placements));
        }
    }
    images.reverse();
    images
}

fn image(push: &Push, placements: &[Planting]) -> Image {
    let id_in = |digest: &Digest| placements.iter().find(|planting| planting.manifest == *digest).map(|planting| planting.placement.id.clone());
    Image {
        placements: push.platforms.iter().filter_map(|(platform, digest)| Some((platform.clone(), id_in(digest)?))).collect(),
        reference: push.reference.clone(),
        digest: push.digest.clone(),
        platforms: push.platforms.clone(),
        pushed_at: push.time.clone(),
        context: push.context.clone(),
    }
}

fn origin(context: &Context) -> String {
    let commit = context.commit.as_ref().map(|commit| format!("commit {commit}"));
    let repository = context.repository.as_ref().map(|repository| format!("of {repository}"));
    let job = context.job.as_ref().map(|job| format!("in {job}"));
    let parts: Vec<String> = [commit, repository, job].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(", built from {}", parts.join(" ")) }
}

/// Visitors choose their names; terminals must not obey them.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// Adds a paragraph, broken between words. Whatever has no blank stays whole, so that it can be copied.
fn wrap(text: &mut String, indent: usize, content: &str) {
    let mut column = 0;
    let mut indent = indent;
    // The lines of a numbered step stand under its first word.
    let mut hanging = content.as_bytes().get(1..3) == Some(b". ");
    for word in content.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            text.push('\n');
            column = 0;
            indent += if hanging { 3 } else { 0 };
            hanging = false;
        }
        if column == 0 {
            let _ = write!(text, "{:indent$}", "");
            column = indent;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

/// Alerts for the tests of this room.
#[cfg(test)]
pub(crate) mod samples {
    use crate::alert::message::Alert;
    use crate::ledger::record::samples;
    use crate::ledger::stores::contract::Store as _;
    use crate::ledger::stores::sqlite::SqliteStore;
    use crate::ledger::trace::trace;

    pub(crate) fn alert(environment: &str) -> Alert {
        let mut store = SqliteStore::open_in_memory().expect("memory");
        store.append_all("run-1", "2026-11-21T10:00:00Z", samples::life("shop", environment)).expect("appended");
        let trace = trace(&store, &samples::fingerprint("shop", environment)).expect("readable");
        let meaning = "A container does not show this file: somebody pulled the image and unpacked its layers.";
        Alert::new(&samples::trigger("shop", environment), trace.as_ref(), meaning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record::samples as records;
    use crate::ledger::stores::contract::Store as _;
    use crate::ledger::stores::sqlite::SqliteStore;
    use crate::ledger::trace::trace;

    #[test]
    fn the_text_says_what_where_meaning_and_what_to_do_in_that_order() {
        let text = samples::alert("production").to_text();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let at = |part: &str| flat.find(part).unwrap_or_else(|| panic!("{part} is not in\n{text}"));
        let order = [
            "A honeytoken of shop (production) was used from 192.0.2.7",
            "2026-11-22T03:00:00Z by curl/8.5",
            "GET /token (seen by the decoy's face registry)",
            "first use",
            "Where the token lies",
            "ghcr.io/acme/shop:production",
            "sha256:",
            "linux/amd64",
            ", built from commit 0f4c1e7 of acme/shop in https://ci.example.net/jobs/7",
            "What it means",
            "unpacked its layers",
            "What to do now",
            "1. Revoke and rotate the credentials that can pull ghcr.io/acme/shop:production",
            "honeycrate token show",
            "honeycrate token rotate",
            "epoch 1, alert ",
        ];
        assert!(order.map(at).is_sorted(), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH || line.trim().split(' ').count() <= 3), "{text}");
        assert!(!text.contains("/srv/app"), "the place of the bait is for the ledger only");
    }

    #[test]
    fn a_token_that_the_ledger_does_not_know_is_said_so() {
        let alert = Alert::new(&records::trigger("shop", "production"), None, "It means something.");
        let text = alert.to_text();
        assert!(text.contains("The ledger knows no image with it") && text.contains("ships shop to production"), "{text}");
        assert!(alert.images.is_empty());
    }

    #[test]
    fn a_token_in_many_images_names_the_newest_and_counts_the_rest() {
        let mut alert = samples::alert("production");
        alert.images = vec![alert.images[0].clone(); 5];
        alert.earlier = 2;
        let text = alert.to_text();
        assert!(text.contains("and 2 earlier images") && text.contains("used 2 times before"), "{text}");
    }

    #[test]
    fn a_rebuild_with_the_same_digest_is_one_image_since_its_first_push() {
        let mut store = SqliteStore::open_in_memory().expect("memory");
        store.append_all("run-1", "2026-11-21T10:00:00Z", records::life("shop", "production")).expect("appended");
        store.append_all("run-2", "2026-11-21T11:00:00Z", records::life("shop", "production")).expect("appended");
        let trace = trace(&store, &records::fingerprint("shop", "production")).expect("readable").expect("known");
        assert_eq!(trace.pushes.len(), 2);
        let alert = Alert::new(&records::trigger("shop", "production"), Some(&trace), "");
        let pushed: Vec<&str> = alert.images.iter().map(|image| image.pushed_at.as_str()).collect();
        assert_eq!(pushed, ["2026-11-21T10:00:00Z"]);
    }

    #[test]
    fn an_alert_survives_its_json() {
        let alert = samples::alert("production");
        let json = alert.to_json();
        assert_eq!(serde_json::from_str::<Alert>(&json).expect("own text"), alert);
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["schema"], SCHEMA);
        assert_eq!(value["token"]["surface"], "buried");
        assert_eq!(value["images"][0]["commit"], "0f4c1e7");
        assert_eq!(value["images"][0]["placements"].as_object().map(serde_json::Map::len), Some(2));
        assert!(!json.contains('\n') && !json.contains("/srv/app"));
    }

    #[test]
    fn a_visitor_cannot_steer_the_readers_terminal() {
        let mut trigger = records::trigger("shop", "production");
        trigger.user_agent = Some("\u{1b}[2Jcurl".to_owned());
        trigger.request = "GET /\r\nWhat to do now: nothing".to_owned();
        let text = Alert::new(&trigger, None, "").to_text();
        assert!(!text.contains('\u{1b}') && !text.contains('\r') && !text.contains("\nWhat to do now: nothing"), "{text}");
    }
}

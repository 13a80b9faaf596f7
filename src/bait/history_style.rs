//! How an image's builder writes history, so that new steps read as if it had made them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::oci::config::{History, ImageConfig};
use crate::oci::digest::Digest;

/// The builders' ways of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grammar {
    /// `COPY a b # buildkit`, `ENV K=V`, with a comment that names the frontend.
    BuildKit,
    /// Docker's classic builder: `/bin/sh -c #(nop)  ENV K=V`, two blanks.
    Classic,
    /// `/bin/sh -c #(nop) ENV K=V`, one blank.
    Buildah,
    /// `COPY a b`, steps with layers only.
    Kaniko,
    /// ko, Jib, Bazel and others that write one line for every layer: it is repeated.
    Repeat,
    /// There is no history, or none that goes in step with the layers: none is added.
    None,
}

/// What a new step did.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A file came in. `hash` is that of its content.
    Copy { source: &'a str, target: &'a str, owner: (u64, u64), hash: &'a str },
    /// A file was deleted.
    Remove { target: &'a str },
    /// Variables were set: `K=V`, several separated by blanks.
    Variables(&'a str),
    /// A build argument was declared: `K=V`.
    Argument(&'a str),
}

/// The style of one image's history, and where new steps go.
#[derive(Debug, Clone)]
pub struct HistoryStyle {
    pub grammar: Grammar,
    /// New steps are inserted before this one: after the last step with a layer, before the empty ones that follow it.
    pub at: usize,
    created: Option<String>,
    author: Option<String>,
    /// `RUN`'s words before the command.
    shell: String,
    /// The last step with a layer.
    last: History,
    /// When the step after the new ones was made.
    next: Option<String>,
    /// Whether each step names the image that it started from, as buildah's do when it keeps the images between.
    names_images: bool,
    /// Whether steps without layers are written at all.
    writes_variables: bool,
}

const FRONTEND: &str = "buildkit.dockerfile.v0";
const SHELL: &str = "/bin/sh -c ";
const NOP: &str = "/bin/sh -c #(nop) ";

impl HistoryStyle {
    #[must_use]
    pub fn of(config: &ImageConfig) -> Self {
        let history = &config.history;
        let last = history.iter().rposition(|step| !step.empty_layer);
        let steps = history.iter().filter(|step| !step.empty_layer).count();
        let in_step = !history.is_empty() && steps == config.diff_ids.len();
        let grammar = if in_step { grammar(history) } else { Grammar::None };
        let neighbour = last.and_then(|last| history.get(last)).cloned().unwrap_or_default();
        let writes_variables = match grammar {
            Grammar::BuildKit | Grammar::Classic | Grammar::Buildah => true,
            Grammar::Kaniko => history.iter().any(|step| step.empty_layer && text(step).starts_with("ENV ")),
            Grammar::Repeat | Grammar::None => false,
        };
        let names_images = grammar == Grammar::Buildah && neighbour.comment.as_deref().is_some_and(is_image_name);
        let at = last.map_or(0, |last| last + 1);
        Self {
            next: history.get(at).and_then(|step| step.created.clone()),
            names_images,
            grammar,
            at,
            created: neighbour.created.clone().or_else(|| config.created.clone()),
            author: neighbour.author.clone(),
            shell: shell(grammar, history),
            last: neighbour,
            writes_variables,
        }
    }

    /// The step as this builder writes it. `None` where it writes nothing for such a step.
    #[must_use]
    pub fn write(&self, step: Step<'_>) -> Option<History> {
        let empty_layer = matches!(step, Step::Variables(_) | Step::Argument(_));
        if self.grammar == Grammar::None || empty_layer && !self.writes_variables {
            return None;
        }
        if self.grammar == Grammar::Repeat {
            return Some(self.last.clone());
        }
        let created_by = match (self.grammar, step) {
            (Grammar::BuildKit, Step::Copy { source, target, owner, .. }) => format!("COPY {}{source} {target} # buildkit", chown(owner)),
            (Grammar::BuildKit, Step::Remove { target }) => format!("RUN {}rm -f {target} # buildkit", self.shell),
            (Grammar::Classic | Grammar::Buildah, Step::Copy { target, owner, hash, .. }) => {
                format!("{NOP}COPY {}file:{hash} in {target} ", chown(owner))
            }
            (Grammar::Classic | Grammar::Buildah, Step::Remove { target }) => format!("{}rm -f {target}", self.shell),
            (_, Step::Copy { source, target, owner, .. }) => format!("COPY {}{source} {target}", chown(owner)),
            (_, Step::Remove { target }) => format!("RUN rm -f {target}"),
            (_, Step::Variables(text)) => self.empty("ENV", text),
            (_, Step::Argument(text)) => self.empty("ARG", text),
        };
        let comment = match self.grammar {
            Grammar::BuildKit => Some(FRONTEND.to_owned()),
            // An image between two steps never leaves its builder: any id that is new and stays the same will do.
            Grammar::Buildah if self.names_images => {
                let before = self.last.comment.as_deref().unwrap_or_default();
                Some(format!("FROM {}", &Digest::of(format!("{before} {created_by}").as_bytes()).hex()[..12]))
            }
            _ => None,
        };
        Some(History { created: self.created.clone(), created_by: Some(created_by), author: self.author.clone(), comment, empty_layer })
    }

    /// Gives new steps times of their own between their neighbours', where this builder's steps have such.
    pub fn spread(&self, steps: &mut [History]) {
        let read = |text: &Option<String>| OffsetDateTime::parse(text.as_deref()?, &Rfc3339).ok();
        let (Grammar::Classic | Grammar::Buildah, Some(before), Some(after)) = (self.grammar, read(&self.created), read(&self.next)) else { return };
        let Ok(parts) = u32::try_from(steps.len() + 1) else { return };
        if after > before {
            for (number, step) in (1..parts).zip(steps) {
                let time = before + (after - before) / parts * number;
                step.created = time.format(&Rfc3339).ok().or(step.created.take());
            }
        }
    }

    /// Whether this builder writes build arguments, so that one could leak.
    #[must_use]
    pub fn writes_arguments(&self) -> bool {
        self.writes_variables && self.grammar != Grammar::Kaniko
    }

    fn empty(&self, instruction: &str, text: &str) -> String {
        match self.grammar {
            Grammar::Classic => format!("{NOP} {instruction} {text}"),
            Grammar::Buildah => format!("{NOP}{instruction} {text}"),
            _ => format!("{instruction} {text}"),
        }
    }
}

/// `FROM 04be9c338ec9`.
fn is_image_name(comment: &str) -> bool {
    let id = comment.strip_prefix("FROM ").unwrap_or_default();
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn chown((uid, gid): (u64, u64)) -> String {
    if (uid, gid) == (0, 0) { String::new() } else { format!("--chown={uid}:{gid} ") }
}

fn text(step: &History) -> &str {
    step.created_by.as_deref().unwrap_or_default()
}

/// The newest step that tells decides: base images are often built by another builder.
fn grammar(history: &[History]) -> Grammar {
    for step in history.iter().rev() {
        let by = text(step);
        if step.comment.as_deref() == Some(FRONTEND) || by.ends_with("# buildkit") {
            return Grammar::BuildKit;
        }
        if step.author.as_deref() == Some("kaniko") {
            return Grammar::Kaniko;
        }
        if let Some(instruction) = by.strip_prefix(NOP) {
            return nop(instruction, history);
        }
        if by.starts_with("COPY ") || by.starts_with("RUN ") || by.starts_with("ADD ") {
            return Grammar::Kaniko;
        }
        // A command by itself is a RUN step of either builder that writes `#(nop)`.
        if !by.contains(SHELL) && !by.is_empty() {
            return Grammar::Repeat;
        }
    }
    if history.iter().any(|step| text(step).contains(SHELL)) { Grammar::Classic } else { Grammar::Repeat }
}

/// COPY and ADD look the same from both builders; another instruction, or buildah's comment, tells them apart.
fn nop(instruction: &str, history: &[History]) -> Grammar {
    let shared = |instruction: &str| instruction.starts_with("COPY ") || instruction.starts_with("ADD ");
    let telling = if shared(instruction) {
        history.iter().rev().filter_map(|step| text(step).strip_prefix(NOP)).find(|instruction| !shared(instruction))
    } else {
        Some(instruction)
    };
    let buildah = history.iter().any(|step| step.comment.as_deref().is_some_and(|comment| comment.starts_with("FROM ")));
    match telling {
        Some(instruction) if !instruction.starts_with(' ') => Grammar::Buildah,
        None if buildah => Grammar::Buildah,
        _ => Grammar::Classic,
    }
}

/// The words before a RUN command, with the build arguments (`|1 A=b`) that the last one had, unless another stage's end lies between.
fn shell(grammar: Grammar, history: &[History]) -> String {
    let prefix = if grammar == Grammar::BuildKit { "RUN " } else { "" };
    let ends = |step: &History| ["CMD ", "ENTRYPOINT "].iter().any(|word| text(step).trim_start_matches(NOP).trim_start().starts_with(word));
    let last = history.iter().rposition(|step| !step.empty_layer).unwrap_or_default();
    let same_stage = history.iter().take(last + 1).rev().take_while(|step| !ends(step));
    let mut runs = same_stage.filter_map(|step| text(step).strip_prefix(prefix)).filter(|run| !run.starts_with(NOP));
    let run = runs.find(|run| run.starts_with("/bin/") || run.starts_with('|'));
    let words = run.and_then(|run| run.find(" -c ").map(|at| run[..at + 4].to_owned()));
    words.filter(|words| words.len() < 4096).unwrap_or_else(|| SHELL.to_owned())
}

#[cfg(test)]
pub(in crate::bait) mod tests {
    use super::*;

    pub(in crate::bait) const BUILDKIT: &[(&str, &str, bool)] = &[
        ("ADD rootfs.tar.xz / # buildkit", FRONTEND, false),
        ("CMD [\"/bin/sh\"]", FRONTEND, true),
        ("WORKDIR /app", FRONTEND, false),
        ("ENV SHOP_PORT=80", FRONTEND, true),
        ("RUN |1 V=2 /bin/ash -eo pipefail -c apk add curl # buildkit", FRONTEND, false),
        ("EXPOSE [80/tcp]", FRONTEND, true),
        ("CMD [\"./shop\"]", FRONTEND, true),
    ];
    pub(in crate::bait) const CLASSIC: &[(&str, &str, bool)] = &[
        ("/bin/sh -c #(nop) ADD file:00ff in / ", "", false),
        ("/bin/sh -c #(nop)  CMD [\"sh\"]", "", true),
        ("/bin/sh -c apt-get update", "", false),
        ("/bin/sh -c #(nop) COPY dir:00ff in /app ", "", false),
    ];
    pub(in crate::bait) const BUILDAH: &[(&str, &str, bool)] = &[
        ("/bin/sh -c #(nop) ADD file:00ff in / ", "", false),
        ("/bin/sh -c #(nop) ENV A=b", "", true),
        ("/bin/sh -c #(nop) COPY dir:00ff in /app ", "FROM docker.io/library/alpine:3", false),
    ];
    pub(in crate::bait) const KANIKO: &[(&str, &str, bool)] = &[("RUN apk add curl", "", false), ("COPY . /app", "", false)];
    pub(in crate::bait) const KO: &[(&str, &str, bool)] =
        &[("bazel build ...", "", false), ("ko build ko://example.org/shop", "go build output, at ko://example.org/shop", false)];

    pub(in crate::bait) fn config(steps: &[(&str, &str, bool)], members: &str) -> ImageConfig {
        let history: Vec<_> = steps
            .iter()
            .map(|(by, comment, empty)| {
                let mut step = serde_json::json!({ "created": "2026-05-28T18:26:40Z", "created_by": by });
                if !comment.is_empty() {
                    step["comment"] = (*comment).into();
                }
                if *empty {
                    step["empty_layer"] = true.into();
                }
                step
            })
            .collect();
        let digest = Digest::of(b"");
        let diff_ids: Vec<_> = steps.iter().filter(|step| !step.2).map(|_| digest.to_string()).collect();
        let rootfs = serde_json::json!({ "type": "layers", "diff_ids": diff_ids });
        let text = format!(
            r#"{{"created":"2026-05-28T18:26:40Z","os":"linux","architecture":"amd64","x-kept":"\u003c","config":{{{members}}},"history":{},"rootfs":{rootfs}}}"#,
            serde_json::Value::from(history)
        );
        ImageConfig::parse(text.as_bytes()).expect("valid")
    }

    fn written(style: &HistoryStyle) -> Vec<String> {
        let steps = [
            Step::Copy { source: "a", target: "/app/a", owner: (0, 0), hash: "00ff" },
            Step::Remove { target: "/app/a" },
            Step::Variables("K=V"),
            Step::Argument("K=V"),
        ];
        steps.into_iter().filter_map(|step| style.write(step)).filter_map(|step| step.created_by).collect()
    }

    #[test]
    fn every_builder_is_imitated() {
        let style = HistoryStyle::of(&config(BUILDKIT, ""));
        assert_eq!((style.grammar, style.at), (Grammar::BuildKit, 5));
        assert_eq!(
            written(&style),
            ["COPY a /app/a # buildkit", "RUN |1 V=2 /bin/ash -eo pipefail -c rm -f /app/a # buildkit", "ENV K=V", "ARG K=V"]
        );
        assert_eq!(style.write(Step::Argument("K=V")).and_then(|step| step.comment).as_deref(), Some(FRONTEND));

        let style = HistoryStyle::of(&config(CLASSIC, ""));
        assert_eq!((style.grammar, style.at), (Grammar::Classic, 4));
        let expected =
            ["/bin/sh -c #(nop) COPY file:00ff in /app/a ", "/bin/sh -c rm -f /app/a", "/bin/sh -c #(nop)  ENV K=V", "/bin/sh -c #(nop)  ARG K=V"];
        assert_eq!(written(&style), expected);

        let style = HistoryStyle::of(&config(BUILDAH, ""));
        assert_eq!(style.grammar, Grammar::Buildah);
        assert_eq!(written(&style)[2], "/bin/sh -c #(nop) ENV K=V");

        let style = HistoryStyle::of(&config(KANIKO, ""));
        assert_eq!(style.grammar, Grammar::Kaniko);
        assert_eq!(written(&style), ["COPY a /app/a", "RUN rm -f /app/a"]);
        assert!(!style.writes_arguments());

        let style = HistoryStyle::of(&config(KO, ""));
        assert_eq!(style.grammar, Grammar::Repeat);
        assert_eq!(written(&style), ["ko build ko://example.org/shop"; 2]);
    }

    #[test]
    fn buildahs_steps_name_an_image_each_where_their_neighbours_do() {
        let layered = [BUILDAH[0], BUILDAH[1], ("/bin/sh -c rm x", "FROM 648c422b4a0a", false)];
        let style = HistoryStyle::of(&config(&layered, ""));
        let comment = |step| style.write(step).and_then(|step| step.comment).expect("a comment");
        let (one, other) = (comment(Step::Variables("K=V")), comment(Step::Variables("K=W")));
        assert!(is_image_name(&one) && is_image_name(&other) && one != other, "{one} {other}");
        assert_eq!(one, comment(Step::Variables("K=V")));
        let named_base = HistoryStyle::of(&config(BUILDAH, ""));
        assert_eq!(named_base.write(Step::Variables("K=V")).and_then(|step| step.comment), None);
    }

    #[test]
    fn new_steps_are_made_between_their_neighbours() {
        let mut config = config(CLASSIC, "");
        config.history.push(History { created: Some("2026-05-28T18:26:43Z".to_owned()), empty_layer: true, ..History::default() });
        let style = HistoryStyle::of(&config);
        let mut steps = vec![style.write(Step::Variables("K=V")).expect("a step"); 2];
        style.spread(&mut steps);
        let times: Vec<&str> = steps.iter().filter_map(|step| step.created.as_deref()).collect();
        assert_eq!(times, ["2026-05-28T18:26:41Z", "2026-05-28T18:26:42Z"]);
        // Where all steps are of the same moment, as in a reproducible build, the new ones are so too.
        config.history.pop();
        HistoryStyle::of(&config).spread(&mut steps);
        assert_eq!(steps[0].created.as_deref(), Some("2026-05-28T18:26:41Z"));
    }

    #[test]
    fn no_history_stays_none() {
        let style = HistoryStyle::of(&config(&[], ""));
        assert_eq!(style.grammar, Grammar::None);
        assert!(written(&style).is_empty());
    }

    #[test]
    fn a_base_image_of_another_builder_does_not_decide() {
        let steps: Vec<_> = CLASSIC.iter().chain(BUILDKIT).copied().collect();
        assert_eq!(HistoryStyle::of(&config(&steps, "")).grammar, Grammar::BuildKit);
    }
}

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
    /// Docker's classic builder: `/bin/sh -c #(nop)  ENV K=V`, two blanks. The words before `#(nop)` are the image's SHELL.
    Classic,
    /// buildah and podman: `/bin/sh -c #(nop) ENV K=V`, one blank.
    Buildah,
    /// `COPY a b`, steps with layers only.
    Kaniko,
    /// ko, Jib, Bazel, Buildpacks, Nix, `docker commit` and others that write one line for every layer and none for a variable.
    Repeat,
    /// There is no history, or none that goes in step with the layers, as rules_oci leaves it: none is added.
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
    /// Variables go here: after the last that this build set, where that comes before.
    pub variables_at: usize,
    /// When the steps before and after such new ones were made.
    around_variables: (Option<String>, Option<String>),
    created: Option<String>,
    author: Option<String>,
    /// `RUN`'s words before the command.
    shell: String,
    /// The words before `#(nop)`, with the blank.
    nop: String,
    /// The last step with a layer, or what this builder would write for one more.
    last: History,
    /// The number of the next application slice, where layers are numbered so.
    slice: Option<usize>,
    /// Whether some step ran a command, so that the image has or had a shell.
    pub ran_commands: bool,
    /// When the step after the new ones was made.
    next: Option<String>,
    /// Whether each step names the image that it started from, as buildah's do when it keeps the images between.
    names_images: bool,
    /// Whether steps without layers are written at all.
    pub writes_variables: bool,
}

const FRONTEND: &str = "buildkit.dockerfile.v0";
const SHELL: &str = "/bin/sh -c ";
const NOP: &str = "#(nop) ";
/// What a builder without SHELL runs commands with.
const SHELLS: [&str; 8] = ["sh", "bash", "ash", "dash", "zsh", "cmd", "powershell", "pwsh"];

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
        let sets_variables = |step: &History| step.empty_layer && instruction(step).starts_with("ENV ");
        let own_variables = history.iter().take(at).rposition(sets_variables).filter(|_| writes_variables);
        // A base image's variables were set in its own build.
        let variables_at = own_variables.filter(|last| same_build(history.get(*last), config)).map_or(at, |last| last + 1);
        let made = |step: Option<usize>| history.get(step?).and_then(|step| step.created.clone());
        let nop = history.iter().rev().find_map(|step| split_nop(text(step)));
        Self {
            next: history.get(at).and_then(|step| step.created.clone()),
            names_images,
            grammar,
            at,
            variables_at,
            around_variables: (made(variables_at.checked_sub(1)), made(Some(variables_at))),
            created: neighbour.created.clone().or_else(|| config.created.clone()),
            author: neighbour.author.clone(),
            shell: shell(grammar, history),
            nop: nop.map_or(SHELL, |(shell, _)| shell).to_owned(),
            slice: next_slice(&neighbour, history),
            last: one_more(neighbour, history),
            writes_variables,
            ran_commands: history.iter().any(is_command),
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
            // No blank: `--chown=node:nodefile:5f2c…` is how Docker writes it.
            (Grammar::Classic, Step::Copy { target, owner, hash, .. }) => {
                format!("{}{NOP}COPY {}file:{hash} in {target} ", self.nop, chown(owner).trim_end())
            }
            (Grammar::Buildah, Step::Copy { target, hash, .. }) => format!("{}{NOP}COPY file:{hash} in {target} ", self.nop),
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

    /// Gives new steps numbers, and times of their own between their neighbours', where this builder's steps have such.
    pub fn spread(&self, steps: &mut [History]) {
        if let Some(first) = self.slice {
            for (number, step) in (first..).zip(steps.iter_mut()) {
                step.created_by = Some(format!("{SLICE}{number}"));
            }
        }
        let is_moved = |step: &History| self.variables_at < self.at && self.is_variables(step);
        let (moved, here): (Vec<_>, Vec<_>) = steps.iter_mut().partition(|step| is_moved(step));
        let (before, after) = &self.around_variables;
        for step in moved {
            step.created = between(self.grammar, before, after, (1, 2)).or_else(|| before.clone());
        }
        let parts = u32::try_from(here.len() + 1).unwrap_or(u32::MAX);
        for (number, step) in (1..parts).zip(here) {
            step.created = between(self.grammar, &self.created, &self.next, (number, parts)).or(step.created.take());
        }
    }

    /// Whether a step that was written here sets variables.
    #[must_use]
    pub fn is_variables(&self, step: &History) -> bool {
        step.empty_layer && instruction(step).starts_with("ENV ")
    }

    /// When the neighbour of the new steps was made, seconds since 1970, where its builder says.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        let time = OffsetDateTime::parse(self.created.as_deref()?, &Rfc3339).ok()?;
        Some(time.unix_timestamp()).filter(|seconds| *seconds >= 0)
    }

    /// Whether this builder writes build arguments, so that one could leak.
    #[must_use]
    pub fn writes_arguments(&self) -> bool {
        self.writes_variables && self.grammar != Grammar::Kaniko
    }

    /// Whether this builder writes a command for a deletion.
    #[must_use]
    pub fn writes_commands(&self) -> bool {
        !matches!(self.grammar, Grammar::Repeat | Grammar::None)
    }

    fn empty(&self, instruction: &str, text: &str) -> String {
        match self.grammar {
            Grammar::Classic => format!("{}{NOP} {instruction} {text}", self.nop),
            Grammar::Buildah => format!("{}{NOP}{instruction} {text}", self.nop),
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

/// A part of the time between two steps. `None` where this builder's steps have no times of their own.
fn between(grammar: Grammar, before: &Option<String>, after: &Option<String>, (part, of): (u32, u32)) -> Option<String> {
    let read = |text: &Option<String>| OffsetDateTime::parse(text.as_deref()?, &Rfc3339).ok();
    let (before, after) = (read(before)?, read(after)?);
    let is_timed = matches!(grammar, Grammar::Classic | Grammar::Buildah) && after > before;
    if is_timed { (before + (after - before) / of * part).format(&Rfc3339).ok() } else { None }
}

/// A step without the words before it.
fn instruction(step: &History) -> &str {
    split_nop(text(step)).map_or(text(step), |(_, instruction)| instruction).trim_start()
}

/// Whether a step is of the last hour before the image was done, or no times are told apart.
fn same_build(step: Option<&History>, config: &ImageConfig) -> bool {
    let read = |text: Option<&str>| OffsetDateTime::parse(text?, &Rfc3339).ok();
    match (read(step.and_then(|step| step.created.as_deref())), read(config.created.as_deref())) {
        (Some(made), Some(done)) => (done - made).whole_seconds().abs() < 3600,
        _ => false,
    }
}

/// `/bin/sh -c #(nop) ENV A=b` into the shell, with its blank, and the instruction.
fn split_nop(by: &str) -> Option<(&str, &str)> {
    by.split_once(NOP).filter(|(shell, _)| shell_of(shell).is_some())
}

/// The words before a command: a shell and its options up to `-c` (or `/C`), with build arguments (`|1 A=b`) before them.
fn shell_of(run: &str) -> Option<&str> {
    let mut seen = run.starts_with('|');
    let mut end = 0;
    for word in run.split_inclusive(' ') {
        end += word.len();
        let word = word.trim_end();
        let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
        seen |= SHELLS.contains(&name.trim_end_matches(".exe"));
        if !seen {
            return None;
        }
        if word.starts_with('-') && word.ends_with('c') || matches!(word, "/C" | "/c" | "-Command") {
            return run[..end].ends_with(' ').then(|| &run[..end]);
        }
    }
    None
}

/// Whether a step ran a command.
fn is_command(step: &History) -> bool {
    let by = text(step);
    by.starts_with("RUN ") || shell_of(by).is_some() && !by.contains(NOP)
}

/// The newest step that tells decides: base images are often built by another builder.
fn grammar(history: &[History]) -> Grammar {
    let mut commands = false;
    for step in history.iter().rev() {
        let by = text(step);
        if step.comment.as_deref() == Some(FRONTEND) || by.ends_with("# buildkit") {
            // BuildKit's own commands are marked: an unmarked one on top of them is another builder's.
            return if commands { unmarked(history) } else { Grammar::BuildKit };
        }
        if step.author.as_deref() == Some("kaniko") {
            return Grammar::Kaniko;
        }
        if let Some((_, instruction)) = split_nop(by) {
            return nop(instruction, history);
        }
        if by.starts_with("COPY ") || by.starts_with("RUN ") || by.starts_with("ADD ") {
            return Grammar::Kaniko;
        }
        if is_command(step) {
            // By itself it is a RUN step of either builder that writes `#(nop)`.
            commands = true;
        } else if !by.is_empty() || !step.empty_layer {
            // One line for each layer, which may be as empty as crane leaves it.
            return if commands { unmarked(history) } else { Grammar::Repeat };
        }
    }
    if commands { unmarked(history) } else { Grammar::Repeat }
}

/// The builder of commands and copies that show no more than `/bin/sh -c`: buildah names the image that it began with.
fn unmarked(history: &[History]) -> Grammar {
    let buildah = history.iter().any(|step| step.comment.as_deref().is_some_and(|comment| comment.starts_with("FROM ")));
    if buildah { Grammar::Buildah } else { Grammar::Classic }
}

/// COPY and ADD look the same from both builders; another instruction, or buildah's comment, tells them apart.
fn nop(instruction: &str, history: &[History]) -> Grammar {
    let shared = |instruction: &str| instruction.starts_with("COPY ") || instruction.starts_with("ADD ");
    let telling = if shared(instruction) {
        history.iter().rev().filter_map(|step| Some(split_nop(text(step))?.1)).find(|instruction| !shared(instruction))
    } else {
        Some(instruction)
    };
    match telling {
        Some(instruction) if instruction.starts_with(' ') => Grammar::Classic,
        Some(_) => Grammar::Buildah,
        None => unmarked(history),
    }
}

/// The words before a RUN command, with the build arguments (`|1 A=b`) that the last one had, unless another stage's end lies between.
fn shell(grammar: Grammar, history: &[History]) -> String {
    let prefix = if grammar == Grammar::BuildKit { "RUN " } else { "" };
    let ends = |step: &History| ["CMD ", "ENTRYPOINT "].iter().any(|word| instruction(step).starts_with(word));
    let last = history.iter().rposition(|step| !step.empty_layer).unwrap_or_default();
    let same_stage = history.iter().take(last + 1).rev().take_while(|step| !ends(step));
    let mut runs = same_stage.filter_map(|step| text(step).strip_prefix(prefix)).filter(|run| !run.contains(NOP));
    let words = runs.find_map(shell_of);
    words.filter(|words| words.len() < 4096).unwrap_or(SHELL).to_owned()
}

/// How Buildpacks name the parts of an application: a number follows.
const SLICE: &str = "Application Slice: ";

fn next_slice(neighbour: &History, history: &[History]) -> Option<usize> {
    let number = |step: &History| text(step).strip_prefix(SLICE)?.parse::<usize>().ok();
    is_lifecycle(neighbour).then(|| history.iter().filter_map(number).max()).flatten().map(|last| last + 1)
}

/// Whether the Buildpacks' lifecycle wrote this step.
///
/// Source: buildpacks/lifecycle, `layers/factory.go`.
fn is_lifecycle(step: &History) -> bool {
    ["Application Layer", SLICE, "Buildpacks ", "Software Bill-of-Materials", "Layer: '"].iter().any(|start| text(step).starts_with(start))
}

/// The line for one more layer of data, from a builder that knows what its layers are for; else the last line again.
fn one_more(last: History, history: &[History]) -> History {
    let told = |comment: &str| Some(comment.to_owned()).filter(|_| last.comment.is_some());
    match last.author.as_deref() {
        Some("Jib") => History { comment: told("extra files"), ..last },
        Some("ko") => History { comment: told("kodata contents, at $KO_DATA_PATH"), ..last },
        // apko itself makes no second layer; who adds one to its image does it with crane, which leaves the line empty.
        Some("apko") => History { created: Some("0001-01-01T00:00:00Z".to_owned()), ..History::default() },
        _ if is_lifecycle(&last) && history.iter().any(|step| text(step) == "Application Layer") => {
            History { created_by: Some("Application Layer".to_owned()), ..last }
        }
        _ => last,
    }
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
    fn variables_go_where_this_build_set_its_last() {
        let style = HistoryStyle::of(&config(BUILDKIT, ""));
        assert_eq!((style.variables_at, style.at), (4, 5));
        // What a base image set long ago is no neighbour.
        let mut old = config(CLASSIC, "");
        let variable = |created: &str| History {
            created: Some(created.to_owned()),
            created_by: Some("/bin/sh -c #(nop)  ENV A=b".to_owned()),
            empty_layer: true,
            ..History::default()
        };
        old.history.insert(1, variable("2026-05-01T00:00:00Z"));
        assert_eq!(HistoryStyle::of(&old).variables_at, 5);
        old.history[1] = variable("2026-05-28T18:26:00Z");
        let style = HistoryStyle::of(&old);
        assert_eq!((style.variables_at, style.at), (2, 5));
        let mut steps: Vec<_> = [Step::Variables("K=V"), Step::Argument("A=b")].into_iter().filter_map(|step| style.write(step)).collect();
        style.spread(&mut steps);
        // Half-way between its neighbours, and no later.
        assert_eq!(steps[0].created.as_deref(), Some("2026-05-28T18:26:20Z"));
        assert_eq!(steps[1].created.as_deref(), Some("2026-05-28T18:26:40Z"));
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
        let command = ("/bin/sh -c make", "", false);
        let steps: Vec<_> = BUILDKIT.iter().copied().chain([command]).collect();
        assert_eq!(HistoryStyle::of(&config(&steps, "")).grammar, Grammar::Classic);
        let steps: Vec<_> = BUILDKIT.iter().copied().chain([("/bin/sh -c make", "FROM docker.io/library/alpine:3", false)]).collect();
        assert_eq!(HistoryStyle::of(&config(&steps, "")).grammar, Grammar::Buildah);
        // What crane appends on top has no words at all.
        let steps: Vec<_> = BUILDKIT.iter().copied().chain([("", "", false)]).collect();
        assert_eq!(HistoryStyle::of(&config(&steps, "")).grammar, Grammar::Repeat);
    }

    /// A history as JSON, with as many layers as it tells of.
    fn style(history: &serde_json::Value) -> HistoryStyle {
        let layers = history.as_array().expect("a list").iter().filter(|step| step["empty_layer"] != true).count();
        let diff_ids = vec![Digest::of(b""); layers];
        let text = serde_json::json!({ "os": "linux", "history": history, "rootfs": { "type": "layers", "diff_ids": diff_ids } }).to_string();
        HistoryStyle::of(&ImageConfig::parse(text.as_bytes()).expect("valid"))
    }

    /// The new steps, as JSON.
    fn new_steps(style: &HistoryStyle) -> Vec<serde_json::Value> {
        let steps = [
            Step::Copy { source: "a", target: "/app/a", owner: (1000, 1000), hash: "00ff" },
            Step::Copy { source: "b", target: "/app/b", owner: (0, 0), hash: "00ff" },
            Step::Remove { target: "/app/b" },
            Step::Variables("K=V"),
        ];
        let mut steps: Vec<History> = steps.into_iter().filter_map(|step| style.write(step)).collect();
        style.spread(&mut steps);
        steps.iter().map(|step| serde_json::to_value(step).expect("plain")).collect()
    }

    const NEVER: &str = "0001-01-01T00:00:00Z";

    #[test]
    fn builders_of_layers_write_one_more_line_as_they_would() {
        let bazel = serde_json::json!({ "author": "Bazel", "created": "1970-01-01T00:00:00Z", "created_by": "bazel build ..." });
        let ko = |comment: &str| serde_json::json!({ "created": NEVER, "created_by": "ko build ko://example.org/shop", "author": "ko", "comment": comment });
        let jib = |comment: &str| {
            let by = "jib-maven-plugin:3.4.0";
            serde_json::json!({ "created": "1970-01-01T00:00:00Z", "created_by": by, "author": "Jib", "comment": comment })
        };
        let lifecycle = |by: &str| serde_json::json!({ "created": "1980-01-01T00:00:01Z", "created_by": by });
        let nix = serde_json::json!({ "created": "1970-01-01T00:00:01+00:00", "comment": "store paths: ['/nix/store/0-shop-customisation-layer']" });
        let apko = serde_json::json!({
            "author": "apko", "created": "2023-01-08T00:10:08Z", "created_by": "apko", "comment": "This is an apko single-layer image"
        });
        let blank = serde_json::json!({ "created": NEVER });
        let commit = serde_json::json!({ "created": "2026-05-28T18:26:40Z", "author": "ann", "created_by": "bash", "comment": "with the fix" });
        let buildpacks = |parts: &[&str]| parts.iter().map(|part| lifecycle(part)).collect::<Vec<_>>();
        let ends = ["Buildpacks Application Launcher", "Buildpacks Launcher Config", "Buildpacks Process Types"];
        let whole = buildpacks(
            &[&["Layer: 'jre', Created by buildpack: paketo-buildpacks/bellsoft-liberica@10.2.6", "Application Layer"][..], &ends].concat(),
        );
        let sliced = buildpacks(&[&["Application Slice: 1", "Application Slice: 2"][..], &ends].concat());
        let rows = [
            ("Bazel", vec![bazel.clone(), bazel.clone()], vec![bazel.clone(); 3]),
            (
                "ko",
                vec![bazel.clone(), ko("kodata contents, at $KO_DATA_PATH"), ko("go build output, at /ko-app/shop")],
                vec![ko("kodata contents, at $KO_DATA_PATH"); 3],
            ),
            ("Jib", vec![bazel, jib("dependencies"), jib("classes"), jib("jvm arg files")], vec![jib("extra files"); 3]),
            ("Buildpacks", whole, vec![lifecycle("Application Layer"); 3]),
            ("sliced Buildpacks", sliced, buildpacks(&["Application Slice: 3", "Application Slice: 4", "Application Slice: 5"])),
            ("Buildpacks without names", vec![lifecycle(""), lifecycle("")], vec![lifecycle(""); 3]),
            ("Nix", vec![nix.clone()], vec![nix; 3]),
            ("apko", vec![apko], vec![blank.clone(); 3]),
            ("crane append", vec![commit.clone(), blank.clone()], vec![blank; 3]),
            ("docker commit", vec![commit.clone()], vec![commit; 3]),
        ];
        for (builder, history, expected) in rows {
            let style = style(&history.into());
            assert_eq!((style.grammar, style.ran_commands), (Grammar::Repeat, false), "{builder}");
            assert_eq!(new_steps(&style), expected, "{builder}");
        }
    }

    #[test]
    fn the_images_own_shell_stands_before_nop() {
        let by = |by: &str, empty: bool| serde_json::json!({ "created": "2026-05-28T18:26:40Z", "created_by": by, "empty_layer": empty });
        let bash = "/bin/bash -o pipefail -c";
        let style = style(
            &vec![
                by("/bin/sh -c #(nop) ADD file:00ff in / ", false),
                by("/bin/sh -c #(nop)  SHELL [/bin/bash -o pipefail -c]", true),
                by(&format!("{bash} apt-get update"), false),
                by(&format!("{bash} #(nop)  USER shop"), true),
            ]
            .into(),
        );
        assert_eq!(style.grammar, Grammar::Classic);
        let written: Vec<String> = new_steps(&style).iter().map(|step| step["created_by"].as_str().unwrap_or_default().to_owned()).collect();
        // Docker writes no blank after an owner.
        let expected = ["#(nop) COPY --chown=1000:1000file:00ff in /app/a ", "#(nop) COPY file:00ff in /app/b ", "rm -f /app/b", "#(nop)  ENV K=V"];
        assert_eq!(written, expected.map(|step| format!("{bash} {step}")));

        for shell in ["cmd /S /C", "powershell -Command $ErrorActionPreference = 'Stop';"] {
            let style = self::style(&vec![by("Apply image 10.0.20348.2529", false), by(&format!("{shell} #(nop)  ENV A=b"), true)].into());
            assert_eq!(style.grammar, Grammar::Classic, "{shell}");
            assert_eq!(style.write(Step::Variables("K=V")).and_then(|step| step.created_by), Some(format!("{shell} #(nop)  ENV K=V")));
        }
    }

    #[test]
    fn buildah_writes_no_owner_and_its_commits_repeat() {
        let by = |by: &str, empty: bool| serde_json::json!({ "created": "2026-11-22T07:01:38.63763786Z", "created_by": by, "empty_layer": empty });
        // `buildah bud` without --layers: the last instruction, whatever it is, holds the only layer.
        let squashed = style(
            &vec![
                by("/bin/sh -c #(nop) ENV A=b", true),
                by("/bin/sh -c #(nop) COPY file:00ff in /app/hello ", true),
                by("/bin/sh -c #(nop) CMD [\"/app/hello\"]", false),
            ]
            .into(),
        );
        assert_eq!((squashed.grammar, squashed.at), (Grammar::Buildah, 3));
        assert_eq!(new_steps(&squashed)[0]["created_by"], "/bin/sh -c #(nop) COPY file:00ff in /app/a ");
        let committed = style(&vec![by("/bin/sh -c #(nop) ENV Q=1", true), by("/bin/sh", false)].into());
        assert_eq!(committed.grammar, Grammar::Repeat);
        assert_eq!(new_steps(&committed)[0]["created_by"], "/bin/sh");
    }

    #[test]
    fn history_that_is_out_of_step_with_the_layers_gets_no_line() {
        // rules_oci adds layers to a base image and writes no history for them.
        let mut config = config(BUILDKIT, "");
        config.diff_ids.push(Digest::of(b""));
        let style = HistoryStyle::of(&config);
        assert_eq!(style.grammar, Grammar::None);
        assert!(written(&style).is_empty());
    }
}

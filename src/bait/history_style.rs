//! How an image's builder writes history, so that new steps read as if it had made them.

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

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
    /// A file came in, or a folder. `hash` is that of its content.
    Copy { source: &'a str, target: &'a str, owner: (u64, u64), hash: &'a str, is_folder: bool },
    /// A file was deleted.
    Remove { target: &'a str },
    /// A command ran.
    Run(&'a str),
    /// Variables were set: `K=V`, several separated by blanks.
    Variables(&'a str),
    /// A build argument was declared: `K=V`.
    Argument(&'a str),
}

/// A place for new layers and their steps among those that the image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// New layers come below this one of today's; as many as there are: on top.
    pub layer: usize,
    /// Their steps come before this one of today's.
    pub step: usize,
}

/// A step that is new to a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStep {
    /// It comes before this step of today's.
    pub at: usize,
    /// Its number among the new ones, as they were written.
    pub number: usize,
    pub step: History,
}

/// The style of one image's history, and where new steps can go.
#[derive(Debug, Clone)]
pub struct HistoryStyle {
    pub grammar: Grammar,
    /// Whether steps without layers are written at all.
    pub writes_variables: bool,
    /// Whether some step ran a command, so that the image has or had a shell.
    pub ran_commands: bool,
    /// Whether the image is put together of parts by a tool that says so, and no instruction or person changes it afterwards.
    pub puts_together: bool,
    /// The image's steps. Those from `own` on are of this build, those before it of its base image.
    steps: Vec<History>,
    own: usize,
    layers: usize,
    /// When the last step with a layer was made, or the image.
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
    /// Whether each step names the image that it started from, as buildah's do when it keeps the images between.
    names_images: bool,
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
        let nop = history.iter().rev().find_map(|step| split_nop(text(step)));
        Self {
            names_images,
            grammar,
            steps: history.clone(),
            own: own_from(history),
            layers: config.diff_ids.len(),
            created: neighbour.created.clone().or_else(|| config.created.clone()),
            author: neighbour.author.clone(),
            shell: shell(grammar, history),
            nop: nop.map_or(SHELL, |(shell, _)| shell).to_owned(),
            slice: next_slice(&neighbour, history),
            last: one_more(neighbour, history),
            writes_variables,
            ran_commands: history.iter().any(is_command),
            puts_together: grammar == Grammar::Repeat && last.is_some_and(|last| puts_together(&history[last])),
        }
    }

    /// Above everything: after the last step with a layer, before those without that follow it.
    #[must_use]
    pub fn top(&self) -> Slot {
        Slot { layer: self.layers, step: self.steps.iter().rposition(|step| !step.empty_layer).map_or(0, |last| last + 1) }
    }

    /// Where new layers can go, lowest first: below every layer of this build, and above it. Never empty. Where layers are parts of a whole,
    /// one more below a part is written like that.
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        if self.grammar == Grammar::None {
            return vec![self.top()];
        }
        let layers: Vec<usize> = (0..self.steps.len()).filter(|step| !self.steps[*step].empty_layer).collect();
        let own = layers.iter().enumerate().filter(|(layer, step)| *layer > 0 && **step >= self.own);
        let mut slots: Vec<Slot> = own.clone().map(|(layer, step)| Slot { layer, step: *step }).collect();
        // What BuildKit wrote after the last layer has that layer's time, and would be older than a layer between them.
        let mut times = own.map(|(_, step)| &self.steps[*step].created);
        let is_timeless = times.next().is_none_or(|first| slots.len() > 1 && times.all(|time| time == first));
        if self.grammar != Grammar::BuildKit || is_timeless {
            slots.push(self.top());
        }
        slots
    }

    /// Where a variable can be set, each with the step whose variables come before it: after every step of this build that sets some,
    /// else above the last layer.
    #[must_use]
    pub fn variable_steps(&self) -> Vec<usize> {
        // Bait is not the last thing that was done.
        let own: Vec<usize> = (self.own..self.steps.len()).filter(|step| self.sets_variables(*step)).map(|step| step + 1).collect();
        let own: Vec<usize> = own.into_iter().filter(|step| *step < self.steps.len()).collect();
        if own.is_empty() { vec![self.top().step] } else { own }
    }

    /// The names that a step sets, where it sets variables.
    #[must_use]
    pub fn names_set(&self, step: usize) -> Vec<&str> {
        let text = self.steps.get(step).map(instruction).and_then(|text| text.strip_prefix("ENV ")).unwrap_or_default();
        text.split(' ').filter_map(|word| word.split_once('=')).map(|(name, _)| name).collect()
    }

    /// Where a build argument can be declared: after the last command, which would repeat it, and after `least`.
    #[must_use]
    pub fn argument_steps(&self, least: usize) -> Vec<usize> {
        let last_command = self.steps.iter().rposition(is_command).map_or(0, |last| last + 1);
        let first = last_command.max(self.own).max(least).min(self.steps.len());
        let ends = |step: &History| ["CMD ", "ENTRYPOINT "].iter().any(|word| instruction(step).starts_with(word));
        let end = (first..self.steps.len()).find(|step| ends(&self.steps[*step])).unwrap_or(self.steps.len());
        let steps = first..=end;
        if first < self.steps.len() { steps.filter(|step| *step < self.steps.len()).collect() } else { steps.collect() }
    }

    /// Whether this build declares arguments, besides those that its builder declares by itself.
    #[must_use]
    pub fn has_arguments(&self) -> bool {
        self.steps.iter().skip(self.own).any(|step| step.empty_layer && instruction(step).starts_with("ARG "))
    }

    /// The first layer of this build.
    #[must_use]
    pub fn own_layer(&self) -> usize {
        if self.grammar == Grammar::None { 0 } else { self.steps.iter().take(self.own).filter(|step| !step.empty_layer).count() }
    }

    /// The first step of this build with a time, in seconds since 1970: what was copied is older.
    #[must_use]
    pub fn began(&self) -> Option<i64> {
        self.steps.iter().skip(self.own).find_map(|step| seconds(step.created.as_deref()))
    }

    fn sets_variables(&self, step: usize) -> bool {
        self.writes_variables && self.steps.get(step).is_some_and(|step| step.empty_layer && instruction(step).starts_with("ENV "))
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
            (Grammar::BuildKit, Step::Run(command)) => format!("RUN {}{command} # buildkit", self.shell),
            // No blank: `--chown=node:nodefile:5f2c…` is how Docker writes it.
            (Grammar::Classic, Step::Copy { target, owner, hash, is_folder, .. }) => {
                format!("{}{NOP}COPY {}{}:{hash} in {target} ", self.nop, chown(owner).trim_end(), several(is_folder))
            }
            (Grammar::Buildah, Step::Copy { target, hash, is_folder, .. }) => {
                format!("{}{NOP}COPY {}:{hash} in {target} ", self.nop, several(is_folder))
            }
            (Grammar::Classic | Grammar::Buildah, Step::Run(command)) => format!("{}{command}", self.shell),
            (Grammar::Classic | Grammar::Buildah, Step::Remove { target }) => format!("{}rm -f {target}", self.shell),
            (_, Step::Copy { source, target, owner, .. }) => format!("COPY {}{source} {target}", chown(owner)),
            (_, Step::Remove { target }) => format!("RUN rm -f {target}"),
            (_, Step::Run(command)) => format!("RUN {command}"),
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

    /// Puts new steps into the order that they have in the history, and gives them numbers and times of their own between their neighbours',
    /// where this builder's steps have such. `draw` gives, for a number, one below a thousand.
    pub fn settle(&self, steps: &mut [NewStep], draw: impl Fn(usize) -> u32) {
        let top = self.top().step;
        // Above all layers, steps without one follow; elsewhere the next layer does, and they come first.
        steps.sort_by_key(|new| (new.at, new.step.empty_layer == (new.at == top)));
        if let Some(first) = self.slice {
            for (number, new) in (first..).zip(steps.iter_mut()) {
                new.step.created_by = Some(format!("{SLICE}{number}"));
            }
        }
        for together in steps.chunk_by_mut(|one, other| one.at == other.at) {
            let at = together.first().map_or(0, |new| new.at);
            if let Some(part) = self.steps.get(at).filter(|step| self.grammar == Grammar::Repeat && !step.empty_layer) {
                together.iter_mut().for_each(|new| new.step = part.clone());
            }
            let time = |at: usize| self.steps.get(at).and_then(|step| step.created.clone());
            let before = at.checked_sub(1).and_then(time);
            let is_timed = |new: &NewStep| match self.grammar {
                Grammar::Classic | Grammar::Buildah => true,
                Grammar::BuildKit => !new.step.empty_layer,
                Grammar::Kaniko | Grammar::Repeat | Grammar::None => false,
            };
            let parts = u32::try_from(together.iter().filter(|new| is_timed(new)).count()).unwrap_or(u32::MAX);
            let (mut part, mut last) = (0, before.clone());
            for new in together {
                if is_timed(new) {
                    let drawn = part * 1000 + 100 + draw(new.number) % 800;
                    last = between(&before, &time(at), (drawn, parts * 1000)).or_else(|| before.clone());
                    part += 1;
                }
                if is_timed(new) || self.grammar == Grammar::BuildKit {
                    // What BuildKit writes without a layer has the time of the layer before it.
                    new.step.created = last.clone().or(new.step.created.take());
                }
            }
        }
    }

    /// When the neighbour of the new steps was made, seconds since 1970, where its builder says.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        seconds(self.created.as_deref())
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

/// What Docker and buildah call one file, and a folder.
fn several(is_folder: bool) -> &'static str {
    if is_folder { "dir" } else { "file" }
}

/// A time of the history. `None` for one before our era.
pub(in crate::bait) fn seconds(created: Option<&str>) -> Option<i64> {
    let time = OffsetDateTime::parse(created?, &Rfc3339).ok()?;
    Some(time.unix_timestamp()).filter(|seconds| *seconds >= 0)
}

/// A part of the time between two steps, or of the last seconds before the later one where another build lies between. `None` where time
/// stood still, as in a reproducible build.
fn between(before: &Option<String>, after: &Option<String>, (part, of): (u32, u32)) -> Option<String> {
    let read = |text: &Option<String>| OffsetDateTime::parse(text.as_deref()?, &Rfc3339).ok();
    let (before, after) = (read(before)?, read(after)?);
    let gap = if after - before > Duration::seconds(SAME_BUILD) { Duration::seconds(4) } else { after - before };
    if after > before { (after - gap + gap * part / of).format(&Rfc3339).ok() } else { None }
}

/// A step without the words before it.
fn instruction(step: &History) -> &str {
    split_nop(text(step)).map_or(text(step), |(_, instruction)| instruction).trim_start()
}

/// Steps of one build are this many seconds apart at most.
const SAME_BUILD: i64 = 3600;

/// The first step of this build: what comes before it ended another one, was made long before, or by another builder.
fn own_from(history: &[History]) -> usize {
    let Some(last) = history.iter().rposition(|step| !step.empty_layer) else { return 0 };
    let ends = |step: &History| ["CMD ", "ENTRYPOINT "].iter().any(|word| instruction(step).starts_with(word));
    let base = history[..last].iter().rposition(ends).map_or(0, |end| end + 1);
    let one_build = |step: &History| {
        let (made, done) = (&step.created, &history[last].created);
        let near = seconds(made.as_deref()).zip(seconds(done.as_deref())).is_some_and(|(made, done)| (done - made).abs() < SAME_BUILD);
        (made == done || near) && step.author == history[last].author && is_buildkit(step) == is_buildkit(&history[last])
    };
    (base..last).rev().take_while(|step| one_build(&history[*step])).last().unwrap_or(last)
}

fn is_buildkit(step: &History) -> bool {
    step.comment.as_deref() == Some(FRONTEND)
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

/// Whether a tool that makes layers of parts wrote this step: ko, Jib, Bazel, Buildpacks, Nix, apko.
fn puts_together(step: &History) -> bool {
    let author = step.author.as_deref().is_some_and(|author| ["Jib", "ko", "Bazel", "apko"].contains(&author));
    let comment = step.comment.as_deref().is_some_and(|comment| comment.starts_with("store paths:"));
    author || comment || is_lifecycle(step) || text(step).starts_with("bazel build")
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
            Step::Copy { source: "a", target: "/app/a", owner: (0, 0), hash: "00ff", is_folder: false },
            Step::Remove { target: "/app/a" },
            Step::Variables("K=V"),
            Step::Argument("K=V"),
        ];
        steps.into_iter().filter_map(|step| style.write(step)).filter_map(|step| step.created_by).collect()
    }

    #[test]
    fn every_builder_is_imitated() {
        let style = HistoryStyle::of(&config(BUILDKIT, ""));
        assert_eq!((style.grammar, style.top().step), (Grammar::BuildKit, 5));
        assert_eq!(
            written(&style),
            ["COPY a /app/a # buildkit", "RUN |1 V=2 /bin/ash -eo pipefail -c rm -f /app/a # buildkit", "ENV K=V", "ARG K=V"]
        );
        assert_eq!(style.write(Step::Argument("K=V")).and_then(|step| step.comment).as_deref(), Some(FRONTEND));

        let style = HistoryStyle::of(&config(CLASSIC, ""));
        assert_eq!((style.grammar, style.top().step), (Grammar::Classic, 4));
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

    /// Steps as they come out, and their times.
    fn settled(style: &HistoryStyle, steps: &[(usize, Step<'_>)]) -> Vec<(usize, String, String)> {
        let written = |(number, (at, step)): (usize, &(usize, Step<'_>))| NewStep { at: *at, number, step: style.write(*step).expect("a step") };
        let mut steps: Vec<NewStep> = steps.iter().enumerate().map(written).collect();
        style.settle(&mut steps, |_| 400);
        steps.into_iter().map(|new| (new.at, new.step.created_by.unwrap_or_default(), new.step.created.unwrap_or_default())).collect()
    }

    fn at(mut config: ImageConfig, seconds: &[u32]) -> ImageConfig {
        for (step, second) in config.history.iter_mut().zip(seconds) {
            step.created = Some(format!("2026-05-28T18:{:02}:{:02}Z", second / 60, second % 60));
        }
        config
    }

    #[test]
    fn new_steps_are_made_between_their_neighbours() {
        let config = at(config(CLASSIC, ""), &[0, 0, 10, 20]);
        let style = HistoryStyle::of(&config);
        let of = |steps: &[(usize, Step<'_>)]| settled(&style, steps).into_iter().map(|(_, _, time)| time).collect::<Vec<_>>();
        assert_eq!(of(&[(3, Step::Run("make")), (3, Step::Variables("K=V"))]), ["2026-05-28T18:00:12.5Z", "2026-05-28T18:00:17.5Z"]);
        // Above all layers there is no later one to come between.
        assert_eq!(of(&[(4, Step::Run("make"))]), ["2026-05-28T18:00:20Z"]);
        // Where all steps are of the same moment, as in a reproducible build, the new ones are so too.
        let style = HistoryStyle::of(&tests::config(CLASSIC, ""));
        assert_eq!(settled(&style, &[(3, Step::Run("make"))])[0].2, "2026-05-28T18:26:40Z");
    }

    #[test]
    fn what_buildkit_writes_without_a_layer_has_the_time_of_the_layer_before_it() {
        let style = HistoryStyle::of(&at(config(BUILDKIT, ""), &[0, 0, 10, 10, 20, 20, 20]));
        let copy = Step::Copy { source: "a", target: "/app/a", owner: (0, 0), hash: "00ff", is_folder: false };
        let settled = settled(&style, &[(4, copy), (4, Step::Variables("K=V")), (5, Step::Argument("A=b"))]);
        assert_eq!(
            settled,
            [
                (4, "ENV K=V".to_owned(), "2026-05-28T18:00:10Z".to_owned()),
                (4, "COPY a /app/a # buildkit".to_owned(), "2026-05-28T18:00:15Z".to_owned()),
                (5, "ARG A=b".to_owned(), "2026-05-28T18:00:20Z".to_owned())
            ]
        );
    }

    #[test]
    fn new_layers_go_between_those_of_this_build() {
        let slot = |layer, step| Slot { layer, step };
        // BuildKit's top is closed: the steps that follow have the last layer's time.
        let style = HistoryStyle::of(&at(config(BUILDKIT, ""), &[0, 0, 10, 10, 20, 20, 20]));
        assert_eq!((style.slots(), style.own_layer()), (vec![slot(1, 2), slot(2, 4)], 1));
        assert_eq!(style.began(), Some(1_779_991_210));
        let timeless = HistoryStyle::of(&config(BUILDKIT, ""));
        assert_eq!(timeless.slots(), [slot(1, 2), slot(2, 4), slot(3, 5)]);
        // A base image may have been built without a command of its own, but not in the same hour.
        let old = HistoryStyle::of(&at(config(CLASSIC, ""), &[0, 0, 3, 59 * 60 + 59]));
        assert_eq!(old.slots(), [slot(1, 2), slot(2, 3), slot(3, 4)]);
        let mut config = config(CLASSIC, "");
        config.history[2].created = Some("2026-05-01T00:00:00Z".to_owned());
        assert_eq!(HistoryStyle::of(&config).slots(), [slot(2, 3), slot(3, 4)]);
        let repeat = HistoryStyle::of(&tests::config(KO, ""));
        assert_eq!(repeat.slots(), [slot(1, 1), slot(2, 2)]);
        let step = Step::Remove { target: "/x" };
        assert_eq!(settled(&repeat, &[(1, step)])[0].1, "ko build ko://example.org/shop");
    }

    #[test]
    fn variables_go_where_this_build_sets_its_own_and_arguments_after_its_commands() {
        let style = HistoryStyle::of(&config(BUILDKIT, ""));
        assert_eq!((style.variable_steps(), style.names_set(3)), (vec![4], vec!["SHOP_PORT"]));
        assert_eq!((style.argument_steps(0), style.argument_steps(6), style.has_arguments()), (vec![5, 6], vec![6], false));
        let own: Vec<_> = BUILDKIT[..6].iter().copied().chain([("ARG A=b", FRONTEND, true)]).collect();
        assert!(HistoryStyle::of(&config(&own, "")).has_arguments());
        // What a base image set long ago is no neighbour.
        let mut old = config(CLASSIC, "");
        let by = Some("/bin/sh -c #(nop)  ENV A=b".to_owned());
        old.history.insert(1, History { created: Some("2026-05-01T00:00:00Z".to_owned()), created_by: by, empty_layer: true, ..History::default() });
        assert_eq!(HistoryStyle::of(&old).variable_steps(), [5]);
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
            Step::Copy { source: "a", target: "/app/a", owner: (1000, 1000), hash: "00ff", is_folder: false },
            Step::Copy { source: "b", target: "/app/b", owner: (0, 0), hash: "00ff", is_folder: false },
            Step::Remove { target: "/app/b" },
            Step::Variables("K=V"),
        ];
        let at = style.top().step;
        let written = steps.into_iter().filter_map(|step| style.write(step)).enumerate();
        let mut steps: Vec<NewStep> = written.map(|(number, step)| NewStep { at, number, step }).collect();
        style.settle(&mut steps, |_| 400);
        steps.iter().map(|new| serde_json::to_value(&new.step).expect("plain")).collect()
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
        assert_eq!((squashed.grammar, squashed.top().step), (Grammar::Buildah, 3));
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

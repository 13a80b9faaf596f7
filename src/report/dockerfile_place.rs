//! The line of a Dockerfile whose instruction brought a secret into the image: the build's steps, as the image tells them, beside the text that
//! they were built from.
//!
//! Source: Dockerfile reference; BuildKit, `frontend/dockerfile/dockerfile2llb/convert.go` (what it writes into the history); Docker's classic
//! builder, `builder/dockerfile/dispatchers.go`.

use crate::report::advice;
use crate::report::run_report::{BuildStep, ReportedFinding, RunReport};
use crate::scan::dockerfile_scan::{MAX_DOCKERFILE, Written, written};
use crate::scan::finding::FoundIn;
use crate::scan::redact::without_samples;

/// Instructions and steps that are compared; a build has a few dozen.
const MOST: usize = 1_000;
/// A recipe with more stages is not laid beside the steps.
const MOST_STAGES: usize = 100;

impl RunReport {
    /// Findings get the lines of the Dockerfile at `path`, whose text this is, where it is sure that they come from there. This goes before
    /// anything is taken out of the report for others.
    pub fn place_in(&mut self, text: &str, path: &str) {
        self.dockerfile = Some(path.to_owned());
        if text.len() as u64 > MAX_DOCKERFILE {
            return;
        }
        let instructions = last_stage(written(text.as_bytes()));
        let platforms = self.source.as_ref().map(|source| source.platforms.as_slice()).unwrap_or_default();
        let lines: Vec<(&str, Vec<Option<u64>>)> =
            platforms.iter().map(|platform| (platform.platform.as_str(), lines_of_steps(&instructions, &platform.steps))).collect();
        let found: Vec<Option<u64>> = self
            .findings
            .iter()
            .map(|reported| {
                let name = reported.finding.platforms.first();
                let at = lines.iter().position(|(platform, _)| name.is_none_or(|name| name == platform))?;
                line_of(reported, &instructions, &platforms.get(at)?.steps, &lines.get(at)?.1)
            })
            .collect();
        self.findings.iter_mut().zip(found).for_each(|(reported, line)| reported.dockerfile_line = line);
    }
}

fn line_of(reported: &ReportedFinding, instructions: &[Written], steps: &[BuildStep], lines: &[Option<u64>]) -> Option<u64> {
    let finding = &reported.finding;
    let of_step = |at: usize| lines.get(at).copied().flatten();
    let last = |keyword: &str| Some(instructions.iter().rfind(|written| written.keyword == keyword)?.line);
    match finding.surface {
        FoundIn::File => {
            let layer = finding.layer.as_ref()?.index;
            of_step(steps.iter().position(|step| step.layer.as_ref().is_some_and(|made| made.index == layer))?)
        }
        FoundIn::History => of_step(finding.path.as_deref()?.parse().ok()?),
        FoundIn::Env | FoundIn::Label => {
            let name = finding.path.as_deref().filter(|name| !name.is_empty())?;
            let keyword = if finding.surface == FoundIn::Env { "ENV" } else { "LABEL" };
            let sets =
                |written: &&Written| written.keyword == keyword && written.words.split_whitespace().any(|word| word.split('=').next() == Some(name));
            Some(instructions.iter().rfind(sets)?.line)
        }
        FoundIn::Entrypoint => last("ENTRYPOINT"),
        FoundIn::Command => last("CMD"),
        FoundIn::Healthcheck => last("HEALTHCHECK"),
        FoundIn::Annotation | FoundIn::Artifact => None,
    }
}

/// The instructions that make the image: those of the last stage, after those of the stages that it starts from.
fn last_stage(all: Vec<Written>) -> Vec<Written> {
    let mut stages: Vec<(String, Vec<Written>)> = Vec::new();
    for written in all {
        if written.keyword != "FROM" {
            // What comes before the first stage declares arguments, and makes nothing.
            if let Some((_, stage)) = stages.last_mut() {
                stage.push(written);
            }
            continue;
        }
        let mut words = written.words.split_whitespace().filter(|word| !word.starts_with("--"));
        let base = words.next().unwrap_or_default();
        let name = words.nth(1).unwrap_or_default().to_ascii_lowercase();
        let before = stages.iter().find(|(stage, _)| !stage.is_empty() && stage.eq_ignore_ascii_case(base));
        // Only the end of a stage is looked at in the end, and a copy of all of it for each of many stages would be large.
        let inherited = before.map(|(_, stage)| stage[stage.len().saturating_sub(MOST)..].to_vec()).unwrap_or_default();
        if stages.len() == MOST_STAGES {
            return Vec::new();
        }
        stages.push((name, inherited));
    }
    stages.pop().map(|(_, stage)| stage).unwrap_or_default()
}

/// The line of each step's instruction. Instructions and steps are laid side by side so that most of them fit, in order, from the end: what the
/// base image was built by comes before. `None` for a step that no instruction fits, or more than one of which not each has its step.
fn lines_of_steps(instructions: &[Written], steps: &[BuildStep]) -> Vec<Option<u64>> {
    let mut lines = vec![None; steps.len()];
    let from = steps.len().saturating_sub(MOST);
    let instructions = &instructions[instructions.len().saturating_sub(MOST)..];
    let steps = &steps[from..];
    let fits: Vec<Vec<u32>> = instructions.iter().map(|written| steps.iter().map(|step| fit(written, step)).collect()).collect();
    // The most that the first instructions and the first steps can come to together.
    let mut best = vec![vec![0u32; steps.len() + 1]; instructions.len() + 1];
    for (i, row) in fits.iter().enumerate() {
        for (j, fit) in row.iter().enumerate() {
            let both = if *fit > 0 { best[i][j] + fit } else { 0 };
            best[i + 1][j + 1] = both.max(best[i][j + 1]).max(best[i + 1][j]);
        }
    }
    let (mut i, mut j) = (instructions.len(), steps.len());
    while i > 0 && j > 0 {
        let fit = fits[i - 1][j - 1];
        if fit > 0 && best[i][j] == best[i - 1][j - 1] + fit {
            let rivals = (0..instructions.len()).filter(|other| fits[*other][j - 1] >= fit).count();
            let twins = (0..steps.len()).filter(|other| fits[i - 1][*other] >= fit).count();
            if rivals <= twins {
                lines[from + j - 1] = Some(instructions[i - 1].line);
            }
            (i, j) = (i - 1, j - 1);
        } else if best[i][j] == best[i - 1][j] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    lines
}

/// How well an instruction fits a step: 3 word for word, 2 but for what was put in for variables or taken out as a secret, 1 by the place that
/// it copies to alone, 0 not at all.
fn fit(written: &Written, step: &BuildStep) -> u32 {
    let Some(text) = step.instruction.as_deref() else { return 0 };
    let (keyword, words) = advice::split(text);
    // Some builders write the plain command.
    let keyword = if keyword.is_empty() { text.split_whitespace().next().unwrap_or_default() } else { keyword };
    if keyword != written.keyword {
        return 0;
    }
    match keyword {
        "RUN" => {
            let (_, command) = advice::arguments(words);
            let asked = written.words.split_whitespace().skip_while(|word| word.starts_with("--")).collect::<Vec<_>>().join(" ");
            compare(&asked, command)
        }
        "COPY" | "ADD" => copies(&written.words, words),
        "ARG" => {
            let name = |words: &str| words.trim().split('=').next().unwrap_or_default().to_owned();
            if name(&written.words) == name(words) { 2 } else { 0 }
        }
        "ENV" | "LABEL" => compare(&written.words, words),
        _ => 0,
    }
}

fn copies(asked: &str, made: &str) -> u32 {
    let bare = |text: &str| text.split_whitespace().filter(|word| !word.starts_with("--")).collect::<Vec<_>>().join(" ");
    let (asked, made) = (bare(asked), bare(made));
    // The classic builder and buildah tell a hash of what was copied: `dir:4f2a… in /app`.
    let Some((source, target)) = made.split_once(" in ").filter(|(source, _)| ["file:", "dir:", "multi:"].iter().any(|kind| source.contains(kind)))
    else {
        return compare(&asked, &made);
    };
    let Some((_, wanted)) = asked.rsplit_once(' ').filter(|_| !source.contains(' ')) else { return 0 };
    let trimmed = |path: &str| path.trim_start_matches("./").trim_end_matches(['/', '.']).to_owned();
    let (wanted, target) = (trimmed(wanted), trimmed(target));
    let is_same = wanted == target || !wanted.starts_with('/') && (wanted.is_empty() || target.ends_with(&format!("/{wanted}")));
    u32::from(is_same || wanted.contains('$'))
}

/// Compares texts whose blanks do not count.
fn compare(asked: &str, made: &str) -> u32 {
    let even = |text: &str| text.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect::<Vec<_>>().join(" ");
    let (asked, made) = (even(asked), even(made));
    if asked == made {
        return 3;
    }
    // What was taken out as a secret may stand for anything, and so may a variable.
    let pieces = |text: &str, gaps: fn(&str) -> Vec<String>| gaps(text);
    let by_variables = is_like(&pieces(&asked, without_variables), &made);
    let by_samples = is_like(&pieces(&without_samples(&made), |text| text.split('…').map(str::to_owned).collect()), &asked);
    if by_variables || by_samples { 2 } else { 0 }
}

/// What stands between the variables of a text.
fn without_variables(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(before);
        }
        pieces.push(String::new());
        rest = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').map_or("", |(_, rest)| rest),
            None => after.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_'),
        };
    }
    if let Some(piece) = pieces.last_mut() {
        piece.push_str(rest);
    }
    pieces
}

/// Whether a text has these pieces in order, begins with the first and ends with the last. Pieces that say nothing are like nothing.
fn is_like(pieces: &[String], text: &str) -> bool {
    let [first, between @ .., last] = pieces else { return false };
    if pieces.iter().all(|piece| piece.trim().is_empty()) || first.len() + last.len() > text.len() {
        return false;
    }
    let Some(mut rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else { return false };
    between.iter().all(|piece| match rest.split_once(piece.as_str()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run_report::StepLayer;
    use crate::report::sample::sample;

    const DOCKERFILE: &str = "\
# syntax=docker/dockerfile:1
ARG BASE=debian:12
FROM golang AS build
RUN make

FROM ${BASE} AS base
WORKDIR /app
RUN apt-get update && \\
    # for health checks
    apt-get install -y curl

FROM base
ARG NPM_TOKEN
ARG TARGET=/app
ENV NPM_TOKEN=$NPM_TOKEN \\
    PORT=\"80\"
COPY --chown=node:node package.json ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY --from=build /out ${TARGET}/bin
COPY . .
RUN make
CMD [\"node\", \"x\"]
";

    fn lines(dockerfile: &str, steps: &[&str]) -> Vec<Option<u64>> {
        let step = |text: &&str| BuildStep { instruction: Some((*text).to_owned()), layer: None };
        lines_of_steps(&last_stage(written(dockerfile.as_bytes())), &steps.iter().map(step).collect::<Vec<_>>())
    }

    #[test]
    fn every_builders_steps_are_found_in_the_text() {
        assert_eq!(
            lines(
                DOCKERFILE,
                &[
                    "ADD rootfs.tar.xz / # buildkit",
                    "CMD [\"bash\"]",
                    "WORKDIR /app",
                    "RUN /bin/sh -c apt-get update &&     apt-get install -y curl # buildkit",
                    "ARG NPM_TOKEN=(36 characters)",
                    "ARG TARGET=/app",
                    "ENV NPM_TOKEN=npm_… (40 characters) PORT=80",
                    "COPY --chown=node:node package.json ./ # buildkit",
                    "RUN |2 NPM_TOKEN=npm_… (40 characters) TARGET=/app /bin/sh -c npm ci # buildkit",
                    "COPY /out /app/bin # buildkit",
                    "COPY . . # buildkit",
                    "RUN |1 TARGET=/app /bin/sh -c make # buildkit",
                    "CMD [\"node\" \"x\"]",
                ]
            ),
            [None, None, None, Some(8), Some(13), Some(14), Some(15), Some(17), Some(18), Some(19), Some(20), Some(21), None]
        );
        assert_eq!(
            lines(
                DOCKERFILE,
                &[
                    "/bin/sh -c #(nop) ADD file:00ff in / ",
                    "/bin/sh -c apt-get update &&     apt-get install -y curl",
                    "/bin/sh -c #(nop) COPY file:00ff in /app/ ",
                    "|1 NPM_TOKEN=(36 characters) /bin/sh -c npm ci",
                    "/bin/sh -c #(nop) COPY dir:00ff in /app/bin ",
                    "/bin/sh -c #(nop) COPY dir:00ff in /app ",
                    "/bin/sh -c make",
                ]
            ),
            [None, Some(8), Some(17), Some(18), Some(19), Some(20), Some(21)]
        );
        assert_eq!(lines("FROM x\nRUN apk add curl\nCOPY . /app\n", &["RUN apk add curl", "COPY . /app"]), [Some(2), Some(3)]);
    }

    #[test]
    fn a_secret_in_the_text_does_not_hide_its_step() {
        let secret = ["Vt7q", "Lw92xQ"].concat();
        let text = format!("FROM x\nRUN login ann {secret} https://a\nENV KEY {secret}\n");
        assert_eq!(lines(&text, &["RUN /bin/sh -c login ann (10 characters) https://a # buildkit", "ENV KEY=(10 characters)"]), [Some(2), Some(3)]);
    }

    #[test]
    fn what_could_be_another_instruction_has_no_line() {
        // One of two was left out of the image, and nobody knows which.
        assert_eq!(lines("FROM x\nRUN make\nRUN make\n", &["RUN /bin/sh -c make # buildkit"]), [None]);
        assert_eq!(lines("FROM x\nRUN make\nRUN make\n", &["RUN /bin/sh -c make # buildkit"; 2]), [Some(2), Some(3)]);
        // The base image ran the same command.
        assert_eq!(lines("FROM x\nRUN make\n", &["RUN /bin/sh -c make # buildkit"; 2]), [None, Some(2)]);
        assert_eq!(lines("FROM x\nRUN $A\n", &["RUN /bin/sh -c make # buildkit"]), [None]);
        assert_eq!(lines("", &["RUN make"]), [None]);
    }

    #[test]
    fn findings_get_lines_by_layer_step_and_name() {
        let mut report = sample();
        report.place_in("FROM debian\nENV API_TOKEN=$X\nRUN apt-get install curl\nCOPY . /app\n\nRUN make\n", "build/Dockerfile");
        assert_eq!(report.dockerfile.as_deref(), Some("build/Dockerfile"));
        assert_eq!(report.findings.iter().map(|reported| reported.dockerfile_line).collect::<Vec<_>>(), [Some(4), Some(2)]);
        report.place_in("FROM scratch\n", "Dockerfile");
        assert_eq!(report.findings.iter().map(|reported| reported.dockerfile_line).collect::<Vec<_>>(), [None, None]);
    }

    #[test]
    fn anything_can_be_compared() {
        let digest = sample().source.and_then(|source| source.digest).expect("a digest");
        for text in
            ["", "$", "${", "COPY", "COPY $ in", "FROM\nCOPY", "FROM a\nCOPY x\nRUN\nENV $=$\nARG", "…", "FROM a AS\nFROM a\nFROM A AS a\nFROM a"]
        {
            let mut report = sample();
            for step in &mut report.source.as_mut().expect("a source").platforms[0].steps {
                *step = BuildStep { instruction: Some(text.to_owned()), layer: Some(StepLayer { index: 0, digest: digest.clone(), size: 0 }) };
            }
            report.place_in(text, "Dockerfile");
        }
    }
}

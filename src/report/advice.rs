//! What stands beside a finding: why we are this sure, and what keeps the secret out of the next build.

use serde::{Deserialize, Serialize};

use crate::scan::finding::{Confidence, Finding, FoundIn, State};
use crate::scan::known;
use crate::scan::rule::{Rule, find_check};

/// The longest command that is repeated in a line to be written, in characters.
const MAX_COMMAND: usize = 300;

/// How to keep a secret out of the next image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prevention {
    /// Sentences.
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<Change>,
}

/// A line to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `Dockerfile` or `.dockerignore`.
    pub file: String,
    pub line: String,
}

/// Why a finding has its confidence, as a phrase.
#[must_use]
pub fn certainty(finding: &Finding, rule: Option<&Rule>) -> String {
    if let Some(validity) = finding.validation.as_ref().filter(|validity| validity.is_live()) {
        return format!("the vendor accepted it at {}", validity.at.as_deref().unwrap_or_default());
    }
    if let Some(origin) = known::origin(finding.unkeyed.as_ref().unwrap_or(&finding.fingerprint)) {
        return format!("everybody has it: it comes from {origin}");
    }
    if let Some(rule) = rule.filter(|rule| finding.confidence == Confidence::Low && rule.confidence > Confidence::Low) {
        return format!(
            "it has the form of a credential of {}, but it looks made up: by a wrong checksum, by characters that are in order or repeated, or by \
             a host that stands for any",
            rule.vendor
        );
    }
    if let Some(name) = &finding.proven_by {
        // What follows is about others.
        let what = find_check(name).and_then(|check| check.what.split(';').next()).unwrap_or_default();
        return format!("an offline check proves it ({name}): {what}").trim_end_matches([':', ' ']).to_owned();
    }
    match (rule, finding.confidence) {
        (Some(rule), _) if rule.generic => "guessed from the name before it and from how random it looks".to_owned(),
        (Some(rule), Confidence::High) => format!("hardly anything but a credential of {} has this form", rule.vendor),
        (Some(rule), _) => format!("it has the form of a credential of {}, as other texts may have", rule.vendor),
        (None, _) => "a rule of another run found it".to_owned(),
    }
}

/// How to keep the secret of a finding out. `step` is the build step that holds it, as the builder wrote it and redacted: the layer's, or
/// for a finding in the history that entry itself.
#[must_use]
pub fn prevention(finding: &Finding, step: Option<&str>) -> Prevention {
    let (keyword, words) = step.map_or(("", ""), split);
    let keyword = match finding.surface {
        // Of a Dockerfile, what its instruction asks for; what a step copies is another file than the one that was looked at.
        FoundIn::File if finding.layer.is_none() && matches!(keyword, "" | "COPY" | "ADD") => {
            if keyword.is_empty() {
                "file"
            } else {
                "context"
            }
        }
        FoundIn::File | FoundIn::History => keyword,
        FoundIn::Env => "ENV",
        FoundIn::Label => "LABEL",
        FoundIn::Entrypoint | FoundIn::Command | FoundIn::Healthcheck => "CMD",
        FoundIn::Annotation | FoundIn::Artifact => "annotation",
    };
    let case = Case { finding, words };
    let advise = SHAPES.iter().find(|(shape, _)| *shape == keyword).map_or(unknown as Advise, |(_, advise)| *advise);
    let mut prevention = advise(&case);
    let gone = match finding.state {
        State::Live => return prevention,
        State::Deleted => "Deleting it later does not remove it",
        State::Overwritten => "Overwriting it later does not remove it",
    };
    prevention.text = format!("{gone}: whoever pulls the image has this layer. {}", prevention.text);
    prevention
}

/// A finding, and the words of its step after the keyword.
struct Case<'a> {
    finding: &'a Finding,
    words: &'a str,
}

type Advise = fn(&Case<'_>) -> Prevention;

/// What to do by the instruction that made the layer, or by the place where there is none.
const SHAPES: &[(&str, Advise)] = &[
    ("COPY", copied),
    ("ADD", copied),
    ("RUN", ran),
    ("ARG", argument),
    ("ENV", variable),
    ("LABEL", label),
    ("CMD", command),
    ("ENTRYPOINT", command),
    ("HEALTHCHECK", command),
    ("annotation", annotation),
    ("file", file),
    ("context", context),
];

fn copied(case: &Case<'_>) -> Prevention {
    let path = case.finding.path.as_deref().unwrap_or_default();
    let words: Vec<&str> = case.words.split_whitespace().collect();
    if let Some(stage) = words.iter().find_map(|word| word.strip_prefix("--from=")) {
        let text = format!("It comes from the build stage `{stage}`: copy only what the image needs, and make the secret a mount there.");
        return Prevention { text, change: Some(mount(case, "RUN", &name_by_rule(case.finding), "…")) };
    }
    let text =
        "It came in with the build context: leave it out of that, and hand it to the container when it starts if it is needed there.".to_owned();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.starts_with("--")).collect();
    let change = ignored(&words, path).map(|line| Change { file: ".dockerignore".to_owned(), line });
    Prevention { text, change }
}

/// The line of `.dockerignore` for a path in the image. Where it lies in the context is only known of folders that are copied to a place of
/// their own; else any file of this name is meant.
fn ignored(words: &[&str], path: &str) -> Option<String> {
    // A name within a name (an archive's member), or one that no line can hold.
    if path.is_empty() || path.starts_with('(') || path.chars().any(char::is_control) {
        return None;
    }
    let path = path.trim_start_matches('/');
    let name = path.rsplit('/').next().unwrap_or(path);
    let within = words.split_last().and_then(|(target, sources)| {
        let below = below(path, target)?;
        match sources {
            [one] if one.contains(['*', '?', '[', ':']) => None,
            [one] if *one == "." || *one == "./" || *one == "/" => Some(below.to_owned()),
            [one] if one.rsplit('/').next() == Some(name) => Some(one.trim_start_matches("./").to_owned()),
            [one] if !below.is_empty() => Some(format!("{}/{below}", one.trim_start_matches("./").trim_end_matches('/'))),
            _ => None,
        }
    });
    let within = within.filter(|path| !path.is_empty()).unwrap_or_else(|| format!("**/{name}"));
    let plain = within.starts_with("**/");
    let mut line = String::with_capacity(within.len());
    for (at, letter) in within.chars().enumerate() {
        if matches!(letter, '?' | '[' | '\\') || letter == '*' && !(plain && at < 2) || at == 0 && matches!(letter, '#' | '!') {
            line.push('\\');
        }
        line.push(letter);
    }
    Some(line)
}

/// What of a path lies below the folder that was copied to. A relative one is found by its own name, since the work folder is not known.
fn below<'a>(path: &'a str, target: &str) -> Option<&'a str> {
    let below = match target.strip_prefix('/') {
        Some(target) => path.strip_prefix(target.trim_end_matches('/'))?,
        None => {
            let folder = target.trim_start_matches("./").trim_end_matches(['/', '.']);
            let (before, below) = path.split_once(&format!("{folder}/")).filter(|_| !folder.is_empty())?;
            Some(below).filter(|_| before.is_empty() || before.ends_with('/'))?
        }
    };
    Some(below.strip_prefix('/').unwrap_or(below))
}

fn ran(case: &Case<'_>) -> Prevention {
    let (arguments, command) = arguments(case.words);
    let name = name_in(case).or_else(|| likeliest(arguments.iter().copied())).unwrap_or_else(|| name_by_rule(case.finding));
    let text = format!(
        "A step's arguments and files stay in the image: mount the secret for the step alone, and write it to no file. Then build with {}.",
        build(&name)
    );
    Prevention { text, change: Some(mount(case, "RUN", &name, command)) }
}

fn argument(case: &Case<'_>) -> Prevention {
    let name = declared(case).unwrap_or_else(|| name_by_rule(case.finding));
    let text = format!("Build arguments stay in the image's history: take `ARG {name}` out and mount the secret. Then build with {}.", build(&name));
    Prevention { text, change: Some(mount(case, "RUN", &name, "…")) }
}

fn variable(case: &Case<'_>) -> Prevention {
    let of_config = case.finding.path.clone().filter(|_| case.finding.surface == FoundIn::Env).filter(|name| is_name(name));
    let name = of_config.or_else(|| declared(case)).unwrap_or_else(|| name_by_rule(case.finding));
    let text = format!(
        "Variables are part of the image: take `ENV {name}` out. Where a container needs it: `docker run --env {name}`. Where the build needs it, \
         mount it, and build with {}.",
        build(&name)
    );
    Prevention { text, change: Some(mount(case, "RUN", &name, "…")) }
}

fn label(_: &Case<'_>) -> Prevention {
    bare("Labels are read by everybody who can pull the image: take the value out of `LABEL` or `--label`.")
}

fn command(_: &Case<'_>) -> Prevention {
    bare("Commands are part of the image's config: let the program read the value from its environment or from a file that is mounted at start.")
}

fn annotation(_: &Case<'_>) -> Prevention {
    bare("Annotations and attestations are read by everybody who can pull the image: take the value out of what writes them.")
}

fn file(_: &Case<'_>) -> Prevention {
    bare("Take the value out of the file, and name a file that has to hold it in .gitignore and .dockerignore.")
}

fn context(_: &Case<'_>) -> Prevention {
    bare("Leave the file out of the build context with .dockerignore, and mount it for the step that needs it: RUN --mount=type=secret.")
}

fn unknown(_: &Case<'_>) -> Prevention {
    bare("The image does not say which step brought it in; a base image may have: mend it where that layer is built.")
}

fn bare(text: &str) -> Prevention {
    Prevention { text: text.to_owned(), change: None }
}

/// `env=` needs Dockerfile syntax 1.10 or newer; before that, the secret is the file `/run/secrets/ID`.
fn mount(case: &Case<'_>, keyword: &str, name: &str, command: &str) -> Change {
    let command = with_variable(command, &case.finding.redacted, name);
    let command = match command.trim() {
        "" => "…",
        // Who has a longer one finds it by its beginning.
        command => command.char_indices().nth(MAX_COMMAND).map_or(command, |(end, _)| &command[..end]),
    };
    let line = format!("{keyword} --mount=type=secret,id={},env={name} {command}", name.to_ascii_lowercase());
    Change { file: "Dockerfile".to_owned(), line }
}

/// How a shell reads the place where it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    Bare,
    Double,
    Single,
    /// `$'…'`, where a backslash escapes.
    Escaping,
    Comment,
}

/// A shell command with a variable where `text` stands. A shell expands none within single quotes: there they end before it and begin again
/// after it.
///
/// Source: POSIX.1-2024, Shell Command Language, sections 2.2 and 2.6.2.
fn with_variable(command: &str, text: &str, name: &str) -> String {
    let mut written = String::with_capacity(command.len());
    let mut quoting = Quoting::Bare;
    let mut rest = command;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(text).filter(|_| !text.is_empty()) {
            let goes_on = after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
            let variable = if goes_on { format!("${{{name}}}") } else { format!("${name}") };
            written += &match quoting {
                Quoting::Bare | Quoting::Double | Quoting::Comment => variable,
                Quoting::Single => format!("'\"{variable}\"'"),
                Quoting::Escaping => format!("'\"{variable}\"$'"),
            };
            rest = after;
            continue;
        }
        let is_word_start = written.is_empty() || written.ends_with(char::is_whitespace);
        quoting = match (quoting, letter) {
            (Quoting::Bare, '\'') if written.ends_with('$') => Quoting::Escaping,
            (Quoting::Bare, '\'') => Quoting::Single,
            (Quoting::Bare, '"') => Quoting::Double,
            (Quoting::Bare, '#') if is_word_start => Quoting::Comment,
            (Quoting::Single | Quoting::Escaping, '\'') | (Quoting::Double, '"') | (Quoting::Comment, '\n') => Quoting::Bare,
            (same, _) => same,
        };
        let is_escape = letter == '\\' && matches!(quoting, Quoting::Bare | Quoting::Double | Quoting::Escaping);
        let taken = rest.chars().take(if is_escape { 2 } else { 1 }).map(char::len_utf8).sum();
        let (taken, after) = rest.split_at(taken);
        written += taken;
        rest = after;
    }
    written
}

fn build(name: &str) -> String {
    format!("`docker build --secret id={},env={name}`", name.to_ascii_lowercase())
}

/// A step's keyword and the words after it, whichever builder wrote it. A step without one ran a command.
pub(super) fn split(step: &str) -> (&str, &str) {
    let step = step.trim().trim_end_matches("# buildkit").trim_end();
    let step = step.split_once("#(nop)").map_or(step, |(_, rest)| rest.trim_start());
    let (first, rest) = step.split_once(char::is_whitespace).unwrap_or((step, ""));
    match SHAPES.iter().find(|(shape, _)| *shape == first) {
        Some((shape, _)) => (shape, rest.trim_start()),
        None if first.starts_with(['/', '|']) => ("RUN", step),
        None => ("", step),
    }
}

/// The names of a step's build arguments (`|2 A=x B=y`) and its command without the shell that runs it.
pub(super) fn arguments(words: &str) -> (Vec<&str>, &str) {
    let (arguments, command) = match words.strip_prefix('|') {
        Some(rest) => rest.split_once(" /").map_or((rest, ""), |(before, _)| (before, &rest[before.len() + 1..])),
        None => ("", words),
    };
    let names = arguments.split_whitespace().filter_map(|word| word.split_once('=')).map(|(name, _)| name).filter(|name| is_name(name));
    let shell = command.split_once(" -c ").filter(|(shell, _)| shell.starts_with('/') && shell.split_whitespace().count() <= 3);
    (names.collect(), shell.map_or(command, |(_, command)| command))
}

/// The name that the sample of the secret is given in the step: `NAME=ghp_…`, `NAME="ghp_…`.
fn name_in(case: &Case<'_>) -> Option<String> {
    let (before, _) = case.words.split_once(&case.finding.redacted).filter(|_| !case.finding.redacted.is_empty())?;
    let before = before.strip_suffix(['"', '\'']).unwrap_or(before).strip_suffix('=')?;
    let name = before.rsplit(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()?;
    is_name(name).then(|| name.to_owned())
}

/// The name that `ARG` or `ENV` declares: the one with the secret, or the only one.
fn declared(case: &Case<'_>) -> Option<String> {
    let names = || case.words.split_whitespace().map(|word| word.split('=').next().unwrap_or(word)).filter(|name| is_name(name));
    name_in(case).or_else(|| likeliest(names())).or_else(|| names().next().map(str::to_owned))
}

/// The first name that says that its value is a secret; of one name, that one.
fn likeliest<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    const SECRET: [&str; 7] = ["TOKEN", "SECRET", "PASS", "KEY", "AUTH", "CRED", "PWD"];
    let names: Vec<&str> = names.collect();
    let secret = names.iter().find(|name| SECRET.iter().any(|word| name.to_ascii_uppercase().contains(word)));
    secret.or(names.first().filter(|_| names.len() == 1)).map(|name| (*name).to_owned())
}

/// `NPM_ACCESS_TOKEN` for the rule `npm-access-token`.
fn name_by_rule(finding: &Finding) -> String {
    let name: String = finding.rule.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect();
    if is_name(&name) { name } else { "SECRET".to_owned() }
}

fn is_name(text: &str) -> bool {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.len() <= 100 && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') && text.chars().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;
    use crate::scan::rule_set::RuleSet;

    fn finding(surface: FoundIn, path: &str, state: State) -> Finding {
        let mut finding = sample().findings.remove(0).finding;
        finding.rule = "npm-access-token".to_owned();
        finding.redacted = "npm_… (40 characters)".to_owned();
        (finding.surface, finding.path, finding.state) = (surface, Some(path.to_owned()), state);
        finding
    }

    /// File and line of the change, and the text.
    fn told(surface: FoundIn, path: &str, state: State, step: &str) -> (String, String) {
        let prevention = prevention(&finding(surface, path, state), Some(step).filter(|step| !step.is_empty()));
        (prevention.change.map(|change| format!("{}: {}", change.file, change.line)).unwrap_or_default(), prevention.text)
    }

    #[test]
    fn what_a_copy_brought_in_is_named_in_dockerignore() {
        for (step, path, line) in [
            ("COPY . /app # buildkit", "app/.env", ".env"),
            ("COPY . /app/", "app/config/.env", "config/.env"),
            ("COPY .env ./ # buildkit", "app/.env", "**/.env"),
            ("COPY config/.env /app/.env # buildkit", "app/.env", "config/.env"),
            ("COPY ./config /app/config # buildkit", "app/config/keys/a.pem", "config/keys/a.pem"),
            ("COPY fixtures ./fixtures # buildkit", "app/fixtures/keys/a.pem", "fixtures/keys/a.pem"),
            ("COPY fixtures more/ # buildkit", "app/nomore/a.pem", "**/a.pem"),
            ("COPY --chown=node:node . . # buildkit", "app/.npmrc", "**/.npmrc"),
            ("COPY --chmod=600 --chown=1:1 . / # buildkit", "root/.netrc", "root/.netrc"),
            ("COPY a b /app/ # buildkit", "app/b", "**/b"),
            ("ADD . /src", "src/!odd [1]*.key", "\\!odd \\[1]\\*.key"),
            ("/bin/sh -c #(nop) COPY file:5f2c0a1b in /app/.env ", "app/.env", "**/.env"),
            ("/bin/sh -c #(nop)  ADD dir:77aa in /app ", "app/x/id_rsa", "**/id_rsa"),
        ] {
            assert_eq!(told(FoundIn::File, path, State::Live, step).0, format!(".dockerignore: {line}"), "{step}");
        }
        let (change, text) = told(FoundIn::File, "app/.npmrc", State::Live, "COPY --from=build /app /app # buildkit");
        assert!(change.starts_with("Dockerfile: RUN --mount=") && text.contains("stage `build`"), "{change} {text}");
        assert_eq!(told(FoundIn::File, "a\nb", State::Live, "COPY . /app").0, "");
    }

    #[test]
    fn what_a_step_was_given_becomes_a_mount_under_its_own_name() {
        let secret = "npm_… (40 characters)";
        let mount = "Dockerfile: RUN --mount=type=secret,id=npm_token,env=NPM_TOKEN";
        for (step, line) in [
            (format!("RUN |1 NPM_TOKEN={secret} /bin/sh -c npm ci # buildkit"), "npm ci"),
            (format!("RUN |2 VERSION=3 NPM_TOKEN={secret} /bin/sh -c npm ci # buildkit"), "npm ci"),
            ("RUN |2 VERSION=3 NPM_TOKEN=x /bin/bash -o pipefail -c npm ci".to_owned(), "npm ci"),
            ("|1 NPM_TOKEN=x /bin/sh -c npm ci".to_owned(), "npm ci"),
            (format!("/bin/sh -c NPM_TOKEN={secret} npm ci"), "NPM_TOKEN=$NPM_TOKEN npm ci"),
            (format!("RUN /bin/sh -c export NPM_TOKEN=\"{secret}\" && npm ci # buildkit"), "export NPM_TOKEN=\"$NPM_TOKEN\" && npm ci"),
            (format!("RUN /bin/sh -c NPM_TOKEN='{secret}' npm ci # buildkit"), "NPM_TOKEN=''\"$NPM_TOKEN\"'' npm ci"),
        ] {
            let (change, text) = told(FoundIn::File, "root/.npmrc", State::Live, &step);
            assert_eq!(change, format!("{mount} {line}"), "{step}");
            assert!(text.contains("`docker build --secret id=npm_token,env=NPM_TOKEN`"), "{text}");
        }
        let (change, _) = told(FoundIn::File, "root/.npmrc", State::Live, "RUN /bin/sh -c npm login # buildkit");
        assert_eq!(change, "Dockerfile: RUN --mount=type=secret,id=npm_access_token,env=NPM_ACCESS_TOKEN npm login");
    }

    #[test]
    fn a_shell_expands_the_variable_wherever_the_secret_stood() {
        let sample = "npm_… (40 characters)";
        for (before, after) in [
            ("printf %s ", ""),
            ("printf %s \"", "\""),
            ("printf %s 'a: ", "'"),
            ("printf %s 'a: \"", "\" #'"),
            ("printf %s \"it's ", "\""),
            ("printf %s it\\'s", "b"),
            ("printf %s \"a\\\"'", "'\""),
            ("echo don\\'t >&2 # don't\nprintf %s ", ""),
            ("sh -c 'printf %s \"", "\"'"),
            ("sh -c \"printf %s '", "'\""),
            ("printf %s a#'", "'"),
        ] {
            let run = |command: &str| {
                let out = std::process::Command::new("sh").args(["-c", command]).env("TOKEN", "s3cr3t").output().expect("a shell");
                String::from_utf8(out.stdout).expect("text")
            };
            let line = with_variable(&format!("{before}{sample}{after}"), sample, "TOKEN");
            let said = run(&line);
            assert_eq!(said, run(&format!("{before}s3cr3t{after}")), "{line}");
            assert!(said.contains("s3cr3t"), "{line}: {said}");
        }
        // No shell of POSIX, but what `RUN` has where SHELL says bash.
        assert_eq!(with_variable("printf %s $'it\\'s SAMPLE\\n'", "SAMPLE", "TOKEN"), "printf %s $'it\\'s '\"$TOKEN\"$'\\n'");
    }

    #[test]
    fn arguments_and_variables_become_mounts_too() {
        let mount = "Dockerfile: RUN --mount=type=secret,id=npm_token,env=NPM_TOKEN …";
        for (surface, path, step) in [
            (FoundIn::History, "4", "ARG NPM_TOKEN"),
            (FoundIn::History, "4", "/bin/sh -c #(nop)  ARG NPM_TOKEN=npm_… (40 characters)"),
            (FoundIn::History, "4", "ENV PORT=1 NPM_TOKEN=npm_… (40 characters)"),
            (FoundIn::Env, "NPM_TOKEN", ""),
        ] {
            assert_eq!(told(surface, path, State::Live, step).0, mount, "{step}");
        }
        assert!(told(FoundIn::Env, "NPM_TOKEN", State::Live, "").1.contains("`docker run --env NPM_TOKEN`"));
    }

    #[test]
    fn places_without_a_line_to_write_say_what_to_do() {
        for (surface, step, word) in [
            (FoundIn::Label, "", "LABEL"),
            (FoundIn::Healthcheck, "", "config"),
            (FoundIn::Annotation, "", "Annotations"),
            (FoundIn::File, "bazel build //:image", "base image"),
            (FoundIn::File, "", "base image"),
        ] {
            let (change, text) = told(surface, "x", State::Live, step);
            assert!(change.is_empty() && text.contains(word), "{change} {text}");
        }
        let mut loose = finding(FoundIn::File, "x", State::Live);
        loose.layer = None;
        assert!(prevention(&loose, None).text.contains(".gitignore"));
    }

    #[test]
    fn deleting_is_said_to_be_no_cure() {
        let (change, text) = told(FoundIn::File, "app/.env", State::Deleted, "COPY . /app # buildkit");
        assert!(text.starts_with("Deleting it later does not remove it: "), "{text}");
        assert_eq!(change, ".dockerignore: .env");
        assert!(told(FoundIn::File, "x", State::Overwritten, "").1.starts_with("Overwriting it"));
    }

    #[test]
    fn certainty_names_the_check_the_vendor_or_the_guess() {
        let mut finding = finding(FoundIn::File, "x", State::Live);
        let rule = |id: &str| RuleSet::builtin().get(id);
        assert_eq!(
            certainty(&finding, rule("github-personal-token")),
            "an offline check proves it (crc32-base62): the last 6 characters are the CRC-32 of those after the prefix"
        );
        finding.proven_by = Some("a check of tomorrow".to_owned());
        assert_eq!(certainty(&finding, None), "an offline check proves it (a check of tomorrow)");
        finding.proven_by = None;
        assert_eq!(certainty(&finding, rule("github-personal-token")), "hardly anything but a credential of GitHub has this form");
        finding.confidence = Confidence::Low;
        assert!(certainty(&finding, rule("github-personal-token")).contains("of GitHub, but it looks made up"));
        finding.unkeyed = Some("1beb1c9aed501286".parse().expect("a fingerprint"));
        assert!(certainty(&finding, rule("private-key")).starts_with("everybody has it: it comes from GnuTLS"));
        (finding.unkeyed, finding.confidence) = (None, Confidence::Medium);
        let generic = RuleSet::builtin().iter().find(|rule| rule.generic).expect("a generic rule");
        assert!(certainty(&finding, Some(generic)).starts_with("guessed"));
    }
}

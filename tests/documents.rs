//! The documents tell the truth: what they name is there, and what they quote is what the program prints.

use std::path::Path;

use clap::Parser as _;
use honeycrate::cli::args::Cli;

use crate::common::honeycrate::Honeycrate;

const DOCUMENTS: [&str; 5] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/ledgers.md", "docs/rules.md"];

/// A folder or file name at the root marks a quoted word as a path of ours.
const ROOTS: [&str; 10] = ["src/", "schema/", "tests/", "bench/", "rules/", "dist/", "docs/", "templates/", ".ci/", ".github/"];

fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The paths of this repository that a text names in backticks or links to.
fn paths(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2).map(str::to_owned);
    let linked = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(|path| path.split('#').next().unwrap_or_default().to_owned());
    let ours = |path: &String| {
        let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
        let local = DOCUMENTS.contains(&path.as_str()) || ROOTS.iter().any(|root| path.starts_with(root));
        // `VENDOR.yaml` stands for a name that the reader puts there.
        let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
        let placeholder = path.contains('/') && stem.len() > 2 && stem.bytes().all(|byte| byte.is_ascii_uppercase());
        plain && local && !placeholder
    };
    quoted.chain(linked).filter(ours).collect()
}

/// The quoted outputs of a text: a comment `<!-- prints: honeycrate … -->`, then a fenced block.
fn outputs(text: &str) -> Vec<(String, String)> {
    text.split("<!-- prints: ")
        .skip(1)
        .map(|rest| {
            let (command, rest) = rest.split_once(" -->").expect("a comment ends");
            let block = rest.split("```").nth(1).expect("a fenced block follows");
            let (_, block) = block.split_once('\n').expect("a fence is a line");
            (command.to_owned(), block.to_owned())
        })
        .collect()
}

#[test]
fn every_path_that_a_document_names_is_there() {
    for document in DOCUMENTS {
        for path in paths(&read(document)) {
            assert!(root().join(&path).exists(), "{document} names {path}");
        }
    }
}

#[test]
fn every_quoted_output_is_what_the_program_prints() {
    let honeycrate = Honeycrate::stranger();
    for document in DOCUMENTS {
        for (command, quoted) in outputs(&read(document)) {
            let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
            let ran = honeycrate.run(&arguments);
            assert_eq!((ran.code, ran.out().trim_end()), (0, quoted.trim_end()), "{document}: {command}");
        }
    }
}

/// The command lines of ours in a text: a line, or what stands between backticks, from the name to a comment, a pipe or a redirection.
fn commands(text: &str) -> Vec<Vec<String>> {
    let ends = ["   ", "  #", " | ", " > ", " >> ", " < ", "`"];
    let begins = |at: usize| text[..at].ends_with(['\n', '`']) || ["| ", "run: ", "  "].iter().any(|before| text[..at].ends_with(before));
    let starts = text.match_indices("honeycrate ").map(|(at, _)| at).filter(|at| begins(*at));
    let lines = starts.filter_map(|at| text[at..].lines().next());
    let line = |line: &str| ends.iter().filter_map(|end| line.find(end)).min().map_or(line, |end| &line[..end]).trim().to_owned();
    lines.map(line).map(|line| line.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect()).collect()
}

/// What a Markdown text quotes: fenced blocks, and spans between backticks.
fn quoted(text: &str) -> String {
    let span = |prose: &str| prose.split('`').skip(1).step_by(2).fold(String::new(), |text, span| text + "\n" + span);
    text.split("```").enumerate().map(|(part, text)| if part % 2 == 1 { format!("\n{text}\n") } else { span(text) }).collect()
}

#[test]
fn every_command_that_documents_and_help_show_is_one() {
    let honeycrate = Honeycrate::stranger();
    let help = ["ship", "scan", "plant", "decoy"].map(|name| honeycrate.run(&[name, "--help"]).out());
    let examples = help.iter().filter_map(|help| help.split("Examples:\n").nth(1).map(str::to_owned));
    let texts: Vec<String> =
        examples.chain([honeycrate.run(&["token", "trace", "--help"]).out(), quoted(&read("README.md")), quoted(&read("docs/rules.md"))]).collect();
    let all: Vec<Vec<String>> = texts.iter().flat_map(|text| commands(text)).collect();
    assert!(all.len() > 25, "{all:?}");
    for command in all {
        if let Err(error) = Cli::try_parse_from(&command) {
            panic!("{command:?}: {error}");
        }
    }
}

#[test]
fn the_readme_runs_the_checks_by_the_command_that_ci_runs() {
    assert!(read("README.md").lines().any(|line| line.trim() == ".ci/run"), "README.md does not name .ci/run as a command");
}

#[test]
fn the_readers_of_documents_find_what_they_look_for() {
    let text = "See `src/oci/mod.rs`, [how](CONTRIBUTING.md#rules), `cargo test` and `src/*`.\n<!-- prints: honeycrate --version -->\n```text\nhoneycrate 1\n```\n";
    assert_eq!(paths(text), ["src/oci/mod.rs", "CONTRIBUTING.md"]);
    assert_eq!(outputs(text), [("honeycrate --version".to_owned(), "honeycrate 1\n".to_owned())]);
    let text = "- run: honeycrate scan \"a b\" --report x > y\ndocker save | honeycrate scan -\n| `honeycrate demo` |\nsee honeycrate scan\n";
    assert_eq!(commands(text), [&["honeycrate", "scan", "a", "b", "--report", "x"][..], &["honeycrate", "scan", "-"], &["honeycrate", "demo"]]);
}

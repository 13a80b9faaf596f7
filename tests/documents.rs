//! The documents tell the truth: what they name is there, and what they quote is what the program prints.

use std::path::Path;

use crate::common::honeycrate::Honeycrate;

const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

/// A folder or file name at the root marks a quoted word as a path of ours.
const ROOTS: [&str; 9] = ["src/", "tests/", "bench/", "rules/", "dist/", "docs/", "templates/", ".ci/", ".github/"];

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

#[test]
fn the_readme_runs_the_checks_by_the_command_that_ci_runs() {
    assert!(read("README.md").lines().any(|line| line.trim() == ".ci/run"), "README.md does not name .ci/run as a command");
}

#[test]
fn the_readers_of_documents_find_what_they_look_for() {
    let text = "See `src/oci/mod.rs`, [how](CONTRIBUTING.md#rules), `cargo test` and `src/*`.\n<!-- prints: honeycrate --version -->\n```text\nhoneycrate 1\n```\n";
    assert_eq!(paths(text), ["src/oci/mod.rs", "CONTRIBUTING.md"]);
    assert_eq!(outputs(text), [("honeycrate --version".to_owned(), "honeycrate 1\n".to_owned())]);
}

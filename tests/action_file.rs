//! `action.yml` and the tables of the README are made of the tables that the program reads, and what we write for GitHub passes its linters.

use std::fmt::Write as _;
use std::path::Path;

use honeycrate::cli::workflow;
use honeycrate::config::inputs::{self, Input};
use honeycrate::report::outputs;
use tempfile::tempdir;

use crate::common::command::{program, run};
use crate::common::honeycrate::Honeycrate;

/// Inputs that the launcher takes, and the program never sees.
const LAUNCHER: [(&str, &str, &str); 2] = [
    ("working-directory", "HONEYCRATE_WORKING_DIRECTORY", "The folder to work in; default: the checkout"),
    ("binary", "HONEYCRATE_BINARY", "Another build of honeycrate to run, which is trusted as it is; default: the one beside the Action"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What an input is for, with the words that it may be.
fn told(input: &Input) -> String {
    match input.words {
        [] => input.what.to_owned(),
        words => format!("{} ({})", input.what, words.join(", ")),
    }
}

/// A text as YAML and JSON both read it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

fn action() -> String {
    let mut text = String::from(
        "\
# Made from the tables of the program (src/config/inputs.rs, src/report/outputs.rs): tests/action_file.rs writes and compares it.
# Defaults are empty, so that what is not given is what the configuration file says.
name: honeycrate
description: Scans a built container image, plants honeytokens in it, pushes it, and tells the pull request what was found
author: the honeycrate maintainers
branding:
  icon: box
  color: yellow

inputs:
",
    );
    let rows = inputs::TABLE.iter().map(|input| (input.name, told(input)));
    for (name, what) in rows.chain(LAUNCHER.map(|(name, _, what)| (name, what.to_owned()))) {
        let default = if name == "github-token" { "${{ github.token }}" } else { "" };
        let required = name == "image";
        write!(text, "  {name}:\n    description: {}\n    required: {required}\n", quoted(&what)).expect("text grows");
        if !required {
            writeln!(text, "    default: {}", quoted(default)).expect("text grows");
        }
    }
    text += "\noutputs:\n";
    for (name, what) in outputs::TABLE {
        write!(text, "  {name}:\n    description: {}\n    value: ${{{{ steps.honeycrate.outputs.{name} }}}}\n", quoted(what)).expect("text grows");
    }
    text += "\
\nruns:
  using: composite
  steps:
    - id: honeycrate
      shell: sh
      run: '\"$GITHUB_ACTION_PATH/dist/honeycrate\"'
      env:
";
    let rows = inputs::TABLE.iter().map(|input| (input.name, input.variable.name));
    for (name, variable) in rows.chain(LAUNCHER.map(|(name, variable, _)| (name, variable))) {
        // An empty input must not hide the variable that the job gave.
        let job = if name == "github-token" { String::new() } else { format!(" || env.{variable}") };
        writeln!(text, "        {variable}: ${{{{ inputs.{name}{job} }}}}").expect("text grows");
    }
    text += "        HONEYCRATE_MATRIX: ${{ env.HONEYCRATE_MATRIX || toJSON(matrix) }}\n";
    text
}

/// The README's table between `<!-- table: NAME -->` and `<!-- end -->`.
fn table(name: &str) -> String {
    let rows: Vec<(String, String)> = match name {
        "inputs" => {
            let own = inputs::TABLE.iter().map(|input| (input.name.to_owned(), told(input)));
            own.chain(LAUNCHER.map(|(name, _, what)| (name.to_owned(), what.to_owned()))).collect()
        }
        _ => outputs::TABLE.iter().map(|(name, what)| ((*name).to_owned(), (*what).to_owned())).collect(),
    };
    let row = |(name, what): &(String, String)| format!("| `{name}` | {} |\n", what.replace('|', "\\|"));
    format!("\n| {} | |\n|---|---|\n{}\n", name.trim_end_matches('s'), rows.iter().map(row).collect::<String>())
}

/// A text with its tables as the program has them.
fn with_tables(text: &str) -> String {
    ["inputs", "outputs"].into_iter().fold(text.to_owned(), |text, name| {
        let mark = format!("<!-- table: {name} -->\n");
        let (before, rest) = text.split_once(&mark).unwrap_or_else(|| panic!("no {mark}"));
        let (_, after) = rest.split_once("<!-- end -->").expect("a table ends");
        format!("{before}{mark}{}<!-- end -->{after}", table(name))
    })
}

#[test]
fn the_action_has_every_input_and_output_of_the_program() {
    assert_eq!(read("action.yml"), action(), "cargo test --test honeycrate -- --ignored --exact action_file::the_action_is_written");
}

#[test]
fn the_readme_lists_every_input_and_output_of_the_program() {
    let text = read("README.md");
    assert_eq!(text, with_tables(&text), "cargo test --test honeycrate -- --ignored --exact action_file::the_action_is_written");
}

#[test]
#[ignore = "writes action.yml and the tables of README.md"]
fn the_action_is_written() {
    std::fs::write(root().join("action.yml"), action()).expect("the work tree is writable");
    std::fs::write(root().join("README.md"), with_tables(&read("README.md"))).expect("the work tree is writable");
}

#[test]
fn no_input_takes_the_variable_of_another() {
    let mut variables: Vec<&str> = inputs::TABLE.iter().map(|input| input.variable.name).chain(LAUNCHER.map(|(_, variable, _)| variable)).collect();
    let all = variables.len();
    variables.sort_unstable();
    variables.dedup();
    assert_eq!(variables.len(), all);
}

/// What the linters of workflows say of what stands in `.github` and `action.yml` below a folder.
fn lint(folder: &Path, files: &[&str]) -> Vec<String> {
    let venv = root().join(".cache/venv/bin");
    let of_kind = |action: bool| files.iter().filter(move |file| (**file == "action.yml") == action).copied();
    let schema = |kind: &str, action: bool| {
        let mut command = program(venv.join("check-jsonschema"), folder);
        command.current_dir(folder).args(["--builtin-schema", kind]).args(of_kind(action));
        of_kind(action).next().is_some().then_some(command)
    };
    let mut zizmor = program(venv.join("zizmor"), folder);
    zizmor.current_dir(folder).args(["--offline", "--no-progress", "--persona=pedantic"]).args(files);
    let mut actionlint = program(venv.join("actionlint"), folder);
    actionlint.current_dir(folder).args(of_kind(false));
    let commands = [schema("vendor.github-workflows", false), schema("vendor.github-actions", true), Some(zizmor), Some(actionlint)];
    let ran = commands.into_iter().flatten().map(|mut command| (run(&mut command), command));
    ran.filter(|(ran, _)| ran.code != 0).map(|(ran, command)| format!("{command:?}: {}", ran.all())).collect()
}

#[test]
fn the_workflow_that_init_writes_is_one_that_linters_have_nothing_against() {
    let action = format!("acme/honeycrate@{}", "4f2a91c0".repeat(5));
    for (service, named) in [("ghcr.io/acme/shop", true), ("ghcr.io/acme/shop", false), ("quay.io/acme/shop", true)] {
        let (honeycrate, tree) = (Honeycrate::stranger(), tempdir().expect("scratch"));
        std::fs::create_dir(tree.path().join(".git")).expect("the folder is writable");
        let mut command = honeycrate.command(&["init", "--github", "--service", service]);
        let ran = run(command.args(named.then_some(["--action", &action]).into_iter().flatten()).current_dir(tree.path()));
        assert_eq!(ran.code, 0, "{}", ran.all());
        let text = std::fs::read_to_string(tree.path().join(workflow::PATH)).expect("it was written");
        assert!(text.contains(if named { &action } else { workflow::PLACEHOLDER }), "{text}");
        assert_eq!(ran.out().contains(workflow::PLACEHOLDER), !named, "{}", ran.out());
        assert_eq!(lint(tree.path(), &[workflow::PATH]), [""; 0], "{text}");

        let again = run(honeycrate.command(&["init", "--github"]).current_dir(tree.path()));
        assert_eq!((again.code, again.err().contains("exists already")), (2, true), "{}", again.all());
        assert_eq!(std::fs::read_to_string(tree.path().join(workflow::PATH)).expect("it is there"), text);
        assert!(!honeycrate.home().join(".config").exists(), "a workflow needs no key");
    }
    let ran = Honeycrate::stranger().run(&["init", "--github", "--action", "acme/honeycrate@v1"]);
    assert_eq!((ran.code, ran.err().contains("40 digits")), (2, true), "{}", ran.all());
}

#[test]
fn init_in_a_clone_of_the_action_names_its_commit() {
    // Beside the binary, so that a link will do.
    let (clone, tree) = (tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("scratch"), tempdir().expect("scratch"));
    let commit = "4f2a91c0".repeat(5);
    for folder in [".git", "dist"] {
        std::fs::create_dir(clone.path().join(folder)).expect("the folder is writable");
    }
    std::fs::write(clone.path().join(".git/HEAD"), &commit).expect("the folder is writable");
    std::fs::write(clone.path().join(".git/config"), "[remote \"origin\"]\n\turl = git@github.com:honey/honeycrate.git\n").expect("writable");
    std::fs::write(clone.path().join("dist/BUILDINFO.json"), "{}").expect("the folder is writable");
    let own = clone.path().join("dist/honeycrate-x86_64-linux");
    std::fs::hard_link(env!("CARGO_BIN_EXE_honeycrate"), &own).expect("it is the same file system");
    let ran = run(program(own, tree.path()).current_dir(tree.path()).args(["init", "--github"]));
    assert_eq!(ran.code, 0, "{}", ran.all());
    let text = std::fs::read_to_string(tree.path().join(workflow::PATH)).expect("it was written");
    assert!(text.contains(&format!("uses: honey/honeycrate@{commit} # v")), "{text}");
}

#[test]
fn linters_find_what_is_wrong_with_a_workflow() {
    let tree = tempdir().expect("scratch");
    std::fs::create_dir_all(tree.path().join(".github/workflows")).expect("the folder is writable");
    std::fs::create_dir(tree.path().join(".git")).expect("the folder is writable");
    let text =
        "on: [pull_request_target]\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    colour: red\n    steps:\n      - run: echo ${{ github.head_ref }}\n";
    std::fs::write(tree.path().join(workflow::PATH), text).expect("the folder is writable");
    assert_eq!(lint(tree.path(), &[workflow::PATH]).len(), 3);
}

//! The templates of the GitLab component, read as the catalogue and GitLab read them, for all that gitlab-ci-local lets pass.

use std::collections::{BTreeMap, BTreeSet};

use honeycrate::cli::pipeline_file;
use honeycrate::config::inputs;
use honeycrate::config::vars;
use regex::Regex;
use serde::Deserialize as _;
use serde_yaml::{Mapping, Value};

use crate::common::command::{must, program};
use crate::common::gitlab_ci_local::{Project, root, tool};

/// Every template, with the inputs that an include must give.
const TEMPLATES: [(&str, &str); 3] = [("ship", "image: oci:image"), ("scan", "image: oci:image"), ("watch", "ledger: /srv/ledger.sqlite")];

/// The members of an input. Source: GitLab's documentation, "CI/CD YAML syntax reference", `spec:inputs`.
const MEMBERS: [&str; 6] = ["default", "description", "options", "regex", "rules", "type"];
const TYPES: [&str; 4] = ["array", "boolean", "number", "string"];
/// Texts of inputs are shorter than this many bytes.
const LONGEST: usize = 1024;

/// Inputs of the table that a job on GitLab has no use for: they are about what GitHub shows.
const OF_GITHUB: [&str; 4] = ["annotations", "summary", "upload-sarif", "github-token"];
/// Inputs of the table that are secrets: a component takes the names of their variables.
const SECRETS: [&str; 2] = ["key", "registry-password"];
/// Variables that the script reads and the program does not.
const OF_THE_SCRIPT: [&str; 2] = ["HONEYCRATE_BINARY_URL", "HONEYCRATE_BINARY_SHA256"];

fn template(name: &str) -> String {
    std::fs::read_to_string(root().join(format!("templates/{name}.yml"))).expect("a template of ours")
}

/// Header and body of a template.
fn documents(text: &str) -> (Value, Value) {
    let all: Vec<Value> = serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).expect("YAML")).collect();
    let [header, body] = <[Value; 2]>::try_from(all).expect("a header and a body");
    (header, body)
}

fn mapping<'a>(value: &'a Value, name: &str) -> &'a Mapping {
    value.get(name).and_then(Value::as_mapping).unwrap_or_else(|| panic!("no mapping `{name}`"))
}

fn declared(text: &str) -> BTreeMap<String, Value> {
    let (header, _) = documents(text);
    mapping(&header["spec"], "inputs").iter().map(|(name, input)| (name.as_str().expect("a name").to_owned(), input.clone())).collect()
}

/// The inputs that a body uses.
fn used(text: &str) -> BTreeSet<String> {
    let (_, body) = text.split_once("\n---\n").expect("two documents");
    let pattern = Regex::new(r"\$\[\[\s*inputs\.([A-Za-z0-9_-]+)[^\]]*\]\]").expect("a pattern");
    pattern.captures_iter(body).map(|found| found[1].to_owned()).collect()
}

/// What GitLab would refuse, and what nobody could use.
fn problems(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let (header, body) = documents(text);
    let names = |value: &Value| -> Vec<String> {
        value.as_mapping().into_iter().flatten().map(|(name, _)| name.as_str().unwrap_or_default().to_owned()).collect()
    };
    problems.extend(names(&header).into_iter().filter(|name| name != "spec").map(|name| format!("unknown header key {name}")));
    problems.extend(names(&header["spec"]).into_iter().filter(|name| name != "inputs").map(|name| format!("unknown spec key {name}")));
    problems.extend(names(&body).into_iter().filter(|name| ["default", "variables", "stages", "workflow", "include"].contains(&name.as_str())));
    let (declared, used) = (declared(text), used(text));
    problems.extend(used.iter().filter(|name| !declared.contains_key(*name)).map(|name| format!("{name} is not declared")));
    problems.extend(declared.keys().filter(|name| !used.contains(*name)).map(|name| format!("{name} is not used")));
    // The context of a component is an error wherever the file is included in another way.
    problems.extend(text.contains("component.").then(|| "uses the context of a component".to_owned()));
    let kebab_case = Regex::new("^[a-z][a-z0-9-]*$").expect("a pattern");
    for (name, input) in &declared {
        let mut say = |what: &str| problems.push(format!("{name}: {what}"));
        if !kebab_case.is_match(name) {
            say("its name is not in kebab case");
        }
        for member in names(input) {
            if !MEMBERS.contains(&member.as_str()) {
                say(&format!("unknown key {member}"));
            }
        }
        let description = input["description"].as_str().unwrap_or_default();
        if description.is_empty() || description.len() >= LONGEST {
            say("its description is missing or too long");
        }
        let kind = input.get("type").and_then(Value::as_str).unwrap_or("string");
        if !TYPES.contains(&kind) {
            say("unknown type");
        }
        let default = input.get("default");
        let fits = match (kind, default) {
            (_, None) => true,
            ("string", Some(value)) => value.as_str().is_some_and(|text| text.len() < LONGEST),
            ("boolean", Some(value)) => value.is_bool(),
            ("number", Some(value)) => value.is_number(),
            (_, Some(value)) => value.is_sequence(),
        };
        if !fits {
            say("its default is not of its type");
        }
        if let Some(options) = input.get("options") {
            let options = options.as_sequence().cloned().unwrap_or_default();
            if options.len() < 2 || options.len() > 50 || default.is_some_and(|default| !options.contains(default)) {
                say("its default is not among its options, or there are not 2 to 50");
            }
        }
        if let Some(pattern) = input.get("regex").and_then(Value::as_str) {
            // The engines are of one family: what this one takes and has no slashes around it is RE2.
            match Regex::new(pattern) {
                Err(_) => say("its regex does not compile"),
                Ok(_) if pattern.starts_with('/') || !pattern.starts_with('^') || !pattern.ends_with('$') => {
                    say("its regex is not a bare, whole one")
                }
                Ok(regex) if default.and_then(Value::as_str).is_some_and(|default| !regex.is_match(default)) => say("its regex refuses its default"),
                Ok(_) => {}
            }
        }
    }
    problems
}

#[test]
fn templates_are_written_as_gitlab_takes_them() {
    for (name, _) in TEMPLATES {
        assert_eq!(problems(&template(name)), [""; 0], "templates/{name}.yml");
    }
}

#[test]
fn what_gitlab_would_refuse_is_found() {
    let text = template("ship");
    for (was, becomes, told) in [
        ("spec:\n  inputs:", "spec:\n  input: {}\n  inputs:", "unknown spec key input"),
        ("      regex: '^[a-z0-9-]*$'", "      regexx: '^[a-z0-9-]*$'", "job-prefix: unknown key regexx"),
        ("      regex: '^[a-z0-9-]*$'", "      regex: '^[a-z0-9-*$'", "job-prefix: its regex does not compile"),
        ("      regex: '^[a-z0-9-]*$'", "      regex: '/^[a-z0-9-]*$/'", "job-prefix: its regex is not a bare, whole one"),
        ("      regex: '^[a-z0-9-]*$'", "      regex: '^[a-z0-9-]+$'", "job-prefix: its regex refuses its default"),
        ("inputs.decoy ]]", "inputs.decoys ]]", "decoys is not declared"),
        ("inputs.decoy ]]", "inputs.decoys ]]", "decoy is not used"),
        ("      type: boolean", "      type: bool", "allow-failure: unknown type"),
        ("      default: false", "      default: \"no\"", "allow-failure: its default is not of its type"),
        ("\"developer\"\n", "\"guest\"\n", "artifacts-access: its default is not among its options, or there are not 2 to 50"),
        ("      description: \"The stage of the job\"\n", "", "stage: its description is missing or too long"),
        ("inputs.stage ]]", "component.name ]]", "uses the context of a component"),
    ] {
        assert!(text.contains(was), "{was}");
        let changed = text.replace(was, becomes);
        assert!(problems(&changed).contains(&told.to_owned()), "{told}: {:?}", problems(&changed));
    }
}

#[test]
fn the_inputs_of_the_component_are_those_of_the_step() {
    let of_job = |name: &str| {
        ["artifacts-access", "allow-failure", "binary-sha256", "binary-url", "expire-in", "runner-image", "stage"].contains(&name)
            || name.starts_with("job-")
            || name.ends_with("-variable")
    };
    for (name, _) in TEMPLATES {
        let text = template(name);
        let inputs = declared(&text);
        let (_, body) = documents(&text);
        let job = body.as_mapping().and_then(|jobs| jobs.values().next()).expect("a job");
        let variables: BTreeMap<&str, &str> =
            mapping(job, "variables").iter().map(|(name, value)| (name.as_str().expect("a name"), value.as_str().expect("a text"))).collect();
        for (input, spec) in inputs.iter().filter(|(input, _)| !of_job(input)) {
            let row = inputs::TABLE.iter().find(|row| row.name == input).unwrap_or_else(|| panic!("{name}: the step has no input {input}"));
            assert_eq!(spec["description"].as_str(), Some(row.what), "{name}: {input}");
            assert_eq!(variables.get(row.variable.name), Some(&format!("$[[ inputs.{input} ]]").as_str()), "{name}: {input}");
            // Only a ledger with a password in its name is one, which the text says.
            assert!(!row.variable.secret || input == "ledger", "{name}: {input} is a secret, which an input would show");
            let options = spec.get("options").and_then(Value::as_sequence).cloned().unwrap_or_default();
            let words: Vec<&str> = options.iter().filter_map(Value::as_str).filter(|word| !word.is_empty()).collect();
            assert_eq!(words, row.words, "{name}: {input}");
            if !["image", "report-dir"].contains(&input.as_str()) {
                assert_eq!(spec["default"].as_str(), Some(""), "{name}: {input}: what is not given is the program's to say");
            }
        }
        let known = |variable: &str| OF_THE_SCRIPT.contains(&variable) || vars::TABLE.iter().any(|row| row.name == variable);
        let unknown: Vec<_> = variables.keys().filter(|variable| !known(variable)).collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
    let ship = declared(&template("ship"));
    let missing: Vec<_> = inputs::TABLE.iter().map(|row| row.name).filter(|name| !ship.contains_key(*name)).collect();
    let left_out: Vec<_> = inputs::TABLE.iter().map(|row| row.name).filter(|name| OF_GITHUB.contains(name) || SECRETS.contains(name)).collect();
    assert_eq!(missing, left_out, "an input of the step that a component does not have");
    let runner = ship["runner-image"]["default"].as_str().expect("an image");
    assert!(runner.ends_with(&format!(":{}", env!("CARGO_PKG_VERSION"))), "{runner} is not of this version");
}

/// The inputs about the job, of all templates, as the README lists them.
fn table() -> String {
    let mut rows = BTreeMap::new();
    for (name, _) in TEMPLATES {
        for (input, spec) in declared(&template(name)).into_iter().filter(|(input, _)| inputs::TABLE.iter().all(|row| row.name != input)) {
            let default = match &spec["default"] {
                Value::String(text) if !text.is_empty() => format!("; default: `{text}`"),
                Value::Bool(switch) => format!("; default: `{switch}`"),
                _ => String::new(),
            };
            let options: Vec<&str> = spec.get("options").and_then(Value::as_sequence).into_iter().flatten().filter_map(Value::as_str).collect();
            let words = if options.is_empty() { String::new() } else { format!(" ({})", options.join(", ")) };
            let description = spec["description"].as_str().expect("a description");
            let told = rows.entry(input).or_insert_with(BTreeMap::<String, Vec<&str>>::new);
            told.entry(format!("{description}{default}{words}")).or_default().push(name);
        }
    }
    let mut text = String::from("\n| input | of | |\n|---|---|---|\n");
    for (input, told) in rows {
        for (what, templates) in told {
            text += &format!("| `{input}` | {} | {what} |\n", templates.join(", "));
        }
    }
    text + "\n"
}

#[test]
fn the_readme_lists_the_inputs_of_the_job() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a README");
    let (_, rest) = readme.split_once("<!-- table: component -->\n").expect("a table");
    let (listed, _) = rest.split_once("<!-- end -->").expect("a table ends");
    assert_eq!(listed, table(), "put this between the marks of the README's table");
}

#[test]
fn values_reach_the_script_through_variables_alone() {
    let predefined = Regex::new(r"CI_[A-Z0-9_]+").expect("a pattern");
    for (name, _) in TEMPLATES {
        let text = template(name);
        let (_, body) = documents(&text);
        let job = body.as_mapping().and_then(|jobs| jobs.values().next()).expect("a job");
        let script = serde_yaml::to_string(&job["script"]).expect("YAML");
        let in_script = used(&format!("\n---\n{script}"));
        for input in in_script {
            let pattern = declared(&text)[&input]["regex"].as_str().unwrap_or_default().to_owned();
            assert_eq!(pattern, "^[A-Za-z_][A-Za-z0-9_]*$", "{name}: {input} may be more than a name");
        }
        let named: BTreeSet<&str> = predefined.find_iter(&script).map(|found| found.as_str()).collect();
        assert_eq!(named, BTreeSet::from(["CI_API_V4_URL", "CI_JOB_TOKEN", "CI_SERVER_TLS_CA_FILE"]), "{name}: text of others is near the script");
        let plain = plain_script(job);
        must(program("shellcheck", root()).arg("--shell=sh").arg(&plain));
    }
}

/// The script of a job with names in place of its inputs, as a file.
fn plain_script(job: &Value) -> tempfile::TempPath {
    let lines = job["script"].as_sequence().expect("a list").iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    let filled = Regex::new(r"\$\[\[[^\]]*\]\]").expect("a pattern").replace_all(&lines, "NAME").into_owned();
    let file = tempfile::NamedTempFile::new().expect("scratch").into_temp_path();
    std::fs::write(&file, filled).expect("scratch");
    file
}

#[test]
fn what_comes_of_a_template_is_a_pipeline() {
    for (name, inputs) in TEMPLATES {
        let sources = [format!("component: $CI_SERVER_FQDN/$CI_PROJECT_PATH/{name}@$CI_COMMIT_SHA"), format!("local: templates/{name}.yml")];
        let [component, local] = sources.map(|source| {
            let project = Project::new(&format!("include:\n  - {source}\n    inputs:\n      {inputs}\n"));
            let shown = project.preview();
            assert_eq!(shown.code, 0, "{name}: {}", shown.all());
            shown.out()
        });
        assert_eq!(component, local, "the file alone is the component");
        let file = tempfile::Builder::new().suffix(".yml").tempfile().expect("scratch").into_temp_path();
        std::fs::write(&file, &component).expect("scratch");
        must(program(tool("check-jsonschema"), root()).args(["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]).arg(&file));
    }
}

#[test]
fn inputs_that_make_no_sense_are_refused() {
    for (name, inputs, told) in [
        ("ship", "to: $CI_REGISTRY_IMAGE:1", "image"),
        ("ship", "image: x\n      fail-on: severe", "fail-on"),
        ("ship", "image: x\n      enforce: sometimes", "enforce"),
        ("ship", "image: x\n      key-variable: \"KEY}; id; {\"", "key-variable"),
        ("ship", "image: x\n      token-variable: glpat-secret", "token-variable"),
        ("ship", "image: x\n      report-dir: /etc", "report-dir"),
        ("ship", "image: x\n      job-prefix: \"a b\"", "job-prefix"),
        ("ship", "image: x\n      binary-sha256: abc", "binary-sha256"),
        ("ship", "image: x\n      allow-failure: \"yes\"", "allow-failure"),
        ("scan", "image: x\n      comment: loudly", "comment"),
        ("watch", "webhook-variable: https://hooks.example", "webhook-variable"),
    ] {
        let include = format!("include:\n  - component: $CI_SERVER_FQDN/$CI_PROJECT_PATH/{name}@$CI_COMMIT_SHA\n    inputs:\n      {inputs}\n");
        let refused = Project::new(&include).preview();
        assert!(refused.code != 0 && refused.all().contains(told), "{inputs}: {}", refused.all());
    }
}

/// The includes of our component in a pipeline: the template, and the inputs that it is given.
fn includes(pipeline: &str) -> Vec<(String, Vec<String>)> {
    let read: Value = serde_yaml::from_str(pipeline).unwrap_or_else(|error| panic!("{error}: {pipeline}"));
    let entries = read.get("include").and_then(Value::as_sequence).cloned().unwrap_or_default();
    let of = |entry: &Value| {
        let source = ["component", "remote", "local"].iter().find_map(|kind| entry.get(*kind)?.as_str()).expect("a source");
        let name = source.rsplit('/').next().unwrap_or_default().split(['@', '.']).next().unwrap_or_default().to_owned();
        let inputs = entry.get("inputs").and_then(Value::as_mapping).into_iter().flatten();
        (name, inputs.filter_map(|(name, _)| name.as_str().map(str::to_owned)).collect())
    };
    entries.iter().map(of).collect()
}

#[test]
fn what_we_show_and_write_gives_inputs_that_there_are() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).expect("a file of ours");
    let readme = read("README.md");
    let mut pipelines: Vec<String> = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next().map(str::to_owned)).collect();
    pipelines.retain(|text| text.contains("include:"));
    assert_eq!(pipelines.len(), 2, "{pipelines:?}");
    pipelines.extend([read(".gitlab-ci.yml"), pipeline_file::template(None), pipeline_file::template(Some("git@gitlab.com:acme/shop.git"))]);
    for pipeline in pipelines {
        let includes = includes(&pipeline);
        assert!(!includes.is_empty(), "{pipeline}");
        for (name, inputs) in includes {
            let declared = declared(&template(&name));
            let unknown: Vec<_> = inputs.iter().filter(|input| !declared.contains_key(*input)).collect();
            assert!(unknown.is_empty(), "GitLab would refuse {unknown:?} of {name}: {pipeline}");
        }
    }
}

#[test]
fn jobs_are_there_when_they_are_wanted_and_once() {
    let include = "include:\n  - local: templates/ship.yml\n    inputs: {image: oci:image}\n  - local: templates/scan.yml\n    inputs: {image: oci:image, job-prefix: other-}\n  - local: templates/watch.yml\n    inputs: {ledger: /srv/ledger.sqlite}\n";
    let both = ["honeycrate-ship", "other-honeycrate-scan"];
    let jobs = |set: &[(&str, &str)]| {
        let project = set.iter().fold(Project::new(include), |project, (name, value)| project.set(name, value));
        let mut jobs = project.jobs();
        jobs.sort();
        jobs
    };
    assert_eq!(jobs(&[("CI_PIPELINE_SOURCE", "push")]), both, "on the default branch");
    assert_eq!(
        jobs(&[("CI_PIPELINE_SOURCE", "push"), ("CI_OPEN_MERGE_REQUESTS", "acme/shop!7")]),
        [""; 0],
        "the merge request has a pipeline of its own"
    );
    assert_eq!(jobs(&[("CI_PIPELINE_SOURCE", "merge_request_event"), ("CI_OPEN_MERGE_REQUESTS", "acme/shop!7")]), both);
    assert_eq!(jobs(&[("CI_PIPELINE_SOURCE", "push"), ("CI_COMMIT_BRANCH", "topic")]), [""; 0]);
    assert_eq!(jobs(&[("CI_PIPELINE_SOURCE", "push"), ("CI_COMMIT_BRANCH", ""), ("CI_COMMIT_TAG", "1.0.0")]), both);
    assert_eq!(jobs(&[("CI_PIPELINE_SOURCE", "schedule")]), ["honeycrate-ship", "honeycrate-watch", "other-honeycrate-scan"]);
}

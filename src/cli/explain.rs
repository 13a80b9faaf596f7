//! `honeycrate explain`: every rule, surface, kind, provider, face, format, source, destination and exit code, from their tables.

use anstyle::Style;

use crate::alert::sinks;
use crate::bait::kinds::KINDS;
use crate::bait::kinds::contract::{BaitKind, Seen};
use crate::bait::silence;
use crate::bait::surfaces::Surface;
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::config::inputs::{self, Input};
use crate::config::vars;
use crate::config::walk::nearest;
use crate::decoy::faces::FACES;
use crate::destination::DESTINATIONS;
use crate::ledger::stores::STORES;
use crate::policy::foreign;
use crate::provider::contract::Row;
use crate::provider::{self, PROVIDERS};
use crate::report::formats;
use crate::report::formats::contract::Format;
use crate::report::outputs;
use crate::report::words::lower_first;
use crate::scan::checks::CHECKS;
use crate::scan::foreign_rules;
use crate::scan::gap::GapKind;
use crate::scan::marker;
use crate::scan::rule::Rule;
use crate::scan::rule_set::RuleSet;
use crate::scan::validation::Validation;
use crate::source::SOURCES;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// A group of things that can be explained: its id, and rows of an id and a line.
type Topic = (&'static str, Vec<(String, String)>);

/// Explains one thing, a group, or lists all groups.
///
/// # Errors
/// When nothing has this id.
pub fn explain(id: Option<&str>) -> Result<Exit, Failure> {
    let topics = topics();
    let Some(id) = id else {
        for (topic, rows) in &topics {
            anstream::println!("{BOLD}{topic}{BOLD:#}");
            let width = width(rows);
            rows.iter().for_each(|(id, line)| anstream::println!("  {id:<width$}  {DIM}{line}{DIM:#}"));
        }
        return Ok(Exit::Passed);
    };
    if let Some(rule) = RuleSet::builtin().get(id) {
        explain_rule(rule);
        return Ok(Exit::Passed);
    }
    if let Some((_, rows)) = topics.iter().find(|(topic, _)| *topic == id) {
        let width = width(rows);
        rows.iter().for_each(|(id, line)| anstream::println!("{id:<width$}  {line}"));
        return Ok(Exit::Passed);
    }
    // `oci` is `oci:`, as people speak of it.
    let bare = id.trim_end_matches([':', '/']);
    let found: Vec<_> = topics
        .iter()
        .flat_map(|(topic, rows)| rows.iter().filter(|(row, _)| row.trim_end_matches([':', '/']) == bare).map(move |(_, line)| (topic, line)))
        .collect();
    for (topic, line) in &found {
        anstream::println!("{BOLD}{id}{BOLD:#} {DIM}({topic}){DIM:#}\n  {line}");
    }
    if let Ok(surface) = id.parse::<Surface>() {
        anstream::println!("  {}", surface.meaning());
    }
    if let Some(kind) = KINDS.iter().find(|kind| kind.id() == id) {
        explain_kind(*kind);
    }
    if let Some(provider) = provider::find(id) {
        explain_provider(provider);
    }
    if found.is_empty() {
        let groups: Vec<&str> = topics.iter().map(|(topic, _)| *topic).collect();
        let known = topics.iter().flat_map(|(topic, rows)| rows.iter().map(|(id, _)| id.as_str()).chain([*topic]));
        let hint = match nearest(id, known) {
            Some(near) => format!("did you mean `{near}`? `honeycrate explain` lists all"),
            None => format!("`honeycrate explain` lists all; groups: {}", groups.join(", ")),
        };
        return Err(Failure::usage(format!("there is nothing called `{id}`"), hint));
    }
    Ok(Exit::Passed)
}

fn topics() -> Vec<Topic> {
    let row = |id: &str, line: &str| (id.to_owned(), line.to_owned());
    vec![
        ("surfaces", Surface::ALL.iter().map(|surface| row(surface.id(), surface.describe())).collect()),
        ("kinds", KINDS.iter().map(|kind| row(kind.id(), kind.describe())).collect()),
        ("providers", PROVIDERS.iter().map(|provider| row(provider.id, provider.describe)).collect()),
        ("sources", SOURCES.iter().map(|source| row(source.transport(), source.describe())).collect()),
        ("destinations", DESTINATIONS.iter().map(|destination| row(destination.transport(), destination.describe())).collect()),
        ("ledgers", STORES.iter().map(|store| row(store.scheme, store.describe)).collect()),
        ("faces", FACES.iter().map(|face| row(face.id(), face.describe())).collect()),
        ("formats", formats::TABLE.iter().map(|format| row(format.id(), &format_line(*format))).collect()),
        ("ignore-files", foreign::TABLE.iter().map(|form| row(form.id(), form.describe())).collect()),
        ("ignore-lists", silence::TABLE.iter().map(|list| row(list.id(), &format!("{} [{}]", list.describe(), list.usage()))).collect()),
        ("rule-files", foreign_rules::TABLE.iter().map(|form| row(form.id(), form.describe())).collect()),
        (
            "markers",
            marker::names().map(|name| row(name, "a comment that lets the secret beside it pass, in files or where inline-allow says so")).collect(),
        ),
        ("sinks", sinks::KINDS.iter().map(|(id, line)| row(id, line)).collect()),
        ("variables", vars::TABLE.iter().map(|variable| row(variable.name, variable.what)).collect()),
        ("inputs", inputs::TABLE.iter().map(|input| row(input.name, &input_line(input))).collect()),
        ("outputs", outputs::TABLE.iter().map(|(name, what)| row(name, what)).collect()),
        ("exit-codes", Exit::TABLE.iter().map(|(_, code, line)| row(&format!("exit-{code}"), line)).collect()),
        ("checks", CHECKS.iter().map(|check| row(check.name, check.what)).collect()),
        ("gaps", GapKind::ALL.iter().map(|gap| row(gap.id(), gap.title())).collect()),
        ("validations", RuleSet::builtin().iter().filter(|rule| rule.validate.is_some()).map(|rule| row(&rule.id, &asked(rule))).collect()),
        ("rules", RuleSet::builtin().iter().map(|rule| row(&rule.id, &rule.name)).collect()),
    ]
}

/// What an input is, and which variable carries it.
fn input_line(input: &Input) -> String {
    format!("{} [{}]", input.what, input.variable.name)
}

/// What a format is, and which files ask for it by their names.
fn format_line(format: &dyn Format) -> String {
    let endings = format.endings().join(", ");
    if endings.is_empty() { format.describe().to_owned() } else { format!("{} [{endings}]", format.describe()) }
}

fn explain_kind(kind: &dyn BaitKind) {
    let list = |surfaces: &[Surface]| surfaces.iter().map(|surface| surface.id()).collect::<Vec<_>>().join(", ");
    anstream::println!("  {DIM}surfaces{DIM:#}  {}", list(kind.surfaces()));
    let Seen { gitleaks, trufflehog, kingfisher, trivy } = kind.seen_by();
    for (scanner, seen) in [("gitleaks", gitleaks), ("TruffleHog", trufflehog), ("Kingfisher", kingfisher), ("Trivy", trivy)] {
        let told = seen.map_or_else(|why| format!("is not found: {why}"), |rule| format!("is found as {rule}"));
        anstream::println!("  {DIM}by {scanner}{DIM:#}  {told}");
    }
}

fn explain_provider(provider: &Row) {
    let line = |name: &str, text: &str| anstream::println!("  {DIM}{name}{DIM:#}  {text}");
    line("recognisable offline", provider.stealth);
    line("from use to alert", provider.latency);
    line("how many", provider.quota);
    for (name, what) in provider.settings {
        line(&format!("providers.{}.{name}", provider.id), what);
    }
    provider.secrets.iter().for_each(|(name, what)| line(name, what));
}

fn width(rows: &[(String, String)]) -> usize {
    rows.iter().map(|(id, _)| id.len()).max().unwrap_or(0)
}

/// Whether and how the vendor is asked about what a rule finds.
fn asked(rule: &Rule) -> String {
    let question = match &rule.validate {
        Some(Validation::Ask(question)) => question,
        Some(Validation::Honeytoken) => return "never: credentials of this kind are handed out as honeytokens".to_owned(),
        None => return "never: no question is known that changes nothing at the vendor".to_owned(),
    };
    let only = match (&question.starts_with[..], &question.id_starts_with[..]) {
        ([], []) => String::new(),
        (starts, ids) => format!(" (only {}…)", starts.iter().chain(ids).cloned().collect::<Vec<_>>().join("…, ")),
    };
    let meanings = [("live", &question.live), ("dead", &question.dead), ("of another server, perhaps", &question.elsewhere)];
    let meanings = meanings.iter().filter(|(_, answers)| !answers.is_empty()).map(|(meaning, answers)| {
        let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
        format!("{} means {meaning}", answers.join(" or "))
    });
    format!("with --validate: {} {}{only}; {}", question.method, question.url, meanings.collect::<Vec<_>>().join(", "))
}

/// What a rule finds, what that opens and what to do.
pub fn explain_rule(rule: &Rule) {
    anstream::println!("{BOLD}{}{BOLD:#} {DIM}(rule, {}, {} severity, {} confidence){DIM:#}", rule.id, rule.vendor, rule.severity, rule.confidence);
    anstream::println!("  {}", rule.name);
    let line = |name: &str, text: &str| anstream::println!("  {DIM}{name:<8}{DIM:#}  {text}");
    line("a thief", &lower_first(&rule.gain));
    line("do", &rule.revoke);
    rule.checks.iter().for_each(|check| line("checked", check.what));
    if rule.generic {
        line("quiet", "in dependency trees, and where a rule of a vendor fires");
    }
    line("asked", &asked(rule));
    rule.references.iter().for_each(|reference| anstream::println!("  {DIM}{reference}{DIM:#}"));
}

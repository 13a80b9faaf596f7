//! `honeycrate explain`: every rule, surface, kind, provider, face, format, source, destination and exit code, from their tables.

use anstyle::Style;

use crate::alert::sinks;
use crate::bait::kinds::KINDS;
use crate::bait::surfaces::Surface;
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::config::vars;
use crate::decoy::faces::FACES;
use crate::destination::DESTINATIONS;
use crate::provider::PROVIDERS;
use crate::report::formats;
use crate::scan::rule::Rule;
use crate::scan::rule_set::RuleSet;
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
            rows.iter().for_each(|(id, line)| anstream::println!("  {id:<28} {DIM}{line}{DIM:#}"));
        }
        return Ok(Exit::Passed);
    };
    if let Some(rule) = RuleSet::builtin().get(id) {
        explain_rule(rule);
        return Ok(Exit::Passed);
    }
    if let Some((_, rows)) = topics.iter().find(|(topic, _)| *topic == id) {
        rows.iter().for_each(|(id, line)| anstream::println!("{id:<28} {line}"));
        return Ok(Exit::Passed);
    }
    let found: Vec<_> =
        topics.iter().flat_map(|(topic, rows)| rows.iter().filter(|(row, _)| row == id).map(move |(_, line)| (topic, line))).collect();
    for (topic, line) in &found {
        anstream::println!("{BOLD}{id}{BOLD:#} {DIM}({topic}){DIM:#}\n  {line}");
    }
    if let Ok(surface) = id.parse::<Surface>() {
        anstream::println!("  {}", surface.meaning());
    }
    if found.is_empty() {
        let groups: Vec<&str> = topics.iter().map(|(topic, _)| *topic).collect();
        return Err(Failure::usage(
            format!("there is nothing called `{id}`"),
            format!("`honeycrate explain` lists all; groups: {}", groups.join(", ")),
        ));
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
        ("faces", FACES.iter().map(|face| row(face.id(), face.describe())).collect()),
        ("formats", formats::TABLE.iter().map(|format| row(format.id(), format.describe())).collect()),
        ("sinks", sinks::KINDS.iter().map(|(id, line)| row(id, line)).collect()),
        ("variables", vars::TABLE.iter().map(|variable| row(variable.name, variable.what)).collect()),
        ("exit-codes", Exit::TABLE.iter().map(|(_, code, line)| row(&format!("exit-{code}"), line)).collect()),
        ("rules", RuleSet::builtin().iter().map(|rule| row(&rule.id, &rule.name)).collect()),
    ]
}

fn explain_rule(rule: &Rule) {
    anstream::println!("{BOLD}{}{BOLD:#} {DIM}(rule, {}, {} severity, {} confidence){DIM:#}", rule.id, rule.vendor, rule.severity, rule.confidence);
    anstream::println!("  {}\n  A thief {}\n  {}", rule.name, rule.gain, rule.revoke);
    rule.references.iter().for_each(|reference| anstream::println!("  {DIM}{reference}{DIM:#}"));
}

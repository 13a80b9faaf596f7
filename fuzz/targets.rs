//! What is fuzzed: every function that reads bytes which somebody else has made. `cargo fuzz` and the ordinary tests call the same ones.

use std::io::{BufRead as _, Read as _, Write as _};

use honeycrate::config::file::Vocabulary;
use honeycrate::config::reader;
use honeycrate::decoy::credentials::presented;
use honeycrate::decoy::postgres::{Conversation, Step};
use honeycrate::decoy::request::{RequestHead, host};
use honeycrate::image::archive::{open_docker_archive, open_oci_archive, spool};
use honeycrate::image::compression::Decoder;
use honeycrate::image::layout::{find_in_index, parse_index};
use honeycrate::image::limits::Limits;
use honeycrate::image::tar::TarWalker;
use honeycrate::ledger::{chain, seal};
use honeycrate::net::retry::{asked_wait, is_transient};
use honeycrate::oci::config::{ConfigEdit, History, ImageConfig};
use honeycrate::oci::digest::Digest;
use honeycrate::oci::location::Location;
use honeycrate::oci::manifest::Document;
use honeycrate::oci::reference::Reference;
use honeycrate::registry::challenge;
use honeycrate::registry::docker_config::DockerConfig;
use honeycrate::report::disclosure::Disclosure;
use honeycrate::report::formats;
use honeycrate::report::formats::contract::Style;
use honeycrate::report::render::render;
use honeycrate::report::run_report::RunReport;
use honeycrate::scan::nested_scan::NestedScanner;
use honeycrate::scan::rule_set::RuleSet;
use honeycrate::secret::fingerprint::Fingerprint;
use honeycrate::secret::key_ring::KeyRing;

/// A name, and what is fuzzed under it: it must come back from any bytes.
type Target = (&'static str, fn(&[u8]));

pub(crate) const TARGETS: [Target; 13] = [
    ("tar", tar),
    ("decompression", decompression),
    ("manifest", manifest),
    ("config", config),
    ("names", names),
    ("docker_archive", docker_archive),
    ("layout", layout),
    ("configuration", configuration),
    ("rules", rules),
    ("ledger", ledger),
    ("decoy", decoy),
    ("report", report),
    ("nested", nested),
];

/// Bytes that are passed on from a decoder: enough to come to its end in all but bombs.
const MOST: u64 = 4 << 20;

pub(crate) fn tar(bytes: &[u8]) {
    let limits = Limits { max_entries: 1000, ..Limits::default() };
    let mut walker = TarWalker::new(bytes, "an archive", &limits);
    let mut seen = 0;
    while let Ok(Some(entry)) = walker.next_entry() {
        assert!(!entry.path.split(|&byte| byte == b'/').any(|part| part == b".."), "a path leaves the root");
        assert!(!entry.path.starts_with(b"/") && !entry.path.ends_with(b"/"), "a path is not clean");
        let _ = entry.whiteout();
        let mut data = Vec::new();
        if walker.data().read_to_end(&mut data).is_err() {
            break;
        }
        assert_eq!(data.len() as u64, entry.size, "an entry has other data than it says");
        seen += data.len();
        walker.take_aside();
    }
    assert!(seen <= bytes.len(), "there is more data than bytes");
}

pub(crate) fn nested(bytes: &[u8]) {
    let limits = Limits { max_entries: 1000, max_layer_bytes: MOST, ..Limits::default() };
    let mut scanner = NestedScanner::new(RuleSet::builtin(), 0, &limits);
    let read = scanner.scan(b"a", &mut &bytes[..], &|| {}, &mut |way, _| assert!(way.len() <= 4096, "a way is too long"));
    assert_eq!(read.expect("bytes in memory can be read"), bytes.len() as u64, "not all raw bytes were scanned");
}

pub(crate) fn decompression(bytes: &[u8]) {
    let Ok(mut decoder) = Decoder::new(bytes, "a stream", &Limits::default()) else { return };
    let mut plain = Vec::new();
    if decoder.by_ref().take(MOST).read_to_end(&mut plain).is_ok() && (plain.len() as u64) < MOST {
        let mut rest = Vec::new();
        decoder.remainder().read_to_end(&mut rest).expect("bytes in memory can be read");
        assert!(rest.len() <= bytes.len(), "more is left than there was");
    }
    let _ = decoder.remainder().fill_buf();
}

pub(crate) fn manifest(bytes: &[u8]) {
    match Document::parse(bytes, None) {
        Ok(Document::Manifest(manifest)) => {
            let same = manifest.with(manifest.config.clone(), manifest.layers.clone()).expect("it was parsed before");
            let again = Document::parse(&same.bytes, None).expect("what we write can be read");
            assert!(matches!(again, Document::Manifest(again) if again.layers.len() == manifest.layers.len()), "it changed");
            manifest.in_oci_family().expect("it was parsed before");
        }
        Ok(Document::Index(index)) => {
            let same = index.with(index.manifests.clone()).expect("it was parsed before");
            assert!(matches!(Document::parse(&same.bytes, None), Ok(Document::Index(_))), "what we write can be read");
            index.in_oci_family().expect("it was parsed before");
        }
        Err(error) => drop((error.to_string(), error.hint())),
    }
}

pub(crate) fn config(bytes: &[u8]) {
    let Ok(config) = ImageConfig::parse(bytes) else { return };
    for layer in 0..config.diff_ids.len().min(4) {
        let step = config.history_of_layer(layer);
        assert!(step.is_none_or(|step| step < config.history.len()), "a step that is not there");
    }
    let _ = config.env_value("PATH");
    let step = History { created_by: Some("COPY a b".to_owned()), ..History::default() };
    let edit = ConfigEdit { env: vec![(0, "B=2".to_owned())], history: vec![(0, step)], diff_ids: vec![(0, Digest::of(b"new"))] };
    let edited = config.edited(&edit).expect("it was parsed before");
    assert_eq!((edited.env.len(), edited.diff_ids.len()), (config.env.len() + 1, config.diff_ids.len() + 1), "an edit is more than it says");
}

pub(crate) fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(reference) = text.parse::<Reference>() {
        let again: Reference = reference.to_string().parse().expect("what we write can be read");
        assert_eq!(again.to_string(), reference.to_string(), "a reference changes when it is written");
        assert!(!reference.name().contains(".."), "a reference leaves its path");
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text, "a digest changes when it is written");
    }
    let _ = text.parse::<Location>().map(|location| location.to_string());
    let _ = Location::parse_destination(&text).map(|location| location.to_string());
    let _ = challenge::strongest(text.lines());
    let _ = asked_wait(text.lines().next(), &text, time::OffsetDateTime::UNIX_EPOCH);
    let _ = is_transient(429, &text);
    if let Ok(config) = DockerConfig::parse(&text) {
        let _ = (config.helper("ghcr.io", &[]), config.entry("ghcr.io", "acme/shop"), config.store());
    }
}

pub(crate) fn docker_archive(bytes: &[u8]) {
    let _ = open_docker_archive(file(bytes), None);
    let _ = open_docker_archive(file(bytes), Some("acme/shop:1"));
    if bytes.len() < 10_000 {
        let _ = spool(bytes, &std::env::temp_dir());
    }
}

pub(crate) fn layout(bytes: &[u8]) {
    let _ = open_oci_archive(file(bytes), None);
    if let Ok(index) = parse_index(bytes) {
        let _ = (find_in_index(&index, None, "an index"), find_in_index(&index, Some("latest"), "an index"));
    }
}

pub(crate) fn configuration(bytes: &[u8]) {
    if let Err(problems) = reader::parse(&String::from_utf8_lossy(bytes), "honeycrate.yaml", &Vocabulary::default()) {
        assert!(!problems.is_empty(), "it is refused without a reason");
    }
}

pub(crate) fn rules(bytes: &[u8]) {
    if let Err(problems) = RuleSet::builtin().with_rules("rules.yaml", &String::from_utf8_lossy(bytes)) {
        assert!(!problems.is_empty(), "it is refused without a reason");
    }
}

pub(crate) fn ledger(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(record) = chain::read(1, &text) {
        assert_eq!(chain::line(&record), text, "a record changes when it is written");
    }
    let _ = chain::verify(text.lines());
    let fingerprint = Fingerprint::of_finding("fuzz", b"value");
    assert!(seal::open(&KeyRing::new([7; 32]), &fingerprint, &text).is_none(), "a value that nobody sealed was opened");
}

pub(crate) fn decoy(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().splitn(2, ' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let request = RequestHead {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        host: host(head),
        headers: headers.collect(),
        body: body.as_bytes().to_vec(),
    };
    assert!(presented(&request).len() <= 64, "one request presents more than is looked at");
    let _ = (request.line(), request.segments().count(), request.parameter("token"), request.is_below("/v2"));

    let mut conversation = Conversation::default();
    let mut input = bytes.to_vec();
    for _ in 0..100 {
        let before = input.len();
        match conversation.next(&mut input) {
            Step::Read | Step::Close => break,
            _ => assert!(input.len() < before, "a step is taken without a byte"),
        }
    }
}

pub(crate) fn report(bytes: &[u8]) {
    let Ok(report) = RunReport::from_json(bytes) else { return };
    for format in formats::TABLE {
        for disclosure in [Disclosure::Findings, Disclosure::Placements, Disclosure::Everything] {
            let mut out = Vec::new();
            render(&report, format.id(), disclosure, Style { colour: false, width: Some(80) }, &mut out).expect("memory takes it");
            let text = String::from_utf8(out).expect("a report is text");
            // Sections of GitLab's log are begun and ended by control characters, in whole marks of ours.
            let text = if format.id() == "gitlab" { without_sections(&text) } else { text };
            assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "a report steers the terminal");
        }
    }
}

/// A log without what begins and ends its sections: `ESC [0K section_start:1795320000:honeycrate_revoke CR ESC [0K`.
fn without_sections(text: &str) -> String {
    let is_ours = |mark: &str| {
        let mark = mark.strip_suffix("[collapsed=true]").unwrap_or(mark);
        let name = mark.strip_prefix("section_start:").or_else(|| mark.strip_prefix("section_end:")).and_then(|rest| rest.split_once(":honeycrate_"));
        name.is_some_and(|(time, name)| time.parse::<i64>().is_ok() && name.bytes().all(|byte| byte.is_ascii_lowercase()))
    };
    let parts = text.split("\u{1b}[0K").map(|part| part.strip_suffix('\r').filter(|mark| is_ours(mark)).map_or(part, |_| ""));
    parts.collect()
}

fn file(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().expect("scratch");
    file.write_all(bytes).expect("scratch");
    file
}

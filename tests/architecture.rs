//! The house keeps its floors: what may import what, who may wait, and who has which key.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

/// Rooms by floor, lowest first. A room imports from lower floors only.
const FLOORS: [&[&str]; 8] = [
    &["oci", "secret"],
    &["image", "net"],
    &["scan", "registry", "bait", "forge"],
    &["policy", "source", "destination", "reader", "ledger", "provider", "decoy"],
    &["report", "alert"],
    &["pipeline", "config"],
    &["demo"],
    &["cli"],
];

/// The one door between two rooms of the same floor.
const DOORS: [(&str, &str); 1] = [("secret", "oci")];

/// Rooms that are handed time, seed and settings: they read no clock, no environment and no socket, and never wait.
const PURE: [&str; 8] = ["oci", "secret", "image", "scan", "bait", "policy", "report", "ledger"];

/// Files of those rooms that touch the outside, which is what they are for.
const IMPURE_FILES: [&str; 3] = ["ledger/stores/oci.rs", "ledger/stores/postgres.rs", "ledger/stores/sqlite.rs"];

/// What pure code does not say.
const IMPURITIES: [&str; 15] = [
    "async ",
    ".await",
    "tokio::",
    "reqwest::",
    "std::env",
    "SystemTime::now",
    "Instant::now",
    "now_utc",
    "now_local",
    "getrandom::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "ToSocketAddrs",
];

/// The files that may take a value out of [`honeycrate::secret::value::Secret`], and what for.
const EXPOSING: &[(&str, &str)] = &[
    ("bait/honeytoken.rs", "its fields are handed to the seal as one"),
    ("bait/own.rs", "a found secret is told from own bait"),
    ("bait/stealth.rs", "what a thief can tell of it is told to its owner"),
    ("bait/kinds/contract.rs", "a bait's text is written"),
    ("bait/silence/mod.rs", "the beginning of a bait is told to the owner's scanners"),
    ("config/key.rs", "the owner's keys are read"),
    ("cli/decoy.rs", "an alert is posted to an address that may hold a token"),
    ("decoy/certificate.rs", "the server's key is loaded"),
    ("decoy/credentials.rs", "what a visitor presents is taken apart"),
    ("decoy/http.rs", "what the decoy itself gave out is told from what a visitor brings"),
    ("decoy/observer.rs", "what a visitor presents is recognised"),
    ("decoy/postgres.rs", "a user's name is answered, as PostgreSQL does"),
    ("decoy/session.rs", "what a visitor presents is recognised"),
    ("demo/play.rs", "the thief of the play uses what it stole"),
    ("forge/github.rs", "it is sent as authorisation"),
    ("forge/gitlab.rs", "it is sent as authorisation"),
    ("ledger/place.rs", "the name of a ledger is shown without its password"),
    ("ledger/seal.rs", "it is sealed"),
    ("ledger/stores/postgres.rs", "the name of a ledger may hold the server's password"),
    ("pipeline/vendors.rs", "a vendor is asked about it, where somebody wants that"),
    ("pipeline/vendor_tokens.rs", "a found secret is told from a vendor's token"),
    ("provider/aws.rs", "a token's user and key id are parts of a request"),
    ("provider/canarytokens.rs", "a vendor is asked about its own token, and told where its alerts go"),
    ("provider/gitguardian.rs", "it is sent as authorisation, and a token's id is part of an address"),
    ("provider/sigv4.rs", "a request is signed with it"),
    ("provider/thinkst.rs", "a vendor is asked about its own token, and shown the factory's key"),
    ("provider/wire.rs", "it is sent in a header"),
    ("reader/worker.rs", "a found secret is sent to the process that has the keys"),
    ("registry/auth.rs", "it is sent as authorisation"),
    ("registry/credential.rs", "it is sent as authorisation"),
    ("registry/token.rs", "it is sent as authorisation"),
    ("registry/veil.rs", "what a server repeats of it is covered"),
    ("scan/found.rs", "it is told by its fingerprint"),
    ("scan/redact.rs", "a sample is made that cannot be turned back"),
];

/// The file that listens, and the file that makes clients.
const LISTENER: (&str, &[&str]) = ("decoy/server.rs", &["TcpListener::bind", "UnixListener::bind", "UdpSocket::bind", "TcpSocket::new"]);
const CLIENTS: (&str, &[&str]) =
    ("net/client.rs", &["Client::builder", "ClientBuilder::new", "reqwest::Client::new", "TcpStream::connect", "UnixStream::connect"]);

/// One source file, as the rules look at it.
struct Source {
    /// Below `src`, with slashes.
    path: String,
    text: String,
    /// The text without comments, string contents and tests.
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: without_tests(&without_comments(text)) }
    }

    /// The first folder, or the file's own name at the top: `lib`, `main`.
    fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// `a/b/mod.rs` is `a::b`.
    fn module(&self) -> String {
        self.path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::")
    }

    /// Every path that begins with `crate::`, whether imported or written out.
    fn imports(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("crate::") {
            if !self.code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
                leaves(&self.code[at + "crate::".len()..], "", &mut found);
            }
        }
        found
    }
}

/// Collects the paths of a use tree, up to its end; gives how much of the text it was.
fn leaves(text: &str, before: &str, found: &mut Vec<String>) -> usize {
    let name = text.find(|character: char| !(character.is_alphanumeric() || matches!(character, '_' | ':' | '*'))).unwrap_or(text.len());
    let path = format!("{before}{}", &text[..name]);
    if !(text[name..].starts_with('{') && (path.is_empty() || path.ends_with("::"))) {
        found.push(path.trim_end_matches(':').to_owned());
        return name;
    }
    let mut at = name + 1;
    while at < text.len() && !text[at..].starts_with('}') {
        let skipped = text[at..].find(|character: char| !(character.is_whitespace() || character == ',')).unwrap_or(text.len() - at);
        at += skipped;
        if at < text.len() && !text[at..].starts_with('}') {
            let read = leaves(&text[at..], &path, found);
            let rest = text[at + read..].find([',', '}']).unwrap_or(text.len() - at - read);
            at += read + rest;
        }
    }
    at + 1
}

/// Blanks comments and the contents of strings and characters.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            code.push_str("\"\"");
            rest[open..].find(&end).map_or(rest.len(), |at| open + at + end.len())
        } else if character == '"' {
            code.push_str("\"\"");
            string_end(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'{'") || rest.starts_with("'}'") {
            3
        } else if let Some(escape) = rest.strip_prefix("'\\") {
            escape[1..].find('\'').map_or(rest.len(), |at| at + 4)
        } else {
            code.push(character);
            character.len_utf8()
        };
        rest = &rest[skip..];
    }
    code
}

/// The number of hashes of the raw string that begins here.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix('r')?;
    let count = hashes.len() - hashes.trim_start_matches('#').len();
    hashes[count..].starts_with('"').then_some(count)
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Removes each item that is compiled for tests only.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = match (item.find('{'), item.find(';')) {
            (Some(brace), semicolon) if semicolon.is_none_or(|semicolon| brace < semicolon) => brace + block(&item[brace..]),
            (_, Some(semicolon)) => semicolon + 1,
            _ => item.len(),
        };
        rest = &item[end..];
    }
    kept + rest
}

/// The length of the block that begins with this brace.
fn block(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// Whether code has these words, and not as the end of longer ones.
fn says(code: &str, words: &str) -> bool {
    code.match_indices(words).any(|(at, _)| !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Every breach of the rules, as `file: what`.
fn breaches(house: &[Source], exposing: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in house {
        let mut breach = |what: String| found.push(format!("{}: {what}", file.path));
        if !file.text.starts_with("//! ") {
            breach("does not begin with a line that says what it is".to_owned());
        }
        if file.code.contains("super::") {
            breach("imports by `super::`".to_owned());
        }
        match file.room() {
            "main" => {}
            "lib" => {
                for line in file.code.lines().map(str::trim).filter(|line| !line.is_empty()) {
                    if !(line.starts_with("pub mod ") || line.starts_with("mod ")) {
                        breach(format!("the map defines something: {line}"));
                    }
                }
            }
            room => match floor(room) {
                None => breach(format!("the room `{room}` is on no floor")),
                Some(own) => {
                    let rooms: BTreeSet<String> = file.imports().iter().map(|path| path.split("::").next().unwrap_or_default().to_owned()).collect();
                    for other in rooms.iter().filter(|other| *other != room && !DOORS.contains(&(room, other.as_str()))) {
                        if floor(other).is_none_or(|other| other >= own) {
                            breach(format!("`{room}` imports from `{other}`, which is not below it"));
                        }
                    }
                }
            },
        }
        if PURE.contains(&file.room()) && !IMPURE_FILES.contains(&file.path.as_str()) {
            for word in IMPURITIES.into_iter().filter(|word| file.code.contains(word)) {
                breach(format!("a pure room says `{}`", word.trim()));
            }
        }
        if file.code.contains(".expose()") && !exposing.contains(&file.path.as_str()) {
            breach("takes a value out of a secret and is not on the list".to_owned());
        }
        for (place, words) in [LISTENER, CLIENTS] {
            for word in words.iter().filter(|word| file.path != place && says(&file.code, word)) {
                breach(format!("says `{word}`, which is for {place}"));
            }
        }
    }
    found.extend(
        exposing
            .iter()
            .filter(|path| !house.iter().any(|file| file.path == **path && file.code.contains(".expose()")))
            .map(|path| format!("{path}: is on the list of those that take values out of secrets, and takes none")),
    );
    found.extend(circles(house));
    found
}

/// Each loop of files that import one another, told once, from its first file and back by the shortest way.
fn circles(house: &[Source]) -> Vec<String> {
    let modules: BTreeSet<String> = house.iter().map(Source::module).collect();
    let module_of = |path: &str| {
        let ends: Vec<usize> = path.match_indices("::").map(|(at, _)| at).chain([path.len()]).collect();
        ends.into_iter().rev().map(|end| path[..end].to_owned()).find(|prefix| modules.contains(prefix))
    };
    let edges: BTreeMap<String, BTreeSet<String>> = house
        .iter()
        .map(|file| {
            let own = file.module();
            let targets = file.imports().iter().filter_map(|path| module_of(path)).filter(|target| *target != own).collect();
            (own, targets)
        })
        .collect();
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for first in edges.keys() {
        if !told.contains(first)
            && let Some(circle) = shortest_circle(first, &edges)
        {
            found.push(format!("{}: a circle of imports", circle.join(" > ")));
            told.extend(circle);
        }
    }
    found
}

/// The shortest way from a module back to itself.
fn shortest_circle(first: &str, edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([first]);
    while let Some(module) = queue.pop_front() {
        for next in &edges[module] {
            if next == first {
                let mut way = vec![first.to_owned(), module.to_owned()];
                let mut at = module;
                while at != first {
                    at = came_from[at];
                    way.push(at.to_owned());
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next.as_str()) {
                came_from.insert(next, module);
                queue.push_back(next);
            }
        }
    }
    None
}

/// The files that are compiled for tests only: their parent declares them so.
fn test_files(house: &[Source]) -> BTreeSet<String> {
    let declared = |file: &Source| -> Vec<String> {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        let folder = file.path.strip_suffix("mod.rs").or_else(|| file.path.strip_suffix("lib.rs")).map(str::to_owned);
        let folder = folder.unwrap_or_else(|| format!("{}/", file.path.trim_end_matches(".rs")));
        let names = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").filter_map(|pair| pair[1].strip_suffix(';')?.rsplit_once("mod "));
        names.map(|(_, name)| format!("{folder}{name}.rs")).collect()
    };
    house.iter().flat_map(declared).collect()
}

fn read(folder: &Path, below: &str, house: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("src is readable") {
        let entry = entry.expect("src is readable");
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{path}/"), house);
        } else if path.ends_with(".rs") {
            house.push(Source::new(&path, &std::fs::read_to_string(entry.path()).expect("a source file is text")));
        }
    }
}

#[test]
fn the_house_keeps_its_rules() {
    let mut house = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut house);
    let for_tests = test_files(&house);
    house.retain(|file| !for_tests.contains(&file.path));
    let found = breaches(&house, &EXPOSING.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    assert!(found.is_empty(), "{} breaches:\n{}", found.len(), found.join("\n"));
}

#[test]
fn each_planted_fault_is_caught() {
    let fault = |path: &str, code: &str, complaint: &str| {
        let files = [Source::new("oci/digest.rs", "//! Digests.\n"), Source::new(path, code)];
        let found = breaches(&files, &[]);
        assert!(found.len() == 1 && found[0].starts_with(path) && found[0].contains(complaint), "{path}: {found:?}");
    };
    fault("oci/tag.rs", "pub struct Tag;\n", "does not begin");
    fault("oci/tag.rs", "//! Tags.\nuse crate::image::entry::Entry;\n", "`oci` imports from `image`");
    fault("scan/rule.rs", "//! Rules.\nuse crate::{oci::digest::Digest, registry::client::Client};\n", "`scan` imports from `registry`");
    fault("bait/kind.rs", "//! Kinds.\nfn f() { crate::cli::run() }\n", "`bait` imports from `cli`");
    fault("attic/box.rs", "//! Boxes.\n", "on no floor");
    fault("scan/rule.rs", "//! Rules.\nuse super::finding::Finding;\n", "super::");
    fault("ledger/core.rs", "//! Records.\npub async fn append() {}\n", "a pure room says `async`");
    fault("report/terminal.rs", "//! Text.\nfn f(s: &S) -> &str { s.value.expose() }\n", "takes a value out");
    fault("alert/hook.rs", "//! Hooks.\nfn f() { reqwest::Client::new(); }\n", "net/client.rs");
    fault("net/peer.rs", "//! Peers.\nfn f() { TcpListener::bind(1); }\n", "decoy/server.rs");
    fault("lib.rs", "//! The map.\npub mod oci;\npub use oci::digest;\n", "the map defines something");

    let circle = [Source::new("scan/a.rs", "//! A.\nuse crate::scan::b::{B, C};\n"), Source::new("scan/b.rs", "//! B.\nuse crate::scan::a::A;\n")];
    assert_eq!(breaches(&circle, &[]), ["scan::a > scan::b > scan::a: a circle of imports"]);
    assert_eq!(breaches(&[], &["net/auth.rs"]).len(), 1, "a name on the list that takes nothing");
}

#[test]
fn files_for_tests_are_known_by_their_parent() {
    let house = [
        Source::new("registry/mod.rs", "//! R.\npub mod client;\n#[cfg(test)]\nmod scripted;\n"),
        Source::new("net/client.rs", "//! C.\n#[cfg(test)]\npub(crate) mod peer;\n#[cfg(test)]\nmod tests {\n}\n"),
    ];
    assert_eq!(test_files(&house), BTreeSet::from(["registry/scripted.rs".to_owned(), "net/client/peer.rs".to_owned()]));
}

#[test]
fn what_is_allowed_is_left_alone() {
    let text = r##"//! Tables. See [`crate::cli`].
use crate::oci::{digest::Digest, reference::{self, Reference}};

// crate::cli is only talked about.
fn client() -> HttpClient { HttpClient::new() }
const TEXT: &str = "crate::cli .expose() async \" TcpListener::bind";
const RAW: &str = r#"crate::cli " "#;
const QUOTE: [char; 2] = ['"', '\''];

#[cfg(test)]
mod tests {
    use super::*;
    fn f() { std::env::temp_dir(); crate::cli::run('}'); }
}
"##;
    assert_eq!(breaches(&[Source::new("scan/table.rs", text), Source::new("oci/digest.rs", "//! Digests.\n")], &[]), [""; 0]);
}

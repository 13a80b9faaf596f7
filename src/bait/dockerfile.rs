//! The recipe without an image: an `ENV` instruction in a Dockerfile's final stage.

use crate::bait::danger::{Refusal, refuse_base, refuse_name};
use crate::bait::error::BaitError;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::kinds;
use crate::bait::kinds::contract::Fields;
use crate::bait::seed::Seed;
use crate::bait::surfaces::Surface;

/// The text with the token's variables set, after the final stage's opening instructions. A text that has them already is given back
/// as it is. `name` is the owner's choice of the first variable.
///
/// # Errors
/// When there is no FROM, the token has no variables, or every name is refused.
pub fn plant_dockerfile(text: &str, token: &Honeytoken, seed: &Seed, name: Option<&str>) -> Result<String, BaitError> {
    let instructions = instructions(text);
    let from = instructions.iter().rposition(|found| found.word == "FROM");
    let from = from.ok_or_else(|| BaitError::Dockerfile { line: 1, why: "there is no FROM instruction".to_owned() })?;
    let claims = &token.claims;
    let kind = kinds::find(&claims.kind).ok_or_else(|| BaitError::UnknownKind { kind: claims.kind.clone() })?;
    if !kind.surfaces().contains(&Surface::Env) {
        return Err(BaitError::KindOnSurface { kind: claims.kind.clone(), surface: Surface::Env });
    }
    let refused = |refusal: Refusal| BaitError::Refused { surface: Surface::Env, refusal };
    let base = base(&instructions, from);
    if let Some(refusal) = refuse_base(base) {
        return Err(refused(refusal));
    }

    let variables = kind.variables(&Fields::of(token));
    let ending = variables.first().map_or("", |(ending, _)| ending);
    let stems: Vec<String> = match name {
        Some(name) => vec![name.strip_suffix(ending).unwrap_or(name).to_owned()],
        None => seed.turn("stem", kind.variable_stems()).into_iter().map(ToOwned::to_owned).collect(),
    };
    let named = |stem: &String| -> Vec<(String, String)> {
        let mut lines: Vec<_> = variables.iter().map(|(ending, value)| (format!("{stem}{ending}"), value.clone())).collect();
        if let (Some(name), Some(first)) = (name, lines.first_mut()) {
            first.0 = name.to_owned();
        }
        lines
    };
    let existing: Vec<&str> = instructions.iter().filter(|found| found.word == "ENV" || found.word == "ARG").flat_map(|found| names(found)).collect();
    let mut first = None;
    for lines in stems.iter().map(named) {
        let lines_of_text: Vec<String> = lines.iter().map(|(name, value)| format!("ENV {name}={value}")).collect();
        if lines_of_text.iter().all(|line| instructions[from..].iter().any(|found| found.text == *line)) {
            return Ok(text.to_owned());
        }
        match lines.iter().find_map(|(name, _)| refuse_name(name, existing.iter().copied())) {
            Some(refusal) => first = first.or(Some(refusal)),
            None => return Ok(insert(text, after_opening(&instructions, from), &lines_of_text)),
        }
    }
    Err(refused(first.unwrap_or(Refusal::Malformed { text: String::new(), wanted: "a variable for this bait kind" })))
}

/// One instruction with its continuation lines.
#[derive(Debug)]
struct Instruction<'a> {
    /// In capitals.
    word: String,
    /// All of it, without the line's end; here-documents left out.
    text: &'a str,
    /// Where the next line begins, here-documents included.
    end: usize,
}

/// The instructions of a Dockerfile. Comments and empty lines between them are nobody's.
fn instructions(text: &str) -> Vec<Instruction<'_>> {
    let escape = escape(text);
    let lines: Vec<(usize, &str)> = text.split_inclusive('\n').scan(0, |at, line| Some((std::mem::replace(at, *at + line.len()), line))).collect();
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(&(start, line)) = lines.get(next) {
        next += 1;
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let mut last = (start, line);
        while continues(last.1, escape) {
            let Some(&line) = lines.get(next) else { break };
            next += 1;
            last = line;
        }
        let whole = text[start..last.0 + last.1.len()].trim_end();
        for mark in here_documents(whole) {
            while let Some(&(start, line)) = lines.get(next) {
                next += 1;
                last = (start, line);
                if line.trim_end() == mark || line.trim() == mark {
                    break;
                }
            }
        }
        let word = whole.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        found.push(Instruction { word, text: whole.trim_start(), end: last.0 + last.1.len() });
    }
    found
}

/// The escape character: a backslash, unless a directive in the leading comments says otherwise.
fn escape(text: &str) -> char {
    let directives = text.lines().take_while(|line| line.trim_start().starts_with('#') && line.contains('='));
    let value = |line: &str| {
        let (name, value) = line.trim_start().trim_start_matches('#').split_once('=')?;
        (name.trim().eq_ignore_ascii_case("escape")).then(|| value.trim().chars().next())?
    };
    directives.filter_map(value).next().unwrap_or('\\')
}

/// A comment or an empty line within an instruction does not end it.
fn continues(line: &str, escape: char) -> bool {
    let line = line.trim();
    line.ends_with(escape) || line.starts_with('#') || line.is_empty()
}

/// The marks that end the here-documents of a RUN, COPY or ADD.
fn here_documents(instruction: &str) -> Vec<&str> {
    let word = instruction.split_whitespace().next().unwrap_or_default();
    if !["RUN", "COPY", "ADD"].iter().any(|known| word.eq_ignore_ascii_case(known)) {
        return Vec::new();
    }
    let mark = |(at, _): (usize, &str)| {
        let rest = instruction[at + 2..].trim_start_matches('-').trim_start_matches(['"', '\'']);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        (end > 0 && !instruction[..at].ends_with('<') && !rest.starts_with(|c: char| c.is_ascii_digit())).then(|| &rest[..end])
    };
    instruction.match_indices("<<").filter_map(mark).collect()
}

/// The name of the image that the final stage begins with, followed through earlier stages.
fn base<'a>(instructions: &'a [Instruction<'_>], from: usize) -> &'a str {
    let image = |at: usize| instructions[at].text.split_whitespace().skip(1).find(|word| !word.starts_with("--")).unwrap_or_default();
    let alias = |found: &Instruction<'_>| {
        let words: Vec<&str> = found.text.split_whitespace().collect();
        words.iter().position(|word| word.eq_ignore_ascii_case("as")).and_then(|at| words.get(at + 1)).map(|alias| alias.to_ascii_lowercase())
    };
    let mut at = from;
    while let Some(earlier) = (0..at).rev().find(|earlier| {
        instructions[*earlier].word == "FROM" && alias(&instructions[*earlier]).is_some_and(|alias| alias == image(at).to_ascii_lowercase())
    }) {
        at = earlier;
    }
    image(at)
}

/// The names that an ENV or ARG instruction sets.
fn names<'a>(instruction: &Instruction<'a>) -> Vec<&'a str> {
    let rest = instruction.text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim_start();
    if !rest.contains('=') || instruction.word == "ARG" && !rest.contains(char::is_whitespace) {
        return rest.split([' ', '\t', '=']).next().into_iter().collect();
    }
    // Quoted values may hold `a=b` as well; a name too many is refused, none too few.
    rest.split_whitespace().filter_map(|word| word.split_once('=')).map(|(name, _)| name.trim_matches(['"', '\''])).collect()
}

/// Where the final stage's opening (ARG, LABEL, ENV, WORKDIR right after FROM) ends.
fn after_opening(instructions: &[Instruction<'_>], from: usize) -> usize {
    let opening = instructions[from + 1..].iter().take_while(|found| ["ARG", "LABEL", "ENV", "WORKDIR"].contains(&found.word.as_str()));
    opening.last().unwrap_or(&instructions[from]).end
}

fn insert(text: &str, at: usize, lines: &[String]) -> String {
    let (before, after) = text.split_at(at);
    let ending = if before.contains("\r\n") || before.is_empty() && after.contains("\r\n") { "\r\n" } else { "\n" };
    let gap = if before.ends_with('\n') { "" } else { ending };
    format!("{before}{gap}{}{ending}{after}", lines.join(ending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::claims::Claims;
    use crate::bait::kinds::contract::Recipe;
    use crate::secret::key_ring::KeyRing;

    fn plant_kind(kind: &str, text: &str, name: Option<&str>) -> Result<String, BaitError> {
        let ring = KeyRing::new([6; 32]);
        let claims = Claims {
            service: "shop".to_owned(),
            environment: "prod".to_owned(),
            surface: Surface::Env,
            kind: kind.to_owned(),
            epoch: 1,
            edition: String::new(),
        };
        let host = "decoy.example.org".parse().expect("a host");
        let kind = kinds::find(kind).and_then(|kind| kind.self_telling()).expect("kind");
        let seed = Seed::of(ring.newest(), &claims);
        let token = kind.token(&Recipe::new(ring.newest(), &claims, &host, 1_780_000_000));
        plant_dockerfile(text, &token, &seed, name)
    }

    fn plant(text: &str) -> String {
        plant_kind("database-url", text, None).expect("plants")
    }

    /// The line numbers, from 0, at which the planted text differs by insertion.
    fn inserted(text: &str) -> Vec<usize> {
        let planted = plant(text);
        let old: Vec<&str> = text.lines().collect();
        let new: Vec<&str> = planted.lines().collect();
        let at: Vec<usize> = (0..new.len()).filter(|at| new[*at].starts_with("ENV ") && new[*at].contains("postgresql://")).collect();
        let rest: Vec<&str> = new.iter().enumerate().filter(|(number, _)| !at.contains(number)).map(|(_, line)| *line).collect();
        assert_eq!(rest, old);
        at
    }

    #[test]
    fn the_variable_goes_into_the_final_stage_after_its_opening() {
        assert_eq!(inserted("FROM golang AS build\nRUN make\nFROM alpine\nWORKDIR /app\nENV A=1\nCOPY . .\nCMD x\n"), [5]);
        assert_eq!(inserted("FROM alpine"), [1]);
        assert_eq!(inserted("from alpine\ncopy . .\n"), [1]);
    }

    #[test]
    fn continuations_comments_and_here_documents_are_no_instructions() {
        assert_eq!(inserted("FROM alpine\nENV A=1 \\\n # note\n    B=2\nRUN x\n"), [4]);
        assert_eq!(inserted("FROM alpine\nRUN <<EOF\nFROM nothing\nEOF\n"), [1]);
        assert_eq!(inserted("# escape=`\nFROM alpine\nENV P=C:\\\nRUN x `\n  FROM y\n"), [3]);
        assert_eq!(inserted("# FROM a\nFROM alpine\n# FROM b\n"), [2]);
    }

    #[test]
    fn line_ends_are_kept() {
        let planted = plant("FROM alpine\r\nCOPY . .\r\n");
        assert_eq!(planted.matches('\n').count(), planted.matches("\r\n").count());
        assert_eq!(planted.lines().count(), 3);
    }

    #[test]
    fn planting_twice_is_planting_once() {
        for kind in ["database-url", "s3-keys"] {
            let once = plant_kind(kind, "FROM alpine\nCMD x\n", None).expect("plants");
            assert_ne!(once, "FROM alpine\nCMD x\n");
            assert_eq!(plant_kind(kind, &once, None).expect("plants"), once);
        }
    }

    #[test]
    fn names_that_exist_or_are_read_are_refused() {
        // Names that are set in every form.
        let names = kinds::find("database-url").expect("kind").variable_stems().iter().enumerate();
        let set = |(number, stem): (usize, &&str)| match number % 3 {
            0 => format!("ENV A{number}=1 \\\n  {stem}_URL=2\n"),
            1 => format!("ARG {stem}_URL\n"),
            _ => format!("ENV {stem}_URL x\n"),
        };
        let taken = "FROM alpine\n".to_owned() + &names.map(set).collect::<String>();
        assert!(matches!(plant_kind("database-url", &taken, None), Err(BaitError::Refused { refusal: Refusal::ExistingKey { .. }, .. })));
        let read = plant_kind("database-url", "FROM alpine\n", Some("DATABASE_URL"));
        assert!(matches!(read, Err(BaitError::Refused { refusal: Refusal::AutoReadName { .. }, .. })));
        assert!(plant_kind("database-url", "FROM alpine\n", Some("MY_STORE")).expect("plants").contains("\nENV MY_STORE=postgresql://"));
    }

    #[test]
    fn a_database_base_or_no_base_is_refused() {
        for text in ["FROM --platform=linux/amd64 docker.io/library/postgres:17\n", "FROM mysql AS db\nFROM db\n"] {
            assert!(
                matches!(plant_kind("database-url", text, None), Err(BaitError::Refused { refusal: Refusal::DatabaseImage { .. }, .. })),
                "{text}"
            );
        }
        assert!(matches!(plant_kind("database-url", "RUN x\n", None), Err(BaitError::Dockerfile { .. })));
        assert!(matches!(plant_kind("kubeconfig", "FROM alpine\n", None), Err(BaitError::KindOnSurface { .. })));
    }
}

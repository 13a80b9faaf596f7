//! Text from an image, made harmless for the place where it is printed.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use serde::Serialize;

/// The longest name of something in an image that is printed, in characters.
const MAX_NAME: usize = 240;

/// The longest sentence that is printed, in characters.
const MAX_PROSE: usize = 2_000;

/// A name on one line, without anything that a terminal would obey or that would change the order of letters.
#[must_use]
pub fn line(text: &str) -> String {
    one_line(text, MAX_NAME)
}

/// The same for sentences, which may be longer.
#[must_use]
pub fn prose(text: &str) -> String {
    one_line(text, MAX_PROSE)
}

/// Markdown that shows `text` as it is, in a table too: no markup, link, mention or HTML comes of it.
#[must_use]
pub fn markdown(text: &str) -> String {
    let text = prose(text);
    let mut safe = String::with_capacity(text.len() * 2);
    for letter in text.chars() {
        if letter.is_ascii_punctuation() && !matches!(letter, '.' | ',' | '-' | '/' | '%' | '=' | ';' | '?') {
            _ = write!(safe, "&#{};", u32::from(letter));
        } else if letter == '.' && safe.to_ascii_lowercase().ends_with("www") {
            // Forges make links of what begins with `www.`
            safe.push_str("&#46;");
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// The same in fixed width; forges look for no mentions there.
#[must_use]
pub fn markdown_code(text: &str) -> String {
    format!("<code>{}</code>", markdown(&line(text)))
}

/// Text and attribute values of XML and HTML.
#[must_use]
pub fn xml(text: &str) -> String {
    let text = prose(text);
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

/// A SARIF message, in which brackets would make links.
#[must_use]
pub fn sarif(text: &str) -> String {
    prose(text).replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]")
}

/// A link target for Markdown; `None` unless it is a plain web address.
#[must_use]
pub fn web_address(text: &str) -> Option<&str> {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#=&%+".contains(&b);
    (text.starts_with("https://") || text.starts_with("http://")).then_some(text).filter(|text| text.bytes().all(harmless) && text.len() < 2000)
}

/// Writes a JSON document that a terminal and the log of a job can show: everything that they would obey stands as an escape, which a reader
/// of JSON turns back.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_json(document: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut safe = BufWriter::with_capacity(BLOCK, SafeJson { out, hashes: 0, rest: Vec::new() });
    serde_json::to_writer_pretty(&mut safe, document)?;
    safe.write_all(b"\n")?;
    safe.flush()
}

/// Bytes of a document that are made harmless at a time.
const BLOCK: usize = 64 << 10;

/// Passes a JSON document on, made harmless.
struct SafeJson<'w> {
    out: &'w mut dyn Write,
    /// How many `#` the text has ended with so far; two at most are counted.
    hashes: usize,
    /// The beginning of a letter whose end is to come.
    rest: Vec<u8>,
}

impl Write for SafeJson<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.utf8_chunks().next().map(|chunk| chunk.valid().to_owned()).unwrap_or_default();
        self.rest.drain(..whole.len());
        let safe = safe_json(&whole, &mut self.hashes);
        self.out.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Outside of strings JSON has nothing of this kind, so the text can be gone through as it is.
fn safe_json(document: &str, hashes: &mut usize) -> String {
    let mut safe = String::with_capacity(document.len());
    for letter in document.chars() {
        let seen = std::mem::replace(hashes, if letter == '#' { (*hashes + 1).min(2) } else { 0 });
        match letter {
            '[' if seen == 2 => safe.push_str("\\u005b"),
            '\n' => safe.push(letter),
            letter if is_invisible(letter) => {
                let mut units = [0; 2];
                letter.encode_utf16(&mut units).iter().for_each(|unit| _ = write!(safe, "\\u{unit:04x}"));
            }
            letter => safe.push(letter),
        }
    }
    safe
}

fn one_line(text: &str, most: usize) -> String {
    let mut safe = String::with_capacity(text.len().min(most));
    for (at, letter) in text.chars().enumerate() {
        if at == most {
            safe.push('…');
            break;
        }
        match letter {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            // Wherever it stands in a line, this begins a command to GitHub's runner (actions/runner, ActionCommand.cs).
            '[' if safe.ends_with("##") => safe.push_str("\\u{5b}"),
            // And this does at the beginning of one, which may come of a blank when lines are broken.
            ':' if safe.strip_suffix(':').is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace)) => {
                safe.pop();
                safe.push_str("\\u{3a}:");
            }
            letter if is_invisible(letter) => _ = write!(safe, "\\u{{{:x}}}", u32::from(letter)),
            letter => safe.push(letter),
        }
    }
    safe
}

/// Control characters, marks that turn the direction of writing, characters without width, and those that XML cannot hold.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_given_no_commands() {
        assert_eq!(line("a\u{1b}[31mb\n\u{202e}c\u{9b}d"), "a\\u{1b}[31mb\\n\\u{202e}c\\u{9b}d");
        assert_eq!(line(&"x".repeat(1000)).chars().count(), 241);
    }

    #[test]
    fn a_runner_is_given_no_commands() {
        assert_eq!(line("x ##[error]y"), "x ##\\u{5b}error]y");
        assert_eq!(line("::error::x  ::set-output ::::y a::b ::1"), "\\u{3a}:error::x  \\u{3a}:set-output \\u{3a}:::y a::b \\u{3a}:1");
        let document = serde_json::json!({ "name": "\u{202e}a\u{9b}b\u{e0001}##[add-mask]c", "list": [1] });
        let mut text = Vec::new();
        write_json(&document, &mut text).expect("memory can be written");
        let text = String::from_utf8(text).expect("UTF-8");
        // In pieces of any size it is the same.
        let mut pieces = Vec::new();
        let mut safe = SafeJson { out: &mut pieces, hashes: 0, rest: Vec::new() };
        for byte in format!("{}\n", serde_json::to_string_pretty(&document).expect("serialises")).bytes() {
            safe.write_all(&[byte]).expect("memory can be written");
        }
        assert_eq!(text.as_bytes(), pieces);
        assert!(text.is_ascii() && !text.contains("##["), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("still JSON"), document);
    }

    #[test]
    fn no_markup_comes_of_a_file_name() {
        assert_eq!(
            markdown("a|b`c`<img src=x>[l](http://x)@team #1 www.x.y"),
            "a&#124;b&#96;c&#96;&#60;img src=x&#62;&#91;l&#93;&#40;http&#58;//x&#41;&#64;team &#35;1 www&#46;x.y"
        );
    }

    #[test]
    fn no_tag_attribute_or_section_ends_by_a_value() {
        assert_eq!(xml("<a b='c' d=\"e\">]]>&\u{0}\u{ffff}"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;]]&gt;&amp;\\u{0}\\u{ffff}");
    }

    #[test]
    fn only_plain_web_addresses_become_links() {
        assert!(web_address("https://github.com/a/b/actions/runs/1").is_some());
        for text in ["javascript:x", "https://x/) <b>", "https://x/\n"] {
            assert_eq!(web_address(text), None, "{text}");
        }
    }
}

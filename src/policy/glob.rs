//! Path patterns: `*` within a component, `**` over components, `?` for one character.

/// Whether `path` matches `pattern` as a whole. A pattern without `/` matches the last component alone.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    let path = path.trim_start_matches('/');
    if !pattern.contains('/') {
        let name = path.rsplit('/').next().unwrap_or_default();
        return component(pattern.as_bytes(), name.as_bytes());
    }
    let pattern: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    // `reached[i]`: the first i components of the path are matched by the patterns so far.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for part in pattern {
        let mut next = vec![false; path.len() + 1];
        for end in 0..=path.len() {
            next[end] = if part == "**" {
                reached[..=end].contains(&true)
            } else {
                end > 0 && reached[end - 1] && component(part.as_bytes(), path[end - 1].as_bytes())
            };
        }
        reached = next;
    }
    reached[path.len()]
}

/// One component against one pattern; takes time in proportion to the product of their lengths at most.
fn component(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    // Where the last star stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while next < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, next));
            at += 1;
        } else if pattern.get(at).is_some_and(|byte| *byte == b'?' || *byte == text[next]) {
            at += 1;
            next += 1;
        } else if let Some((place, taken)) = star {
            star = Some((place, taken + 1));
            at = place + 1;
            next = taken + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, path, expected) in [
            ("app/config.yaml", "app/config.yaml", true),
            ("/app/config.yaml", "app/config.yaml", true),
            ("app/*.yaml", "app/config.yaml", true),
            ("app/*.yaml", "app/a/config.yaml", false),
            ("app/**", "app/a/b/c", true),
            ("app/**", "application/a", false),
            ("**/test/**", "usr/lib/test/key.pem", true),
            ("**/test/**", "test/key.pem", true),
            ("a/**/b", "a/b", true),
            ("*.pem", "usr/lib/key.pem", true),
            ("key.?em", "key.pem", true),
            ("app", "app/config.yaml", false),
            ("**", "anything/at/all", true),
            ("*a*a*a*b", &"a".repeat(200), false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}

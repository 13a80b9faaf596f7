//! `demo`: the whole loop, for somebody who has just got the program and nothing else.

use std::time::{Duration, Instant};

use crate::common::honeycrate::Honeycrate;

#[test]
fn the_demo_shows_the_whole_loop_in_under_a_minute_and_leaves_nothing_behind() {
    let honeycrate = Honeycrate::stranger();
    let began = Instant::now();
    let ran = honeycrate.run(&["demo"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    for word in ["file", "env", "buried", "history"] {
        assert!(ran.out().contains(word), "`{word}` is not in:\n{}", ran.out());
    }
    let left: Vec<_> = std::fs::read_dir(honeycrate.home()).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    assert_eq!(left, [""; 0].map(std::path::PathBuf::from), "the demo left files in the home");
}

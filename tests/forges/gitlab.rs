//! GitLab, with the rights of its tokens.

use futures_util::future::join_all;
use honeycrate::forge::ci::Visibility;
use honeycrate::forge::contract::{Absent, Annotated, Forge as _};
use honeycrate::forge::error::ForgeError;
use honeycrate::forge::gitlab::TokenKind;

use super::github::{analysis, check};
use super::{MARKER, gitlab};
use crate::common::forge::{Answer, CHANGE, Fault, GitLabForge, head};

fn body(text: &str) -> String {
    format!("{MARKER}\n{text}")
}

async fn say(forge: &GitLabForge, text: &str) -> honeycrate::forge::contract::Noted {
    gitlab(forge, TokenKind::Access).0.annotate(CHANGE, MARKER, &body(text), Absent::Write).await.expect("told")
}

#[tokio::test]
async fn one_note_is_found_again_behind_many_others() {
    let forge = GitLabForge::start();
    forge.put_note(8, &body("passed, says mallory"));
    assert_eq!(say(&forge, "denied").await.what, Annotated::Created);
    for _ in 0..230 {
        forge.put_note(9, "hello");
    }
    assert_eq!(say(&forge, "denied").await.what, Annotated::Unchanged);
    let edited = say(&forge, "passed").await;
    assert_eq!(edited.what, Annotated::Edited);
    assert_eq!(edited.address, Some(format!("{}/acme/shop/-/merge_requests/7#note_2", forge.server_url())));
    let notes = forge.notes();
    assert_eq!((notes.len(), notes[0].as_str(), notes[1].as_str()), (232, &*body("passed, says mallory"), &*body("passed")));
}

#[tokio::test]
async fn jobs_that_write_at_once_lose_and_double_nothing() {
    let forge = GitLabForge::start();
    let marker = |leg: usize| format!("<!-- honeycrate:shop:{leg} -->");
    let legs = (0..50).map(async |leg| {
        // Every second leg has a twin with the same marker.
        let (gitlab, _) = gitlab(&forge, TokenKind::Access);
        gitlab.annotate(CHANGE, &marker(leg / 2), &format!("{} denied", marker(leg / 2)), Absent::Write).await.expect("told")
    });
    join_all(legs).await;
    let mut notes = forge.notes();
    notes.sort();
    let mut expected: Vec<String> = (0..25).map(|leg| format!("{} denied", marker(leg))).collect();
    expected.sort();
    assert_eq!(notes, expected);
}

#[tokio::test]
async fn a_note_that_may_not_be_edited_is_followed_by_a_newer_one() {
    let forge = GitLabForge::start();
    assert_eq!(say(&forge, "denied").await.what, Annotated::Created);
    forge.refuse_edits();
    assert_eq!(say(&forge, "passed").await.what, Annotated::Created);
    assert_eq!(forge.notes(), [body("denied"), body("passed")], "the old one could not be deleted either");
    assert_eq!(say(&forge, "passed").await.what, Annotated::Unchanged, "and no third one says the same");

    let forge = GitLabForge::start();
    say(&forge, "denied").await;
    let answer = Some(Answer::says(403, "403 Forbidden"));
    forge.fail(Fault { method: "PUT", target: "/notes/", times: 1, answer, carried_out: false });
    assert_eq!(say(&forge, "passed").await.what, Annotated::Created);
    assert_eq!(forge.notes(), [body("passed")], "the old one is deleted");
}

#[tokio::test]
async fn a_note_whose_answer_was_lost_is_not_written_twice() {
    let forge = GitLabForge::start();
    forge.fail(Fault { method: "POST", target: "/notes", times: 1, answer: None, carried_out: true });
    assert_eq!(say(&forge, "denied").await.what, Annotated::Created);
    assert_eq!(forge.notes(), [body("denied")]);
}

#[tokio::test]
async fn a_job_token_reads_and_does_not_write() {
    let forge = GitLabForge::start();
    forge.put_file(&head(), "ci/.honeycrate.yaml", b"fail-on: high");
    let (job, _) = gitlab(&forge, TokenKind::Job);
    assert_eq!(job.change_of(&head()).await.expect("told"), Some(CHANGE));
    assert_eq!(job.file_at(&head(), "ci/.honeycrate.yaml", 100).await.expect("told").as_deref(), Some(b"fail-on: high".as_slice()));
    let asked = forge.asked().len();
    let error = job.annotate(CHANGE, MARKER, &body("denied"), Absent::Write).await.expect_err("not with this token");
    assert!(error.hint().is_some_and(|hint| hint.contains("project access token")), "{error}");
    assert_eq!(forge.asked().len(), asked, "it is not even tried");
    let error = job.visibility().await.expect_err("not with this token");
    assert_eq!(error.to_string(), "GitLab refused to say who may read the project (HTTP 401: 401 Unauthorized)");
    assert!(forge.asked().iter().all(|asked| asked.header("private-token").is_none()));
}

#[tokio::test]
async fn a_project_tells_its_readers_changes_and_files() {
    let forge = GitLabForge::start();
    let (gitlab, _) = gitlab(&forge, TokenKind::Access);
    for (set, visibility) in [("public", Visibility::Public), ("internal", Visibility::Internal), ("new", Visibility::Unknown)] {
        forge.set_visibility(set);
        assert_eq!(gitlab.visibility().await.expect("told"), visibility);
    }
    let [merged, two, nobody] = ["a", "b", "c"].map(|digit| digit.repeat(40));
    forge.put_change(&merged, 3, "merged", &merged);
    forge.put_change(&two, 8, "opened", &two);
    forge.put_change(&two, 9, "opened", &two);
    for (commit, expected) in [(head(), Some(CHANGE)), (merged, None), (two, None)] {
        assert_eq!(gitlab.change_of(&commit).await.expect("told"), expected, "{commit}");
    }
    assert!(matches!(gitlab.change_of(&nobody).await, Err(ForgeError::Denied { status: 404, .. })));
    forge.put_file(&head(), "a b/ü.yaml", b"x");
    assert_eq!(gitlab.file_at(&head(), "a b/ü.yaml", 1).await.expect("told").as_deref(), Some(b"x".as_slice()));
    assert!(matches!(gitlab.file_at(&head(), "a b/ü.yaml", 0).await, Err(ForgeError::TooLarge { .. })));
    assert_eq!(gitlab.file_at(&head(), "nowhere", 1).await.expect("told"), None);
    assert!(
        matches!(gitlab.file_at(&nobody, "nowhere", 1).await, Err(ForgeError::Denied { status: 404, .. })),
        "an unknown commit has no known files"
    );
    assert!(gitlab.file_at(&head(), "..", 1).await.is_err());
    assert_eq!(gitlab.folder_at(&head(), "a b", 1).await.expect("told"), Some(vec!["a b/ü.yaml".to_owned()]));
    assert_eq!(gitlab.folder_at(&head(), "nowhere", 1).await.expect("told"), None);
    forge.put_file(&head(), "a b/c/two.yaml", b"x");
    assert!(gitlab.folder_at(&head(), "a b", 1).await.expect_err("two").to_string().contains("too much"));
    assert!(matches!(gitlab.check(&check(1)).await, Err(ForgeError::Unsupported { .. })));
    assert!(matches!(gitlab.upload_sarif(&analysis()).await, Err(ForgeError::Unsupported { .. })));
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_a_line() {
    for (answer, expected) in [
        (Answer::says(429, "Retry later").with("retry-after", "120"), "too many requests (HTTP 429, to be repeated in 120 s)"),
        (Answer::of(502, "text/html", "<html>GitLab is not responding</html>"), "HTTP 502: a page for people"),
        (Answer::of(200, "text/html", "<html>Sign in</html>"), "a proxy or a sign-in page"),
        (
            Answer::says(301, "Moved").with("location", "https://elsewhere.example/"),
            "it sends us to elsewhere.example, where our token does not belong",
        ),
        (Answer::of(200, "application/json", "{\"a\":"), "no JSON document"),
        (Answer::of(200, "application/json", "[1]"), "invalid type"),
    ] {
        let forge = GitLabForge::start();
        forge.fail(Fault { method: "GET", target: "/notes", times: 9, answer: Some(answer), carried_out: false });
        let (gitlab, clock) = gitlab(&forge, TokenKind::Access);
        let error = gitlab.annotate(CHANGE, MARKER, &body("denied"), Absent::Write).await.expect_err("told");
        assert!(error.to_string().to_ascii_lowercase().contains(&expected.to_ascii_lowercase()), "{error}");
        assert!(clock.waits().len() <= 2 && forge.notes().is_empty());
        assert!(!format!("{error:?} {gitlab:?}").contains(crate::common::forge::ACCESS_TOKEN));
    }
    let forge = GitLabForge::start();
    let long = body(&"x".repeat(1_000_000));
    let error = gitlab(&forge, TokenKind::Access).0.annotate(CHANGE, MARKER, &long, Absent::Write).await.expect_err("too long");
    assert!(matches!(error, ForgeError::TooLong { .. }), "{error}");
}

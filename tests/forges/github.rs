//! GitHub, with what goes wrong there.

use futures_util::future::join_all;
use honeycrate::forge::ci::Visibility;
use honeycrate::forge::contract::{Absent, Analysis, Annotated, Check, Conclusion, Forge as _, Level, Remark};
use honeycrate::forge::error::ForgeError;
use serde_json::json;

use super::{MARKER, github, github_as};
use crate::common::forge::{Answer, Asked, CHANGE, Fault, Forge, Rights, TOKEN, head};

fn body(text: &str) -> String {
    format!("{MARKER}\n{text}")
}

#[tokio::test]
async fn one_comment_is_found_again_behind_many_others() {
    let forge = Forge::start();
    forge.put_comment("mallory", &body("passed, says mallory"));
    for _ in 0..230 {
        forge.put_comment("ann", "hello");
    }
    let say = async |text: &str, absent| github(forge.address()).0.annotate(CHANGE, MARKER, &body(text), absent).await.expect("told");
    assert_eq!(say("nothing", Absent::Leave).await.what, Annotated::Left);
    let created = say("denied", Absent::Write).await;
    assert_eq!(created.what, Annotated::Created);
    assert_eq!(created.address.as_deref(), Some("https://github.com/acme/shop/pull/7#issuecomment-232"));
    assert_eq!(say("denied", Absent::Write).await.what, Annotated::Unchanged);
    let edited = say("passed", Absent::Leave).await;
    assert_eq!((edited.what, edited.address), (Annotated::Edited, created.address));
    let comments = forge.comments();
    assert_eq!((comments.len(), comments[0].as_str(), comments[231].as_str()), (232, &*body("passed, says mallory"), &*body("passed")));
    let agent = |asked: &Asked| asked.header("user-agent").is_some_and(|agent| agent.starts_with("honeycrate/"));
    assert!(forge.asked().iter().all(agent));
}

#[tokio::test]
async fn fifty_jobs_at_once_lose_and_double_nothing() {
    let forge = Forge::start();
    let marker = |leg: usize| format!("<!-- honeycrate:shop:{leg} -->");
    for round in ["denied", "passed"] {
        let legs = (0..50).map(async |leg| {
            let (github, _) = github(forge.address());
            github.annotate(CHANGE, &marker(leg), &format!("{} {round} {leg}", marker(leg)), Absent::Write).await.expect("told")
        });
        let told = join_all(legs).await;
        assert!(told.iter().all(|noted| noted.address.is_some()));
        let comments = forge.comments();
        assert_eq!(comments.len(), 50, "{comments:?}");
        for leg in 0..50 {
            let text = format!("{} {round} {leg}", marker(leg));
            assert_eq!(comments.iter().filter(|comment| **comment == text).count(), 1, "{text}: {comments:?}");
        }
    }
}

#[tokio::test]
async fn jobs_that_write_the_same_comment_at_once_leave_one() {
    for _ in 0..5 {
        let forge = Forge::start();
        let jobs = (0..12).map(async |job| {
            let (github, _) = github(forge.address());
            github.annotate(CHANGE, MARKER, &body(&format!("job {job}")), Absent::Write).await.expect("told")
        });
        let told = join_all(jobs).await;
        let comments = forge.comments();
        assert_eq!(comments.len(), 1, "{comments:?}");
        assert!((0..12).any(|job| comments[0] == body(&format!("job {job}"))));
        let address = told[0].address.clone();
        assert!(told.iter().all(|noted| noted.address == address), "all point at the one that stayed: {told:?}");
    }
}

#[tokio::test]
async fn what_a_stopped_job_left_is_put_right() {
    let forge = Forge::start();
    // The same account writes for other programs too, and may quote what a stranger has written.
    let quoted = format!("The title was changed to {}", body("mine"));
    forge.put_comment("our-bot", &quoted);
    for text in ["first", "second", "third"] {
        forge.put_comment("our-bot", &body(text));
    }
    let noted = github(forge.address()).0.annotate(CHANGE, MARKER, &body("passed"), Absent::Write).await.expect("told");
    assert_eq!((noted.what, forge.comments()), (Annotated::Edited, vec![quoted, body("passed")]));
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_not_written_twice() {
    for (answer, carried_out) in [(None, true), (Some(Answer::says(502, "Bad Gateway")), true), (Some(Answer::says(503, "try again")), false)] {
        let forge = Forge::start();
        forge.fail(Fault { method: "POST", target: "/comments", times: 1, answer, carried_out });
        let (github, clock) = github(forge.address());
        let noted = github.annotate(CHANGE, MARKER, &body("denied"), Absent::Write).await.expect("told");
        assert_eq!((noted.what, forge.comments()), (Annotated::Created, vec![body("denied")]));
        assert_eq!(clock.waits().len(), 1);
        let written = forge.asked().iter().filter(|asked| asked.method == "POST").count();
        assert_eq!(written, if carried_out { 1 } else { 2 });
    }
}

#[tokio::test]
async fn an_app_that_may_not_ask_who_it_is_finds_its_comment() {
    for login in ["github-actions[bot]", "shop-bot[bot]"] {
        let forge = Forge::start();
        forge.set_app(login);
        for text in ["denied", "passed", "denied"] {
            github(forge.address()).0.annotate(CHANGE, MARKER, &body(text), Absent::Write).await.expect("told");
            assert_eq!((forge.comments(), forge.authors()), (vec![body(text)], vec![login.to_owned()]));
        }
    }
}

#[tokio::test]
async fn limits_are_waited_for_in_bounds() {
    let forge = Forge::start();
    let limit = || Answer::says(403, "You have exceeded a secondary rate limit");
    let after = |seconds: &str| limit().with("retry-after", seconds);
    let fault = |method, answer, times| Fault { method, target: "/comments", times, answer: Some(answer), carried_out: false };
    forge.fail(fault("GET", after("7"), 1));
    forge.fail(fault("POST", Answer::says(429, "slow down").with("x-ratelimit-remaining", "0").with("x-ratelimit-reset", "20"), 1));
    let (github, clock) = github(forge.address());
    github.annotate(CHANGE, MARKER, &body("denied"), Absent::Write).await.expect("told");
    let waits: Vec<u64> = clock.waits().iter().map(std::time::Duration::as_secs).collect();
    assert_eq!(waits, [7, 13], "until the reset, of which seven seconds have passed");

    for (answer, asks, message) in [
        (after("3600"), 1, "GitHub did not list comments: there were too many requests (HTTP 403, to be repeated in 3600 s)"),
        (limit(), 3, "GitHub did not list comments: there were too many requests (HTTP 403)"),
        (
            Answer::of(503, "text/html", "<h1>Unicorn!</h1>"),
            3,
            "GitHub did not list comments (HTTP 503: a page for people; a proxy may stand in between)",
        ),
    ] {
        let forge = Forge::start();
        forge.fail(fault("GET", answer, 99));
        let (github, clock) = super::github(forge.address());
        let error = github.annotate(CHANGE, MARKER, &body("denied"), Absent::Write).await.expect_err("limited");
        assert_eq!(error.to_string(), message);
        assert_eq!(forge.asked().iter().filter(|asked| asked.path().ends_with("/comments")).count(), asks, "{message}");
        assert!(clock.waits().iter().sum::<std::time::Duration>().as_secs() <= 60);
        assert!(forge.comments().is_empty());
    }
}

#[tokio::test]
async fn a_refusal_is_one_line_with_a_way_out() {
    let forge = Forge::start();
    let annotate = async |token: &str| {
        let (github, _) = github_as(forge.address(), token);
        github.annotate(CHANGE, MARKER, &body("denied"), Absent::Write).await.expect_err("refused")
    };
    assert_eq!(annotate("another").await.to_string(), "GitHub refused to say who we are (HTTP 401: Bad credentials)");
    for (rights, what) in [(Rights::None, "list comments"), (Rights::Read, "write the comment")] {
        forge.set_rights(rights);
        let error = annotate(TOKEN).await;
        assert_eq!(error.to_string(), format!("GitHub refused to {what} (HTTP 403: Resource not accessible by integration)"));
        assert!(error.hint().is_some_and(|hint| hint.contains("pull-requests: write")));
    }
    forge.set_rights(Rights::Write);
    let long = body(&"x".repeat(65_536));
    let error = github(forge.address()).0.annotate(CHANGE, MARKER, &long, Absent::Write).await.expect_err("too long");
    assert!(matches!(&error, ForgeError::TooLong { why, .. } if why.contains("maximum is 65536")), "{error}");
    assert!(forge.comments().is_empty());
}

#[tokio::test]
async fn answers_that_are_not_the_forges_are_told_without_the_token() {
    let hostile = format!("\u{1b}[31mno\n::error::{TOKEN}\u{202e}");
    for (answer, expected) in [
        (Answer::of(200, "text/html", "<!DOCTYPE html><title>Sign in</title>"), "page for people; a proxy or a sign-in page"),
        (Answer::of(200, "application/json", ""), "it is empty"),
        (Answer::of(200, "application/json", "[{\"id\": 1"), "it is no JSON document"),
        (Answer::json(200, &json!([{ "id": "one", "body": TOKEN }])), "invalid type"),
        (Answer::json(200, &json!({ "message": TOKEN })), "invalid type"),
        (Answer::says(418, &hostile), "HTTP 418: [31mno ::error::***)"),
        (Answer::of(200, "application/json", vec![b' '; 17 << 20]), "larger than 16777216 bytes"),
    ] {
        let forge = Forge::start();
        forge.fail(Fault { method: "GET", target: "/comments", times: 9, answer: Some(answer), carried_out: false });
        let (github, _) = github(forge.address());
        let error = github.annotate(CHANGE, MARKER, &body("denied"), Absent::Write).await.expect_err("not understood");
        let told = format!("{error} {error:?} {github:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!told.contains(TOKEN) && !error.to_string().contains(['\n', '\u{1b}', '\u{202e}']), "{told}");
    }
}

#[tokio::test]
async fn the_token_stays_with_its_host() {
    let (forge, other) = (Forge::start(), Forge::start());
    let moved = |to: &str| Answer::says(301, "Moved Permanently").with("location", to);
    let fault = |method, answer| Fault { method, target: "/comments", times: 1, answer: Some(answer), carried_out: false };
    forge.fail(fault("GET", moved(&format!("{}/repos/acme/shop/issues/7/comments", other.address()))));
    let (github, _) = github(forge.address());
    let error = github.annotate(CHANGE, MARKER, &body("denied"), Absent::Write).await.expect_err("moved");
    assert!(matches!(&error, ForgeError::Moved { host, .. } if other.address().ends_with(host.as_str())), "{error}");
    assert!(other.asked().is_empty());

    forge.fail(fault("GET", moved("/repos/acme/shop/issues/7/comments?per_page=100&page=1")));
    forge.fail(fault("POST", Answer::says(307, "Moved").with("location", format!("{}/repos/acme/shop/issues/7/comments", forge.address()))));
    github.annotate(CHANGE, MARKER, &body("denied"), Absent::Write).await.expect("a renamed repository is at the same host");
    assert_eq!(forge.comments(), [body("denied")]);
    forge.fail(Fault { times: 99, ..fault("GET", moved("/repos/acme/shop/issues/7/comments")) });
    let error = github.annotate(CHANGE, MARKER, &body("passed"), Absent::Write).await.expect_err("a circle");
    assert!(error.to_string().contains("from one address to the next"), "{error}");
}

#[tokio::test]
async fn a_commit_belongs_to_the_one_open_change_that_ends_with_it() {
    let forge = Forge::start();
    let (github, _) = github(forge.address());
    let [merged, two, inner, nobody] = ["a", "b", "c", "d"].map(|digit| digit.repeat(40));
    forge.put_change(&merged, 3, "closed", &merged);
    forge.put_change(&two, 8, "open", &two);
    forge.put_change(&two, 9, "open", &two);
    forge.put_change(&inner, CHANGE, "open", &head());
    for (commit, expected) in [(head(), Some(CHANGE)), (merged, None), (two, None), (inner, None), (nobody, None)] {
        assert_eq!(github.change_of(&commit).await.expect("told"), expected, "{commit}");
    }
    let error = github.change_of("main/../..").await.expect_err("no commit");
    assert!(error.to_string().contains("no commit"), "{error}");
}

#[tokio::test]
async fn who_may_read_is_told_as_the_api_has_it() {
    let forge = Forge::start();
    let (github, _) = github(forge.address());
    for (set, visibility) in [("public", Visibility::Public), ("internal", Visibility::Internal), ("private", Visibility::Private)] {
        forge.set_visibility(set);
        assert_eq!(github.visibility().await.expect("told"), visibility);
    }
    for (document, visibility) in [
        (json!({ "private": true }), Visibility::Unknown),
        (json!({ "private": false }), Visibility::Public),
        (json!({ "private": true, "visibility": "secret" }), Visibility::Unknown),
        (json!({}), Visibility::Unknown),
    ] {
        let answer = Some(Answer::json(200, &document));
        forge.fail(Fault { method: "GET", target: "/repos/acme/shop", times: 1, answer, carried_out: false });
        assert_eq!(github.visibility().await.expect("told"), visibility, "{document}");
    }
}

#[tokio::test]
async fn a_file_is_read_as_it_was_at_a_commit() {
    let forge = Forge::start();
    let (github, _) = github(forge.address());
    let base = "b".repeat(40);
    for path in [".honeycrate.yaml", "policies/a b#c?ü%2e.yaml"] {
        forge.put_file(&base, path, path.as_bytes());
        assert_eq!(github.file_at(&base, path, 100).await.expect("told").as_deref(), Some(path.as_bytes()));
    }
    assert_eq!(github.file_at(&base, "nowhere.yaml", 100).await.expect("told"), None);
    assert!(matches!(github.file_at(&base, ".honeycrate.yaml", 15).await, Err(ForgeError::TooLarge { limit: 15, .. })));
    assert!(github.file_at(&base, ".honeycrate.yaml", 16).await.is_ok());
    forge.put_file(&base, "huge", &vec![0; 200_000]);
    assert!(matches!(github.file_at(&base, "huge", 100_000).await, Err(ForgeError::TooLarge { .. })));
    forge.put_file(&base, "policies/below/one.yaml", b"x");
    let mut files = github.folder_at(&base, "policies", 3).await.expect("told").expect("a folder");
    files.sort();
    assert_eq!(files, ["policies/a b#c?ü%2e.yaml", "policies/below/one.yaml"]);
    assert!(github.folder_at(&base, "policies", 1).await.expect_err("two").to_string().contains("too much"));
    for nothing in ["nowhere", "policies/below/one.yaml"] {
        assert_eq!(github.folder_at(&base, nothing, 9).await.expect("told"), None, "{nothing}");
    }
    assert!(github.folder_at(&"c".repeat(40), "policies", 9).await.is_err());
    let error = github.file_at(&base, "policies", 10_000).await.expect_err("a folder");
    assert!(error.to_string().contains("folder"), "{error}");
    let error = github.file_at(&"c".repeat(40), ".honeycrate.yaml", 100).await.expect_err("a commit that is not shown has no known files");
    assert!(matches!(error, ForgeError::Denied { status: 404, .. }), "{error}");
    forge.set_rights(Rights::None);
    assert!(matches!(github.file_at(&base, "nowhere.yaml", 100).await, Err(ForgeError::Denied { status: 403, .. })));
    let asked = forge.asked().len();
    for path in ["", "/etc/passwd", "../../../user", "a/../../b", "a\\..\\b", "a//b"] {
        assert!(github.file_at(&base, path, 100).await.is_err(), "{path}");
    }
    assert_eq!(forge.asked().len(), asked, "none of these is asked for");
}

pub(super) fn check(remarks: usize) -> Check {
    let remark = |line: usize| Remark {
        path: "Dockerfile".to_owned(),
        line: u32::try_from(line).expect("few lines"),
        level: [Level::Notice, Level::Warning, Level::Error][line % 3],
        title: "é".repeat(200),
        text: format!("remark {line}"),
    };
    Check {
        commit: head(),
        name: "honeycrate: shop, production".to_owned(),
        conclusion: Conclusion::Failure,
        title: "denied".to_owned(),
        summary: "ä".repeat(40_000),
        remarks: (0..remarks).map(remark).collect(),
        details: Some("https://ci.example.com/run/1".to_owned()),
    }
}

#[tokio::test]
async fn a_check_shows_all_its_remarks_in_portions() {
    for (remarks, requests, shown) in [(0, 1, 0), (50, 1, 50), (51, 2, 51), (120, 3, 120), (1_001, 20, 1_000)] {
        let forge = Forge::start();
        let (github, _) = github(forge.address());
        let address = github.check(&check(remarks)).await.expect("shown");
        assert_eq!(address.as_deref(), Some("https://github.com/acme/shop/runs/1"));
        let (checks, asked) = (forge.checks(), forge.asked());
        assert_eq!((checks.len(), asked.len()), (1, requests));
        let shown_remarks = checks[0]["output"]["annotations"].as_array().expect("a list");
        assert_eq!(shown_remarks.len(), shown);
        assert!(shown_remarks.iter().enumerate().all(|(line, remark)| remark["message"] == format!("remark {line}")));
        assert!(shown_remarks.iter().all(|remark| remark["title"].as_str().is_some_and(|title| title.len() <= 255)));
        let summary = checks[0]["output"]["summary"].as_str().expect("a text");
        assert!(summary.len() <= 65_535 && summary.ends_with("not shown here.") == (remarks > shown), "{}", &summary[65_000..]);
        assert_eq!((&checks[0]["conclusion"], &checks[0]["details_url"]), (&json!("failure"), &json!("https://ci.example.com/run/1")));
    }
}

#[tokio::test]
async fn remarks_are_never_doubled() {
    let forge = Forge::start();
    let answer = Some(Answer::says(502, "Bad Gateway"));
    forge.fail(Fault { method: "PATCH", target: "/check-runs/", times: 1, answer, carried_out: true });
    let (github, _) = github(forge.address());
    let error = github.check(&check(120)).await.expect_err("the second portion may have arrived");
    assert_eq!(error.to_string(), "GitHub did not show a check (HTTP 502: Bad Gateway)");
    assert_eq!(forge.checks()[0]["output"]["annotations"].as_array().map(Vec::len), Some(100));
    forge.set_rights(Rights::Read);
    let error = github.check(&check(1)).await.expect_err("a fork");
    assert!(error.hint().is_some_and(|hint| hint.contains("checks: write")), "{error}");
}

pub(super) fn analysis() -> Analysis {
    let sarif = json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "honeycrate" } }, "results": [] }] });
    Analysis { commit: head(), reference: "refs/pull/7/merge".to_owned(), sarif: sarif.to_string().into_bytes() }
}

#[tokio::test]
async fn a_sarif_document_arrives_whole_and_what_became_of_it_is_told() {
    let forge = Forge::start();
    let (github, clock) = github(forge.address());
    forge.set_processing(vec![json!(null), json!({ "processing_status": "pending" }), json!({ "processing_status": "complete" })]);
    github.upload_sarif(&analysis()).await.expect("taken");
    let sarifs = forge.sarifs();
    assert_eq!(sarifs.len(), 1);
    assert_eq!(sarifs[0]["sarif"]["runs"][0]["tool"]["driver"]["name"], "honeycrate");
    assert_eq!((&sarifs[0]["ref"], &sarifs[0]["commit_sha"]), (&json!("refs/pull/7/merge"), &json!(head())));
    assert_eq!(clock.waits().len(), 3);

    forge.set_processing(vec![json!({ "processing_status": "pending" })]);
    github.upload_sarif(&analysis()).await.expect("what is still waiting is taken");
    assert_eq!(clock.waits().len(), 8);
    forge.set_processing(vec![json!({ "processing_status": "failed", "errors": ["rule without id", "\u{1b}[0m"] })]);
    let error = github.upload_sarif(&analysis()).await.expect_err("not processed");
    assert_eq!(error.to_string(), "GitHub could not process the SARIF document: rule without id; [0m");

    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    });
    let large = Analysis { sarif: noise.take(11 << 20).collect(), ..analysis() };
    let asked = forge.asked().len();
    assert!(matches!(github.upload_sarif(&large).await, Err(ForgeError::TooLong { .. })));
    assert_eq!(forge.asked().len(), asked, "what is too large is not sent");
    forge.set_rights(Rights::Read);
    let error = github.upload_sarif(&analysis()).await.expect_err("a fork");
    assert!(error.hint().is_some_and(|hint| hint.contains("security-events: write")), "{error}");
}

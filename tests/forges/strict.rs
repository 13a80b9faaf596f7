//! Everything that we ask GitHub, through its own description: of github.com, and of two versions of Enterprise Server.

use futures_util::future::join_all;
use honeycrate::forge::ci::Visibility;
use honeycrate::forge::contract::{Absent, Annotated, Forge as _};
use serde_json::json;
use tempfile::tempdir;

use super::github::{analysis, check};
use super::{MARKER, client, github};
use crate::change::of_a_job;
use crate::common::command::run;
use crate::common::forge::{CHANGE, Forge, Rights, TOKEN, head};
use crate::common::honeycrate::Honeycrate;
use crate::common::images::{Image, github_token};
use crate::common::prism::Prism;

#[tokio::test]
async fn github_com_takes_what_we_send() {
    converse("api.github.com", "").await;
}

#[tokio::test]
async fn enterprise_server_takes_what_we_send() {
    converse("ghes-3.17", "/api/v3").await;
}

#[tokio::test]
async fn a_newer_enterprise_server_takes_what_we_send() {
    converse("ghes-3.19", "/api/v3").await;
}

async fn converse(edition: &str, base: &'static str) {
    let forge = Forge::start_at(base);
    let prism = Prism::start(edition, forge.address());
    let api = format!("{}{base}", prism.address());
    let annotation = json!({ "path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m" });
    let output = json!({ "title": "t", "summary": "s", "annotations": vec![annotation; 51] });
    let check_run = json!({ "name": "n", "head_sha": head(), "status": "completed", "conclusion": "success", "output": output });
    let sent = client(&api).post(format!("{api}/repos/acme/shop/check-runs")).json(&check_run).send().await.expect("an answer");
    assert_eq!((sent.status().as_u16(), forge.asked().len()), (422, 0), "the proxy is strict: {}", prism.log());

    let say = async |marker: &str, text: &str| {
        let body = format!("{marker}\n{text}");
        github(&api).0.annotate(CHANGE, marker, &body, Absent::Write).await.unwrap_or_else(|error| panic!("{error}\n{}", prism.log()))
    };
    for _ in 0..130 {
        forge.put_comment("ann", "hello");
    }
    assert_eq!(say(MARKER, "denied").await.what, Annotated::Created);
    assert_eq!(say(MARKER, "passed").await.what, Annotated::Edited);
    assert_eq!(say(MARKER, "passed").await.what, Annotated::Unchanged);
    forge.put_comment("our-bot", MARKER);
    assert_eq!(say(MARKER, "denied").await.what, Annotated::Edited);
    assert_eq!(forge.comments().len(), 131, "the second of ours is deleted");
    join_all((0..50).map(async |leg| say(&format!("<!-- honeycrate:leg:{leg} -->"), "denied").await)).await;
    assert_eq!(forge.comments().len(), 181);

    let (github, _) = github(&api);
    assert_eq!(github.change_of(&head()).await.expect("told"), Some(CHANGE));
    forge.set_visibility("internal");
    assert_eq!(github.visibility().await.expect("told"), Visibility::Internal);
    assert_eq!(github.file_at(&head(), "nowhere.yaml", 100).await.expect("told"), None);
    github.check(&check(120)).await.unwrap_or_else(|error| panic!("{error}\n{}", prism.log()));
    assert_eq!(forge.checks()[0]["output"]["annotations"].as_array().map(Vec::len), Some(120));
    github.upload_sarif(&analysis()).await.unwrap_or_else(|error| panic!("{error}\n{}", prism.log()));
    assert_eq!(forge.sarifs().len(), 1);

    let (honeycrate, layout) = (Honeycrate::new(), tempdir().expect("scratch"));
    let source = Image::shop().env("GITHUB", &github_token(21)).write(layout.path());
    let mut command = honeycrate.command(&["scan", &source]);
    let ran = run(of_a_job(&mut command, &honeycrate, &forge, "acme/shop").env("GITHUB_TOKEN", TOKEN).env("GITHUB_API_URL", &api));
    assert!(ran.code == 1 && ran.err().contains("the change was told"), "{}\n{}", ran.all(), prism.log());
    assert_eq!(forge.comments().len(), 182);

    forge.set_rights(Rights::Read);
    let error = github.annotate(CHANGE, MARKER, MARKER, Absent::Write).await.expect_err("refused");
    assert!(error.to_string().contains("(HTTP 403: Resource not accessible by integration)"), "{error}");
    assert!(forge.asked().iter().all(|asked| asked.header("x-github-api-version") == Some("2022-11-28")));
}

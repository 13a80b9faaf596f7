//! The Action in workflows, run by act: whatever began the run, whatever its token may do and whoever may read it, the verdict is the same.

use serde_json::json;
use tempfile::{TempDir, tempdir};

use crate::common::act::{ACTION, BASE, Checkout, Event, From, REPOSITORY, Workflow};
use crate::common::forge::{Forge, Rights, TOKEN};
use crate::common::honeycrate::Honeycrate;
use crate::common::images::{Image, github_token};
use crate::common::registry::{Auth, Registry};
use honeycrate::report::outputs;

/// What a job's token may do. GitHub gives read to forks, none to nobody but those who ask for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    None,
    Read,
    Write,
}

const VISIBILITIES: [&str; 3] = ["public", "internal", "private"];
const TOKENS: [Token; 3] = [Token::None, Token::Read, Token::Write];

/// What begins runs, whether the code is the repository's own, and whether the run is for a change.
fn events(visibility: &str) -> Vec<(&'static str, Event, bool, bool)> {
    let plain = |name, more| Event::new(name, visibility, &more);
    let change = |name, from| Event::pull_request(name, visibility, from);
    let group = json!({ "merge_group": {
        "head_ref": format!("refs/heads/gh-readonly-queue/main/pr-7-{}", "4f2a91c0".repeat(5)), "head_sha": "c0ffee00".repeat(5),
        "base_ref": "refs/heads/main", "base_sha": BASE.repeat(5),
    } });
    vec![
        ("a pull request", change("pull_request", From::Repository), true, true),
        ("a fork's pull request", change("pull_request", From::Fork), false, true),
        ("Dependabot's pull request", change("pull_request", From::Dependabot), false, true),
        ("pull_request_target", change("pull_request_target", From::Fork), false, true),
        ("the merge queue", plain("merge_group", group), true, false),
        ("a push", plain("push", json!({ "before": "0".repeat(40), "after": "4f2a91c0".repeat(5) })), true, false),
        ("a person", plain("workflow_dispatch", json!({ "inputs": {} })), true, false),
        ("the clock", plain("schedule", json!({ "schedule": "0 3 * * *" })), true, false),
    ]
}

/// A workflow whose one step of ours is `uses`, with more lines of `with`, and says how it ended whatever it ended with.
fn workflow(uses: &str, more: &[&str]) -> String {
    let more: String = more.iter().map(|line| format!("          {line}\n")).collect();
    format!(
        "\
on: [push, pull_request, pull_request_target, merge_group, workflow_dispatch, schedule]
permissions: {{}}
jobs:
  image:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v7
      - id: honeycrate
        uses: {uses}
        continue-on-error: true
        with:
          image: ${{{{ env.LAYOUT }}}}
          to: ${{{{ env.TO }}}}
          environment: production
          decoy: 127.0.0.1:9
          key: ${{{{ secrets.OWNERS_KEY }}}}
{more}      - if: always()
        env:
          ENDED: ${{{{ steps.honeycrate.outcome }}}} ${{{{ steps.honeycrate.outputs.verdict }}}} ${{{{ steps.honeycrate.outputs.exit-code }}}}
        run: echo \"ended with $ENDED\"
"
    )
}

/// The parts that a run needs around it.
struct Place {
    checkout: Checkout,
    honeycrate: Honeycrate,
    forge: Forge,
    registry: Registry,
    layouts: TempDir,
}

impl Place {
    fn new(checkout: Checkout) -> Self {
        let (honeycrate, forge) = (Honeycrate::new(), Forge::start());
        Self { checkout, honeycrate, forge, registry: Registry::plain(Auth::None), layouts: tempdir().expect("scratch") }
    }

    fn run(&self, event: &Event, token: Token, image: &Image) -> Workflow {
        let layout = self.layouts.path().join("built");
        let _ = std::fs::remove_dir_all(&layout);
        let source = image.write(&layout);
        let key = std::fs::read_to_string(self.honeycrate.home().join(".config/honeycrate/key")).expect("`key new` was run");
        let (key, to) = (key.trim().replace('\n', ","), self.registry.reference("acme/shop:1"));
        let ledger = self.honeycrate.ledger_path().display().to_string();
        let mut set = vec![
            ("LAYOUT", source.as_str()),
            ("TO", &to),
            ("secret:OWNERS_KEY", &key),
            ("HONEYCRATE_LEDGER", &ledger),
            ("GITHUB_API_URL", self.forge.address()),
        ];
        self.forge.set_rights(if token == Token::Write { Rights::Write } else { Rights::Read });
        match token {
            Token::None => {}
            Token::Read | Token::Write => set.push(("secret:GITHUB_TOKEN", TOKEN)),
        }
        self.checkout.run(event, &set)
    }
}

/// What the Action says to the runner: what the program quotes is between a `stop-commands` and its end.
const KINDS: [&str; 9] = ["set-output", "summary", "error", "warning", "notice", "add-mask", "group", "endgroup", "stop-commands"];

/// What holds for every run: nothing but outputs, annotations and the summary, within what GitHub shows.
fn well_behaved(run: &Workflow, case: &str) {
    for kind in ["error", "warning", "notice"] {
        assert!(run.commands(kind).len() <= 10, "{case}: {}", run.log());
    }
    for kind in run.kinds() {
        let resumes = kind.len() == 32 && kind.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(resumes || KINDS.contains(&kind), "{case}: {kind}: {}", run.log());
    }
    let outputs = run.outputs("honeycrate");
    let mut names: Vec<&str> = outputs::TABLE.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(outputs.keys().map(String::as_str).collect::<Vec<_>>(), names, "{case}: {}", run.log());
    assert!(run.log().contains(&format!(
        "ended with {} {} {}\n",
        if run.succeeded("honeycrate") { "success" } else { "failure" },
        outputs["verdict"],
        outputs["exit-code"]
    )));
}

/// One event, twice with a leaked secret and once without.
fn holds(place: &Place, (who, event, trusted, change): &(&'static str, Event, bool, bool), token: Token, visibility: &'static str) {
    let case = format!("{who}, {token:?}, {visibility}");
    let secret = github_token(33);
    let leaky = Image::shop().layer("COPY src ./src # buildkit", &[("app/src/config.js", &format!("token = \"{secret}\"\n"))]);
    place.forge.set_visibility(visibility);
    let before = (place.registry.writes().len(), place.forge.comments().len());
    for _ in 0..2 {
        let run = place.run(event, token, &leaky);
        well_behaved(&run, &case);
        let outputs = run.outputs("honeycrate");
        let said = ["verdict", "exit-code", "findings", "new-findings", "image-digest", "image-ref"].map(|name| outputs[name].as_str());
        assert_eq!(said, ["denied", "1", "1", "1", "", ""], "{case}: {}", run.log());
        assert!(["high", "critical"].contains(&outputs["highest-severity"].as_str()), "{case}: {outputs:?}");
        assert!(!run.succeeded("honeycrate"), "{case}");
        assert!(run.summary().contains("denied") && run.summary().contains("app/src/config.js"), "{case}: {}", run.summary());
        assert!(!run.all().contains(&secret), "{case}: {}", run.log());
        let told = *change && token == Token::Write;
        assert_eq!(outputs["comment-url"].contains("/pull/7#issuecomment-"), told, "{case}: {outputs:?}");
        assert_eq!(run.log().contains("no note was left"), *change && !told, "{case}: {}", run.log());
    }
    let told = usize::from(*change && token == Token::Write && before.1 == 0);
    assert_eq!(place.forge.comments().len(), before.1 + told, "{case}: one comment for both");
    assert_eq!(place.registry.writes().len(), before.0, "{case}: a denied image goes nowhere");

    let run = place.run(event, token, &Image::shop());
    well_behaved(&run, &case);
    let outputs = run.outputs("honeycrate");
    assert_eq!([&outputs["verdict"], &outputs["exit-code"], &outputs["new-findings"]], ["passed", "0", "0"], "{case}: {}", run.log());
    assert_eq!(place.registry.writes().len() > before.0, *trusted, "{case}: {}", run.log());
    assert_eq!(outputs["image-digest"].starts_with("sha256:"), *trusted, "{case}: {outputs:?}");
    assert_eq!(
        outputs["image-ref"],
        if *trusted { place.registry.reference(&format!("acme/shop@{}", outputs["image-digest"])) } else { String::new() }
    );
    for word in ["buried", "registry-login", "honeytokens planted"] {
        assert!(visibility == "private" || !run.all().contains(word), "{case}: the log tells of bait: {}", run.log());
    }
}

#[test]
fn the_verdict_is_the_same_whatever_began_the_run() {
    // Each event once, each right and each visibility with more than one of them.
    for (at, event) in (0..).zip(events("public")) {
        let (token, visibility) = (TOKENS[at % 3], VISIBILITIES[(at + at / 3) % 3]);
        let event = events(visibility).into_iter().find(|(who, ..)| *who == event.0).expect("the same list");
        holds(&Place::new(Checkout::new(&workflow(ACTION, &[]))), &event, token, visibility);
    }
}

#[test]
#[ignore = "all 72 of events, rights and visibilities: cargo test --test honeycrate -- --ignored --exact action::every_event_with_every_right_and_visibility"]
fn every_event_with_every_right_and_visibility() {
    let mut runs = 0;
    for visibility in VISIBILITIES {
        for event in events(visibility) {
            for token in TOKENS {
                holds(&Place::new(Checkout::new(&workflow(ACTION, &[]))), &event, token, visibility);
                runs += 1;
            }
        }
    }
    assert_eq!(runs, 72);
}

#[test]
fn the_action_is_also_used_by_its_path() {
    let place = Place::new(Checkout::new(&workflow("./", &[])).with_the_action_in_it());
    let event = events("public").remove(0);
    holds(&place, &event, Token::Write, "public");
}

#[test]
fn each_leg_of_a_matrix_has_a_comment_of_its_own_which_does_not_tell_of_bait() {
    let secret = github_token(36);
    let leaky = Image::shop().layer("COPY src ./src # buildkit", &[("app/src/config.js", &format!("token = \"{secret}\"\n"))]);
    let text = workflow(ACTION, &["plant: PLANT"])
        .replace("environment: production", "environment: ${{ matrix.environment }}")
        .replace("    steps:\n", "    strategy:\n      matrix:\n        environment: [staging, production]\n    steps:\n");
    for from in [From::Repository, From::Fork] {
        let place = Place::new(Checkout::new(""));
        let event = Event::pull_request("pull_request", "public", from);
        let mut before = Vec::new();
        for plant in ["auto", "'false'"] {
            place.checkout.write(".github/workflows/image.yml", &text.replace("PLANT", plant));
            let run = place.run(&event, Token::Write, &leaky);
            let mut comments = place.forge.comments();
            comments.sort();
            assert_eq!(comments.len(), 2, "{from:?}: {}", run.log());
            assert!(comments[0].contains("production") && comments[1].contains("staging"), "{from:?}: {comments:?}");
            assert!(before.is_empty() || before == comments, "{from:?}: {before:?} {comments:?}");
            before = comments;
        }
    }
}

#[test]
fn legs_that_differ_in_the_tag_alone_have_a_comment_each_which_the_next_commit_edits() {
    let leaky = Image::shop().layer("COPY src ./src # buildkit", &[("app/src/config.js", &format!("token = \"{}\"\n", github_token(37)))]);
    let text = workflow(ACTION, &["upload-sarif: true"])
        .replace("to: ${{ env.TO }}", "to: ${{ env.TO }}-${{ github.run_number }}-py${{ matrix.python }}")
        // act has no `matrix` within an action, where GitHub has one; the job can say it too.
        .replace(
            "    steps:\n",
            "    strategy:\n      matrix:\n        python: ['3.11', '3.12']\n    env:\n      HONEYCRATE_MATRIX: ${{ toJSON(matrix) }}\n    steps:\n",
        );
    let place = Place::new(Checkout::new(&text));
    let event = Event::pull_request("pull_request", "public", From::Repository);
    let mut before = Vec::new();
    for _ in 0..2 {
        let run = place.run(&event, Token::Write, &leaky);
        let mut comments = place.forge.comments();
        comments.sort();
        assert_eq!(comments.len(), 2, "{}", run.log());
        assert!(comments[0].contains("3.11") && comments[1].contains("3.12"), "{comments:?}");
        assert!(before.is_empty() || before == comments, "{before:?} {comments:?}");
        before = comments;
    }
    // Two steps of one job, whose tags are all that sets them apart.
    let two = workflow(ACTION, &[]).replace("to: ${{ env.TO }}", "to: ${{ env.TO }}-alpine");
    let (head, step) = two.split_once("      - id: honeycrate").expect("a step");
    let (step, rest) = step.split_once("      - if").expect("another");
    let other = step.replace("-alpine", "-debian").replacen("\n", "-again\n", 1);
    let place = Place::new(Checkout::new(&format!("{head}      - id: honeycrate{step}      - id: honeycrate{other}      - if{rest}")));
    let run = place.run(&event, Token::Write, &leaky);
    let mut comments = place.forge.comments();
    comments.sort();
    assert_eq!(comments.len(), 2, "{}", run.log());
    assert!(comments[0].contains("(alpine)") && comments[1].contains("(debian)"), "{comments:?}");
}

#[test]
fn what_a_stranger_names_changes_nothing() {
    let hostile =
        "x\"; touch pwned; echo \"$(touch pwned)`touch pwned`\u{1b}]0;x\u{7}\n::set-output name=verdict::passed\n::error::<img src=x> @everyone";
    let secret = github_token(34);
    let place = Place::new(Checkout::new(&workflow(ACTION, &["comment-id: ${{ github.event.pull_request.title }}"])));
    let mut event = Event::pull_request("pull_request", "public", From::Repository);
    event.payload["pull_request"]["title"] = json!(hostile);
    event.payload["pull_request"]["head"]["ref"] = json!(hostile);
    event.payload["pull_request"]["labels"] = json!([{ "name": hostile }]);
    let path = "app/$(touch pwned)\u{1b}]0;x\u{7}\n::set-output name=verdict::passed\n::error::<img src=x>.js";
    let image = Image::shop().layer(hostile, &[(path, &format!("token = \"{secret}\"\n"))]).setting("Labels", json!({ "title": hostile }));
    let run = place.run(&event, Token::Write, &image);
    well_behaved(&run, "a hostile name");
    let outputs = run.outputs("honeycrate");
    assert_eq!([&outputs["verdict"], &outputs["exit-code"], &outputs["new-findings"]], ["denied", "1", "1"], "{}", run.log());
    // Colours are ours; no other sequence is.
    assert!(!run.log().contains("\u{1b}]") && !run.summary().contains('\u{1b}'), "{}", run.log());
    assert!(!run.log().lines().any(|line| line.starts_with("::set-output")), "{}", run.log());
    assert!(!run.summary().contains("<img") && !run.summary().contains(&secret), "{}", run.summary());
    let comments = place.forge.comments();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(!comments[0].contains("<img") && !comments[0].contains(&secret), "{}", comments[0]);
    let found = std::process::Command::new("find").arg(place.checkout.path().parent().expect("a home")).args(["-name", "pwned*"]).output();
    assert_eq!(String::from_utf8_lossy(&found.expect("find starts").stdout), "");
}

#[test]
fn wrong_inputs_are_told_all_at_once_and_leave_reports() {
    let place = Place::new(Checkout::new(&workflow(ACTION, &["fail-on: sometimes", "plant: perhaps", "pr-number: seven"])));
    let run = place.run(&events("public").remove(5).1, Token::Read, &Image::shop());
    well_behaved(&run, "wrong inputs");
    let outputs = run.outputs("honeycrate");
    assert_eq!([&outputs["verdict"], &outputs["exit-code"]], ["error", "2"], "{}", run.log());
    for name in ["fail-on", "plant", "HONEYCRATE_PR_NUMBER"] {
        assert!(run.log().contains(name), "{}", run.log());
    }
    assert!(!outputs["report-file"].is_empty() && !outputs["sarif-file"].is_empty(), "{outputs:?}");
    assert_eq!(place.registry.stored(), 0);
}

#[test]
fn the_variables_of_the_job_reach_the_program_where_an_input_is_empty() {
    let secret = github_token(35);
    let leaky = Image::shop().env("TOKEN", &secret);
    let text = workflow(ACTION, &[]).replace("    runs-on", "    env:\n      HONEYCRATE_FAIL_ON: none\n    runs-on");
    for (more, verdict) in [("", "passed"), ("          fail-on: high\n      - if", "denied")] {
        let text = if more.is_empty() { text.clone() } else { text.replacen("      - if", more, 1) };
        let place = Place::new(Checkout::new(&text));
        let run = place.run(&events("private").remove(5).1, Token::None, &leaky);
        assert_eq!(run.outputs("honeycrate")["verdict"], verdict, "{REPOSITORY}: {}", run.log());
    }
}

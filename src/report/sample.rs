//! A report that the tests of all formats share.

use crate::bait::claims::Claims;
use crate::bait::placement::Placement;
use crate::bait::surfaces::Surface;
use crate::ledger::first_seen::FirstSeen;
use crate::ledger::record::Context;
use crate::oci::digest::Digest;
use crate::report::advice::{Change, Prevention, prevention};
use crate::report::run_report::{
    AppliedException, BuildStep, Coverage, LeftBehind, NotScanned, Notice, Outcome, PushedImage, ReportedException, ReportedFinding,
    ReportedPlacement, RunError, RunReport, Silenced, SilencedBy, Source, SourcePlatform, StepLayer, Timings, Tool, Verdict,
};
use crate::scan::finding::{Confidence, Finding, FoundIn, LayerPlace, OtherPlace, Severity, State};
use crate::scan::nested_scan::Inside;
use crate::scan::validity::{Validity, ValidityState};

/// A denied run with one finding of each kind of place, and a placement that must not be published.
pub(crate) fn sample() -> RunReport {
    let digest = |letter: &str| format!("sha256:{}", letter.repeat(64)).parse::<Digest>().expect("digest");
    let place = |index, instruction: &str| LayerPlace {
        index,
        digest: digest("a"),
        diff_id: digest("b"),
        instruction: (!instruction.is_empty()).then(|| instruction.to_owned()),
    };
    let finding = |rule: &str, severity, surface, path: &str, line, state, layer| Finding {
        rule: rule.to_owned(),
        severity,
        confidence: Confidence::High,
        fingerprint: "0123456789abcdef".parse().expect("fingerprint"),
        unkeyed: None,
        layer,
        platforms: Vec::new(),
        surface,
        path: Some(path.to_owned()),
        commit: None,
        line,
        column: line.map(|_| 7),
        state,
        redacted: "ghp_… (40 characters)".to_owned(),
        proven_by: Some("crc32-base62".to_owned()),
        validation: None,
        marked_by: None,
        also_in: 0,
        places: Vec::new(),
    };
    let reported = |finding: Finding, title: &str, blocking, exception: Option<AppliedException>| ReportedFinding {
        prevention: Some(prevention(&finding, finding.layer.as_ref().and_then(|layer| layer.instruction.as_deref()))),
        finding,
        silenced: exception.as_ref().map(|exception| Silenced {
            by: SilencedBy::Exception,
            why: exception.reason.clone(),
            source: "honeycrate.yaml:7".to_owned(),
        }),
        title: title.to_owned(),
        gains: "reads and writes every repository of its owner".to_owned(),
        advice: "Revoke it at github.com/settings/tokens.".to_owned(),
        why: "an offline check proves it (crc32-base62): the last 6 characters are the CRC-32 of those after the prefix".to_owned(),
        step: None,
        dockerfile_line: None,
        references: vec!["https://docs.github.com/tokens".to_owned()],
        blocking,
        exception,
        first_seen: Some(FirstSeen {
            image: digest("e"),
            reference: "ghcr.io/acme/secret-lab:1.3".to_owned(),
            environment: Some("staging".to_owned()),
            commit: Some("4f2a91c6d0b7e35a8c19".to_owned()),
            at: "2026-10-02T11:12:13Z".to_owned(),
            pushed: true,
        }),
    };
    let deleted = finding("github-token", Severity::Critical, FoundIn::File, "app/.env", Some(3), State::Deleted, Some(place(2, "COPY . /app")));
    let variable = finding("generic-assignment", Severity::Medium, FoundIn::Env, "API_TOKEN", None, State::Live, None);
    let exception = AppliedException { reason: "a fixture".to_owned(), owner: "ann".to_owned(), expires: "2027-01-31".to_owned() };
    let placement = Placement {
        id: "plc-1".to_owned(),
        claims: Claims {
            service: "ghcr.io/acme/shop".to_owned(),
            environment: "production".to_owned(),
            surface: Surface::Buried,
            kind: "registry-login".to_owned(),
            epoch: 1,
            edition: String::new(),
        },
        platform: "linux/amd64".to_owned(),
        location: "/app/config/registry.json.bak".to_owned(),
        fingerprint: "fedcba9876543210".parse().expect("fingerprint"),
    };
    let step = |index: usize, instruction: &str| BuildStep {
        instruction: Some(instruction.to_owned()),
        layer: Some(StepLayer { index, digest: digest(&format!("{index}")), size: 1_000_000 >> index }),
    };
    let empty = BuildStep { instruction: Some("ENV API_TOKEN=(24 characters)".to_owned()), layer: None };
    let steps = vec![
        step(0, "ADD rootfs.tar.xz /"),
        empty,
        step(1, "RUN apt-get install curl"),
        step(2, "COPY . /app"),
        step(3, "RUN make"),
        step(4, "RUN rm .env"),
    ];
    let platform = SourcePlatform { platform: "linux/amd64".to_owned(), digest: Some(digest("c")), layers: Some(5), steps };
    RunReport {
        service: Some("ghcr.io/acme/shop".to_owned()),
        environment: Some("production".to_owned()),
        verdict: Verdict { outcome: Outcome::Denied, fail_on: "high".to_owned(), reasons: vec!["1 finding is high or worse".to_owned()] },
        source: Some(Source { reference: "docker-daemon:shop:1.4".to_owned(), digest: Some(digest("c")), platforms: vec![platform] }),
        coverage: Coverage {
            layers: Some(5),
            cached_layers: Some(2),
            files: Some(1234),
            bytes: Some(56_789_012),
            readers_held_by: vec!["seccomp".to_owned()],
            inside: Some(Inside { files: 12, bytes: 345_678 }),
            not_scanned: vec![NotScanned { what: "layer 5f70bf18a086".to_owned(), why: "it is not in the image, only a pointer to it".to_owned() }],
            anomalies: Vec::new(),
        },
        findings: vec![reported(deleted, "GitHub personal access token", true, None), reported(variable, "Assigned secret", false, Some(exception))],
        placements: vec![ReportedPlacement::from(&placement)],
        notices: vec![Notice { text: "only the owner reads this".to_owned(), confidential: true }],
        timings: Timings { scan_ms: Some(310), plant_ms: Some(20), total_ms: Some(400), ..Timings::default() },
        ..RunReport::begin(Tool { version: "0.1.0".to_owned(), ruleset: "1a2b".to_owned() }, "2026-11-22T04:00:00Z".to_owned(), "high".to_owned())
    }
}

/// A report in which every text is there that there can be.
pub(crate) fn whole() -> RunReport {
    let mut report = sample();
    let text = || Some("text".to_owned());
    let digest = report.source.as_ref().and_then(|source| source.digest.clone()).expect("digest");
    (report.comment_id, report.dockerfile) = (text(), text());
    report.context = Context { commit: text(), repository: text(), job: Some("https://gitlab.example/acme/shop/-/jobs/7".to_owned()) };
    for reported in &mut report.findings {
        (reported.step, reported.dockerfile_line) = (text(), Some(7));
        reported.finding.commit = text();
        reported.finding.marked_by = text();
        reported.finding.platforms = vec!["linux/amd64".to_owned()];
        reported.finding.validation = Some(Validity { state: ValidityState::Live, why: "text".to_owned(), at: text() });
        reported.finding.places = vec![OtherPlace {
            surface: FoundIn::File,
            layer: Some(1),
            path: text(),
            commit: text(),
            line: Some(1),
            column: Some(1),
            state: State::Live,
        }];
    }
    report.exceptions = vec![ReportedException {
        scope: "text".to_owned(),
        reason: "text".to_owned(),
        owner: text(),
        expires: text(),
        source: "text".to_owned(),
        in_force: true,
        findings: 1,
    }];
    report.coverage.anomalies = vec!["text".to_owned()];
    report.left_behind =
        vec![LeftBehind { kind: "signature".to_owned(), digest: digest.clone(), names: digest.clone(), platform: text(), tag: text() }];
    report.pushed =
        vec![PushedImage { reference: "ghcr.io/acme/shop:1".to_owned(), digest, platforms: vec!["linux/amd64".to_owned()], sign_anew: true }];
    report.notices.push(Notice { text: "text".to_owned(), confidential: false });
    report.error = Some(RunError { stage: "push".to_owned(), message: "text".to_owned(), hint: text(), exit_code: 5, confidential: false });
    report
}

/// Reports that no format may stumble over: with hostile names, empty, of a run that failed, with a thousand findings.
pub(crate) fn odd() -> Vec<(&'static str, RunReport)> {
    let names = [
        "<script>alert(1)</script>",
        "]]>",
        "a\nb\r\n",
        "\u{1b}]0;x\u{7}\u{9b}2J",
        "\u{202e}gnp.exe",
        "\u{fffe}\u{ffff}",
        "\"' onload='x",
        "a|b`c`",
        "##[error]x",
    ];
    let name = names.concat();
    let mut hostile = sample();
    for reported in &mut hostile.findings {
        (reported.title, reported.gains, reported.advice, reported.why) = (name.clone(), name.clone(), name.clone(), name.clone());
        (reported.step, reported.references) = (Some(name.clone()), vec![name.clone(), format!("javascript:{name}")]);
        let finding = &mut reported.finding;
        (finding.rule, finding.path, finding.redacted) = (name.clone(), Some(name.clone()), name.clone());
        finding.layer.iter_mut().for_each(|layer| layer.instruction = Some(name.clone()));
        finding.validation = Some(Validity { state: ValidityState::Unknown, why: name.clone(), at: Some(name.clone()) });
        reported.prevention = Some(Prevention { text: name.clone(), change: Some(Change { file: name.clone(), line: name.clone() }) });
        reported.first_seen.iter_mut().for_each(|first| {
            (first.reference, first.at, first.environment, first.commit) = (name.clone(), name.clone(), Some(name.clone()), Some(name.clone()));
        });
        reported.exception.iter_mut().for_each(|exception| exception.reason.clone_from(&name));
    }
    hostile.coverage.not_scanned[0].what.clone_from(&name);
    hostile.coverage.anomalies.push(name.clone());
    hostile.notices[0].text.clone_from(&name);
    hostile.verdict.reasons.push(name.clone());
    (hostile.service, hostile.environment, hostile.started) = (Some(name.clone()), Some(name.clone()), name.clone());
    if let Some(source) = &mut hostile.source {
        source.reference.clone_from(&name);
        source.platforms[0].platform.clone_from(&name);
        source.platforms[0].steps.iter_mut().for_each(|step| step.instruction = Some(name.clone()));
    }
    let mut empty = sample();
    (empty.findings, empty.placements, empty.notices, empty.coverage) = Default::default();
    (empty.verdict.outcome, empty.verdict.reasons) = (Outcome::Passed, Vec::new());
    let tool = sample().tool;
    let mut failed = RunReport::begin(tool, "2026-11-22T04:00:00Z".to_owned(), "high".to_owned());
    failed.error = Some(RunError {
        stage: "source".to_owned(),
        message: format!("no such image {name}"),
        hint: Some(name.clone()),
        exit_code: 3,
        confidential: false,
    });
    let mut many = sample();
    many.findings = vec![many.findings[0].clone(); 1000];
    vec![("hostile", hostile), ("empty", empty), ("failed", failed), ("many", many)]
}

//! The run report, written as the journey goes.

use std::collections::BTreeSet;
use std::time::Instant;

use time::Date;
use time::format_description::well_known::Iso8601;

use crate::bait::placement::Placement;
use crate::bait::plan::ImagePlan;
use crate::destination::contract::Delivered;
use crate::image::stored::{Image, Root, StoredImage};
use crate::ledger::record::Event;
use crate::oci::location::Location;
use crate::pipeline::clock;
use crate::pipeline::error::PipelineError;
use crate::pipeline::first_seen;
use crate::pipeline::inherited;
use crate::pipeline::progress::Stage;
use crate::pipeline::session::Session;
use crate::pipeline::vendors::Asking;
use crate::policy::exception::Exception;
use crate::policy::gate::{self, Policy, Silencer};
use crate::reader::process::Standing;
use crate::report::advice::{certainty, prevention};
use crate::report::run_report::{
    AppliedException, BuildStep, Coverage, LeftBehind, NotScanned, Notice, Outcome, PushedImage, ReportedException, ReportedFinding,
    ReportedPlacement, RunError, RunReport, Silenced, SilencedBy, Source, SourcePlatform, StepLayer, Timings, Tool,
};
use crate::report::words::{count, lower_first};
use crate::scan::finding::{Finding, FoundIn};
use crate::scan::gap::GapKind;
use crate::scan::image_scan;
use crate::scan::redact::redact_text;
use crate::secret::fingerprint::{Fingerprint, FingerprintKind};

/// Lines of one kind that are named in notices; the report has no use for more.
const TOLD: usize = 20;

/// The account of one run.
pub struct Account {
    report: RunReport,
    began: Instant,
    /// The stage under way, and since when.
    stage: Option<(Stage, Instant)>,
    /// Whether something is signed or attested that names the source's digests.
    endorsed: bool,
    /// Whether the ledger is being told what was found.
    remembered: bool,
}

impl Account {
    #[must_use]
    pub fn open(session: &Session, source: &str, claims: Option<(&str, &str)>) -> Self {
        let tool = Tool { version: env!("CARGO_PKG_VERSION").to_owned(), ruleset: session.rules.hash().to_owned() };
        let mut report = RunReport::begin(tool, clock::timestamp(), session.policy.fail_on.to_string());
        if let Some((service, environment)) = claims {
            report.service = Some(service.to_owned());
            report.environment = Some(environment.to_owned());
        }
        report.source = Some(Source { reference: source.to_owned(), digest: None, platforms: Vec::new() });
        report.context = session.context.clone();
        report.fingerprints = if session.fingerprint_key.is_some() { FingerprintKind::Keyed } else { FingerprintKind::Unkeyed };
        Self { report, began: Instant::now(), stage: None, endorsed: false, remembered: false }
    }

    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.report.verdict.outcome
    }

    /// A stage begins, and the one before ends.
    pub fn watch(&mut self, stage: Stage) {
        self.stop();
        self.stage = Some((stage, Instant::now()));
    }

    /// The image was opened and read.
    pub fn read(&mut self, session: &Session, location: &Location, image: &StoredImage) {
        let platforms = image.named_images().map(|(image, name)| SourcePlatform {
            platform: name.unwrap_or_else(|| image.config.platform.to_string()),
            digest: Some(image.manifest.digest()),
            layers: Some(image.manifest.layers.len()),
            steps: steps(session, image),
        });
        self.report.source = Some(Source {
            reference: location.to_string(),
            digest: Some(image.digest()).filter(|_| image.beside.name.is_none()),
            platforms: platforms.collect(),
        });
    }

    /// Which processes read the layers, and what held them.
    pub fn read_by(&mut self, standing: &Standing) {
        if let Some(confinement) = &standing.confinement {
            self.report.coverage.readers_held_by.clone_from(&confinement.held_by);
            if !confinement.missing.is_empty() {
                let missing = confinement.missing.join(", no ");
                self.notice(format!("the processes that read the layers were less confined than they could be: no {missing}"), false);
            }
        }
        if let Some(why) = &standing.unconfined {
            self.notice(format!("layers were read in this process, unconfined: no reader process could be started ({why})"), false);
        }
    }

    /// The image goes on as it is: what may be concluded from that is said.
    pub fn unseen(&mut self) {
        self.stop();
        self.report.verdict.outcome = Outcome::Passed;
        self.report.verdict.reasons = vec!["pushed as it is, and nobody looked into it".to_owned()];
        self.report.coverage.not_scanned = vec![NotScanned { what: "the image".to_owned(), why: "push alone does not look into it".to_owned() }];
    }

    /// What was found, and what to think of it.
    pub fn judged(
        &mut self,
        session: &Session,
        findings: Vec<Finding>,
        own_bait: &BTreeSet<Fingerprint>,
        coverage: &image_scan::Coverage,
        verdict: &gate::Verdict,
    ) {
        self.stop();
        self.report.verdict.outcome = match verdict.outcome {
            gate::Outcome::Passed => Outcome::Passed,
            gate::Outcome::Warned => Outcome::Warned,
            gate::Outcome::Denied => Outcome::Denied,
        };
        self.report.verdict.reasons.clone_from(&verdict.reasons);
        self.report.coverage = Coverage {
            layers: Some(coverage.layers),
            cached_layers: Some(coverage.cached_layers).filter(|layers| *layers > 0),
            files: Some(coverage.files),
            bytes: Some(coverage.bytes),
            inside: Some(coverage.inside).filter(|inside| inside.files > 0),
            readers_held_by: std::mem::take(&mut self.report.coverage.readers_held_by),
            not_scanned: coverage.not_scanned.iter().map(|text| NotScanned::parse(text)).collect(),
            anomalies: coverage.anomalies.clone(),
        };
        self.report.findings = findings
            .into_iter()
            .enumerate()
            .map(|(index, finding)| {
                let rule = session.rules.get(&finding.rule);
                let (title, gains, advice) = match (rule, GapKind::with_id(&finding.rule)) {
                    (Some(rule), _) => (rule.name.clone(), lower_first(&rule.gain), rule.revoke.clone()),
                    (None, Some(gap)) => (gap.title().to_owned(), lower_first(gap.gain()), gap.advice().to_owned()),
                    (None, None) => (finding.rule.clone(), String::new(), String::new()),
                };
                let silencer = verdict.silenced.binary_search_by_key(&index, |(at, _)| *at).ok().map(|place| verdict.silenced[place].1);
                let excepted = match silencer {
                    Some(Silencer::Exception(at)) => session.policy.exceptions.get(at),
                    _ => None,
                };
                let step = self.step(&finding);
                let made_by = finding.layer.as_ref().and_then(|layer| layer.instruction.as_deref());
                ReportedFinding {
                    title,
                    gains,
                    advice,
                    why: certainty(&finding, rule),
                    prevention: Some(prevention(&finding, made_by.or(step.as_deref()))),
                    step,
                    dockerfile_line: None,
                    references: rule.map(|rule| rule.references.clone()).unwrap_or_default(),
                    blocking: verdict.blocking.binary_search(&index).is_ok(),
                    exception: excepted.and_then(applied),
                    silenced: silencer.and_then(|silencer| silenced(&session.policy, &finding, silencer)),
                    first_seen: None,
                    finding,
                }
            })
            .collect();
        self.exceptions(session, verdict);
        if let Asking::Refused(why) = &session.asking {
            self.notice(format!("no vendor was asked whether a finding is live, although it was wanted: {why}"), false);
        }
        if !own_bait.is_empty() {
            self.confide(inherited::told(session, own_bait));
        }
    }

    /// Which image had each secret first, where the ledger knows.
    pub fn look_back(&mut self, session: &Session) {
        match first_seen::look_up(session, &self.report.findings) {
            Ok(known) => self.report.findings.iter_mut().for_each(|reported| reported.first_seen = known.get(&reported.finding.fingerprint).cloned()),
            Err(error) => self.notice(format!("which image had each secret first is not told: {error}"), true),
        }
    }

    /// What the ledger is to learn of the image when it has arrived at `location`. It has one record for all places to which the image goes.
    pub fn news(&mut self, session: &Session, location: &Location, delivered: &Delivered) -> Option<Event> {
        if self.remembered || !matches!(location, Location::Registry(_)) {
            return None;
        }
        let news = first_seen::news(session, &self.report, &delivered.digest, &delivered.reference, true);
        self.remembered = news.is_some();
        news
    }

    /// Tells the ledger, where there is one, of what is published with nothing planted in it.
    pub fn remember(&mut self, session: &Session, location: &Location, delivered: &Delivered) {
        if let Some(news) = self.news(session, location, delivered) {
            self.write_down(session, news);
        }
    }

    /// Tells the ledger, where there is one, of what was kept from being published.
    pub fn remember_denied(&mut self, session: &Session, image: &StoredImage) {
        let reference = self.report.source.as_ref().map(|source| source.reference.as_str()).unwrap_or_default();
        if let Some(news) = first_seen::news(session, &self.report, &image.digest(), reference, false) {
            self.write_down(session, news);
        }
    }

    fn write_down(&mut self, session: &Session, news: Event) {
        if let Err(error) = first_seen::remember(session, news) {
            self.notice(format!("the ledger could not be told which secrets this image has: {error}"), true);
        }
    }

    /// Findings in a Dockerfile have the instruction that they stand in.
    pub fn instructed<'a>(&mut self, instruction: impl Fn(&Finding) -> Option<&'a str>) {
        for reported in &mut self.report.findings {
            if let Some(step) = instruction(&reported.finding) {
                reported.prevention = Some(prevention(&reported.finding, Some(step.trim_start_matches("ONBUILD "))));
                reported.step = Some(step.to_owned());
            }
        }
    }

    /// What was to let findings pass, and what needs a look of that.
    fn exceptions(&mut self, session: &Session, verdict: &gate::Verdict) {
        let policy = &session.policy;
        let today = clock::now().date();
        let mut unused = Vec::new();
        for (at, exception) in policy.exceptions.iter().enumerate() {
            let findings = verdict.uses.get(at).copied().unwrap_or_default();
            if verdict.expired.contains(&at) {
                let owner = exception.owner.as_ref().map(|owner| format!(" of {owner}")).unwrap_or_default();
                self.notice(format!("the exception \"{}\"{owner} has expired and no longer counts", exception.reason), false);
            }
            let in_force = exception.is_in_force(today);
            if exception.is_taken_over && findings == 0 {
                continue;
            }
            if in_force && findings == 0 {
                unused.push(exception.source.as_str());
            }
            self.report.exceptions.push(ReportedException {
                scope: exception.scope(),
                reason: exception.reason.clone(),
                owner: exception.owner.clone(),
                expires: exception.expires.and_then(written),
                source: exception.source.clone(),
                in_force,
                findings,
            });
        }
        if !unused.is_empty() {
            let named = unused.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
            let more = unused.len().checked_sub(TOLD).filter(|more| *more > 0).map(|more| format!(" and {more} more")).unwrap_or_default();
            self.notice(format!("{} matched nothing here: {named}{more}", count(unused.len(), "exception")), false);
        }
        if let Some(baseline) = &policy.baseline {
            let (gone, all, source) = (verdict.gone, baseline.findings().len(), &baseline.source);
            if baseline.kind() == FingerprintKind::Keyed && self.report.fingerprints == FingerprintKind::Unkeyed && all > 0 {
                let text = format!(
                    "the fingerprints in {source} are keyed and this run has no owner's key, as those of forks: nothing in it can match. \
                     One that was written with --unkeyed matches everywhere (honeycrate baseline write --unkeyed)"
                );
                self.notice(text, false);
            } else if gone > 0 {
                let text = format!("{gone} of the {} in {source} are gone: write it again (honeycrate baseline write)", count(all, "known finding"));
                self.notice(text, false);
            }
        }
        for line in policy.not_taken_over.iter().take(TOLD) {
            self.notice(format!("not taken over: {line}"), false);
        }
        if let Some(more) = policy.not_taken_over.len().checked_sub(TOLD).filter(|more| *more > 0) {
            self.notice(format!("not taken over: {more} more lines of other scanners' files"), false);
        }
        if let (Some(why), number @ 1..) = (session.untrusted, verdict.silenced.len()) {
            let text =
                format!("{} let pass by files that this change brings along, and {why}: look at what it does to them", count(number, "finding"));
            self.notice(text, false);
        }
    }

    /// What goes where is known.
    pub fn planned(&mut self, plans: &[ImagePlan], artifacts: usize) {
        for (plan, skipped) in plans.iter().flat_map(|plan| plan.skipped.iter().map(move |skipped| (plan, skipped))) {
            self.notice(format!("nothing was planted on the {} surface of {}: {}", skipped.surface, plan.platform, skipped.why), true);
        }
        if artifacts > 0 {
            self.endorsed = true;
            self.notice(
                format!(
                    "{artifacts} attestations were passed through untouched; they name the digest before planting. Sign and attest after this step"
                ),
                true,
            );
        }
    }

    /// What refers to the source is known, or why it is not.
    pub fn left_behind(&mut self, referrers: Vec<LeftBehind>, blind: Vec<String>) {
        self.endorsed |= !referrers.is_empty();
        self.report.left_behind = referrers;
        for why in blind {
            self.notice(format!("signatures and attestations of the source may be there that were not seen: {why}"), true);
        }
    }

    /// Something worth knowing that says nothing of bait.
    pub fn note(&mut self, text: String) {
        self.notice(text, false);
    }

    /// The same of what says something of bait: for the owner alone.
    pub fn confide(&mut self, text: String) {
        self.notice(text, true);
    }

    /// The bait is in.
    pub fn planted<'a>(&mut self, placements: impl Iterator<Item = &'a Placement>) {
        self.report.placements = placements.map(ReportedPlacement::from).collect();
    }

    /// The image arrived somewhere.
    pub fn pushed(&mut self, location: &Location, image: &StoredImage, delivered: Delivered) {
        let changed = self.report.source.as_ref().is_some_and(|source| source.digest.as_ref() != Some(&delivered.digest));
        let platforms = match image.root {
            Root::Image(_) => Vec::new(),
            Root::Index { .. } => image.images().map(|image| image.config.platform.to_string()).collect(),
        };
        let sign_anew = self.endorsed && changed && matches!(location, Location::Registry(_));
        self.report.pushed.push(PushedImage { reference: delivered.reference, digest: delivered.digest, platforms, sign_anew });
    }

    /// The finished report. An error takes the verdict's place.
    #[must_use]
    pub fn close(mut self, error: Option<&PipelineError>) -> RunReport {
        self.stop();
        self.report.timings.total_ms = Some(milliseconds(self.began));
        if let Some(error) = error {
            self.report.verdict.outcome = Outcome::Error;
            self.report.error = Some(RunError {
                stage: error.stage().to_owned(),
                message: error.to_string(),
                hint: error.hint(),
                exit_code: error.exit_code(),
                confidential: error.is_confidential(),
            });
        }
        self.report
    }

    /// The step of the history that a finding lies in.
    fn step(&self, finding: &Finding) -> Option<String> {
        let number: usize = finding.path.as_deref().filter(|_| finding.surface == FoundIn::History)?.parse().ok()?;
        let platforms = &self.report.source.as_ref()?.platforms;
        let named = |platform: &&SourcePlatform| finding.platforms.first().is_none_or(|name| platform.platform == *name);
        platforms.iter().find(named)?.steps.get(number)?.instruction.clone()
    }

    fn notice(&mut self, text: String, confidential: bool) {
        self.report.notices.push(Notice { text, confidential });
    }

    fn stop(&mut self) {
        let Some((stage, since)) = self.stage.take() else { return };
        let Timings { read_ms, scan_ms, plant_ms, push_ms, .. } = &mut self.report.timings;
        let total = match stage {
            Stage::Reading => read_ms,
            Stage::Scanning => scan_ms,
            Stage::Planting | Stage::Compressing => plant_ms,
            Stage::Pushing => push_ms,
        };
        *total = Some(total.unwrap_or_default() + milliseconds(since));
    }
}

/// The exception as reports have it: it has somebody who answers for it, and an end.
fn applied(exception: &Exception) -> Option<AppliedException> {
    let (owner, expires) = (exception.owner.clone()?, written(exception.expires?)?);
    Some(AppliedException { reason: exception.reason.clone(), owner, expires })
}

fn silenced(policy: &Policy, finding: &Finding, silencer: Silencer) -> Option<Silenced> {
    Some(match silencer {
        Silencer::Exception(at) => {
            let exception = policy.exceptions.get(at)?;
            let by = if exception.is_taken_over { SilencedBy::IgnoreFile } else { SilencedBy::Exception };
            Silenced { by, why: exception.reason.clone(), source: exception.source.clone() }
        }
        Silencer::Baseline(at) => {
            let baseline = policy.baseline.as_ref()?;
            let reason = &baseline.findings().get(at)?.reason;
            let why = if reason.is_empty() { "from an earlier scan" } else { reason };
            Silenced { by: SilencedBy::Baseline, why: why.to_owned(), source: baseline.source.clone() }
        }
        Silencer::Marker => {
            let source = finding.marked_by.clone()?;
            Silenced { by: SilencedBy::Marker, why: "allowed in the file".to_owned(), source }
        }
    })
}

fn written(date: Date) -> Option<String> {
    date.format(&Iso8601::DATE).ok()
}

/// The steps of the history with the layers that they made. Where history and layers are out of step, the layers alone.
fn steps(session: &Session, image: &Image) -> Vec<BuildStep> {
    let now = clock::now().unix_timestamp();
    let layer = |index: usize| {
        let layer = image.manifest.layers.get(index)?;
        Some(StepLayer { index, digest: layer.digest.clone(), size: layer.size })
    };
    let told = |index: usize| image.config.history_of_layer(index).is_some();
    let without = (0..image.manifest.layers.len()).filter(|index| !told(*index)).map(|index| BuildStep { instruction: None, layer: layer(index) });
    let in_step = told(0);
    let mut made = 0;
    let steps = image.config.history.iter().map(|step| {
        let made_layer = in_step && !step.empty_layer;
        made += usize::from(made_layer);
        BuildStep {
            instruction: step.created_by.as_deref().map(|step| redact_text(step, &session.rules, now)),
            layer: if made_layer { layer(made - 1) } else { None },
        }
    });
    steps.chain(without).collect()
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

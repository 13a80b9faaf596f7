//! Asks vendors whether found credentials still work: only when told to, about each once, and never with what may be somebody's bait.

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::pipeline::session::Session;
use crate::pipeline::vendors::{Asking, Round};
use crate::report::words::count;
use crate::scan::finding::{Confidence, Finding, Severity};
use crate::scan::gap::GapKind;
use crate::scan::places;
use crate::scan::validation::Question;
use crate::scan::validity::Validity;
use crate::scan::vendor_request::VendorRequest;

/// Credentials that are asked about in one run, the gravest first.
const MAX_ASKED: usize = 100;
/// Requests at the same time.
const AT_ONCE: usize = 4;

/// Writes into each finding whether its vendor still takes it, or why nobody asked. What is live is critical, and comes first.
pub async fn validate(session: &Session, findings: &mut [Finding]) {
    let vendors = match &session.asking {
        Asking::Off => return,
        Asking::Refused(why) => {
            for finding in findings.iter_mut().filter(|finding| GapKind::with_id(&finding.rule).is_none()) {
                finding.validation = Some(Validity::not_asked(format!("this run may not send anything: {why}")));
            }
            return;
        }
        Asking::On(vendors) => vendors,
    };
    let mut requests: Vec<(VendorRequest, &Question, Vec<usize>)> = Vec::new();
    for (at, finding) in findings.iter_mut().enumerate().filter(|(_, finding)| GapKind::with_id(&finding.rule).is_none()) {
        let (request, question) = match vendors.request(&session.rules, finding) {
            Ok(asked) => asked,
            Err(why) => {
                finding.validation = Some(Validity::not_asked(why));
                continue;
            }
        };
        if let Some((.., places)) = requests.iter_mut().find(|(same, ..)| *same == request) {
            places.push(at);
        } else if requests.len() < MAX_ASKED {
            requests.push((request, question, vec![at]));
        } else {
            finding.validation = Some(Validity::not_asked(format!("{MAX_ASKED} others were, and a run asks no more")));
        }
    }
    if !requests.is_empty() {
        session.progress.note(&format!("asking vendors about {}", count(requests.len(), "credential")));
    }
    let round = &Round::begin();
    let answers = stream::iter(requests).map(|(request, question, places)| async move { (places, vendors.ask(question, &request, round).await) });
    let answers: Vec<(Vec<usize>, Validity)> = answers.buffer_unordered(AT_ONCE).collect().await;
    for (places, validity) in answers {
        for at in places {
            let Some(finding) = findings.get_mut(at) else { continue };
            if validity.is_live() {
                (finding.severity, finding.confidence) = (Severity::Critical, Confidence::High);
            }
            finding.validation = Some(validity.clone());
        }
    }
    places::sort(findings);
    findings.sort_by_key(|finding| !finding.validation.as_ref().is_some_and(Validity::is_live));
}

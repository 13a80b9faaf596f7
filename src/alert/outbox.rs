//! The outbox: alerts on disk until every sink has accepted them.
//!
//! One directory for each sink, one file for each alert. A file is durable before the first attempt and set aside after the first
//! success, so an alert is delivered at least once, through crashes and however long a sink is down. Its name comes from the
//! alert's time and id: the same alert put in twice is one file, and one that was delivered is not delivered again.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::alert::error::AlertError;
use crate::alert::message::{Alert, SCHEMA};
use crate::alert::sinks::contract::Sink;
use crate::oci::digest::Digest;

/// The pause after a first failure; it doubles with every further one.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The ending of what a sink has had: who reads the ledger again from its beginning, as a scheduled watch does, repeats nothing.
const DELIVERED: &str = "delivered";

/// Alerts that wait, and the sinks that they wait for.
pub struct Outbox {
    directory: PathBuf,
    sinks: Vec<Arc<dyn Sink>>,
    pauses: HashMap<String, Pause>,
}

/// What one round of deliveries came to.
#[derive(Debug, Default)]
pub struct Round {
    pub delivered: usize,
    /// Deliveries still to be made.
    pub waiting: usize,
    /// Each sink that failed now, once, and files that could not be read.
    pub problems: Vec<AlertError>,
    /// How long until something is due again. `None` when nothing waits.
    pub next: Option<Duration>,
}

struct Pause {
    length: Duration,
    until: Instant,
}

impl Outbox {
    /// The outbox in `directory`, which is made, readable for its owner alone. What a former process left there is delivered first.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: &Path, sinks: Vec<Arc<dyn Sink>>) -> Result<Self, AlertError> {
        let outbox = Self { directory: directory.to_owned(), sinks, pauses: HashMap::new() };
        for sink in &outbox.sinks {
            let place = outbox.place(sink.name());
            DirBuilder::new().recursive(true).mode(0o700).create(&place).map_err(|cause| AlertError::Outbox { path: place, cause })?;
        }
        Ok(outbox)
    }

    /// Puts an alert in for every sink that has not had it. It is durable when this returns.
    ///
    /// # Errors
    /// When it cannot be written; sinks that it was written for still get it.
    pub fn put(&self, alert: &Alert) -> Result<(), AlertError> {
        let places = self.sinks.iter().map(|sink| self.place(sink.name()).join(file_name(alert)));
        let written = places
            .filter(|path| !path.with_extension(DELIVERED).exists())
            .map(|path| write(&path, &alert.to_json()).map_err(|cause| AlertError::Outbox { path, cause }));
        // All are tried before the first failure is told.
        written.collect::<Vec<_>>().into_iter().collect()
    }

    /// How many sinks there are.
    #[must_use]
    pub fn sinks(&self) -> usize {
        self.sinks.len()
    }

    /// Whether every sink has had an alert.
    #[must_use]
    pub fn has_delivered(&self, alert: &Alert) -> bool {
        self.sinks.iter().all(|sink| self.place(sink.name()).join(file_name(alert)).with_extension(DELIVERED).exists())
    }

    /// Tries every delivery that is due, all sinks at the same time, the alerts of each in order. A sink that fails is left alone
    /// for a while that doubles with each failure, up to five minutes.
    pub async fn flush(&mut self, now: Instant) -> Round {
        let due = self.sinks.iter().filter(|sink| self.pauses.get(sink.name()).is_none_or(|pause| pause.until <= now));
        let tried = join_all(due.map(|sink| async { (sink.name().to_owned(), self.drain(sink.as_ref()).await) })).await;
        let mut round = Round::default();
        for (name, (delivered, problems)) in tried {
            round.delivered += delivered;
            if problems.iter().any(|problem| !matches!(problem, AlertError::Unreadable { .. })) {
                let pause = self.pauses.entry(name).or_insert(Pause { length: SHORTEST_PAUSE / 2, until: now });
                pause.length = (pause.length * 2).min(LONGEST_PAUSE);
                pause.until = now + pause.length;
            } else {
                self.pauses.remove(&name);
            }
            round.problems.extend(problems);
        }
        for sink in &self.sinks {
            let waiting = files(&self.place(sink.name())).map_or(0, |files| files.len());
            round.waiting += waiting;
            if waiting > 0 {
                let rest = self.pauses.get(sink.name()).map_or(Duration::ZERO, |pause| pause.until.saturating_duration_since(now));
                round.next = Some(round.next.map_or(rest, |next| next.min(rest)));
            }
        }
        round
    }

    /// Delivers what waits for one sink, up to its first failure.
    async fn drain(&self, sink: &dyn Sink) -> (usize, Vec<AlertError>) {
        let place = self.place(sink.name());
        let mut delivered = 0;
        let mut problems = Vec::new();
        let waiting = match files(&place) {
            Ok(waiting) => waiting,
            Err(cause) => return (0, vec![AlertError::Outbox { path: place, cause }]),
        };
        for path in waiting {
            let done = match read(&path) {
                Ok(alert) => match sink.deliver(&alert).await {
                    Ok(()) => fs::rename(&path, path.with_extension(DELIVERED)).map(|()| delivered += 1),
                    Err(problem) => {
                        problems.push(problem);
                        break;
                    }
                },
                Err(why) => {
                    let aside = fs::rename(&path, path.with_extension("damaged"));
                    problems.push(AlertError::Unreadable { path: path.clone(), why });
                    aside
                }
            };
            if let Err(cause) = done {
                problems.push(AlertError::Outbox { path, cause });
                break;
            }
        }
        (delivered, problems)
    }

    /// The directory for one sink. Names are the owner's and may hold anything, so the digest tells them apart.
    fn place(&self, name: &str) -> PathBuf {
        let readable: String = name.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
        self.directory.join(format!("{readable}-{}", &Digest::of(name.as_bytes()).hex()[..8]))
    }
}

/// Sorts by time; ids of providers may hold anything, so the digest stands for them.
fn file_name(alert: &Alert) -> String {
    let time: String = alert.time.chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{time}-{}.json", &Digest::of(alert.id.as_bytes()).hex()[..32])
}

/// Complete or not at all: written beside, flushed, then renamed.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn read(path: &Path) -> Result<Alert, String> {
    let text = fs::read(path).map_err(|cause| cause.to_string())?;
    let alert: Alert = serde_json::from_slice(&text).map_err(|cause| cause.to_string())?;
    if alert.schema == SCHEMA { Ok(alert) } else { Err(format!("its schema is `{}`", alert.schema)) }
}

fn files(place: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(place)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    let mut paths: Vec<PathBuf> = paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::message::samples::alert;
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;
    use std::sync::Mutex;

    /// Fails as often as it is told, then accepts.
    struct Flaky {
        name: &'static str,
        failures: Mutex<usize>,
        accepted: Mutex<Vec<String>>,
    }

    impl Flaky {
        fn new(name: &'static str, failures: usize) -> Arc<Self> {
            Arc::new(Self { name, failures: Mutex::new(failures), accepted: Mutex::default() })
        }

        fn accepted(&self) -> Vec<String> {
            self.accepted.lock().expect("not poisoned").clone()
        }
    }

    impl Sink for Flaky {
        fn name(&self) -> &str {
            self.name
        }

        fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), AlertError>> {
            async {
                let mut failures = self.failures.lock().expect("not poisoned");
                if *failures > 0 {
                    *failures -= 1;
                    return Err(AlertError::Sink { sink: self.name.to_owned(), why: "down".to_owned() });
                }
                self.accepted.lock().expect("not poisoned").push(alert.id.clone());
                Ok(())
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn every_sink_gets_every_alert_once_when_all_is_well() {
        let scratch = tempfile::tempdir().expect("scratch");
        let (one, two) = (Flaky::new("one", 0), Flaky::new("../two", 0));
        let mut outbox = Outbox::open(&scratch.path().join("outbox"), vec![one.clone(), two.clone()]).expect("made");
        for environment in ["production", "staging", "production"] {
            outbox.put(&alert(environment)).expect("kept");
        }
        let round = outbox.flush(Instant::now()).await;
        assert_eq!((round.delivered, round.waiting, round.next), (4, 0, None));
        assert_eq!((one.accepted().len(), one.accepted()), (2, two.accepted()));
        assert_eq!(outbox.flush(Instant::now()).await.delivered, 0);
        outbox.put(&alert("staging")).expect("kept");
        assert_eq!(outbox.flush(Instant::now()).await.delivered, 0, "both have had it");
        let later = Flaky::new("later", 0);
        let mut outbox = Outbox::open(&scratch.path().join("outbox"), vec![one.clone(), later.clone()]).expect("made");
        outbox.put(&alert("staging")).expect("kept");
        assert_eq!((outbox.flush(Instant::now()).await.delivered, later.accepted().len(), one.accepted().len()), (1, 1, 2));
    }

    #[tokio::test]
    async fn a_sink_that_is_down_delays_no_other_and_is_asked_ever_less_often() {
        let scratch = tempfile::tempdir().expect("scratch");
        let (up, down) = (Flaky::new("up", 0), Flaky::new("down", 3));
        let mut outbox = Outbox::open(scratch.path(), vec![up.clone(), down.clone()]).expect("made");
        outbox.put(&alert("production")).expect("kept");
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let round = outbox.flush(at(0)).await;
        assert_eq!((round.delivered, round.waiting, round.problems.len(), round.next), (1, 1, 1, Some(Duration::from_secs(1))));
        assert_eq!(outbox.flush(at(0)).await.problems.len(), 0, "not due yet");
        assert_eq!(outbox.flush(at(1)).await.next, Some(Duration::from_secs(2)));
        assert_eq!(outbox.flush(at(3)).await.next, Some(Duration::from_secs(4)));
        assert_eq!(outbox.flush(at(7)).await.waiting, 0);
        assert_eq!((up.accepted().len(), down.accepted().len()), (1, 1));
    }

    #[tokio::test]
    async fn what_one_process_could_not_deliver_the_next_one_does() {
        let scratch = tempfile::tempdir().expect("scratch");
        let mut outbox = Outbox::open(scratch.path(), vec![Flaky::new("hook", 1)]).expect("made");
        outbox.put(&alert("production")).expect("kept");
        assert_eq!(outbox.flush(Instant::now()).await.waiting, 1);
        drop(outbox);
        let later = Flaky::new("hook", 0);
        let mut outbox = Outbox::open(scratch.path(), vec![later.clone()]).expect("there");
        assert_eq!(outbox.flush(Instant::now()).await.delivered, 1);
        assert_eq!(later.accepted(), [alert("production").id]);
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside_and_told_and_blocks_nothing() {
        let scratch = tempfile::tempdir().expect("scratch");
        let sink = Flaky::new("hook", 0);
        let mut outbox = Outbox::open(scratch.path(), vec![sink.clone()]).expect("made");
        outbox.put(&alert("production")).expect("kept");
        let place = outbox.place("hook");
        fs::write(place.join("0-cut.json"), "{\"schema\":").expect("written");
        fs::write(place.join("9-half.new"), "{").expect("written");
        let round = outbox.flush(Instant::now()).await;
        assert_eq!((round.delivered, round.waiting, round.problems.len()), (1, 0, 1));
        assert!(place.join("0-cut.damaged").exists());
    }

    #[test]
    fn an_outbox_that_cannot_be_written_is_an_error_and_no_silence() {
        let scratch = tempfile::tempdir().expect("scratch");
        let outbox = Outbox::open(scratch.path(), vec![Flaky::new("hook", 0)]).expect("made");
        fs::remove_dir(outbox.place("hook")).expect("empty");
        assert!(matches!(outbox.put(&alert("production")), Err(AlertError::Outbox { .. })));
        assert!(Outbox::open(Path::new("/dev/null/outbox"), vec![Flaky::new("hook", 0)]).is_err());
    }
}

//! `decoy` and `watch`: the trap at work, and alerts where people see them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::mpsc;

use crate::alert::message::Alert;
use crate::alert::sinks::contract::Sink;
use crate::alert::sinks::json_lines::JsonLines;
use crate::alert::sinks::webhook::{Delivery, Webhook};
use crate::cli::args::{Decoy, Global, Only, Watch as WatchFlags};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::providers;
use crate::cli::setup::{Setup, here};
use crate::cli::token::needs;
use crate::config::resolve::Overrides;
use crate::decoy::certificate::{Certificate, self_made};
use crate::decoy::server::{self, Settings};
use crate::ledger::error::LedgerError;
use crate::ledger::place::Ledger;
use crate::ledger::stores;
use crate::ledger::tokens::tokens;
use crate::net::client::{HttpClient, Purpose};
use crate::pipeline::clock;
use crate::pipeline::memory::random;
use crate::pipeline::polling::{Polled, poll};
use crate::pipeline::trap::{Announcer, Watch, announced, recogniser};
use crate::provider::{PROVIDERS, embedded};
use crate::report::escape::{line, prose};
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

/// File descriptors that suffice for all visitors who are let in, and for our own files.
const ENOUGH_FILES: u64 = 4096;

/// How long providers are left alone between two questions.
const POLL: std::time::Duration = std::time::Duration::from_secs(60);

/// Runs the trap until it is told to stop.
///
/// # Errors
/// When it cannot listen, its certificate cannot be used, or ledger and keys are not there.
pub async fn decoy(arguments: &Decoy, global: &Global) -> Result<Exit, Failure> {
    let overrides = Overrides { decoy_host: arguments.decoy.clone(), ..Overrides::default() };
    let setup = Setup::with(global, overrides, &here())?;
    let ring = setup.keys()?;
    let ledger = setup.ledger()?;
    let web = address("--listen", &arguments.listen)?;
    let postgres = arguments.postgres.as_deref().map(|text| address("--postgres", text)).transpose()?;
    let host = setup.decoy()?.map_or_else(|| web.ip().to_string(), |host| host.name(""));
    let certificate = certificate(arguments, &host)?;

    let mut watch = watch_of(&setup, arguments.alerts.as_deref(), &ledger)?;
    let environments: Vec<String> = setup.settings.environments.keys().cloned().collect();
    let services: Vec<String> = setup.settings.service.iter().cloned().collect();
    let settings = Settings {
        web,
        postgres,
        host,
        certificate,
        proxies: Vec::new(),
        recognise: recogniser(ring, ledger.clone(), &services, &environments),
        announced: announced(ledger),
        clock: Arc::new(clock::now),
        seed: random(),
    };
    room_for_visitors();
    let (sender, triggers) = mpsc::unbounded_channel();
    let unusable = |error: crate::decoy::error::DecoyError| Failure::usage(error.to_string(), error.hint().unwrap_or_default());
    let running = server::start(settings, sender).await.map_err(unusable)?;
    if !global.quiet {
        anstream::eprintln!("the decoy answers HTTPS and HTTP on {}", running.web);
        match running.postgres {
            Some(address) => anstream::eprintln!("and PostgreSQL on {address}"),
            None => anstream::eprintln!("database bait leads to PostgreSQL, which is not answered: add --postgres ADDRESS"),
        }
        anstream::eprintln!("waiting: alerts appear here, Ctrl-C ends it");
    }
    let mut announcer = Voice { quiet: global.quiet, told: 0, troubles: 0 };
    // Triggers end when the trap does, and the watch when it has taken the last.
    let end = async {
        stop().await;
        running.shutdown().await;
    };
    tokio::join!(watch.run(triggers, &mut announcer), end);
    Ok(Exit::Passed)
}

/// Visitors at their limit must leave file descriptors for the ledger and the outbox. Where the system gives no more, we go on as it is.
fn room_for_visitors() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(ENOUGH_FILES, |most| most.min(ENOUGH_FILES));
    if limit.current.is_some_and(|now| now < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

/// Follows the ledger and delivers an alert for each trigger in it.
///
/// # Errors
/// When ledger or outbox cannot be used, when nobody would hear of anything, and where what is there could not be delivered.
pub async fn watch(arguments: &WatchFlags, global: &Global) -> Result<Exit, Failure> {
    let setup = Setup::new(global)?;
    let ledger = setup.ledger()?;
    let mut watch = watch_of(&setup, arguments.alerts.as_deref(), &ledger)?;
    if arguments.once && global.quiet && arguments.alerts.is_none() && setup.settings.alerts.is_empty() {
        return Err(Failure::usage(
            "nobody would hear of a used honeytoken: nothing is printed, and there is no sink",
            "name one under `alerts:` in honeycrate.yaml, or a webhook in HONEYCRATE_WEBHOOK_URL",
        ));
    }
    let mut announcer = Voice { quiet: global.quiet, told: 0, troubles: 0 };
    let ring = setup.keys_if_any()?;
    let ask = || ask_providers(&setup, &ledger, ring.as_ref());
    let polled = ask().await?;
    let blind = polled.blind.len();
    let mut said = say(polled, BTreeSet::new(), &mut announcer);
    let mut next = watch.follow(1, &mut announcer).await?;
    if announcer.told == 0 && !global.quiet {
        anstream::eprintln!("no honeytoken was used so far, says {}", ledger);
    }
    if arguments.drill_days > 0 && !global.quiet {
        undrilled(&ledger, arguments.drill_days)?;
    }
    if arguments.once {
        // Nobody looks at a warning of a job that is green.
        return match announcer.troubles {
            0 => Ok(Exit::Passed),
            _ if blind > 0 => Err(Failure::new(
                Exit::Provider,
                "not every provider could be asked how its tokens were used",
                "`honeycrate doctor provider` says why",
            )),
            _ => Err(Failure::new(Exit::Registry, "not every alert could be delivered", "what is left waits beside the ledger for the next watch")),
        };
    }
    if !global.quiet {
        anstream::eprintln!("waiting: alerts appear here, Ctrl-C ends it");
    }
    let again = || async {
        tokio::time::sleep(POLL).await;
        ask().await
    };
    let mut polling = Box::pin(again());
    loop {
        tokio::select! {
            polled = &mut polling => {
                said = say(polled?, said, &mut announcer);
                polling = Box::pin(again());
            }
            () = tokio::time::sleep(std::time::Duration::from_secs(2)) => next = watch.follow(next, &mut announcer).await?,
            () = stop() => return Ok(Exit::Passed),
        }
    }
}

/// Says how many tokens in use had no drill: an alert that nobody has seen arrive may not.
fn undrilled(ledger: &Ledger, days: u16) -> Result<(), Failure> {
    let since = clock::now() - time::Duration::days(days.into());
    let number = match stores::open_to_read(ledger) {
        Err(LedgerError::Missing { .. }) => 0,
        store => tokens(&*store?)?.iter().filter(|token| token.is_undrilled(since)).count(),
    };
    if number > 0 {
        anstream::eprintln!("note: {}", needs(Only::Undrilled, number, days));
    }
    Ok(())
}

/// Asks the providers that have tokens in the ledger.
async fn ask_providers(setup: &Setup, ledger: &Ledger, ring: Option<&KeyRing>) -> Result<Polled, Failure> {
    let ids: Vec<&str> = PROVIDERS.iter().map(|row| row.id).filter(|id| *id != embedded::ROW.id).collect();
    let make = |id: &str| providers::provider(setup, id).map_err(|failure| failure.to_string());
    Ok(poll(ledger, ring, &ids, &make).await?)
}

/// Tells what a round came to, as far as the one before had not told it already; gives what is said now.
fn say(polled: Polled, before: BTreeSet<String>, announcer: &mut Voice) -> BTreeSet<String> {
    for note in polled.notes.iter().filter(|note| !before.contains(*note) && !announcer.quiet) {
        let _ = writeln!(anstream::stderr(), "note: {}", prose(note));
    }
    for blind in polled.blind.iter().filter(|blind| !before.contains(*blind)) {
        announcer.trouble(blind);
    }
    polled.notes.into_iter().chain(polled.blind).collect()
}

/// Alerts on stdout, trouble on stderr.
struct Voice {
    quiet: bool,
    told: usize,
    troubles: usize,
}

impl Announcer for Voice {
    fn alert(&mut self, alert: &Alert) {
        self.told += 1;
        if self.quiet {
            return;
        }
        let loud = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let text = alert.to_text();
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        // A terminal that is gone does not end the watch.
        let _ = writeln!(anstream::stdout(), "{loud}{first}{loud:#}\n{rest}");
    }

    fn trouble(&mut self, what: &str) {
        self.troubles += 1;
        let _ = writeln!(anstream::stderr(), "warning: {}", prose(what));
    }
}

fn watch_of(setup: &Setup, alerts: Option<&Path>, ledger: &Ledger) -> Result<Watch, Failure> {
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
    if let Some(path) = alerts {
        sinks.push(Arc::new(JsonLines::new("alerts", path)));
    }
    let http = setup.http()?;
    for (number, entry) in setup.settings.alerts.iter().enumerate() {
        let name = format!("{}-{}", entry.kind, number + 1);
        match (&entry.path, &entry.url) {
            (Some(path), _) => sinks.push(Arc::new(JsonLines::new(&name, Path::new(path)))),
            (None, Some(url)) => sinks.push(Arc::new(Webhook::new(&name, url.clone(), post(http.clone())))),
            (None, None) => {}
        }
    }
    let unusable = |error: crate::alert::error::AlertError| Failure::usage(error.to_string(), error.hint().unwrap_or_default());
    Watch::new(ledger, sinks).map_err(unusable)
}

/// Posts over the one client. What goes wrong is told without the address, which often holds a token.
fn post(http: HttpClient) -> crate::alert::sinks::webhook::Post {
    Arc::new(move |delivery: Delivery| {
        let http = http.clone();
        Box::pin(async move {
            let url = url::Url::parse(delivery.url.expose()).map_err(|_| "its address is not a URL".to_owned())?;
            let client = http.for_host(&url, Purpose::Api).map_err(|_| "its host cannot be spoken to".to_owned())?;
            let mut request = client.post(url).body(delivery.body);
            for (name, value) in delivery.headers {
                request = request.header(name, value);
            }
            let answer = request.send().await.map_err(|error| line(&error.without_url().to_string()))?;
            Ok(answer.status().as_u16())
        })
    })
}

fn certificate(arguments: &Decoy, host: &str) -> Result<Certificate, Failure> {
    let unusable = |error: crate::decoy::error::DecoyError| Failure::usage(error.to_string(), error.hint().unwrap_or_default());
    let (Some(chain), Some(key)) = (&arguments.cert, &arguments.cert_key) else {
        return self_made(&[host.to_owned()], clock::now()).map_err(unusable);
    };
    let read = |path: &Path| {
        let failed = |cause| Failure::usage(format!("cannot read {}: {cause}", path.display()), "give PEM files with --cert and --cert-key");
        std::fs::read_to_string(path).map_err(failed)
    };
    Ok(Certificate { chain: read(chain)?, key: Secret::new(read(key)?) })
}

fn address(flag: &str, text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("{flag}: `{text}` is not an address with a port"), "write for example 0.0.0.0:443 or [::]:443"))
}

/// Ends when the process is asked to: Ctrl-C, or SIGTERM as containers are stopped.
async fn stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

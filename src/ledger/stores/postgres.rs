//! PostgreSQL: one database is one ledger, and many jobs on many machines write to it at once.
//!
//! Whoever appends takes one lock that lasts as long as the transaction, reads the head, links to it and commits: two round trips and one
//! durable write. Values travel beside the statements and never in them. What a connection took along when it was lost is looked up
//! before it is written again, so nothing is doubled.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::{join3, join4};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Row as Found};
use tokio_rustls::TlsConnector;

use crate::ledger::chain::{self, ChainSummary, Follower, Head};
use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::place::{Doors, Place};
use crate::ledger::record::{Event, Record};
use crate::ledger::stores::contract::{Opened, Row, Store};
use crate::net::client::{Wire, socket_wire, wire};
use crate::net::trust;

pub const ROW: Row =
    Row { scheme: "postgres", describe: "a database, for many jobs and machines at once; `honeycrate ledger init` makes its tables", open };

/// How a ledger came to be what it is, step by step. `WRITER` and `READER` stand for names of roles.
const STEPS: [&str; 1] = [include_str!("postgres_1.sql")];

/// How many sequences one part of the table of records holds: as in its first step.
const PART: u64 = 1_000_000;

/// What writers take one after the other: `honeycra`, as a number.
const LOCK: i64 = 0x686f_6e65_7963_7261;

/// How long a writer waits for another, and everybody for a server that is starting up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a server that was there a moment ago may take to come back.
const RETURN: Duration = Duration::from_secs(30);

/// How long a server may say nothing. It gives up on a statement before.
const SILENCE: Duration = Duration::from_secs(60);

/// Lines in one answer or statement.
const PAGE: usize = 2_000;

/// A job that gives up or dies leaves nothing that others would have to wait for, and an acknowledged record is on the disk whatever the
/// database's own setting is.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '30s';
    SET LOCAL idle_in_transaction_session_timeout = '60s'; SELECT set_config('synchronous_commit', 'on', true)
    WHERE current_setting('synchronous_commit') IN ('off', 'local')";
const BEGIN_TO_READ: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = '30s'";

const HEAD: &str = "SELECT sequence, line FROM honeycrate.record ORDER BY sequence DESC LIMIT 1";
const KNOWN: &str = "SELECT sequence, line, key FROM honeycrate.only_one JOIN honeycrate.record USING (sequence) WHERE key = ANY ($1)";
const ADD_RECORDS: &str = "INSERT INTO honeycrate.record (sequence, append, line)
    SELECT $1 + at - 1, $2::uuid, line FROM unnest($3) WITH ORDINALITY AS given (line, at)";
const ADD_MENTIONS: &str =
    "INSERT INTO honeycrate.mention (key, sequence) SELECT key, sequence FROM unnest($1, $2, $3) AS given (key, sequence, once)
    WHERE NOT once OR NOT EXISTS (SELECT FROM honeycrate.mention AS noted WHERE noted.key = given.key)";
const ADD_ONLY_ONES: &str = "INSERT INTO honeycrate.only_one (key, sequence) SELECT key, sequence FROM unnest($1, $2) AS given (key, sequence)";

fn open(place: &Place, doors: &Doors, writes: bool) -> Option<Opened> {
    let address = Address::read(place, doors)?;
    Some(address.and_then(|address| PostgresStore::open(address, writes)).map(|store| Box::new(store) as Box<dyn Store>))
}

/// Makes the tables and roles of a ledger, or brings them up to date, and tells what is left to do. `None` when the place is another store's.
///
/// # Errors
/// When the database cannot be reached, or this user may not.
pub fn prepare(place: &Place, doors: &Doors) -> Option<Result<Vec<String>, LedgerError>> {
    let address = Address::read(place, doors)?;
    Some(address.and_then(|address| {
        let store = PostgresStore::unopened(address, true)?;
        store.trying(async |client, _| store.prepare(client).await)
    }))
}

/// Where the server is, and who we are there.
struct Address {
    /// For people, without user and password.
    name: String,
    config: Config,
    hosts: Vec<(Host, u16)>,
    tls: Option<Arc<ClientConfig>>,
}

/// A ledger in a database.
struct PostgresStore {
    address: Address,
    writes: bool,
    /// Of its own, so that it does not matter which thread the store is used in. Taken when the store is dropped.
    runtime: Option<Runtime>,
    /// Taken while it is used, and put back unless it broke.
    link: Cell<Option<Client>>,
}

/// What travels beside a statement.
type Value<'a> = (&'a (dyn ToSql + Sync), Type);

/// Why something did not happen.
enum Fault {
    /// The connection is gone, or there was none. `soon`: the server said that it will be there.
    Lost {
        why: String,
        soon: bool,
    },
    Told(LedgerError),
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::Told(error)
    }
}

impl From<chain::ChainBreak> for Fault {
    fn from(broken: chain::ChainBreak) -> Self {
        Self::Told(broken.into())
    }
}

impl Address {
    fn read(place: &Place, doors: &Doors) -> Option<Result<Self, LedgerError>> {
        let Place::Url(url) = place else { return None };
        let (scheme, _) = url.expose().split_once("://")?;
        ["postgres", "postgresql"].contains(&scheme).then(|| Self::of_url(url.expose(), &place.to_string(), doors))
    }

    fn of_url(url: &str, name: &str, doors: &Doors) -> Result<Self, LedgerError> {
        let unusable = |cause: String| LedgerError::Unreachable { ledger: name.to_owned(), cause };
        // The client knows fewer modes of TLS than people who come from libpq do.
        let (before, query) = url.split_once('?').unwrap_or((url, ""));
        let (modes, others): (Vec<&str>, Vec<&str>) = query.split('&').filter(|part| !part.is_empty()).partition(|part| part.starts_with("sslmode="));
        let mut config: Config = format!("{before}?{}", others.join("&"))
            .parse()
            .map_err(|cause: tokio_postgres::Error| unusable(cause.source().map_or_else(|| cause.to_string(), ToString::to_string)))?;
        let mut hosts = config.get_hosts().to_vec();
        if hosts.is_empty() {
            hosts.push(Host::Unix("/var/run/postgresql".into()));
        }
        let ports = config.get_ports();
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let hosts: Vec<(Host, u16)> = hosts.into_iter().enumerate().map(|(at, host)| (host, port(at))).collect();
        if config.get_password().is_none() {
            match (&doors.password, &doors.password_file) {
                (Some(password), _) => drop(config.password(password.expose())),
                (None, Some(file)) => {
                    let own = hosts.iter().find_map(|(host, port)| kept_password(file, host, *port, &config).transpose());
                    own.transpose().map_err(unusable)?.map(|password| config.password(password));
                }
                (None, None) => {}
            }
        }
        let local = hosts.iter().all(|(host, _)| is_here(host));
        let encrypted = match modes.last().map(|mode| &mode["sslmode=".len()..]) {
            None => !local,
            Some("disable" | "allow" | "prefer") if !local && config.get_password().is_some() => {
                return Err(unusable("with this sslmode the password could be read on its way".to_owned()));
            }
            Some("disable" | "allow" | "prefer") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            Some(other) => return Err(unusable(format!("`{other}` is no sslmode"))),
        };
        let tls = encrypted.then(|| trust::tls(doors.ca_file.as_deref())).transpose().map_err(|error| unusable(error.to_string()))?;
        if config.get_application_name().is_none() {
            config.application_name("honeycrate");
        }
        Ok(Self { name: name.to_owned(), config, hosts, tls: tls.map(Arc::new) })
    }

    /// A connection to the first host that answers.
    async fn connect(&self) -> Result<Client, Fault> {
        let mut fault = Fault::Lost { why: "no host is named".to_owned(), soon: false };
        for (host, port) in &self.hosts {
            match timeout(PATIENCE, self.connect_to(host, *port)).await {
                Ok(Ok(client)) => return Ok(client),
                Ok(Err(other)) => fault = other,
                Err(_) => fault = Fault::Lost { why: format!("no answer within {} seconds", PATIENCE.as_secs()), soon: false },
            }
        }
        Err(fault)
    }

    async fn connect_to(&self, host: &Host, port: u16) -> Result<Client, Fault> {
        let lost = |error: crate::net::error::NetError| Fault::Lost { why: error.to_string(), soon: false };
        let (wire, server) = match host {
            Host::Tcp(name) => (wire(name, port).await.map_err(lost)?, Some(name.clone())),
            Host::Unix(folder) => (socket_wire(&folder.join(format!(".s.PGSQL.{port}"))).await.map_err(lost)?, None),
        };
        let mut config = self.config.clone();
        // A socket never leaves the machine, and no server has TLS on it.
        let tls = self.tls.clone().zip(server);
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        let (client, connection) = config.connect_raw(wire, Tls(tls)).await.map_err(|error| self.fault(&error))?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// What an answer of the server, or the lack of one, means. Of its words only the first line is told: the others may quote values.
    fn fault(&self, error: &tokio_postgres::Error) -> Fault {
        let ledger = self.name.clone();
        let Some(answer) = error.as_db_error() else {
            let causes = std::iter::successors(error.source(), |cause| (*cause).source());
            let why = causes.last().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
            return Fault::Lost { why, soon: false };
        };
        let cause = answer.message().to_owned();
        Fault::Told(match answer.code().code() {
            // Class 57: an administrator or a crash; 53300: too many others are connected; 25P03: we were silent for too long.
            "57P03" | "53300" => return Fault::Lost { why: cause, soon: true },
            "57P01" | "57P02" | "57P05" | "25P03" => return Fault::Lost { why: cause, soon: false },
            code if code.starts_with("08") => return Fault::Lost { why: cause, soon: false },
            "55P03" | "57014" | "40P01" | "40001" => LedgerError::Busy { ledger, seconds: PATIENCE.as_secs() },
            "53100" => LedgerError::DiskFull { ledger },
            "25006" => LedgerError::ReadOnly { ledger },
            "3F000" | "42P01" => LedgerError::Unprepared { ledger },
            _ => LedgerError::Refused { ledger, cause },
        })
    }
}

impl PostgresStore {
    fn unopened(address: Address, writes: bool) -> Result<Self, LedgerError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| LedgerError::Unreachable { ledger: address.name.clone(), cause: cause.to_string() })?;
        Ok(Self { address, writes, runtime: Some(runtime), link: Cell::new(None) })
    }

    fn open(address: Address, writes: bool) -> Result<Self, LedgerError> {
        let store = Self::unopened(address, writes)?;
        let step = store.trying(async |client, _| store.step(client).await)?;
        match usize::try_from(step).unwrap_or_default() {
            step if step == STEPS.len() => Ok(store),
            step if step > STEPS.len() => Err(store.newer(step)),
            _ => Err(LedgerError::Unprepared { ledger: store.address.name.clone() }),
        }
    }

    fn newer(&self, step: usize) -> LedgerError {
        let number = |step: usize| u32::try_from(step).unwrap_or(u32::MAX);
        LedgerError::Newer { ledger: self.address.name.clone(), found: number(step), known: number(STEPS.len()) }
    }

    /// Does something on a connection, and once more on another where the first is lost. The work is told which of the two it is.
    fn trying<T>(&self, work: impl AsyncFn(&Client, bool) -> Result<T, Fault>) -> Result<T, LedgerError> {
        let Some(runtime) = &self.runtime else { unreachable!("it is there until the store is dropped") };
        block_in_place(|| {
            runtime.block_on(async {
                let mut again = false;
                loop {
                    let client = match self.link.take() {
                        Some(client) if !client.is_closed() => client,
                        _ => self.link(again).await?,
                    };
                    match work(&client, again).await {
                        Ok(done) => {
                            self.link.set(Some(client));
                            return Ok(done);
                        }
                        Err(Fault::Told(error)) => {
                            if matches!(timeout(SILENCE, client.batch_execute("ROLLBACK")).await, Ok(Ok(()))) {
                                self.link.set(Some(client));
                            }
                            return Err(error);
                        }
                        Err(Fault::Lost { why, .. }) if again => return Err(LedgerError::Lost { ledger: self.address.name.clone(), cause: why }),
                        Err(Fault::Lost { .. }) => again = true,
                    }
                }
            })
        })
    }

    /// Connects. A server that says that it is starting up or full is asked for some time, and so is one that was there a moment ago.
    async fn link(&self, again: bool) -> Result<Client, LedgerError> {
        let began = Instant::now();
        let patience = if again { RETURN } else { PATIENCE };
        loop {
            match self.address.connect().await {
                Ok(client) => return Ok(client),
                Err(Fault::Told(error)) => return Err(error),
                Err(Fault::Lost { soon, .. }) if (soon || again) && began.elapsed() < patience => sleep(Duration::from_millis(100)).await,
                Err(Fault::Lost { why, .. }) if again => return Err(LedgerError::Lost { ledger: self.address.name.clone(), cause: why }),
                Err(Fault::Lost { why, .. }) => return Err(LedgerError::Unreachable { ledger: self.address.name.clone(), cause: why }),
            }
        }
    }

    /// What the server answers, if it does.
    async fn answer<T>(&self, asked: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Fault> {
        match timeout(SILENCE, asked).await {
            Ok(answer) => answer.map_err(|error| self.address.fault(&error)),
            Err(_) => Err(Fault::Lost { why: format!("no answer within {} seconds", SILENCE.as_secs()), soon: false }),
        }
    }

    /// One question in a transaction of its own. It is one round trip.
    async fn rows(&self, client: &Client, question: &str, values: &[Value<'_>]) -> Result<Vec<Found>, Fault> {
        let all = join3(client.batch_execute(BEGIN_TO_READ), client.query_typed(question, values), client.batch_execute("COMMIT"));
        let (_, rows, _) = self.answer(async { Ok(all.await) }).await?;
        rows.map_err(|error| self.address.fault(&error))
    }

    /// Reads without writing, and again where the connection is lost.
    fn read(&self, question: &str, values: &[Value<'_>]) -> Result<Vec<Found>, LedgerError> {
        self.trying(async |client, _| self.rows(client, question, values).await)
    }

    /// The records of an answer whose first columns are sequence and line.
    fn records_of(&self, rows: &[Found]) -> Result<Vec<Record>, LedgerError> {
        rows.iter().map(|row| Ok(chain::read(sequence(row.get(0)), row.get(1))?)).collect()
    }

    /// The number of the last step that was made. 0 before the first.
    async fn step(&self, client: &Client) -> Result<i32, Fault> {
        let rows = self.rows(client, "SELECT coalesce(max(number), 0) FROM honeycrate.step", &[]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    async fn prepare(&self, client: &Client) -> Result<Vec<String>, Fault> {
        let ask = |question: &'static str| async move { self.answer(client.query_typed(question, &[])).await };
        let run = |text: String| async move { self.answer(client.batch_execute(&text)).await };
        run(BEGIN.to_owned()).await?;
        self.answer(client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)])).await?;
        let encoding = ask("SELECT current_setting('server_encoding')").await?;
        if encoding.iter().any(|row| row.get::<_, &str>(0) != "UTF8") {
            return Err(LedgerError::Refused { ledger: self.address.name.clone(), cause: "its encoding is not UTF8".to_owned() }.into());
        }
        run("CREATE SCHEMA IF NOT EXISTS honeycrate".to_owned()).await?;
        run("CREATE TABLE IF NOT EXISTS honeycrate.step (number integer PRIMARY KEY, made timestamptz NOT NULL DEFAULT now())".to_owned()).await?;
        let made = ask("SELECT coalesce(max(number), 0) FROM honeycrate.step").await?;
        let made = made.first().map_or(0, |row| usize::try_from(row.get::<_, i32>(0)).unwrap_or_default());
        if made > STEPS.len() {
            return Err(self.newer(made).into());
        }
        let names = ask("SELECT quote_ident(current_database()), quote_ident(role), EXISTS (SELECT FROM pg_roles WHERE rolname = role)
            FROM unnest(ARRAY['_writer', '_reader']) WITH ORDINALITY AS kind (ending, at), left(current_database(), 50) AS database,
            LATERAL (SELECT database || ending) AS roles (role) ORDER BY at")
        .await?;
        let name = |at: usize, column: usize| names.get(at).map_or("", |row| row.get(column));
        let (database, writer, reader) = (name(0, 0), name(0, 1), name(1, 1));
        let missing: Vec<&str> = names.iter().filter(|row| !row.get::<_, bool>(2)).map(|row| row.get(1)).collect();
        for role in &missing {
            run(format!("CREATE ROLE {role} NOLOGIN")).await.map_err(|fault| match fault {
                Fault::Told(LedgerError::Refused { ledger, cause }) => {
                    let wanted: Vec<String> = missing.iter().map(|role| format!("CREATE ROLE {role};")).collect();
                    let cause = format!("{cause}: let somebody who may run {}, and then this again", wanted.join(" "));
                    LedgerError::Refused { ledger, cause }.into()
                }
                other => other,
            })?;
        }
        for (number, step) in (1_i32..).zip(STEPS).skip(made) {
            run(step.replace("WRITER", writer).replace("READER", reader)).await?;
            self.answer(client.execute_typed("INSERT INTO honeycrate.step (number) VALUES ($1)", &[(&number, Type::INT4)])).await?;
        }
        run("COMMIT".to_owned()).await?;
        let mut told = vec![
            format!("GRANT {writer} TO the role of your CI jobs, which plant"),
            format!("GRANT {reader} TO the role of decoys and watches, which add triggers and nothing else"),
        ];
        // With `log_statement` a server writes values into its log. Only a superuser may say otherwise.
        let quiet = format!("ALTER DATABASE {database} SET log_parameter_max_length = 0");
        if run(quiet.clone()).await.is_err() {
            told.push(format!("{quiet}, as a superuser: else a server that logs statements logs the records too, which say where bait lies"));
        }
        Ok(told)
    }

    /// Takes the writers' lock, which lasts as long as the transaction, and reads the head and what is known of `only_ones`.
    async fn begin(&self, client: &Client, only_ones: &[String]) -> Result<(Head, BTreeMap<String, Record>), Fault> {
        let locked: [Value<'_>; 1] = [(&LOCK, Type::INT8)];
        let wanted: [Value<'_>; 1] = [(&only_ones, Type::TEXT_ARRAY)];
        let all = join4(
            client.batch_execute(BEGIN),
            client.query_typed("SELECT pg_advisory_xact_lock($1)", &locked),
            client.query_typed(HEAD, &[]),
            client.query_typed(KNOWN, &wanted),
        );
        let (begun, locked, head, known) = self.answer(async { Ok(all.await) }).await?;
        let fault = |error| self.address.fault(&error);
        begun.map_err(fault)?;
        locked.map_err(fault)?;
        let head = self.records_of(&head.map_err(fault)?)?.first().map_or_else(Head::genesis, Head::from);
        let rows = known.map_err(fault)?;
        let known = rows.iter().map(|row| row.get(2)).zip(self.records_of(&rows)?).collect();
        Ok((head, known))
    }

    /// Adds records that follow `head`, in the transaction that holds the lock; `and_then` is sent with them.
    async fn add(&self, client: &Client, head: u64, append: &str, lines: &[String], records: &[Record], and_then: &str) -> Result<(), Fault> {
        let number = |sequence: u64| i64::try_from(sequence).unwrap_or(i64::MAX);
        let first = number(head + 1);
        let last = head + records.len() as u64;
        if head.saturating_sub(1) / PART != last.saturating_sub(1) / PART {
            self.answer(client.query_typed("SELECT honeycrate.make_room($1)", &[(&number(last), Type::INT8)])).await?;
        }
        let mut names = BTreeSet::new();
        let (mut keys, mut sequences, mut onces) = (Vec::new(), Vec::new(), Vec::new());
        let (mut unique, mut of) = (Vec::new(), Vec::new());
        for record in records {
            for mention in Mention::of(&record.event) {
                let key = mention.to_string();
                if !mention.is_name() || names.insert(key.clone()) {
                    keys.push(key);
                    sequences.push(number(record.sequence));
                    onces.push(mention.is_name());
                }
            }
            if let Some(only_one) = Mention::unique(&record.event) {
                unique.push(only_one.to_string());
                of.push(number(record.sequence));
            }
        }
        let (to_records, to_mentions, to_only_ones): ([Value<'_>; 3], [Value<'_>; 3], [Value<'_>; 2]) = (
            [(&first, Type::INT8), (&append, Type::TEXT), (&lines, Type::TEXT_ARRAY)],
            [(&keys, Type::TEXT_ARRAY), (&sequences, Type::INT8_ARRAY), (&onces, Type::BOOL_ARRAY)],
            [(&unique, Type::TEXT_ARRAY), (&of, Type::INT8_ARRAY)],
        );
        let all = join4(
            client.execute_typed(ADD_RECORDS, &to_records),
            client.execute_typed(ADD_MENTIONS, &to_mentions),
            client.execute_typed(ADD_ONLY_ONES, &to_only_ones),
            client.batch_execute(and_then),
        );
        let (records, mentions, only_ones, then) = self.answer(async { Ok(all.await) }).await?;
        let fault = |error| self.address.fault(&error);
        records.map_err(fault)?;
        mentions.map_err(fault)?;
        only_ones.map_err(fault)?;
        then.map_err(fault)
    }

    /// Whether the record with this sequence came with this append.
    async fn has_arrived(&self, client: &Client, sequence: u64, append: &str) -> Result<bool, Fault> {
        let at = i64::try_from(sequence).unwrap_or(i64::MAX);
        let found = "SELECT FROM honeycrate.record WHERE sequence = $1 AND append = $2::uuid";
        let rows = self.answer(client.query_typed(found, &[(&at, Type::INT8), (&append, Type::TEXT)])).await?;
        Ok(!rows.is_empty())
    }

    fn may_write(&self) -> Result<(), LedgerError> {
        if self.writes { Ok(()) } else { Err(LedgerError::ReadOnly { ledger: self.address.name.clone() }) }
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // The ordinary end of a runtime waits, and panics where nobody may.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Store for PostgresStore {
    fn append_all(&mut self, run: &str, time: &str, events: Vec<Event>) -> Result<Vec<Record>, LedgerError> {
        self.may_write()?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let append = append_id(time);
        let only_ones: Vec<String> = events.iter().filter_map(Mention::unique).map(|only_one| only_one.to_string()).collect();
        // What was sent on a connection before it was lost: the head that it follows, and what comes back if it arrived.
        let sent: RefCell<Option<(u64, Vec<Record>)>> = RefCell::new(None);
        self.trying(async |client, _| {
            let (head, mut known) = self.begin(client, &only_ones).await?;
            let earlier = sent.take();
            if let Some((before, records)) = earlier
                && self.has_arrived(client, before + 1, &append).await?
            {
                self.answer(client.batch_execute("COMMIT")).await?;
                return Ok(records);
            }
            let before = head.sequence;
            let (mut head, mut records, mut new) = (head, Vec::with_capacity(events.len()), Vec::new());
            for event in &events {
                let only_one = Mention::unique(event).map(|only_one| only_one.to_string());
                if let Some(record) = only_one.as_ref().and_then(|key| known.get(key)) {
                    records.push(record.clone());
                    continue;
                }
                let record = head.link(run, time, event.clone());
                head = Head::from(&record);
                known.extend(only_one.map(|key| (key, record.clone())));
                new.push(record.clone());
                records.push(record);
            }
            if new.is_empty() {
                self.answer(client.batch_execute("COMMIT")).await?;
            } else {
                let lines: Vec<String> = new.iter().map(chain::line).collect();
                sent.replace(Some((before, records.clone())));
                self.add(client, before, &append, &lines, &new, "COMMIT").await?;
            }
            Ok(records)
        })
    }

    fn each_line(&self, from: u64, visit: &mut dyn FnMut(u64, &str) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        let question = "SELECT sequence, line FROM honeycrate.record WHERE sequence >= $1 ORDER BY sequence LIMIT $2";
        let page = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let mut next = i64::try_from(from).unwrap_or(i64::MAX);
        loop {
            let rows = self.read(question, &[(&next, Type::INT8), (&page, Type::INT8)])?;
            for row in &rows {
                let at: i64 = row.get(0);
                visit(sequence(at), row.get(1))?;
                next = at + 1;
            }
            if rows.len() < PAGE {
                return Ok(());
            }
        }
    }

    fn mentioning(&self, mention: &Mention) -> Result<Vec<Record>, LedgerError> {
        let question = "SELECT sequence, line FROM honeycrate.mention JOIN honeycrate.record USING (sequence) WHERE key = $1 ORDER BY sequence";
        self.records_of(&self.read(question, &[(&mention.to_string(), Type::TEXT)])?)
    }

    fn mentioning_any(&self, mentions: &[Mention]) -> Result<Vec<Record>, LedgerError> {
        let keys: Vec<String> = mentions.iter().map(Mention::to_string).collect();
        let question = "SELECT sequence, line FROM honeycrate.record
            WHERE sequence IN (SELECT sequence FROM honeycrate.mention WHERE key = ANY ($1)) ORDER BY sequence";
        self.records_of(&self.read(question, &[(&keys, Type::TEXT_ARRAY)])?)
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, LedgerError> {
        // A prefix and the highest character after it: the index is read from there to there.
        let question = "SELECT DISTINCT key FROM honeycrate.mention WHERE key BETWEEN $1 AND $1 || chr(1114111) ORDER BY key";
        Ok(self.read(question, &[(&prefix, Type::TEXT)])?.iter().map(|row| row.get(0)).collect())
    }

    fn restore(&mut self, lines: &mut dyn Iterator<Item = String>) -> Result<ChainSummary, LedgerError> {
        self.may_write()?;
        let append = append_id("");
        let lines = RefCell::new(lines);
        let read = Cell::new(false);
        let sent: RefCell<Option<ChainSummary>> = RefCell::new(None);
        self.trying(async |client, _| {
            let (head, _) = self.begin(client, &[]).await?;
            let earlier = sent.take();
            if let Some(summary) = earlier
                && self.has_arrived(client, 1, &append).await?
            {
                self.answer(client.batch_execute("COMMIT")).await?;
                return Ok(summary);
            }
            if read.replace(true) {
                // What was read of the lines is gone with the connection.
                return Err(Fault::Lost { why: "nothing was added".to_owned(), soon: false });
            }
            if head.sequence > 0 {
                return Err(LedgerError::NotEmpty { ledger: self.address.name.clone(), records: head.sequence }.into());
            }
            let mut follower = Follower::new();
            let mut before = 0;
            loop {
                let page: Vec<String> = (&mut **lines.borrow_mut()).take(PAGE).collect();
                let records = page.iter().map(|line| follower.follow(line)).collect::<Result<Vec<_>, _>>()?;
                if page.len() < PAGE {
                    let summary = follower.summary();
                    sent.replace(Some(summary.clone()));
                    self.add(client, before, &append, &page, &records, "COMMIT").await?;
                    return Ok(summary);
                }
                self.add(client, before, &append, &page, &records, "").await?;
                before += page.len() as u64;
            }
        })
    }
}

/// PostgreSQL counts in signed numbers; ours begin at 1.
fn sequence(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A name for an append: UUIDv7 (RFC 9562), of its time in milliseconds and 74 random bits.
fn append_id(time: &str) -> String {
    let milliseconds = OffsetDateTime::parse(time, &Rfc3339).map_or(0, |time| time.unix_timestamp_nanos() / 1_000_000);
    let mut bytes = [0; 16];
    // Without random bits the time is left, and the sequence beside it.
    let _ = getrandom::fill(&mut bytes[6..]);
    bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[10..]);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// Whether what is sent to a host stays on this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.ends_with(".localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
    }
}

/// The password that a file has for a server. Source: PostgreSQL, "The Password File".
fn kept_password(file: &Path, host: &Host, port: u16, config: &Config) -> Result<Option<String>, String> {
    use std::os::unix::fs::MetadataExt as _;
    let unreadable = |cause: io::Error| format!("{} cannot be read: {cause}", file.display());
    let text = match std::fs::read_to_string(file) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(unreadable)?,
    };
    let host = match host {
        Host::Tcp(name) => name.as_str(),
        Host::Unix(_) => "localhost",
    };
    let user = config.get_user().unwrap_or_default();
    let wanted = [host, &port.to_string(), config.get_dbname().unwrap_or(user), user];
    let fits = |fields: &[String]| wanted.iter().zip(fields).all(|(wanted, field)| field == "*" || field == wanted);
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(fields).filter(|fields| fields.len() == 5);
    let Some(password) = lines.into_iter().find(|fields| fits(&fields[..4])).and_then(|mut fields| fields.pop()) else { return Ok(None) };
    if file.metadata().map_err(unreadable)?.mode() & 0o077 != 0 {
        return Err(format!("others may read the passwords in {}: chmod 600 it", file.display()));
    }
    Ok(Some(password))
}

/// What stands between the colons of a line. A backslash makes the next character an ordinary one.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, fields.last_mut()) {
            (':', _) => fields.push(String::new()),
            ('\\', Some(field)) => field.extend(characters.next()),
            (character, Some(field)) => field.push(character),
            (_, None) => {}
        }
    }
    fields
}

/// How a connection is encrypted once the server has agreed, with the name that its certificate has to be for.
struct Tls(Option<(Arc<ClientConfig>, String)>);

/// An encrypted connection.
struct Encrypted(tokio_rustls::client::TlsStream<Wire>);

impl TlsConnect<Wire> for Tls {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, wire: Wire) -> Self::Future {
        Box::pin(async move {
            let Some((config, name)) = self.0 else { return Err(io::Error::other("not asked for")) };
            let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
            TlsConnector::from(config).connect(name, wire).await.map(Encrypted)
        })
    }
}

impl TlsStream for Encrypted {
    /// The certificate was checked: nobody stands in between.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError, Weak};

    use super::*;
    use crate::ledger::place::Ledger;
    use crate::ledger::record::samples;
    use crate::ledger::stores;
    use crate::ledger::stores::postgres_server::{OWNER, PASSWORD, PostgresServer};
    use crate::ledger::stores::suite::{Site, TIME, failed, minted, passes_the_suite};
    use crate::secret::value::Secret;

    /// Databases in one server, which all tests that run at the same time share.
    struct Cluster(Arc<PostgresServer>);

    impl Cluster {
        fn shared() -> Self {
            static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            let server = shared.upgrade().unwrap_or_else(|| Arc::new(PostgresServer::start()));
            *shared = Arc::downgrade(&server);
            Self(server)
        }

        fn database(&self) -> String {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            let name = format!("ledger_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
            self.0.sql("postgres", &format!("CREATE DATABASE {name}"));
            name
        }

        fn ledger(&self, role: &str, database: &str) -> Ledger {
            ledger(&self.0.url(role, database))
        }

        /// A role with a password, which is in one of the ledger's own.
        fn role(&self, database: &str, kind: &str) -> String {
            let name = format!("{database}_job_{kind}");
            let sql = format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'; GRANT {database}_{kind} TO {name}");
            self.0.sql(database, &sql);
            name
        }
    }

    impl Site for Cluster {
        fn fresh(&self) -> Ledger {
            let ledger = self.ledger(OWNER, &self.database());
            stores::prepare(&ledger).expect("prepared");
            ledger
        }

        fn forge(&self, ledger: &Ledger, sequence: u64, old: &str, new: &str) {
            let change = format!("UPDATE honeycrate.record SET line = replace(line, '{old}', '{new}') WHERE sequence = {sequence}");
            self.0.sql(database_of(ledger), &format!("SET session_replication_role = replica; {change}"));
        }

        fn cramped(&self, ledger: &Ledger) -> Box<dyn Store> {
            self.0.sql(database_of(ledger), "ALTER TABLE honeycrate.record ADD CONSTRAINT cramped CHECK (sequence < 100)");
            stores::open(ledger).expect("existing")
        }
    }

    passes_the_suite!(Cluster::shared());

    fn ledger(url: &str) -> Ledger {
        Ledger::new(Place::Url(Secret::new(url.to_owned())), Doors::default())
    }

    fn database_of(ledger: &Ledger) -> &str {
        let Place::Url(url) = ledger.place() else { panic!("{ledger}") };
        url.expose().rsplit('/').next().expect("has one")
    }

    #[test]
    fn the_past_cannot_be_changed_through_sql() {
        let cluster = Cluster::shared();
        let ledger = cluster.fresh();
        stores::open(&ledger).expect("prepared").append_all("run", TIME, samples::life("shop", "production")).expect("appended");
        for change in [
            "UPDATE honeycrate.record SET line = 'x' WHERE sequence = 2",
            "UPDATE honeycrate.record_0 SET line = 'x' WHERE sequence = 2",
            "DELETE FROM honeycrate.record WHERE sequence = 6",
            "TRUNCATE honeycrate.record",
            "TRUNCATE honeycrate.record_0",
            "INSERT INTO honeycrate.record VALUES (9, gen_random_uuid(), 'x')",
            "INSERT INTO honeycrate.record VALUES (7, gen_random_uuid(), 'x'), (9, gen_random_uuid(), 'x')",
            "INSERT INTO honeycrate.record VALUES (2, gen_random_uuid(), 'x')",
            "DELETE FROM honeycrate.mention",
            "UPDATE honeycrate.mention SET sequence = 1",
            "TRUNCATE honeycrate.only_one",
        ] {
            assert!(cluster.0.try_sql(database_of(&ledger), change).is_err(), "{change}");
        }
        assert_eq!(stores::open_to_read(&ledger).expect("existing").verify().expect("whole").records, 6);
    }

    #[test]
    fn each_role_may_do_its_own_part() {
        let cluster = Cluster::shared();
        let database = cluster.database();
        let owned = cluster.ledger(OWNER, &database);
        assert!(matches!(stores::open(&owned).err(), Some(LedgerError::Unprepared { .. })));
        let told = stores::prepare(&owned).expect("prepared");
        assert!(told[0].contains(&format!("{database}_writer")) && told[1].contains(&format!("{database}_reader")), "{told:?}");
        assert_eq!(stores::prepare(&owned).expect("nothing to do").len(), told.len());

        let claims = samples::claims("shop", "production");
        let triggered = || Event::Triggered { trigger: Box::new(samples::trigger("shop", "production")) };
        let (writer, reader) = (cluster.role(&database, "writer"), cluster.role(&database, "reader"));
        let mut job = stores::open(&cluster.ledger(&writer, &database)).expect("may");
        job.append("run", TIME, minted(&claims, "first")).expect("may");
        let mut decoy = stores::open(&cluster.ledger(&reader, &database)).expect("may");
        assert_eq!(decoy.append("decoy", TIME, triggered()).expect("may").sequence, 2);
        assert_eq!(decoy.append("decoy", TIME, triggered()).expect("known").sequence, 2);
        assert_eq!(decoy.verify().expect("may read").records, 2);
        let next = crate::bait::claims::Claims { epoch: 2, ..claims };
        for event in [minted(&next, "second"), failed("planting")] {
            let refused = decoy.append("decoy", TIME, event);
            assert!(matches!(refused, Err(LedgerError::Refused { .. })), "{refused:?}");
        }
        let sneaked = "INSERT INTO honeycrate.only_one VALUES ('minting/x', 1)";
        assert!(cluster.0.try_sql_as(&reader, &database, sneaked).is_err());
        for role in [&writer, &reader] {
            for change in [
                "UPDATE honeycrate.record SET line = 'x'",
                "DELETE FROM honeycrate.mention",
                "ALTER TABLE honeycrate.record DISABLE TRIGGER ALL",
                "CREATE TABLE honeycrate.mine (a int)",
                "INSERT INTO honeycrate.record_0 VALUES (3, gen_random_uuid(), 'x')",
                "SELECT honeycrate.make_room(90000000)",
            ] {
                assert!(cluster.0.try_sql_as(role, &database, change).is_err(), "{role}: {change}");
            }
        }
        assert_eq!(job.append("run", TIME, failed("planting")).expect("may").sequence, 3);

        let stranger = format!("{database}_stranger");
        cluster.0.sql(&database, &format!("CREATE ROLE {stranger} LOGIN PASSWORD '{PASSWORD}'"));
        assert!(matches!(stores::open_to_read(&cluster.ledger(&stranger, &database)).err(), Some(LedgerError::Refused { .. })));
        let wrong = cluster.0.url(&writer, &database).replace(PASSWORD, "wrong");
        let refused = stores::open(&ledger(&wrong)).err().expect("refused").to_string();
        assert!(refused.contains("password authentication failed") && !refused.contains("wrong"), "{refused}");
    }

    #[test]
    fn a_ledger_of_a_later_honeycrate_is_left_alone() {
        let cluster = Cluster::shared();
        let ledger = cluster.fresh();
        cluster.0.sql(database_of(&ledger), "INSERT INTO honeycrate.step (number) VALUES (99)");
        for refused in [stores::open(&ledger).err(), stores::open_to_read(&ledger).err(), stores::prepare(&ledger).err()] {
            assert!(matches!(refused, Some(LedgerError::Newer { found: 99, known: 1, .. })), "{refused:?}");
        }
    }

    #[test]
    fn a_writer_goes_on_into_the_next_part_of_the_table() {
        let cluster = Cluster::shared();
        let ledger = cluster.fresh();
        let database = database_of(&ledger);
        let last = Head { sequence: PART - 2, hash: "0".repeat(64) }.link("run", TIME, failed("long ago"));
        let insert = format!("INSERT INTO honeycrate.record VALUES ({}, gen_random_uuid(), '{}')", last.sequence, chain::line(&last));
        cluster.0.sql(database, &format!("SET session_replication_role = replica; {insert}"));
        let writer = cluster.role(database, "writer");
        let mut store = stores::open(&cluster.ledger(&writer, database)).expect("may");
        let added = store.append_all("run", TIME, (0..4).map(|step| failed(&format!("{step}"))).collect()).expect("appended");
        assert_eq!((added[0].sequence, added[3].sequence), (PART, PART + 3));
        store.append_all("run", TIME, samples::life("shop", "production")).expect("appended");
        let parts = "SELECT tableoid::regclass, count(*) FROM honeycrate.record GROUP BY 1 ORDER BY 1";
        assert_eq!(cluster.0.sql(database, parts), "honeycrate.record_0|2\nhoneycrate.record_1|9");
        assert_eq!(store.records(PART).expect("readable").len(), 10);
        let token = Mention::Token(samples::fingerprint("shop", "production"));
        assert_eq!(store.mentioning(&token).expect("readable").len(), 4);
        assert!(cluster.0.try_sql(database, "TRUNCATE honeycrate.record_1").is_err());
    }

    #[test]
    fn a_server_that_logs_every_statement_logs_no_value() {
        let server = PostgresServer::start_with(&["log_statement=all", "log_min_duration_statement=0", "log_connections=on"]);
        let cluster = Cluster(Arc::new(server));
        let ledger = cluster.fresh();
        let mut store = stores::open(&ledger).expect("prepared");
        store.append_all("run", TIME, samples::life("shop-42", "production-42")).expect("appended");
        store.append("run", TIME, minted(&samples::claims("shop-42", "production-42"), "value")).expect("appended");
        let token = samples::fingerprint("shop-42", "production-42");
        assert_eq!(store.mentioning(&Mention::Token(token.clone())).expect("readable").len(), 4);
        store.mentioning_any(&[Mention::Service("shop-42".to_owned())]).expect("readable");
        store.keys("service/shop-42").expect("readable");
        let log = cluster.0.log();
        assert!(log.contains("INSERT INTO honeycrate.only_one") && log.contains(KNOWN), "the statements are there: {log}");
        for value in ["-42", token.as_str(), "c2VhbGVk", ".registry-auth.json", PASSWORD] {
            assert!(!log.contains(value), "{value} is in the log");
        }
    }

    #[test]
    fn a_connection_that_was_lost_in_between_is_made_again() {
        let cluster = Cluster::shared();
        let ledger = cluster.fresh();
        let mut store = stores::open(&ledger).expect("prepared");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        for sequence in 1..=3 {
            cluster.0.sql(database_of(&ledger), end);
            assert_eq!(store.append("run", TIME, failed("x")).expect("appended").sequence, sequence);
            cluster.0.sql(database_of(&ledger), end);
            assert_eq!(store.verify().expect("whole").records, sequence);
        }
    }

    #[test]
    fn a_lock_that_is_never_released_is_named() {
        let cluster = Cluster::shared();
        let ledger = cluster.fresh();
        let holder = PostgresStore::open(Address::read(ledger.place(), ledger.doors()).expect("ours").expect("readable"), true).expect("prepared");
        holder.trying(async |client, _| holder.begin(client, &[]).await).unwrap_or_else(|error| panic!("{error}"));
        let refused = stores::open(&ledger).expect("prepared").append("run", TIME, failed("x"));
        assert!(matches!(refused, Err(LedgerError::Busy { .. })), "{refused:?}");
        drop(holder);
        assert_eq!(stores::open(&ledger).expect("prepared").append("run", TIME, failed("x")).expect("free").sequence, 1);
    }

    /// What becomes of a connection.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Cut {
        /// It breaks before the message is sent.
        Before,
        /// It breaks after the server has answered the message, and the answer is lost.
        After,
        /// The server loses its power once it has the message.
        Crash,
    }

    /// Stands between a store and its server, and cuts the first connection at one message of the client.
    struct Between {
        port: u16,
        /// How many messages there were on the first connection.
        seen: Arc<AtomicUsize>,
    }

    impl Between {
        fn new(server: &Arc<PostgresServer>, at: usize, cut: Cut) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = listener.local_addr().expect("bound").port();
            let seen = Arc::new(AtomicUsize::new(0));
            let (server, count) = (Arc::clone(server), Arc::clone(&seen));
            std::thread::spawn(move || {
                for (number, client) in listener.incoming().enumerate() {
                    let client = client.expect("a connection");
                    let Ok(upstream) = TcpStream::connect(("127.0.0.1", server.port())) else { continue };
                    [&client, &upstream].into_iter().for_each(|stream| stream.set_nodelay(true).expect("open"));
                    let at = if number == 0 { at } else { usize::MAX };
                    let (server, count) = (Arc::clone(&server), if number == 0 { Arc::clone(&count) } else { Arc::default() });
                    std::thread::spawn(move || {
                        carry(&client, &upstream, at, cut, &count, &server);
                        let _ = (client.shutdown(Shutdown::Both), upstream.shutdown(Shutdown::Both));
                    });
                }
            });
            Self { port, seen }
        }
    }

    /// Carries messages up to the cut. The first of a client has no letter in front of its length.
    fn carry(client: &TcpStream, upstream: &TcpStream, at: usize, cut: Cut, count: &AtomicUsize, server: &PostgresServer) {
        let (mut from, mut to) = (client, upstream);
        // Messages that the server answers with a `Z`, the one that begins the session among them.
        let answered = |letter: u8| [0, b'Q', b'S'].contains(&letter);
        let silent = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (back_from, back_to) = (upstream.try_clone().expect("open"), client.try_clone().expect("open"));
        let (sender, ready) = std::sync::mpsc::channel();
        let quiet = Arc::clone(&silent);
        std::thread::spawn(move || {
            let (mut back_from, mut back_to) = (&back_from, &back_to);
            while let Some((letter, message)) = message(&mut back_from, false) {
                if letter == b'Z' {
                    let _ = sender.send(());
                }
                if !quiet.load(Ordering::SeqCst) && back_to.write_all(&message).is_err() {
                    return;
                }
            }
            let _ = back_to.shutdown(Shutdown::Both);
        });
        let mut first = true;
        let mut due = 0_usize;
        while let Some((letter, bytes)) = message(&mut from, std::mem::take(&mut first)) {
            let number = count.fetch_add(1, Ordering::SeqCst);
            if number == at && cut == Cut::Before {
                return;
            }
            if number == at {
                silent.store(true, Ordering::SeqCst);
            }
            if to.write_all(&bytes).is_err() {
                return;
            }
            due += usize::from(answered(letter) && letter != 0);
            if number == at {
                if cut == Cut::Crash {
                    server.crash();
                    server.run();
                } else if letter == b'Q' || letter == b'S' {
                    // One came with the beginning of the session.
                    ready.iter().take(due + 1).for_each(drop);
                }
                return;
            }
        }
    }

    fn message(from: &mut &TcpStream, first: bool) -> Option<(u8, Vec<u8>)> {
        let mut head = vec![0; if first { 4 } else { 5 }];
        from.read_exact(&mut head).ok()?;
        let letter = if first { 0 } else { head[0] };
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().expect("four bytes")) as usize;
        let mut body = vec![0; length - 4];
        from.read_exact(&mut body).ok()?;
        head.extend(body);
        Some((letter, head))
    }

    /// A minting, a batch and a minting that is known, on a connection that is cut at a message. Gives whether the cut was reached.
    fn append_through(cluster: &Cluster, ledger: &Ledger, at: usize, cut: Cut) -> bool {
        let between = Between::new(&cluster.0, at, cut);
        let before = stores::open_to_read(ledger).expect("prepared").verify().expect("whole").records;
        let url = format!("postgres://{OWNER}:{PASSWORD}@127.0.0.1:{}/{}", between.port, database_of(ledger));
        let claims = samples::claims(&format!("{cut:?} at {at}"), "production");
        let mut acknowledged = Vec::new();
        // A connection that is lost while it is made is told to whoever makes it, who runs again.
        let open = || stores::open(&self::ledger(&url)).inspect_err(|_| std::thread::sleep(Duration::from_millis(100))).ok();
        let mut store = std::iter::repeat_with(open).take(300).flatten().next().expect("the server comes back");
        for events in [vec![minted(&claims, "first")], vec![failed("a"), failed("b"), failed("c")], vec![minted(&claims, "second")]] {
            acknowledged.extend(store.append_all("run", TIME, events).unwrap_or_else(|error| panic!("{cut:?} at {at}: {error}")));
        }
        assert_eq!(acknowledged.pop(), acknowledged.first().cloned(), "the one that was minted");
        let there = stores::open_to_read(ledger).expect("prepared");
        assert_eq!(there.records(before + 1).expect("readable"), acknowledged, "{cut:?} at {at}: each is there once");
        assert_eq!(there.verify().expect("whole").records, before + 4);
        between.seen.load(Ordering::SeqCst) > at
    }

    #[test]
    fn a_connection_that_breaks_at_any_message_neither_loses_nor_doubles_a_record() {
        let cluster = Cluster::shared();
        let ledger = cluster.fresh();
        for cut in [Cut::Before, Cut::After] {
            let reached = (0..).step_by(stride(5)).take_while(|at| append_through(&cluster, &ledger, *at, cut)).count();
            println!("{cut:?}: cut at {reached} messages");
            assert!(reached * stride(5) > 60, "{cut:?}: only {reached} messages were cut");
        }
    }

    /// At every which message something happens: at each one where `HONEYCRATE_CRASHES` is `all`.
    #[expect(clippy::disallowed_methods, reason = "a test may be told to be slow")]
    fn stride(usual: usize) -> usize {
        if std::env::var("HONEYCRATE_CRASHES").is_ok_and(|wanted| wanted == "all") { 1 } else { usual }
    }

    #[test]
    fn a_server_that_is_stopped_hard_at_a_message_has_every_acknowledged_record_once() {
        let cluster = Cluster(Arc::new(PostgresServer::start()));
        let ledger = cluster.fresh();
        let reached = (0..).step_by(stride(25)).take_while(|at| append_through(&cluster, &ledger, *at, Cut::Crash)).count();
        println!("stopped at {reached} messages");
        assert!(reached * stride(25) > 60, "only {reached}");
    }

    #[test]
    fn a_restore_whose_connection_breaks_is_all_or_nothing() {
        let cluster = Cluster::shared();
        let mut head = Head::genesis();
        let lines: Vec<String> = (0..PAGE + 10)
            .map(|step| {
                let record = head.link("run", TIME, failed(&format!("{step}")));
                head = Head::from(&record);
                chain::line(&record)
            })
            .collect();
        for cut in [Cut::Before, Cut::After] {
            let mut outcomes = BTreeSet::new();
            for at in (0..).step_by(stride(8)) {
                let ledger = cluster.fresh();
                let between = Between::new(&cluster.0, at, cut);
                let url = format!("postgres://{OWNER}:{PASSWORD}@127.0.0.1:{}/{}", between.port, database_of(&ledger));
                let Ok(mut store) = stores::open(&self::ledger(&url)) else { continue };
                let restored = store.restore(&mut lines.iter().cloned()).map(|summary| summary.records);
                let there = stores::open_to_read(&ledger).expect("prepared").verify().expect("whole").records;
                match &restored {
                    Ok(records) => assert_eq!((*records, there), (lines.len() as u64, there), "{cut:?} at {at}"),
                    Err(error) => assert_eq!(there, 0, "{cut:?} at {at}: {error}"),
                }
                outcomes.insert(restored.is_ok());
                if between.seen.load(Ordering::SeqCst) <= at {
                    break;
                }
            }
            assert_eq!(outcomes.len(), 2, "{cut:?}: some were lost, and the last was not");
        }
    }

    fn read(url: &str, doors: &Doors) -> Result<Address, LedgerError> {
        Address::read(&Place::Url(Secret::new(url.to_owned())), doors).expect("ours")
    }

    #[test]
    fn a_password_travels_encrypted_or_stays_on_the_machine() {
        for (url, encrypted) in [
            ("postgres://SHIP@db.example.org/ledger", Some(true)),
            ("postgresql://SHIP@db.example.org/ledger?sslmode=require", Some(true)),
            ("postgres://SHIP@db.example.org/ledger?sslmode=verify-full&application_name=ci", Some(true)),
            ("postgres://SHIP@db.example.org/ledger?sslmode=disable", None),
            ("postgres://SHIP@db.example.org/ledger?sslmode=prefer", None),
            ("postgres://ship@db.example.org/ledger?sslmode=disable", Some(false)),
            ("postgres://SHIP@db.example.org/ledger?sslmode=sometimes", None),
            ("postgres://SHIP@127.0.0.1/ledger", Some(false)),
            ("postgres://SHIP@localhost:5433/ledger?sslmode=verify-full", Some(true)),
            ("postgres:///ledger?host=/var/run/postgresql&user=ship", Some(false)),
            ("postgres://localhost,db.example.org/ledger", Some(true)),
            ("postgres://SHIP@db.example.org/ledger?no=such", None),
        ] {
            let password = ["hun", "ter2"].concat();
            match read(&url.replace("SHIP", &format!("ship:{password}")), &Doors::default()) {
                Ok(address) => assert_eq!(Some(address.tls.is_some()), encrypted, "{url}"),
                Err(error) => {
                    assert_eq!(encrypted, None, "{url}: {error}");
                    assert!(!format!("{error:?}").contains(&password), "{error:?}");
                }
            }
        }
        assert!(Address::read(&Place::Url(Secret::new("oci://ghcr.io/acme/ledger".to_owned())), &Doors::default()).is_none());
        assert!(Address::read(&Place::File("ledger.sqlite".into()), &Doors::default()).is_none());
    }

    #[test]
    fn a_password_is_found_where_postgresqls_own_clients_find_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().expect("scratch");
        let text = "# mine\ndb:5432:other:ship:one\ndb:*:ledger:ship:t\\:w\\\\o\nlocalhost:*:*:*:three\n";
        std::fs::write(file.path(), text).expect("written");
        let doors = Doors { password_file: Some(file.path().to_owned()), ..Doors::default() };
        let password = |url: &str, doors: &Doors| {
            let address = read(url, doors).unwrap_or_else(|error| panic!("{error}"));
            address.config.get_password().map(|password| String::from_utf8_lossy(password).into_owned())
        };
        for (url, expected) in [
            ("postgres://ship@db/ledger", Some("t:w\\o")),
            ("postgres://ship@db/other", Some("one")),
            ("postgres://ship@db:5433/other", None),
            ("postgres:///ledger?user=ship", Some("three")),
            ("postgres://OWN@db/ledger", Some("own")),
        ] {
            assert_eq!(password(&url.replace("OWN", &["ship", "own"].join(":")), &doors).as_deref(), expected, "{url}");
        }
        let given = Doors { password: Some(Secret::new("given".to_owned())), ..doors.clone() };
        assert_eq!(password("postgres://ship@db/ledger", &given).as_deref(), Some("given"));
        let missing = Doors { password_file: Some(PathBuf::from("/no/such/file")), ..Doors::default() };
        assert_eq!(password("postgres://ship@db/ledger", &missing), None);
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).expect("set");
        assert!(read("postgres://ship@db/ledger", &doors).err().expect("refused").to_string().contains("chmod 600"));
    }

    #[test]
    fn a_certificate_has_to_be_one_that_is_trusted() {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("made");
        let files = [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())];
        let server = PostgresServer::start_behind_tls(&files);
        let cluster = Cluster(Arc::new(server));
        let database = cluster.database();
        let folder = tempfile::tempdir().expect("scratch");
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, made.cert.pem()).expect("written");
        let url = |host: &str| format!("{}?sslmode=verify-full", cluster.0.url(OWNER, &database).replace("127.0.0.1", host));
        let at = |host: &str, ca_file: Option<PathBuf>| Ledger::new(Place::Url(Secret::new(url(host))), Doors { ca_file, ..Doors::default() });
        stores::prepare(&at("localhost", Some(ca_file.clone()))).expect("prepared");
        let mut store = stores::open(&at("127.0.0.1", Some(ca_file.clone()))).expect("trusted");
        store.append("run", TIME, failed("x")).expect("appended");
        let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'honeycrate'";
        assert_eq!(cluster.0.sql(&database, encrypted), "1");
        let refused = stores::open(&at("127.0.0.1", None)).err().expect("not trusted").to_string();
        assert!(refused.contains("certificate"), "{refused}");
        let other = stores::open(&at("ledger.localhost", Some(ca_file))).err().expect("another name").to_string();
        assert!(other.contains("not valid for name"), "{other}");
    }

    #[test]
    fn an_append_has_a_name_of_its_time() {
        let (first, second) = (append_id("2026-11-22T04:00:00Z"), append_id("2026-11-22T04:00:00Z"));
        assert_ne!(first, second);
        assert_eq!(&first[..12], format!("{:012x}", 1_795_320_000_000_u64));
        assert_eq!((&first[12..13], first.len()), ("7", 32));
        assert!(append_id("2026-11-22T04:00:01Z") > first);
    }
}

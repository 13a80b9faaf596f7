//! The default store: one SQLite file.
//!
//! The journal is a rollback journal, not a write-ahead log: whenever nobody writes, the one file is the whole ledger, and a CI job
//! may copy or cache it. `synchronous=EXTRA` makes a commit survive a power loss that follows at once (SQLite, "PRAGMA
//! synchronous"). Writers take the lock before they read the head, so two jobs neither lose nor double a record.
//!
//! One error of a disk ends no append: SQLite overlooks it when the name of a new journal cannot be synced (`unixSync`). The name is for
//! undoing a write that was cut off; a commit stands on later syncs, of the file and of its folder without the journal, whose errors are told.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::ledger::chain::{self, ChainSummary, Follower, Head};
use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::place::{Doors, Place};
use crate::ledger::record::{Event, Record};
use crate::ledger::stores::contract::{Opened, Row, Store};

/// How long a writer waits for another.
const PATIENCE: Duration = Duration::from_secs(10);

/// In `PRAGMA user_version`. A higher one is refused; 1 knows no names in its index and no records of what was found, 2 no places
/// and no mintings.
const SCHEMA_VERSION: u32 = 3;

/// In `PRAGMA application_id`: `hony`.
const APPLICATION: u32 = 0x686f_6e79;

/// The triggers keep honest programs from changing the past; the chain shows who did it nevertheless.
const SCHEMA: &str = "
    CREATE TABLE record (sequence INTEGER PRIMARY KEY, line TEXT NOT NULL) STRICT;
    CREATE TABLE mention (
        key TEXT NOT NULL,
        sequence INTEGER NOT NULL REFERENCES record (sequence),
        PRIMARY KEY (key, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER record_follows BEFORE INSERT ON record
        WHEN NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM record)
        BEGIN SELECT raise(ABORT, 'a record follows the last one'); END;
    CREATE TRIGGER record_stays BEFORE UPDATE ON record BEGIN SELECT raise(ABORT, 'a ledger only grows'); END;
    CREATE TRIGGER record_remains BEFORE DELETE ON record BEGIN SELECT raise(ABORT, 'a ledger only grows'); END;
    CREATE TRIGGER mention_stays BEFORE UPDATE ON mention BEGIN SELECT raise(ABORT, 'a ledger only grows'); END;
    CREATE TRIGGER mention_remains BEFORE DELETE ON mention BEGIN SELECT raise(ABORT, 'a ledger only grows'); END;
";

pub const ROW: Row = Row { scheme: "sqlite", describe: "one file, for one machine or a CI job that caches it; the default", open };

fn open(place: &Place, _: &Doors, writes: bool) -> Option<Opened> {
    let Place::File(path) = place else { return None };
    let store = if writes { SqliteStore::open(path) } else { SqliteStore::open_read_only(path) };
    Some(store.map(|store| Box::new(store) as Box<dyn Store>))
}

/// A ledger in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    patience: Duration,
}

impl SqliteStore {
    /// Opens the ledger at `path`. A missing one is made, readable for its owner alone, with the directories above it.
    ///
    /// # Errors
    /// When it cannot be created or opened, is not a ledger, or has a later format.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::open_with(path, PATIENCE)
    }

    /// Opens an existing ledger that is not to be written.
    ///
    /// # Errors
    /// When it is missing, cannot be opened, is not a ledger, or has a later format.
    pub fn open_read_only(path: &Path) -> Result<Self, LedgerError> {
        let file = File::open(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => LedgerError::Missing { ledger: path.display().to_string() },
            _ => opening(path, &cause),
        })?;
        refuse_other_files(path, file)?;
        // Able to write where the file system lets us: what a writer that was killed left half-done is rolled back by the next who comes.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| told(path, PATIENCE, &error))?;
        let store = Self { connection, path: path.to_owned(), patience: PATIENCE };
        store.configure()?;
        store.connection.execute_batch("PRAGMA query_only = ON").map_err(|error| store.told(&error))?;
        if store.is_blank()? {
            // Whoever was making it was killed before the first record.
            return Err(LedgerError::Missing { ledger: path.display().to_string() });
        }
        Ok(store)
    }

    /// A ledger that is gone when it is dropped.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn open_in_memory() -> Result<Self, LedgerError> {
        let path = PathBuf::from(":memory:");
        let connection = Connection::open_in_memory().map_err(|error| told(&path, PATIENCE, &error))?;
        let mut store = Self { connection, path, patience: PATIENCE };
        store.configure()?;
        store.create()?;
        Ok(store)
    }

    fn open_with(path: &Path, patience: Duration) -> Result<Self, LedgerError> {
        let failed = |cause: io::Error| opening(path, &cause);
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            make(directory).map_err(failed)?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
        refuse_other_files(path, file)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| told(path, patience, &error))?;
        let mut store = Self { connection, path: path.to_owned(), patience };
        store.configure()?;
        if store.is_blank()? {
            store.create()?;
        }
        store.upgrade()?;
        Ok(store)
    }

    fn configure(&self) -> Result<(), LedgerError> {
        self.connection.busy_timeout(self.patience).map_err(|error| self.told(&error))?;
        let pragmas = "PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;";
        self.connection.execute_batch(pragmas).map_err(|error| self.told(&error))
    }

    /// Whether the file has no content yet. Other people's databases are refused here, and ledgers from the future.
    fn is_blank(&self) -> Result<bool, LedgerError> {
        let number = |sql: &str| self.connection.query_row(sql, [], |row| row.get::<_, u32>(0)).map_err(|error| self.told(&error));
        let version = self.version()?;
        // Another job may make it between two of these questions, tables and id at once: asked in this order, no answer is a stranger's.
        let tables = number("SELECT count(*) FROM sqlite_schema")?;
        match number("PRAGMA application_id")? {
            APPLICATION if version > SCHEMA_VERSION => {
                Err(LedgerError::Newer { ledger: self.path.display().to_string(), found: version, known: SCHEMA_VERSION })
            }
            APPLICATION => Ok(false),
            0 if tables == 0 => Ok(true),
            _ => Err(LedgerError::NotALedger { ledger: self.path.display().to_string(), why: "it is the SQLite database of another program" }),
        }
    }

    fn version(&self) -> Result<u32, LedgerError> {
        self.connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| self.told(&error))
    }

    /// Brings a ledger of an earlier version up to date, unless its chain is broken: then it stays as it is, and still takes records.
    fn upgrade(&self) -> Result<(), LedgerError> {
        if self.version()? == SCHEMA_VERSION {
            return Ok(());
        }
        let transaction = self.begin()?;
        match self.each(1, &mut |record| self.note_mentions(&record)) {
            Err(LedgerError::Broken(_)) => return Ok(()),
            noted => noted?,
        }
        let stamp = format!("PRAGMA user_version = {SCHEMA_VERSION}");
        transaction.execute_batch(&stamp).map_err(|error| self.told(&error))?;
        transaction.commit().map_err(|error| self.told(&error))
    }

    fn create(&mut self) -> Result<(), LedgerError> {
        let transaction = self.begin()?;
        // Another job may have made it while this one waited for the lock.
        let tables: u32 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(|error| self.told(&error))?;
        if tables == 0 {
            let stamp = format!("{SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA_VERSION};");
            transaction.execute_batch(&stamp).map_err(|error| self.told(&error))?;
        }
        transaction.commit().map_err(|error| self.told(&error))
    }

    /// Takes the writer's lock at once. The transaction is rolled back unless it is committed.
    fn begin(&self) -> Result<Transaction<'_>, LedgerError> {
        Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate).map_err(|error| self.told(&error))
    }

    fn head(&self) -> Result<Head, LedgerError> {
        let last = "SELECT sequence, line FROM record ORDER BY sequence DESC LIMIT 1";
        let last: Option<(u64, String)> =
            self.connection.query_row(last, [], |row| Ok((sequence(row.get(0)?), row.get(1)?))).optional().map_err(|error| self.told(&error))?;
        match last {
            Some((sequence, line)) => Ok(Head::from(&chain::read(sequence, &line)?)),
            None => Ok(Head::genesis()),
        }
    }

    fn insert(&self, record: &Record, line: &str) -> Result<(), LedgerError> {
        let told = |error| self.told(&error);
        let at = i64::try_from(record.sequence).unwrap_or(i64::MAX);
        let mut insert = self.connection.prepare("INSERT INTO record (sequence, line) VALUES (?1, ?2)").map_err(told)?;
        insert.execute((at, line)).map_err(told)?;
        self.note_mentions(record)
    }

    fn note_mentions(&self, record: &Record) -> Result<(), LedgerError> {
        let told = |error| self.told(&error);
        let at = i64::try_from(record.sequence).unwrap_or(i64::MAX);
        let mut each = self.connection.prepare("INSERT OR IGNORE INTO mention (key, sequence) VALUES (?1, ?2)").map_err(told)?;
        let first = "INSERT INTO mention (key, sequence) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM mention WHERE key = ?1)";
        let mut first = self.connection.prepare(first).map_err(told)?;
        for mention in Mention::of(&record.event) {
            let insert = if mention.is_name() { &mut first } else { &mut each };
            insert.execute((mention.to_string(), at)).map_err(told)?;
        }
        Ok(())
    }

    /// The records that a query with one argument finds, by sequence and line.
    fn select(&self, query: &str, argument: String) -> Result<Vec<Record>, LedgerError> {
        let told = |error| self.told(&error);
        let mut select = self.connection.prepare(query).map_err(told)?;
        let mut rows = select.query([argument]).map_err(told)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(told)? {
            let line: String = row.get(1).map_err(told)?;
            records.push(chain::read(sequence(row.get(0).map_err(told)?), &line)?);
        }
        Ok(records)
    }

    fn told(&self, error: &rusqlite::Error) -> LedgerError {
        told(&self.path, self.patience, error)
    }
}

impl Store for SqliteStore {
    fn append_all(&mut self, run: &str, time: &str, events: Vec<Event>) -> Result<Vec<Record>, LedgerError> {
        let transaction = self.begin()?;
        let mut head = self.head()?;
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            if let Some(unique) = Mention::unique(&event)
                && let Some(known) = self.mentioning(&unique)?.into_iter().next()
            {
                records.push(known);
                continue;
            }
            let record = head.link(run, time, event);
            self.insert(&record, &chain::line(&record))?;
            head = Head::from(&record);
            records.push(record);
        }
        transaction.commit().map_err(|error| self.told(&error))?;
        Ok(records)
    }

    fn each_line(&self, from: u64, visit: &mut dyn FnMut(u64, &str) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        let told = |error| self.told(&error);
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let mut select = self.connection.prepare("SELECT sequence, line FROM record WHERE sequence >= ?1 ORDER BY sequence").map_err(told)?;
        let mut rows = select.query([from]).map_err(told)?;
        while let Some(row) = rows.next().map_err(told)? {
            let line: String = row.get(1).map_err(told)?;
            visit(sequence(row.get(0).map_err(told)?), &line)?;
        }
        Ok(())
    }

    fn mentioning(&self, mention: &Mention) -> Result<Vec<Record>, LedgerError> {
        self.select("SELECT sequence, line FROM mention JOIN record USING (sequence) WHERE key = ?1 ORDER BY sequence", mention.to_string())
    }

    fn mentioning_any(&self, mentions: &[Mention]) -> Result<Vec<Record>, LedgerError> {
        let keys: serde_json::Value = mentions.iter().map(Mention::to_string).collect();
        let select = "SELECT sequence, line FROM record
            WHERE sequence IN (SELECT sequence FROM mention WHERE key IN (SELECT value FROM json_each(?1))) ORDER BY sequence";
        self.select(select, keys.to_string())
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, LedgerError> {
        let told = |error| self.told(&error);
        if self.version()? < SCHEMA_VERSION {
            let mut keys = BTreeSet::new();
            self.each(1, &mut |record| {
                keys.extend(Mention::of(&record.event).iter().map(Mention::to_string).filter(|key| key.starts_with(prefix)));
                Ok(())
            })?;
            return Ok(keys.into_iter().collect());
        }
        // A prefix and the highest character after it: the index is read from there to there.
        let select = "SELECT DISTINCT key FROM mention WHERE key BETWEEN ?1 AND ?1 || char(0x10ffff) ORDER BY key";
        let mut select = self.connection.prepare(select).map_err(told)?;
        let keys = select.query_map([prefix], |row| row.get(0)).map_err(told)?;
        keys.collect::<Result<_, _>>().map_err(told)
    }

    fn restore(&mut self, lines: &mut dyn Iterator<Item = String>) -> Result<ChainSummary, LedgerError> {
        let transaction = self.begin()?;
        let head = self.head()?;
        if head.sequence > 0 {
            return Err(LedgerError::NotEmpty { ledger: self.path.display().to_string(), records: head.sequence });
        }
        let mut follower = Follower::new();
        for line in lines {
            self.insert(&follower.follow(&line)?, &line)?;
        }
        transaction.commit().map_err(|error| self.told(&error))?;
        Ok(follower.summary())
    }
}

/// Makes a directory and those above it, and their names as durable as what will be written below them.
fn make(directory: &Path) -> io::Result<()> {
    let new: Vec<&Path> = directory.ancestors().take_while(|at| !at.as_os_str().is_empty() && !at.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    for parent in new.iter().filter_map(|made| made.parent()) {
        File::open(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?.sync_all()?;
    }
    Ok(())
}

/// SQLite counts in signed numbers; ours begin at 1.
fn sequence(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A file that begins otherwise than SQLite's (File format, section 1.3) is left alone.
fn refuse_other_files(path: &Path, file: File) -> Result<(), LedgerError> {
    let mut start = Vec::new();
    file.take(16).read_to_end(&mut start).map_err(|cause| opening(path, &cause))?;
    if start.is_empty() || start == b"SQLite format 3\0" {
        Ok(())
    } else {
        Err(LedgerError::NotALedger { ledger: path.display().to_string(), why: "it is some other file" })
    }
}

fn opening(path: &Path, cause: &io::Error) -> LedgerError {
    let ledger = path.display().to_string();
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LedgerError::DiskFull { ledger },
        io::ErrorKind::ReadOnlyFilesystem => LedgerError::ReadOnly { ledger },
        _ => LedgerError::Open { ledger, cause: cause.to_string() },
    }
}

fn told(path: &Path, patience: Duration, error: &rusqlite::Error) -> LedgerError {
    let ledger = path.display().to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LedgerError::DiskFull { ledger },
        Some(ErrorCode::ReadOnly) => LedgerError::ReadOnly { ledger },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerError::Busy { ledger, seconds: patience.as_secs() },
        Some(ErrorCode::NotADatabase) => LedgerError::NotALedger { ledger, why: "it is not an SQLite database" },
        // A journal that cannot be made beside the file shows here.
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => LedgerError::Open { ledger, cause: error.to_string() },
        _ => LedgerError::Damaged { ledger, cause: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::place::Ledger;
    use crate::ledger::record::samples;
    use crate::ledger::stores::suite::{Site, TIME, failed, passes_the_suite};
    use crate::ledger::tokens;
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::{Command, Stdio};

    /// Files in a scratch folder.
    struct Folder(tempfile::TempDir);

    impl Site for Folder {
        fn fresh(&self) -> Ledger {
            let number = self.0.path().read_dir().expect("readable").count();
            let path = self.0.path().join(format!("{number}/ledger.sqlite"));
            std::fs::create_dir(path.parent().expect("has one")).expect("made");
            Ledger::file(&path)
        }

        fn forge(&self, ledger: &Ledger, sequence: u64, old: &str, new: &str) {
            let Place::File(path) = ledger.place() else { panic!("{ledger}") };
            let connection = Connection::open(path).expect("existing");
            connection.execute_batch("DROP TRIGGER record_stays").expect("done by a stranger");
            let change = "UPDATE record SET line = replace(line, ?1, ?2) WHERE sequence = ?3";
            connection.execute(change, (old, new, i64::try_from(sequence).expect("small"))).expect("done by a stranger");
        }

        fn cramped(&self, ledger: &Ledger) -> Box<dyn Store> {
            let Place::File(path) = ledger.place() else { panic!("{ledger}") };
            let store = SqliteStore::open(path).expect("existing");
            store.connection.execute_batch("PRAGMA max_page_count = 6").expect("a small disk");
            Box::new(store)
        }
    }

    passes_the_suite!(Folder(tempfile::tempdir().expect("scratch")));

    #[test]
    fn only_the_owner_may_read_it() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("state/ledger.sqlite");
        SqliteStore::open(&path).expect("new");
        let mode = |path: &Path| path.metadata().expect("made").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("has one"))), (0o600, 0o700));
    }

    #[test]
    fn the_past_cannot_be_changed_through_sql() {
        let mut store = SqliteStore::open_in_memory().expect("memory");
        store.append_all("run-1", TIME, samples::life("shop", "production")).expect("appended");
        for change in [
            "UPDATE record SET line = 'x' WHERE sequence = 2",
            "DELETE FROM record WHERE sequence = 6",
            "INSERT OR REPLACE INTO record VALUES (2, 'x')",
            "INSERT INTO record VALUES (9, 'x')",
            "DELETE FROM mention",
            "UPDATE mention SET sequence = 1",
        ] {
            assert!(store.connection.execute(change, []).is_err(), "{change}");
        }
        assert_eq!(store.verify().expect("whole").records, 6);
    }

    #[test]
    #[ignore = "the child of the next test, which kills it"]
    fn appends_until_it_is_killed() {
        // The parent names the ledger as a further test filter, which matches no test.
        let Some(path) = std::env::args().find(|argument| argument.ends_with(".sqlite")) else { panic!("run by the next test") };
        let mut store = SqliteStore::open(Path::new(&path)).expect("opened");
        loop {
            let record = store.append("child", TIME, failed("on and on")).expect("appended");
            println!("\nacknowledged {}", record.sequence);
        }
    }

    #[test]
    fn a_writer_that_is_killed_loses_nothing_that_was_acknowledged() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("ledger.sqlite");
        let mut least = 0;
        for patience in [3, 1, 8, 2, 13] {
            let mut child = Command::new(std::env::current_exe().expect("known"))
                .args(["--ignored", "--nocapture", "--exact", "ledger::stores::sqlite::tests::appends_until_it_is_killed"])
                .arg(&path)
                .stdout(Stdio::piped())
                .spawn()
                .expect("started");
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let mut acknowledged =
                lines.by_ref().filter_map(|line| line.expect("text").strip_prefix("acknowledged ").map(|n| n.parse::<u64>().expect("a number")));
            least = acknowledged.by_ref().take(patience).last().expect("it appends");
            child.kill().expect("alive");
            least = acknowledged.last().unwrap_or(least);
            child.wait().expect("ended");
            let summary = SqliteStore::open(&path).expect("recovers").verify().expect("whole");
            // One more may have become durable before it could be acknowledged.
            assert!((least..=least + 1).contains(&summary.records), "{least} acknowledged, {} there", summary.records);
        }
        assert!(least >= 27, "every round added to the same ledger");
    }

    #[test]
    fn a_reader_is_not_kept_out_by_what_a_killed_writer_left() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("ledger.sqlite");
        let mut store = SqliteStore::open(&path).expect("new");
        store.append("run-1", TIME, failed("first")).expect("appended");
        store.connection.execute_batch("PRAGMA cache_size = 1").expect("a small cache");
        let transaction = store.begin().expect("free");
        let mut head = store.head().expect("readable");
        for step in 0..300 {
            let record = head.link("run-2", TIME, failed(&format!("{step}")));
            store.insert(&record, &chain::line(&record)).expect("inserted");
            head = Head::from(&record);
        }
        let left = scratch.path().join("left.sqlite");
        std::fs::copy(&path, &left).expect("copied");
        std::fs::copy(path.with_extension("sqlite-journal"), left.with_extension("sqlite-journal")).expect("there is a journal");
        drop(transaction);
        assert!(left.metadata().expect("there").len() > 20_000, "the writer was in the middle");
        let mut left = SqliteStore::open_read_only(&left).expect("readable");
        assert_eq!(left.verify().expect("whole").records, 1);
        assert!(left.append("run-3", TIME, failed("x")).is_err(), "a reader writes nothing");
    }

    #[test]
    fn a_full_disk_is_named_and_leaves_the_ledger_as_it_was() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("ledger.sqlite");
        let mut store = SqliteStore::open(&path).expect("new");
        store.append("run-1", TIME, failed("first")).expect("appended");
        store.connection.execute_batch("PRAGMA max_page_count = 6").expect("a small disk");
        let many = || (0..200).map(|step| failed(&format!("{step}"))).collect();
        let error = store.append_all("run-2", TIME, many()).expect_err("no room");
        assert!(matches!(error, LedgerError::DiskFull { .. }), "{error}");
        assert_eq!(store.verify().expect("whole").records, 1);
        store.connection.execute_batch("PRAGMA max_page_count = 1000").expect("room again");
        store.append_all("run-2", TIME, many()).expect("appended");
        assert_eq!(store.verify().expect("whole").records, 201);
    }

    #[test]
    fn a_lock_that_is_never_released_is_named() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("ledger.sqlite");
        let holder = SqliteStore::open(&path).expect("new");
        let _lock = holder.begin().expect("free");
        let mut store = SqliteStore::open_with(&path, Duration::from_millis(20)).expect("readable");
        assert!(matches!(store.append("run", TIME, failed("x")), Err(LedgerError::Busy { .. })));
    }

    #[test]
    fn files_that_are_no_ledger_are_left_alone() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("notes.txt");
        std::fs::write(&path, "my notes, longer than a header").expect("written");
        assert!(matches!(SqliteStore::open(&path), Err(LedgerError::NotALedger { .. })));
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "my notes, longer than a header");

        let other = scratch.path().join("other.sqlite");
        Connection::open(&other).expect("new").execute_batch("CREATE TABLE mine (a)").expect("made");
        assert!(matches!(SqliteStore::open(&other), Err(LedgerError::NotALedger { .. })));

        assert!(matches!(SqliteStore::open(&path.join("below/a.sqlite")), Err(LedgerError::Open { .. })));
        let missing = scratch.path().join("missing.sqlite");
        assert!(matches!(SqliteStore::open_read_only(&missing), Err(LedgerError::Missing { .. })));
        assert!(!missing.exists());
        std::fs::write(&missing, "").expect("written");
        assert!(matches!(SqliteStore::open_read_only(&missing), Err(LedgerError::Missing { .. })));
    }

    #[test]
    fn a_ledger_from_the_future_and_one_opened_to_read_are_not_written() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("ledger.sqlite");
        SqliteStore::open(&path).expect("new").append("run", TIME, failed("x")).expect("appended");
        let mut reader = SqliteStore::open_read_only(&path).expect("existing");
        assert!(matches!(reader.append("run", TIME, failed("y")), Err(LedgerError::ReadOnly { .. })));
        reader.verify().expect("still readable");
        Connection::open(&path).expect("existing").execute_batch("PRAGMA user_version = 7").expect("set");
        assert!(matches!(SqliteStore::open(&path), Err(LedgerError::Newer { found: 7, .. })));
    }

    #[test]
    fn the_names_of_a_ledger_are_known_whatever_version_it_is_of() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("ledger.sqlite");
        let mut store = SqliteStore::open(&path).expect("new");
        for service in ["shop", "mail", "shop"] {
            store.append_all("run", TIME, samples::life(service, "production")).expect("appended");
        }
        let names = || tokens::names(&SqliteStore::open_read_only(&path).expect("existing")).expect("readable");
        let known = names();
        assert_eq!(Vec::from_iter(&known.services), ["mail", "shop"]);
        let noted = |store: &SqliteStore| store.keys("").expect("readable").len();
        let all = noted(&store);
        // As the first version left it.
        let back = "DROP TRIGGER mention_remains; DELETE FROM mention WHERE key GLOB '[se]*/*'; PRAGMA user_version = 1;";
        store.connection.execute_batch(back).expect("done by an earlier program");
        assert_eq!(names(), known);
        let store = SqliteStore::open(&path).expect("brought up to date");
        assert_eq!((store.version().expect("readable"), noted(&store)), (SCHEMA_VERSION, all));
        assert_eq!(names(), known);
        // A broken chain is no reason to refuse a trigger.
        let broken = "DROP TRIGGER record_stays; UPDATE record SET line = replace(line, 'mail', 'mall'); PRAGMA user_version = 1;";
        store.connection.execute_batch(broken).expect("done by a stranger");
        let trigger = Event::Triggered { trigger: Box::new(samples::trigger("shop", "staging")) };
        SqliteStore::open(&path).expect("as it is").append("decoy", TIME, trigger).expect("appended");
    }

    #[test]
    fn an_older_program_is_told_at_the_door_of_records_that_it_does_not_know() {
        let mut store = SqliteStore::open_in_memory().expect("memory");
        store.append_all("run-1", TIME, samples::life("shop", "production")).expect("appended");
        let found = store.append("run-2", TIME, samples::found("shop:1", true, &[samples::fingerprint("a", "b")])).expect("appended");
        assert!(found.version <= store.version().expect("readable"));
        assert_eq!(store.verify().expect("whole").records, 7);
    }
}

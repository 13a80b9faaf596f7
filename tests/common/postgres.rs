//! A PostgreSQL server of one's own: a fresh cluster in a scratch folder, on a loopback port and a Unix socket. It lives as long as its owner.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Debian keeps the server's programs beside the path.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Stops the server when standard input closes, which it does when this process dies, whatever it died of.
const GUARD: &str = r#"
"$@" </dev/null &
child=$!
read -r _
kill -INT "$child" 2>/dev/null
wait "$child"
"#;

/// A running server. Dropped, it stops and its cluster is gone.
pub(crate) struct PostgresServer {
    guard: Mutex<Option<Child>>,
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

/// Who owns the cluster, and the password of all its roles.
pub(crate) const OWNER: &str = "owner";
pub(crate) const PASSWORD: &str = "correct-horse";

impl PostgresServer {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With settings of its own, as `name=value`.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        Self::start_beside(&[], settings)
    }

    /// One that speaks TLS, with a `server.crt` and a `server.key`.
    pub(crate) fn start_behind_tls(files: &[(&str, String)]) -> Self {
        Self::start_beside(files, &["ssl=on", "ssl_cert_file=../server.crt", "ssl_key_file=../server.key"])
    }

    fn start_beside(files: &[(&str, String)], settings: &[&str]) -> Self {
        let mut versions: Vec<PathBuf> = std::fs::read_dir(VERSIONS)
            .unwrap_or_else(|_| panic!("no PostgreSQL under {VERSIONS}: .ci/setup installs it"))
            .map(|entry| entry.expect("readable").path().join("bin"))
            .collect();
        versions.sort();
        let programs = versions.pop().expect("a version of PostgreSQL");
        let folder = TempDir::new().expect("a scratch folder can be made");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let server = Self { guard: Mutex::default(), folder, programs, port };
        server.must(Command::new("chmod").arg("755").arg(server.folder.path()));
        let own = server.folder.path().join("own");
        std::fs::create_dir(&own).expect("the folder is writable");
        for (name, text) in files.iter().map(|(name, text)| (*name, text.as_str())).chain([("password", PASSWORD)]) {
            let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(own.join(name)).expect("writable");
            file.write_all(text.as_bytes()).expect("writable");
        }
        if is_root() {
            server.must(Command::new("chown").args(["-R", "postgres:postgres"]).arg(&own));
        }
        let (data, password) = (server.data(), own.join("password"));
        let mut initdb = server.program("initdb");
        initdb.args(["--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C", "-U", OWNER]);
        server.must(initdb.arg("--pwfile").arg(password).arg("-D").arg(data));
        let mut config = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nmax_connections = 100\nshared_buffers = 64MB\n",
            own.display()
        );
        for setting in settings {
            let (name, value) = setting.split_once('=').expect("name=value");
            config += &format!("{name} = '{value}'\n");
        }
        let file = server.data().join("postgresql.auto.conf");
        std::fs::write(&file, config).expect("the folder is writable");
        server.run();
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("own")
    }

    /// Where the cluster lies.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("own/data")
    }

    /// The address of a database, for one of its roles.
    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// What the server wrote to its log so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap_or_default()).into_owned()
    }

    /// Runs SQL as the owner, and gives what it printed: rows of columns, with a bar in between.
    pub(crate) fn sql(&self, database: &str, text: &str) -> String {
        self.try_sql(database, text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    /// The same, or why it could not be done.
    pub(crate) fn try_sql(&self, database: &str, text: &str) -> Result<String, String> {
        self.try_sql_as(OWNER, database, text)
    }

    pub(crate) fn try_sql_as(&self, role: &str, database: &str, text: &str) -> Result<String, String> {
        let url = format!("host={} port={} user={role} dbname={database}", self.socket().display(), self.port);
        let ran = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text, &url])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .expect("psql runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if ran.status.success() { Ok(text(ran.stdout)) } else { Err(text(ran.stderr)) }
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn run(&self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).expect("writable");
        let server = self.program("postgres");
        let guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(server.get_program())
            .args(server.get_args())
            .arg("-D")
            .arg(self.data())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("open"))
            .stderr(log)
            .spawn()
            .expect("a shell starts");
        *self.guard.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
        let started = Instant::now();
        let mut asked = Command::new(self.programs.join("pg_isready"));
        asked.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        while !asked.status().expect("pg_isready runs").success() {
            assert!(started.elapsed() < Duration::from_secs(60), "PostgreSQL does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it at once, as a power loss would: nothing is written or said any more.
    pub(crate) fn crash(&self) {
        let mut stop = self.program("pg_ctl");
        self.must(stop.args(["stop", "-s", "-m", "immediate", "-D"]).arg(self.data()));
        self.stop();
    }

    fn stop(&self) {
        let guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut guard) = guard {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }

    /// A program of the server. It refuses to run as root.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir("/");
        command
    }

    fn must(&self, command: &mut Command) {
        let ran = command.output().unwrap_or_else(|cause| panic!("{command:?} cannot be started: {cause}"));
        assert!(ran.status.success(), "{command:?}: {}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() == 0)
}

//! The processes that read hostile bytes: what they are held by, that no way out is open, and that nobody's death is a pass.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use honeycrate::image::layout::Layout;
use honeycrate::image::limits::Limits;
use honeycrate::image::stored::StoredImage;
use honeycrate::oci::descriptor::Descriptor;
use honeycrate::oci::digest::Digest;
use honeycrate::reader::probe::Attempt;
use honeycrate::reader::process::{PATIENCE, ProcessScanner, Settings};
use honeycrate::scan::blob_scan::{BlobScanner, DirectScanner};
use honeycrate::scan::found::Found;
use honeycrate::scan::rule_set::RuleSet;
use honeycrate::secret::fingerprint::Fingerprint;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::{TempDir, tempdir};

use crate::common::command::wait_for;
use crate::common::honeycrate::Honeycrate;
use crate::common::images::{Image, Packing, github_token};

const BINARY: &str = env!("CARGO_BIN_EXE_honeycrate");
/// After 2025, so that nothing in the images has ended by then.
const NOW: i64 = 1_790_000_000;

fn nobody(_: &Found<'_>) -> Option<Fingerprint> {
    None
}

fn settings<'a>(rules: &'a RuleSet, limits: &'a Limits) -> Settings<'a> {
    Settings {
        program: Some(Path::new(BINARY)),
        rules,
        recognise: &nobody,
        has_keys: false,
        asks: false,
        now: NOW,
        limits,
        count: 1,
        patience: PATIENCE,
    }
}

#[test]
fn no_way_out_of_a_reader_is_open() {
    let (folder, limits) = (tempdir().expect("scratch"), Limits::default());
    let file = folder.path().join("written").display().to_string();
    let scanner = ProcessScanner::new(settings(RuleSet::builtin(), &limits));
    let parent = i32::try_from(std::process::id()).expect("a process id");
    for (attempt, end) in [
        (Attempt::ReadFile("/etc/passwd".to_owned()), "SIGSYS"),
        (Attempt::ReadFile("/proc/self/environ".to_owned()), "SIGSYS"),
        (Attempt::WriteFile(file.clone()), "SIGSYS"),
        (Attempt::Stream, "SIGSYS"),
        (Attempt::Datagram, "SIGSYS"),
        (Attempt::UnixSocket, "SIGSYS"),
        (Attempt::Program("/bin/true".to_owned()), "SIGSYS"),
        (Attempt::Thread, "SIGSYS"),
        (Attempt::Signal(parent), "SIGSYS"),
        (Attempt::Debug(parent), "SIGSYS"),
        (Attempt::Memory, "SIGABRT"),
        (Attempt::Panic, "src/reader/probe.rs"),
    ] {
        let error = scanner.probe(attempt.clone()).expect_err("it does not survive that").to_string();
        assert!(error.contains(end) && error.contains("counts as unread"), "{attempt:?}: {error}");
        assert_eq!(scanner.probe(Attempt::Nothing).expect("a new one is there"), "done", "{attempt:?}");
    }
    assert!(!Path::new(&file).exists());
    let held = scanner.standing().confinement.expect("there were readers");
    assert_eq!((held.held_by.join(", "), held.missing.len()), ("no new privileges, limits, Landlock, seccomp".to_owned(), 0), "{held:?}");
}

#[test]
fn what_is_no_reader_is_not_used_as_one() {
    let limits = Limits::default();
    let (_folder, stored) = layout(&Image::shop());
    let (layer, diff_id) = layers(&stored).swap_remove(0);
    for program in ["/nowhere/honeycrate", "/bin/true", "/bin/cat", "/bin/sleep"] {
        let scanner = ProcessScanner::new(Settings { program: Some(Path::new(program)), ..settings(RuleSet::builtin(), &limits) });
        let scan = scanner.scan_layer(&*stored.blobs, &layer, &diff_id, &|_| {}).expect("it is read here instead");
        let standing = scanner.standing();
        assert!(scan.files == 4 && standing.confinement.is_none() && standing.unconfined.is_some_and(|why| !why.is_empty()), "{program}");
    }
}

/// A layout on disk, with its image's layers.
fn layout(image: &Image) -> (TempDir, StoredImage) {
    let folder = tempdir().expect("scratch");
    image.write(folder.path());
    let layout = Layout::open(folder.path()).expect("a layout");
    let root = layout.find(None).expect("an image");
    (folder, StoredImage::open(Arc::new(layout), &root, false).expect("an image"))
}

fn layers(stored: &StoredImage) -> Vec<(Descriptor, Digest)> {
    let image = stored.images().next().expect("an image");
    image.manifest.layers.iter().cloned().zip(image.config.diff_ids.iter().cloned()).collect()
}

/// All that a scan says, as text.
fn told(scanner: &dyn BlobScanner, stored: &StoredImage) -> Vec<String> {
    let layer = |(layer, diff_id): &(Descriptor, Digest)| match scanner.scan_layer(&*stored.blobs, layer, diff_id, &|_| {}) {
        Ok(scan) => format!("{:?} {:?} {} {} {:?}", scan.listing, scan.seen, scan.files, scan.bytes, scan.anomalies),
        Err(error) => format!("{error} {:?}", error.hint()),
    };
    let blob = |(blob, _): &(Descriptor, Digest)| match scanner.scan_blob(&*stored.blobs, blob) {
        Ok(scan) => format!("{scan:?}"),
        Err(error) => format!("{error} {:?}", error.hint()),
    };
    let layers = layers(stored);
    layers.iter().map(layer).chain(layers.iter().map(blob)).collect()
}

#[test]
fn a_reader_says_what_this_process_would() {
    let limits = Limits::default();
    let own = github_token(7);
    let recognise = |found: &Found<'_>| (found.secret.expose() == own).then(|| found.fingerprint());
    let rule = "vendor: Acme\nrules:\n  - {id: acme-token, name: Acme token, severity: high, confidence: high, literals: [acme_], \
                pattern: 'acme_[0-9a-f]{16}', gain: A., revoke: B.}\n";
    let rules = RuleSet::builtin().with_rules("own.yaml", rule).expect("a good rule");
    let direct = DirectScanner { rules: &rules, recognise: &recognise, now: NOW, limits: &limits };
    let settings = Settings { recognise: &recognise, has_keys: true, ..settings(&rules, &limits) };
    let process = ProcessScanner::new(settings);
    let acme = ["ac", "me_"].concat() + "0123456789abcdef";
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let text = format!("A={}\nB={own}\nC={acme}\n", github_token(1));
        let image = Image::shop().layer("COPY . .", &[("app/.env", &text), ("app/.wh.gone", "")]).packing(packing);
        let (folder, stored) = layout(&image);
        let expected = told(&direct, &stored);
        assert!(expected.concat().contains("acme-token") && expected.concat().contains("own_bait: {Fingerprint"), "{expected:?}");
        assert_eq!(told(&process, &stored), expected);
        // The same of damage: a byte changed, an end cut off, a blob that is gone.
        let paths: Vec<PathBuf> =
            layers(&stored).iter().map(|(layer, _)| folder.path().join("blobs").join(layer.digest.as_str().replace(':', "/"))).collect();
        let [first, second, third, ..] = &paths[..] else { panic!("layers") };
        let bytes = fs::read(first).expect("a blob");
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 0x55;
            fs::write(first, changed).expect("writable");
            fs::write(second, &fs::read(second).expect("a blob")[..40]).expect("writable");
            let _ = fs::remove_file(third);
            let expected = told(&direct, &stored);
            assert!(expected[..3].iter().all(|told| told.contains("Some(")), "{expected:?}");
            assert_eq!(told(&process, &stored), expected);
        }
    }
    assert_eq!(process.standing().unconfined, None);
}

#[test]
fn each_limit_says_the_same_in_a_reader() {
    let (_folder, stored) = layout(&Image::shop());
    for limits in [
        Limits { max_layer_bytes: 700, ..Limits::default() },
        Limits { max_entries: 2, ..Limits::default() },
        Limits { max_path_bytes: 9, ..Limits::default() },
        Limits { max_name: 6, ..Limits::default() },
    ] {
        let rules = RuleSet::builtin();
        let direct = DirectScanner { rules, recognise: &nobody, now: NOW, limits: &limits };
        let expected = told(&direct, &stored);
        assert!(expected.concat().contains("exceeds the limit"), "{expected:?}");
        assert_eq!(told(&ProcessScanner::new(settings(rules, &limits)), &stored), expected);
    }
}

/// A registry that sends documents at once and no layer before it is told to.
struct Stalling {
    host: String,
    released: Arc<(Mutex<bool>, Condvar)>,
    _layout: TempDir,
}

impl Stalling {
    fn start() -> Self {
        let (layout, stored) = layout(&Image::shop().layer("COPY . .", &[("app/readme", "shop")]));
        let image = stored.images().next().expect("an image");
        let mut documents = BTreeMap::from([("/v2/".to_owned(), (String::new(), b"{}".to_vec()))]);
        let kind = image.manifest.media_type.clone();
        for name in ["1", stored.digest().as_str()] {
            documents.insert(format!("/v2/acme/shop/manifests/{name}"), (kind.clone(), stored.document().to_vec()));
        }
        documents.insert(format!("/v2/acme/shop/blobs/{}", image.manifest.config.digest), (String::new(), image.config.bytes.to_vec()));
        let blobs = layout.path().join("blobs");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("bound").to_string();
        let released = Arc::new((Mutex::new(false), Condvar::new()));
        let gate = Arc::clone(&released);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (documents, blobs, gate) = (documents.clone(), blobs.clone(), Arc::clone(&gate));
                std::thread::spawn(move || answer(stream, &documents, &blobs, &gate));
            }
        });
        Self { host, released, _layout: layout }
    }

    fn release(&self) {
        *self.released.0.lock().expect("no panic") = true;
        self.released.1.notify_all();
    }

    /// A scan of the image, and its readers, once they are confined and wait for their layers.
    fn scan(&self, honeycrate: &Honeycrate) -> (Child, Vec<i32>) {
        let mut command = Command::new(BINARY);
        command.args(["scan", &format!("docker://{}/acme/shop:1", self.host), "--plain-http", &self.host]);
        command.env_clear().env("HOME", honeycrate.home()).env("DEPLOY_PASSWORD", "battery-staple").current_dir(honeycrate.home());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let pid = i32::try_from(child.id()).expect("a process id");
        let confined = |reader: &i32| status(*reader, "Seccomp").is_some_and(|mode| mode == "2");
        let readers = wait_for("readers", 60, || {
            let readers = readers_of(pid);
            (!readers.is_empty() && readers.iter().all(confined)).then_some(readers)
        });
        (child, readers)
    }
}

fn answer(stream: TcpStream, documents: &BTreeMap<String, (String, Vec<u8>)>, blobs: &Path, gate: &(Mutex<bool>, Condvar)) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    loop {
        let (mut first, mut line) = (String::new(), String::new());
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let (kind, body) = documents.get(path).cloned().unwrap_or_else(|| {
            let released = gate.1.wait_while(gate.0.lock().expect("no panic"), |released| !*released).expect("no panic");
            drop(released);
            let digest = path.rsplit('/').next().unwrap_or_default().replace(':', "/");
            (String::new(), fs::read(blobs.join(digest)).unwrap_or_default())
        });
        let kind = if kind.is_empty() { "application/octet-stream" } else { &kind };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut stream = &stream;
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

/// A line of `/proc/PID/status`.
fn status(pid: i32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

fn readers_of(parent: i32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_reader = |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"honeycrate\0--reader\0");
    processes.filter(is_reader).filter(|pid| status(*pid, "PPid").is_some_and(|of| of == parent.to_string())).collect()
}

/// What the descriptors of a process lead to.
fn open_files(process: &str) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).expect("root may").flatten();
    entries.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect()
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process"), signal).expect("it lives");
}

fn ended(readers: &[i32]) {
    wait_for("the end of the readers", 30, || readers.iter().all(|reader| !Path::new(&format!("/proc/{reader}")).exists()).then_some(()));
}

#[test]
fn a_reader_has_its_socket_and_nothing_of_the_job() {
    let (honeycrate, registry) = (Honeycrate::stranger(), Stalling::start());
    let (child, readers) = registry.scan(&honeycrate);
    for reader in &readers {
        let read = |name: &str| fs::read(format!("/proc/{reader}/{name}")).expect("root may");
        assert_eq!(read("environ"), b"");
        // What the test itself was started with goes on to its children, and readers cannot use it.
        let inherited = open_files("self");
        let open: Vec<String> = open_files(&reader.to_string()).into_iter().filter(|file| !inherited.contains(file)).collect();
        assert!(open.len() == 3 && open.iter().all(|file| file.starts_with("socket:") || file.starts_with("pipe:")), "{open:?}");
        assert_eq!(status(*reader, "NoNewPrivs").as_deref(), Some("1"));
        assert_eq!(status(*reader, "Threads").as_deref(), Some("1"));
    }
    registry.release();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("confined"), "{output:?}");
    ended(&readers);
}

#[test]
fn a_reader_that_is_killed_leaves_its_layer_unread_and_the_image_unpassed() {
    let (honeycrate, registry) = (Honeycrate::stranger(), Stalling::start());
    let (child, readers) = registry.scan(&honeycrate);
    signal(readers[0], Signal::KILL);
    registry.release();
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("the reader of layer sha256:") && text.contains("SIGKILL") && text.contains("counts as unread"), "{text}");
    ended(&readers);
}

#[test]
fn no_reader_outlives_the_run() {
    for (end, code) in [(Signal::KILL, None), (Signal::INT, Some(130)), (Signal::TERM, Some(143))] {
        let (honeycrate, registry) = (Honeycrate::stranger(), Stalling::start());
        let (mut child, readers) = registry.scan(&honeycrate);
        signal(i32::try_from(child.id()).expect("a process id"), end);
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), code, "{end:?}: {status:?} {:?}", status.signal());
        ended(&readers);
    }
}

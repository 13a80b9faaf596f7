//! Takes everything from this process that scanning needs not: files, network, other processes, new programs.
//!
//! Sources: landlock(7), seccomp(2), and for the list of calls what the standard library, glibc and musl make of memory, time and locks.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd as _};

use landlock::{ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetStatus, Scope};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal, getrlimit, set_dumpable_behavior, set_parent_process_death_signal, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, apply_filter};
use serde::{Deserialize, Serialize};

/// Bytes of address space that a reader may have. A window of zstd is 128 MiB; an entry of a listing is some fifty bytes and its path.
const MEMORY: u64 = 1 << 30;

/// What holds a process, and what does not because the system has it not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// One word each.
    pub held_by: Vec<String>,
    /// What is missing, and why.
    pub missing: Vec<String>,
}

impl Confinement {
    fn note(&mut self, what: &str, done: Result<(), String>) {
        match done {
            Ok(()) => self.held_by.push(what.to_owned()),
            Err(why) => self.missing.push(format!("{what} ({why})")),
        }
    }
}

/// The first thing that a reader does: it ends with its parent, and no debugger and no core dump shows what it holds.
pub fn seclude() {
    // Where one of these is refused, the others still stand; the parent's end is also the end of the socket.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Confines this process for good. It keeps `socket`, and one file at a time that comes over it.
#[must_use]
pub fn confine(socket: impl AsFd) -> Confinement {
    let mut confinement = Confinement::default();
    let text = |error: &dyn ToString| error.to_string();
    let socket = socket.as_fd();
    // The number that the next file to arrive will have: the lowest that is free.
    let file = rustix::io::fcntl_dupfd_cloexec(socket, 0).map(|next| next.as_raw_fd());
    confinement.note("no new privileges", rustix::thread::set_no_new_privs(true).map_err(|error| text(&error)));
    confinement.note("limits", file.and_then(limit).map_err(|error| text(&error)));
    match forbid_files_and_network() {
        // Older kernels have the file system's part, or that and the network's. What they lack, seccomp holds as well.
        Ok(false) => confinement.note("Landlock in part", Ok(())),
        whole => confinement.note("Landlock", whole.map(|_| ())),
    }
    confinement.note("seccomp", file.map_err(|error| text(&error)).and_then(|file| forbid_calls(socket.as_raw_fd(), file)));
    confinement
}

fn limit(file: i32) -> rustix::io::Result<()> {
    let files = u64::from(file.unsigned_abs()) + 1;
    for (resource, most) in
        [(Resource::Core, 0), (Resource::Fsize, 0), (Resource::Nproc, 0), (Resource::Memlock, 0), (Resource::Nofile, files), (Resource::As, MEMORY)]
    {
        // What is stricter already stays so.
        let most = Some(getrlimit(resource).maximum.map_or(most, |hard| hard.min(most)));
        setrlimit(resource, Rlimit { current: most, maximum: most })?;
    }
    Ok(())
}

/// No path can be opened or changed any more, no port reached, no process outside signalled. Open files stay open. `false` when the kernel
/// has only some of it.
fn forbid_files_and_network() -> Result<bool, String> {
    let abi = ABI::V6;
    let restrict = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            .restrict_self()
    };
    match restrict().map_err(|error| error.to_string())?.ruleset {
        RulesetStatus::FullyEnforced => Ok(true),
        RulesetStatus::PartiallyEnforced => Ok(false),
        RulesetStatus::NotEnforced => Err("this kernel has none".to_owned()),
    }
}

/// Any other call than these ends the process.
fn forbid_calls(socket: i32, file: i32) -> Result<(), String> {
    let filter = filter(socket, file).map_err(|error| error.to_string())?;
    apply_filter(&filter).map_err(|error| error.to_string())
}

fn filter(socket: i32, file: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    const STDERR: i32 = 2;
    let number = |value: i32| u64::from(value.unsigned_abs());
    let is = |argument, value| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    let has = |argument, mask, value| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value);
    let on = |descriptor: i32| SeccompRule::new(vec![is(0, number(descriptor))?]);
    let not_executable = || has(2, number(libc::PROT_EXEC), 0);
    let anonymous = || has(3, number(libc::MAP_ANONYMOUS), number(libc::MAP_ANONYMOUS));
    let own_process = u64::from(std::process::id());

    // Descriptors that were left open by whoever started the program are out of reach: each call names those that it is for.
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::from([
        (libc::SYS_recvmsg, vec![on(socket)?]),
        (libc::SYS_pread64, vec![on(file)?]),
        // What the standard library says of a program's end goes to nobody, and is no crime.
        (libc::SYS_write, vec![on(socket)?, on(STDERR)?]),
        // The standard library's own check of what it closes, in debug builds.
        (libc::SYS_fcntl, vec![SeccompRule::new(vec![is(1, number(libc::F_GETFD))?])?]),
        (libc::SYS_mmap, vec![SeccompRule::new(vec![not_executable()?, anonymous()?])?]),
        (libc::SYS_mprotect, vec![SeccompRule::new(vec![not_executable()?])?]),
        (libc::SYS_tgkill, vec![SeccompRule::new(vec![is(0, own_process)?])?]),
    ]);
    let free = [
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_close,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_yield,
        libc::SYS_sigaltstack,
    ];
    rules.extend(free.map(|call| (call, Vec::new())));
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;

    use rustix::process::{Pid, test_kill_process};

    use super::*;

    #[test]
    fn landlock_alone_keeps_files_shut_and_other_processes_alone() {
        let mut open = tempfile::NamedTempFile::new().expect("a file");
        open.write_all(b"content").expect("writable");
        let path = open.path().to_owned();
        let mut file = File::open(&path).expect("readable");
        // It holds for the thread that asks for it, and for what that starts.
        let tried = std::thread::spawn(move || {
            assert_eq!(forbid_files_and_network(), Ok(true), "this kernel has it");
            let mut text = String::new();
            file.read_to_string(&mut text).expect("what was open stays open");
            let beside = path.with_extension("new");
            let paths = [File::open(&path).err(), File::open("/etc/passwd").err(), File::create(beside).err(), std::fs::remove_file(path).err()];
            let refused = paths.iter().flatten().filter(|error| error.kind() == std::io::ErrorKind::PermissionDenied).count();
            let parent = rustix::process::getppid().unwrap_or(Pid::INIT);
            (text, refused, test_kill_process(parent).is_err())
        });
        assert_eq!(tried.join().expect("no panic"), ("content".to_owned(), 4, true));
        assert!(open.path().exists());
    }

    #[test]
    fn the_list_of_calls_can_be_made_a_filter_and_names_its_files() {
        let program = filter(0, 3).expect("a filter");
        assert!(program.len() > 50 && program.len() < 4096, "{}", program.len());
        let other = filter(0, 4).expect("a filter");
        assert!(program.iter().zip(&other).any(|(a, b)| a != b), "the number of the file is in it");
        assert!(std::io::stdin().as_fd().as_raw_fd() == 0);
    }
}

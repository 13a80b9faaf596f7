//! Ways out of a confined process, to be tried by it: each must fail, or end it. Nothing here harms where it succeeds.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::process::Command;

use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open, test_kill_process};
use serde::{Deserialize, Serialize};

/// What code that took over a reader would try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attempt {
    /// Nothing: a reader that does this lives.
    Nothing,
    ReadFile(String),
    WriteFile(String),
    /// Make a socket of the internet's family, with which everything else begins.
    Stream,
    Datagram,
    UnixSocket,
    /// Start a program.
    Program(String),
    Thread,
    /// Send a process a signal; this one only asks whether it could.
    Signal(i32),
    /// Take an open file out of another process, as a debugger may.
    Debug(i32),
    /// More memory than it may have.
    Memory,
    Panic,
}

impl Attempt {
    /// Tries it.
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Panics
    /// [`Attempt::Panic`] does.
    pub fn make(&self) -> io::Result<()> {
        let pid = |number: i32| Pid::from_raw(number).ok_or(io::ErrorKind::InvalidInput);
        match self {
            Self::Nothing => {}
            Self::ReadFile(path) => drop(File::open(path)?),
            Self::WriteFile(path) => drop(File::create_new(path)?),
            Self::Stream => drop(socket(AddressFamily::INET, SocketType::STREAM, None)?),
            Self::Datagram => drop(socket(AddressFamily::INET, SocketType::DGRAM, None)?),
            Self::UnixSocket => drop(socket(AddressFamily::UNIX, SocketType::STREAM, None)?),
            Self::Program(path) => drop(Command::new(path).spawn()?.wait()?),
            Self::Thread => drop(std::thread::Builder::new().spawn(|| {})?),
            Self::Signal(number) => test_kill_process(pid(*number)?)?,
            Self::Debug(number) => {
                let process = pidfd_open(pid(*number)?, PidfdFlags::empty())?;
                drop(pidfd_getfd(process.as_fd(), 0, PidfdGetfdFlags::empty())?);
            }
            Self::Memory => {
                let mut pieces = Vec::new();
                for _ in 0..64 {
                    pieces.push(vec![1_u8; 64 << 20]);
                }
            }
            Self::Panic => panic!("a probe"),
        }
        Ok(())
    }
}

//! The way through a command: from arguments to an exit code.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::args::{Cli, Command, Global};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::{baseline, ci, decoy, doctor, explain, ignore, init, key, ledger, rules, scratch, setup, ship, show, token};
use crate::net::client::install_crypto;
use crate::reader::worker;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    if std::env::args_os().skip(1).eq([worker::ARGUMENT]) {
        return worker::main();
    }
    // A core dump or a debugger of the same user would show keys and tokens. Where the kernel refuses, we go on as every program does.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    tell_panics_by_place();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; everything else is a usage error.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Passed };
            let _ = error.print();
            return exit.code().into();
        }
    };
    setup::colours(cli.global.color);
    install_crypto();
    ending(|| run(&cli.command, &cli.global)).code().into()
}

/// The exit of a command, whose error is told. A panic that got this far is a bug, and ends as one.
fn ending(command: impl FnOnce() -> Result<Exit, Failure>) -> Exit {
    match catch_unwind(AssertUnwindSafe(command)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            failure.print();
            failure.exit
        }
        // Told by the hook, where it happened.
        Err(panic) => match unprinted(&*panic) {
            Some(why) if why.contains("Broken pipe") => Exit::Passed,
            Some(_) => Exit::Usage,
            None => Exit::Bug,
        },
    }
}

/// Why a line could not be printed, if that is what a panic is about: the printing macros have no other way to tell it.
fn unprinted(panic: &(dyn Any + Send)) -> Option<&str> {
    panic.downcast_ref::<String>()?.strip_prefix("failed printing to ")
}

/// A panic is told by its place alone: its text may quote what was being read, a secret for example.
fn tell_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        match unprinted(panic.payload()) {
            // A reader that has seen enough is no failure.
            Some(why) if why.contains("Broken pipe") => return,
            Some(why) => return Failure::usage(format!("cannot print to {why}"), "").print(),
            None => {}
        }
        let place = panic.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        Failure::bug(format!("honeycrate met a case that it does not know{place}")).print();
    }));
}

fn run(command: &Command, global: &Global) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|cause| Failure::bug(format!("cannot start the runtime: {cause}")))?;
    runtime.block_on(async {
        // These two end by themselves when they are told to.
        if !matches!(command, Command::Decoy(_) | Command::Watch(_)) {
            scratch::end_when_told();
        }
        match command {
            Command::Demo(demo) => show::demo(demo).await,
            Command::Init(init) => init::init(init, global),
            Command::Ship(arguments) => ship::ship(arguments, global).await,
            Command::Scan(arguments) => ship::scan(arguments, global).await,
            Command::Baseline(command) => baseline::baseline(command, global).await,
            Command::Ci => ci::ci(global).await,
            Command::Ignore(arguments) => ignore::ignore(arguments, global),
            Command::Plant(arguments) => ship::plant(arguments, global).await,
            Command::Push(arguments) => ship::push(arguments, global).await,
            Command::Token(command) => token::token(command, global).await,
            Command::Ledger(command) => ledger::ledger(command, global).await,
            Command::Decoy(arguments) => decoy::decoy(arguments, global).await,
            Command::Watch(arguments) => decoy::watch(arguments, global).await,
            Command::Doctor(command) => doctor::doctor(command, global).await,
            Command::Report(report) => show::report(report, global).await,
            Command::Key(command) => key::key(command, global),
            Command::Rules(command) => rules::rules(command, global),
            Command::Explain { id } => explain::explain(id.as_deref()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    #[test]
    fn a_panic_ends_as_a_bug() {
        assert_eq!(ending(|| panic!("a case that nobody thought of")), Exit::Bug);
        assert_eq!(ending(|| panic_any("failed printing to stdout: No space left on device".to_owned())), Exit::Usage);
        assert_eq!(ending(|| panic_any("failed printing to stdout: Broken pipe".to_owned())), Exit::Passed);
        assert_eq!(ending(|| Ok(Exit::Denied)), Exit::Denied);
        assert_eq!(ending(|| Err(Failure::usage("no", ""))), Exit::Usage);
    }
}

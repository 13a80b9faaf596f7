//! The way through a command: from arguments to an exit code.

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::args::{Cli, Command, Global};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::{decoy, explain, init, key, ledger, setup, ship, show, token};
use crate::net::client::install_crypto;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    // A core dump or a debugger of the same user would show keys and tokens. Where the kernel refuses, we go on as every program does.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
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
    let exit = match run(&cli.command, &cli.global) {
        Ok(exit) => exit,
        Err(failure) => {
            failure.print();
            failure.exit
        }
    };
    exit.code().into()
}

fn run(command: &Command, global: &Global) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|cause| Failure::bug(format!("cannot start the runtime: {cause}")))?;
    runtime.block_on(async {
        match command {
            Command::Demo(demo) => show::demo(demo, global).await,
            Command::Init(init) => init::init(init, global),
            Command::Ship(arguments) => ship::ship(arguments, global).await,
            Command::Scan(arguments) => ship::scan(arguments, global).await,
            Command::Plant(arguments) => ship::plant(arguments, global).await,
            Command::Push(arguments) => ship::push(arguments, global).await,
            Command::Token(command) => token::token(command, global),
            Command::Ledger(command) => ledger::ledger(command, global),
            Command::Decoy(arguments) => decoy::decoy(arguments, global).await,
            Command::Watch(arguments) => decoy::watch(arguments, global).await,
            Command::Report(report) => show::report(report, global),
            Command::Key(command) => key::key(command, global),
            Command::Explain { id } => explain::explain(id.as_deref()),
        }
    })
}

//! Parses, runs, prints one error, exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    honeycrate::cli::run::main()
}

//! The command line: parse, resolve, run, print, exit. The only room that prints.

pub mod args;
pub mod baseline;
pub mod decoy;
pub mod diagnose;
pub mod editor;
pub mod exit;
pub mod explain;
pub mod ignore;
pub mod init;
pub mod key;
pub mod ledger;
pub mod note;
pub mod output;
pub mod rule_files;
pub mod rules;
pub mod run;
pub mod scratch;
pub mod setup;
pub mod ship;
pub mod show;
pub mod target;
pub mod terminal;
pub mod token;
pub mod whole_file;
pub mod work_tree;

//! One file is the whole program: it needs no library, no interpreter and no certificate store of the system.

use std::path::Path;

use tempfile::TempDir;

use crate::common::command::{must, program, run};
use crate::common::images::Image;

const BINARY: &str = env!("CARGO_BIN_EXE_honeycrate");

/// A root folder with the program and a scratch folder in it, and nothing else.
fn jail() -> TempDir {
    // Beside the binary, so that a link will do: with its debug information it is large.
    let jail = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder is writable");
    std::fs::hard_link(BINARY, jail.path().join("honeycrate")).expect("it is the same file system");
    std::fs::create_dir(jail.path().join("tmp")).expect("the folder is writable");
    jail
}

#[test]
fn the_program_is_linked_statically() {
    let ran = run(program("ldd", Path::new("/")).arg(BINARY));
    assert!(ran.all().contains("statically linked") || ran.all().contains("not a dynamic executable"), "{}", ran.all());
}

#[test]
fn the_program_runs_where_there_is_nothing_else() {
    let jail = jail();
    let inside = |arguments: &[&str]| must(program("chroot", Path::new("/tmp")).arg(jail.path()).arg("/honeycrate").args(arguments));
    assert!(inside(&["--version"]).starts_with("honeycrate "));
    assert!(inside(&["demo"]).contains("history"));
}

#[test]
fn without_a_way_to_start_readers_it_reads_the_layers_itself_and_says_so() {
    let jail = jail();
    // No /proc, so the program cannot find itself.
    Image::shop().write(&jail.path().join("layout"));
    let ran = run(program("chroot", Path::new("/tmp")).arg(jail.path()).args(["/honeycrate", "scan", "oci:/layout"]));
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.all().contains("unconfined: no reader process could be started"), "{}", ran.all());
}

//! Lists the rule files for the program to embed: every YAML file in `src/scan/rules`, by name.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("src/scan/rules");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let rows: String = files
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default();
            format!("    ({name:?}, include_str!({path:?})),\n")
        })
        .collect();
    let target = Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("rule_files.rs");
    fs::write(target, format!("&[\n{rows}]\n"))
}

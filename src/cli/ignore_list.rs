//! `honeycrate token ignore-list`: makes the owner's other scanners pass over bait.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use time::{Date, Duration};

use crate::bait::silence::contract::{IgnoreList as Form, Silenced};
use crate::bait::silence::{TABLE, find, until, write};
use crate::cli::args::{Global, IgnoreList, Judging};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::ship::setup;
use crate::cli::target::source;
use crate::cli::whole_file::folder_of;
use crate::config::resolve::work_tree_of;
use crate::pipeline::clock;
use crate::pipeline::silence::{of_images, of_ledger};
use crate::report::disclosure::Disclosure;
use crate::report::words::count;

/// Writes a list, or says how long one is good.
///
/// # Errors
/// When there is no key, an image or the ledger cannot be read, or the list cannot lie there.
pub async fn ignore_list(arguments: &IgnoreList, global: &Global) -> Result<Exit, Failure> {
    if let Some(path) = &arguments.check {
        return check(path);
    }
    let (form, out) = (form(arguments)?, arguments.out.as_deref().unwrap_or(Path::new("")));
    let before = refuse(out)?;
    let setup = setup(global, None, &Judging::default(), &arguments.registries)?;
    if !setup.ci.trusted() {
        return Err(Failure::usage("a list tells bait from secrets, and this job may run a stranger's change", "write it where only yours run"));
    }
    let ring = setup.keys()?;
    let silenced = if arguments.images.is_empty() {
        of_ledger(&ring, &*setup.ledger_to_read()?)?
    } else {
        let (session, _scratch) = setup.session(&arguments.registries)?;
        let images = arguments.images.iter().map(|image| source(image, &setup.settings.scratch)).collect::<Result<Vec<_>, _>>()?;
        of_images(&session, &ring, &images).await?
    };
    let today = clock::now().date();
    let last = today.checked_add(Duration::days(arguments.days.into())).ok_or_else(|| Failure::usage("--days leads past the calendar", ""))?;
    let failed = |cause: std::io::Error| Failure::usage(format!("cannot write {}: {cause}", out.display()), "choose another place with --out");
    write_for_owner(out, &write(form, &silenced, last)).map_err(failed)?;
    if setup.disclosure() == Disclosure::Everything {
        told(form, &silenced, out, before, last, today);
    } else {
        anstream::println!("wrote {}", out.display());
    }
    Ok(Exit::Passed)
}

fn told(form: &dyn Form, silenced: &[Silenced], out: &Path, before: Option<Date>, last: Date, today: Date) {
    anstream::println!("wrote {} for {} to {}, good until {last}", count(silenced.len(), "honeytoken"), form.id(), out.display());
    if let Some(before) = before.filter(|before| *before < today) {
        anstream::println!("the list that was there had been out of date since {before}");
    }
    anstream::println!("next: {}", form.usage().replace("FILE", &out.display().to_string()));
}

fn form(arguments: &IgnoreList) -> Result<&'static dyn Form, Failure> {
    let name = arguments.scanner.as_deref().unwrap_or_default();
    find(name).ok_or_else(|| {
        let known: Vec<&str> = TABLE.iter().map(|list| list.id()).collect();
        Failure::usage(format!("--for: `{name}` is no scanner that a list is known for"), format!("these are: {}", known.join(", ")))
    })
}

/// Refuses a place in a work tree, and a file that is something else; gives the last day of the list that is replaced.
fn refuse(out: &Path) -> Result<Option<Date>, Failure> {
    let absolute = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    if let Some(work_tree) = work_tree_of(&absolute) {
        return Err(Failure::usage(
            format!("{} would lie in the git work tree {}, where it could be committed", out.display(), work_tree.display()),
            "name a file outside every work tree with --out",
        ));
    }
    match read(out) {
        Ok(text) => match until(&text) {
            Some(last) => Ok(Some(last)),
            None => Err(Failure::usage(format!("{} is there, and is no such list", out.display()), "choose another place with --out")),
        },
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Failure::usage(format!("cannot read {}: {cause}", out.display()), "choose another place with --out")),
    }
}

fn check(path: &Path) -> Result<Exit, Failure> {
    let text = read(path).map_err(|cause| Failure::usage(format!("cannot read {}: {cause}", path.display()), "check the path"))?;
    let last = until(&text).ok_or_else(|| {
        Failure::usage(format!("{} is no list of `honeycrate token ignore-list`: it does not say until when it is good", path.display()), "")
    })?;
    let today = clock::now().date();
    if last < today {
        anstream::println!("{} is out of date since {last}: write it anew", path.display());
        return Ok(Exit::Denied);
    }
    let days = usize::try_from((last - today).whole_days()).unwrap_or_default();
    anstream::println!("{} is good until {last}: {} more", path.display(), count(days, "day"));
    Ok(Exit::Passed)
}

/// The beginning of a file, which is enough of it.
fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(4096).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Replaces a file whole, by one that nobody else may read.
fn write_for_owner(path: &Path, text: &str) -> std::io::Result<()> {
    // Scratch files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

//! What people mean when they name an image without a transport.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::image::archive::{is_compressed, spool};
use crate::image::archive_index::TarIndex;
use crate::oci::error::OciError;
use crate::oci::location::Location;
use crate::pipeline::git::History;

/// What `scan` can look at.
pub enum Target {
    Image(Location),
    Files(PathBuf),
    /// What a git repository holds.
    History(History),
}

/// An image to read; what is compressed is unpacked in `scratch` to be looked at. Without a transport: a layout folder, an archive file, or else an image in the Docker daemon.
///
/// # Errors
/// When it is none of these.
pub fn source(text: &str, scratch: &Path) -> Result<Location, Failure> {
    match target(text, scratch)? {
        Target::Image(location) => Ok(location),
        Target::History(history) => {
            Err(Failure::usage(format!("git:{} is no image", history.repository.display()), "`honeycrate scan` looks at repositories as well"))
        }
        Target::Files(path) => Err(Failure::usage(
            format!("{} is no image: neither an OCI layout nor an archive of one", path.display()),
            "`honeycrate scan` looks at folders and files as well",
        )),
    }
}

/// An image or files to scan.
///
/// # Errors
/// When the text names a transport that there is not.
pub fn target(text: &str, scratch: &Path) -> Result<Target, Failure> {
    // An image in the daemon may be called `git:2.39`: a repository is a folder that is there.
    if let Some((folder, range)) = text.strip_prefix("git:").map(|rest| rest.split_once('#').unwrap_or((rest, "")))
        && Path::new(folder).is_dir()
    {
        return Ok(Target::History(History { repository: folder.into(), range: Some(range.to_owned()) }));
    }
    match text.parse::<Location>() {
        Ok(location) => return Ok(Target::Image(location)),
        Err(OciError::NoTransport(_)) => {}
        Err(error) => return Err(Failure::usage(error.to_string(), error.hint().unwrap_or_default())),
    }
    if text.is_empty() {
        return Err(Failure::usage("the image has no name", "name one, for example shop:1.4 or docker-archive:shop.tar; an empty variable?"));
    }
    let path = PathBuf::from(text);
    if text == "-" {
        return Ok(Target::Files(path));
    }
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() && path.join("oci-layout").exists() => Ok(Target::Image(Location::OciLayout { path, tag: None })),
        Ok(metadata) if metadata.is_file() => Ok(archive(&path, scratch).map_or(Target::Files(path), Target::Image)),
        Ok(_) => Ok(Target::Files(path)),
        // No image of a daemon is called so: it is a path, mistyped.
        Err(cause) if text.starts_with(['/', '.', '~']) || text.ends_with(".tar") => {
            Err(Failure::new(Exit::Source, format!("cannot read {text}: {cause}"), "check the path"))
        }
        Err(_) => Ok(Target::Image(Location::DockerDaemon(text.to_owned()))),
    }
}

/// A place to write an image to. A bare reference means a registry.
///
/// # Errors
/// When it is no reference and no transport's location.
pub fn destination(text: &str) -> Result<Location, Failure> {
    Location::parse_destination(text).map_err(|error| Failure::usage(error.to_string(), error.hint().unwrap_or_default()))
}

/// Whether a file is an image's archive, compressed or not, by the names of its members.
fn archive(path: &Path, scratch: &Path) -> Option<Location> {
    let mut file = File::open(path).ok()?;
    if is_compressed(&file).ok()? {
        file = spool(File::open(path).ok()?, scratch).ok()?.file;
    }
    let mut start = Vec::new();
    file.try_clone().ok()?.take(512).read_to_end(&mut start).ok()?;
    if start.get(257..262)? != b"ustar" {
        return None;
    }
    let index = TarIndex::open(file).ok()?;
    if index.get(b"manifest.json").is_some() {
        Some(Location::DockerArchive { path: path.to_owned(), reference: None })
    } else if index.get(b"oci-layout").is_some() {
        Some(Location::OciArchive { path: path.to_owned(), tag: None })
    } else {
        None
    }
}

//! `honeycrate init`: a configuration that explains itself, and an owner's key.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::cli::args::{Global, Init};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::key;
use crate::cli::setup::Setup;
use crate::cli::work_tree;

/// Writes the configuration and makes a key where there is none. Nothing that exists is changed.
///
/// # Errors
/// When the configuration exists, or either cannot be written.
pub fn init(arguments: &Init, global: &Global) -> Result<Exit, Failure> {
    let failed = |cause: std::io::Error| match cause.kind() {
        ErrorKind::AlreadyExists => {
            Failure::usage(format!("{} exists already", arguments.out.display()), "edit it, or choose another place with --out")
        }
        _ => Failure::usage(format!("cannot write {}: {cause}", arguments.out.display()), "check that the folder may be written"),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(&arguments.out).map_err(failed)?;
    let service = arguments.service.clone().or_else(|| suggested(&work_tree::facts(Path::new(".")).remote?));
    file.write_all(template(service.as_deref(), arguments.decoy.as_deref()).as_bytes()).map_err(failed)?;
    anstream::println!("wrote {}", arguments.out.display());

    let setup = Setup::new(global)?;
    if setup.keys_if_any()?.is_none() {
        let path = setup.key_file()?;
        key::create(&path)?;
        anstream::println!("made the owner's key {}", path.display());
        anstream::println!("  keep a copy where CI secrets are kept (HONEYCRATE_KEY): without it no trigger can be traced");
    }
    let reference = service.as_deref().unwrap_or("ghcr.io/OWNER/NAME");
    anstream::println!("next: honeycrate ship docker-daemon:IMAGE --to {reference}:TAG --env production --dry-run");
    if arguments.decoy.is_none() {
        anstream::println!("      before anything is planted, set decoy.host in {}", arguments.out.display());
    }
    Ok(Exit::Passed)
}

fn template(service: Option<&str>, decoy: Option<&str>) -> String {
    let line = |key: &str, value: Option<&str>, example: &str| match value {
        Some(value) => format!("{key}: {value}\n"),
        None => format!("# {key}: {example}\n"),
    };
    let service_line = line("service", service, "ghcr.io/acme/shop");
    let decoy_lines = match decoy {
        Some(host) => format!("decoy:\n  host: {host}\n"),
        None => "# decoy:\n#   host: decoy.acme.io\n".to_owned(),
    };
    format!(
        "# honeycrate: flags go over HONEYCRATE_* variables, variables over this file, this file over the defaults.\n\
         \n\
         # What the image is. Default: the repository that it is pushed to.\n\
         {service_line}\
         \n\
         # Where planted credentials lead: a host of yours that runs `honeycrate decoy`. *.HOST should lead there too.\n\
         {decoy_lines}\
         \n\
         # An image with a finding of this severity or above goes no further: none, low, medium, high, critical.\n\
         fail-on: high\n\
         # What becomes of it: block, warn (it goes on, and is told), block-after:2027-03-31 (warn up to that day).\n\
         # enforce: block\n\
         \n\
         # Each environment has tokens of its own. `to` saves typing --to.\n\
         # environments:\n\
         #   production:\n\
         #     to: [ghcr.io/acme/shop:latest]\n\
         #     surfaces: [file, env, buried, history]\n\
         \n\
         # Who hears of a used honeytoken, besides the terminal of `honeycrate decoy` and `honeycrate watch`.\n\
         # alerts:\n\
         #   - kind: json-lines\n\
         #     path: /var/log/honeycrate-alerts.jsonl\n\
         #   - kind: webhook\n\
         #     url: https://hooks.acme.io/honeycrate\n\
         \n\
         # The memory, outside every git work tree. Default: ~/.local/state/honeycrate/ledger.sqlite\n\
         # ledger:\n\
         #   path: /var/lib/honeycrate/ledger.sqlite\n\
         \n\
         # Results of scans, so that a layer is read once; `off` keeps none. Default: ~/.cache/honeycrate\n\
         # cache: /var/cache/honeycrate\n\
         \n\
         # Findings that may pass for a while. All three of reason, owner and expires are needed.\n\
         # exceptions:\n\
         #   - rule: private-key\n\
         #     path: \"app/test/**\"\n\
         #     reason: test key of the TLS suite, trusted nowhere\n\
         #     owner: team-shop\n\
         #     expires: 2027-01-31\n\
         # The same entries can stand in .honeycrateignore: honeycrate ignore writes them there.\n\
         \n\
         # Findings that are known and do not deny: honeycrate baseline write\n\
         # baseline: known.yaml\n"
    )
}

/// The service that a remote suggests: `git@github.com:Acme/shop.git` gives `ghcr.io/acme/shop`.
fn suggested(url: &str) -> Option<String> {
    let url = url.trim_end_matches(".git");
    let path = url.split_once("://").map_or(url, |(_, rest)| rest).replace(':', "/");
    let (host, path) = path.rsplit_once('@').map_or(path.as_str(), |(_, rest)| rest).split_once('/')?;
    let registry = match host {
        "github.com" => "ghcr.io",
        "gitlab.com" => "registry.gitlab.com",
        _ => return None,
    };
    Some(format!("{registry}/{}", path.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sinks;
    use crate::bait::kinds::KINDS;
    use crate::config::file::Vocabulary;
    use crate::config::resolve::{Overrides, Settings, resolve};
    use crate::config::vars::Variables;

    #[test]
    fn the_template_is_a_valid_configuration() {
        for (service, decoy) in [(None, None), (Some("ghcr.io/acme/shop"), Some("decoy.acme.io"))] {
            let folder = tempfile::tempdir().expect("scratch");
            std::fs::write(folder.path().join("honeycrate.yaml"), template(service, decoy)).expect("write");
            let settings = read(folder.path());
            assert_eq!((settings.service.as_deref(), settings.decoy_host.as_deref()), (service, decoy));
        }
    }

    #[test]
    fn every_example_of_the_template_is_valid_where_its_comment_mark_is_taken_away() {
        let folder = tempfile::tempdir().expect("scratch");
        // Sentences begin with a capital, examples with a key or a dash.
        let lines = template(None, None);
        let bare = lines.lines().skip(1).map(|line| line.strip_prefix("# ").filter(|text| !text.starts_with(char::is_uppercase)).unwrap_or(line));
        std::fs::write(folder.path().join("honeycrate.yaml"), bare.collect::<Vec<_>>().join("\n")).expect("write");
        let settings = read(folder.path());
        assert_eq!((settings.alerts.len(), settings.exceptions.len(), settings.environments.len()), (2, 1, 1));
        assert_eq!(settings.ledger().expect("outside"), Path::new("/var/lib/honeycrate/ledger.sqlite"));
    }

    fn read(folder: &Path) -> Settings {
        let kinds = KINDS.iter().map(|kind| (kind.id(), kind.surfaces().to_vec())).collect();
        let vocabulary = Vocabulary { kinds, sinks: sinks::KINDS.iter().map(|(id, _)| *id).collect() };
        resolve(Overrides::default(), &Variables::default(), folder, &vocabulary).expect("valid")
    }

    #[test]
    fn a_remote_suggests_the_forges_registry() {
        for (url, service) in [
            ("git@github.com:Acme/shop.git", Some("ghcr.io/acme/shop")),
            ("https://github.com/acme/shop", Some("ghcr.io/acme/shop")),
            ("ssh://git@gitlab.com/acme/web/shop.git", Some("registry.gitlab.com/acme/web/shop")),
            ("https://git.example.com/a/b.git", None),
        ] {
            assert_eq!(suggested(url).as_deref(), service, "{url}");
        }
    }
}

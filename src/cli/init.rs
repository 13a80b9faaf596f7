//! `honeycrate init`: a configuration that explains itself and an owner's key, or a workflow or pipeline.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::cli::args::{Global, Init};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::key;
use crate::cli::setup::Setup;
use crate::cli::{pipeline_file, work_tree, workflow};

/// Writes the configuration and makes a key where there is none, or writes the workflow or pipeline that is asked for. Nothing that exists is changed.
///
/// # Errors
/// When what is to be written exists, or cannot be written.
pub fn init(arguments: &Init, global: &Global) -> Result<Exit, Failure> {
    let remote = work_tree::facts(Path::new(".")).remote;
    let service = arguments.service.clone().or_else(|| suggested(remote.as_deref()?));
    let out = |default: &str| arguments.out.clone().unwrap_or_else(|| default.into());
    if arguments.github {
        return github_workflow(&out(workflow::PATH), service.as_deref(), arguments.action.as_deref());
    }
    if arguments.gitlab {
        return gitlab_pipeline(&out(pipeline_file::PATH), remote.as_deref());
    }
    configuration(&out("honeycrate.yaml"), service.as_deref(), arguments.decoy.as_deref(), global)
}

fn configuration(out: &Path, service: Option<&str>, decoy: Option<&str>, global: &Global) -> Result<Exit, Failure> {
    write_new(out, &template(service, decoy))?;
    let setup = Setup::new(global)?;
    if setup.keys_if_any()?.is_none() {
        let path = setup.key_file()?;
        key::create(&path)?;
        anstream::println!("made the owner's key {}", path.display());
        anstream::println!("  keep a copy where CI secrets are kept (HONEYCRATE_KEY): without it no trigger can be traced");
    }
    let reference = service.unwrap_or("ghcr.io/OWNER/NAME");
    anstream::println!("next: honeycrate ship docker-daemon:IMAGE --to {reference}:TAG --env production --dry-run");
    if decoy.is_none() {
        anstream::println!("      before anything is planted, set decoy.host in {}", out.display());
    }
    Ok(Exit::Passed)
}

fn github_workflow(out: &Path, service: Option<&str>, action: Option<&str>) -> Result<Exit, Failure> {
    if let Some(wrong) = action.filter(|action| !workflow::is_action(action)) {
        return Err(Failure::usage(
            format!("`{wrong}` does not name an action"),
            "OWNER/NAME@COMMIT, with all 40 digits of the commit: a tag can be moved to other code",
        ));
    }
    let action = action.map(str::to_owned).or_else(workflow::own_action);
    write_new(out, &workflow::template(service, action.as_deref()))?;
    if action.is_none() {
        anstream::println!("next: in its line `uses: {}`, put the action's repository", workflow::PLACEHOLDER);
        anstream::println!("      and the commit of its release, as in OWNER/honeycrate@COMMIT: which they are, this program cannot tell");
    }
    if service.is_none() {
        anstream::println!("      in its line `to:`, put the repository that the image goes to");
    }
    anstream::println!("      findings that are there today: honeycrate baseline write IMAGE --out known.yaml, and `baseline: known.yaml`");
    Ok(Exit::Passed)
}

/// Writes the pipeline, or says what an existing one needs: only its owner knows what else is in it.
fn gitlab_pipeline(out: &Path, remote: Option<&str>) -> Result<Exit, Failure> {
    if out.try_exists().unwrap_or(true) {
        anstream::println!("{} exists already and stays as it is; add to it, with the image that your own job builds:\n", out.display());
        anstream::print!("{}", pipeline_file::include(remote));
        return Ok(Exit::Passed);
    }
    write_new(out, &pipeline_file::template(remote))?;
    anstream::println!("next: for the comment on a merge request, make a project access token (role Developer, scope api)");
    anstream::println!("      and keep it in the variable HONEYCRATE_GITLAB_TOKEN: masked, and not protected");
    Ok(Exit::Passed)
}

/// Writes a file that is not there yet, with the folders above it, and says so.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |cause: std::io::Error| match cause.kind() {
        ErrorKind::AlreadyExists => Failure::usage(format!("{} exists already", path.display()), "edit it, or choose another place with --out"),
        _ => Failure::usage(format!("cannot write {}: {cause}", path.display()), "check that the folder may be written"),
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    anstream::println!("wrote {}", path.display());
    Ok(())
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
    use crate::cli::setup::provider_vocabulary;
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
        assert_eq!(settings.ledger().expect("outside").to_string(), "/var/lib/honeycrate/ledger.sqlite");
    }

    fn read(folder: &Path) -> Settings {
        let kinds = KINDS.iter().map(|kind| (kind.id(), kind.surfaces().to_vec())).collect();
        let vocabulary = Vocabulary { kinds, sinks: sinks::KINDS.iter().map(|(id, _)| *id).collect(), providers: provider_vocabulary() };
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

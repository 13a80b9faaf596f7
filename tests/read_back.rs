//! What arrived is read again: an image without its bait is no success, whoever says so.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use tempfile::tempdir;

use crate::common::command::must;
use crate::common::daemon::{IMAGE, daemon};
use crate::common::honeycrate::{ENVIRONMENT, Honeycrate, list};
use crate::common::images::Image;
use crate::common::registry::{Auth, Registry};
use crate::common::token_server;

/// A daemon's socket behind which everything is as it is, but that images which are loaded get lost on the way.
fn forgetful(daemon: &Path, folder: &Path) -> String {
    let socket = folder.join("forgetful");
    let listener = UnixListener::bind(&socket).expect("the folder is writable");
    let daemon: PathBuf = daemon.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let daemon = daemon.clone();
            // A connection that breaks is its ends' business.
            std::thread::spawn(move || drop(serve(client, &daemon)));
        }
    });
    format!("unix://{}", socket.display())
}

fn serve(mut client: UnixStream, daemon: &Path) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if String::from_utf8_lossy(&head).contains("/images/load") {
        let (mut tail, mut piece) = (Vec::new(), [0; 64 << 10]);
        while !tail.ends_with(b"\r\n0\r\n\r\n") {
            let read = client.read(&mut piece)?;
            tail.extend_from_slice(&piece[..read]);
            tail.drain(..tail.len().saturating_sub(16));
        }
        let body = "{\"stream\":\"Loaded image: acme/shop:planted\\n\"}\n";
        return client.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).as_bytes());
    }
    let mut server = UnixStream::connect(daemon)?;
    server.write_all(&head)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let upwards = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        to.shutdown(Shutdown::Write)
    });
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)?;
    drop(upwards.join());
    Ok(())
}

#[test]
fn an_image_that_arrives_without_its_bait_is_exit_code_4_and_the_ledger_says_so() {
    let (honeycrate, folder) = (Honeycrate::new(), tempdir().expect("scratch"));
    must(daemon().docker().args(["tag", IMAGE, "acme/forgotten:planted"]));
    let host = daemon().host();
    let socket = Path::new(host.strip_prefix("unix://").expect("a socket"));
    let mut command = honeycrate.command(&["ship", &format!("docker-daemon:{IMAGE}"), "--to", "docker-daemon:acme/forgotten:planted"]);
    command.args(["--env", ENVIRONMENT, "--service", "acme/shop", "--decoy", "decoy.acme.io"]).env("DOCKER_HOST", forgetful(socket, folder.path()));
    let shipped = honeycrate.reported(&mut command);
    assert_eq!(shipped.ran.code, 4, "{}", shipped.ran.all());
    assert!(shipped.ran.err().contains("docker-daemon:acme/forgotten:planted"), "{}", shipped.ran.err());
    assert_eq!((&shipped.report["verdict"]["outcome"], list(&shipped.report, "pushed").len()), (&"error".into(), 0));
    assert_eq!(shipped.report["error"]["exit_code"], 4);
    told_as_failed(&honeycrate);
}

#[test]
fn a_push_that_is_refused_is_in_the_ledger_and_a_second_attempt_takes_it_up() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::Bearer), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let refused = honeycrate.reported(&mut honeycrate.ship(&source, &registry, &format!("{}shop:1", token_server::FORBIDDEN)));
    assert_eq!(refused.ran.code, 5, "{}", refused.ran.all());
    assert_eq!(registry.stored(), 0);
    told_as_failed(&honeycrate);
    let shipped = honeycrate.reported(&mut honeycrate.ship(&source, &registry, "acme/shop:1"));
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    let lines = must(&mut honeycrate.command(&["token", "list", "--json"]));
    assert!(lines.lines().count() == 4 && lines.lines().all(|line| line.contains(r#""state":"pushed""#)), "{lines}");
}

/// The whole story of the run, with its end, in a chain that holds.
fn told_as_failed(honeycrate: &Honeycrate) {
    let mut events: Vec<String> = honeycrate.records().iter().filter_map(|record| Some(record["event"].as_str()?.to_owned())).collect();
    events.dedup();
    assert_eq!(events, ["intended", "minted", "planted", "failed"]);
    must(&mut honeycrate.command(&["ledger", "verify"]));
    let lines = must(&mut honeycrate.command(&["token", "list", "--json"]));
    assert!(lines.lines().count() == 4 && lines.lines().all(|line| line.contains(r#""state":"failed""#)), "{lines}");
}

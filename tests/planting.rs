//! Planting: what it refuses, what it leaves alone, and that the same inputs give the same bytes.

use std::path::Path;

use base64::Engine as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::common::buildah::Buildah;
use crate::common::command::{must, program, run};
use crate::common::daemon::{IMAGE, daemon};
use crate::common::honeycrate::{Honeycrate, holds, list};
use crate::common::images::{CREATED, Image, layers, paths};
use crate::common::{debian, skopeo, thief};

const TARGET: [&str; 6] = ["--env", "production", "--service", "acme/shop", "--decoy", "decoy.acme.io"];

/// A planted image as an OCI layout.
struct Planted(TempDir);

impl Planted {
    fn of(honeycrate: &Honeycrate, source: &str) -> Self {
        let layout = tempdir().expect("scratch");
        let target = format!("oci:{}:latest", layout.path().display());
        let ran = run(honeycrate.command(&["plant", source, "--out", &target]).args(TARGET).env("DOCKER_HOST", daemon().host()));
        assert_eq!(ran.code, 0, "{}", ran.all());
        Self(layout)
    }

    fn layout(&self) -> &Path {
        self.0.path()
    }

    fn index(&self) -> String {
        std::fs::read_to_string(self.0.path().join("index.json")).expect("a layout")
    }
}

/// The text of a layout's only config, and its manifest.
fn documents(layout: &Path) -> (String, Value) {
    let read = |name: &str| std::fs::read_to_string(layout.join(name)).expect("a layout");
    let at = |document: &Value| format!("blobs/{}", document["digest"].as_str().expect("a digest").replace(':', "/"));
    let index: Value = serde_json::from_str(&read("index.json")).expect("JSON");
    let manifest: Value = serde_json::from_str(&read(&at(&index["manifests"][0]))).expect("JSON");
    (read(&at(&manifest["config"])), manifest)
}

/// The members of an object as they are written, in their order.
fn members(text: &str) -> Vec<(String, String)> {
    struct Members(Vec<(String, String)>);
    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Members;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut members = Vec::new();
                    while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                        members.push((name, value.get().to_owned()));
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Members>(text).expect("an object").0
}

/// All members but those that planting may change, as they are written.
fn kept(config: &str) -> Vec<(String, String)> {
    let outer = members(config);
    let inner = outer.iter().find(|(name, _)| name == "config").map(|(_, text)| members(text)).unwrap_or_default();
    let of = |members: Vec<(String, String)>, but: &'static [&str]| members.into_iter().filter(move |(name, _)| !but.contains(&name.as_str()));
    of(outer, &["config", "history", "rootfs"]).chain(of(inner, &["Env"])).collect()
}

#[test]
fn each_refusal_has_a_message_of_its_own() {
    let (official, shop) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
    let shop =
        Image::shop().link("RUN ln -s # buildkit", "srv", "app").setting("Volumes", json!({ "/data": {} })).env("OLD_DSN", "none").write(shop.path());
    let official = Image::shop().setting("Entrypoint", json!(["docker-entrypoint.sh"])).env("PG_MAJOR", "17").write(official.path());
    let rows = [
        ("env: { name: DATABASE_URL }", &shop, "variable `DATABASE_URL` is read by"),
        ("env: { name: AWS_SECRET_ACCESS_KEY }", &shop, "variable `AWS_SECRET_ACCESS_KEY` is read by AWS"),
        ("env: { name: OLD_DSN }", &shop, "variable `OLD_DSN` exists already"),
        ("env: { name: node_env }", &shop, "variable `node_env`"),
        ("env: { name: REPORTING_DSN }", &official, "official PostgreSQL image"),
        ("file: { path: /root/.docker/config.json }", &shop, "/root/.docker/config.json is read by"),
        ("file: { path: /app/package.json }", &shop, "/app/package.json exists already in some layer"),
        ("file: { path: /app/tmp/build.log }", &shop, "/app/tmp/build.log exists already in some layer"),
        ("file: { path: /srv/backup.json }", &shop, "/srv on the way to /srv/backup.json is a symlink"),
        ("file: { path: /app/package.json/x }", &shop, "is not a directory"),
        ("file: { path: /etc/profile.d/old.sh }", &shop, "include directory (/etc/profile.d)"),
        ("file: { path: /app/public/old.json }", &shop, "web root (public)"),
        ("file: { path: /usr/lib/old.json }", &shop, "/usr/lib/old.json lies in /usr/lib"),
        ("file: { path: /data/old.json }", &shop, "below the declared volume /data"),
        ("buried: { path: /data/old.json }", &shop, "below the declared volume /data"),
        ("history: { name: NODE_ENV }", &shop, "variable `NODE_ENV` exists already"),
    ];
    let honeycrate = Honeycrate::new();
    for (place, source, message) in rows {
        std::fs::write(honeycrate.home().join("honeycrate.yaml"), format!("plant:\n  {place}\n")).expect("the home is writable");
        let layout = honeycrate.home().join("planted");
        let ran = run(honeycrate.command(&["plant", source, "--out", &format!("oci:{}", layout.display())]).args(TARGET));
        assert_eq!(ran.code, 4, "{place}: {}", ran.all());
        assert!(ran.err().contains(message) && ran.err().contains("help"), "{place}: `{message}` is not in {}", ran.err());
        assert!(!layout.exists() && !honeycrate.ledger_path().exists() || honeycrate.records().is_empty(), "{place}: something happened");
    }
}

#[test]
fn without_a_decoy_host_planting_is_refused_with_the_reason_and_any_way_of_giving_one_is_taken() {
    let (honeycrate, layout) = (Honeycrate::new(), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let command = || honeycrate.command(&["plant", &source, "--dry-run", "--env", "production", "--service", "acme/shop"]);
    let refused = run(&mut command());
    assert_eq!(refused.code, 6, "{}", refused.all());
    for word in ["never trigger", "decoy.host", "--decoy", "HONEYCRATE_DECOY"] {
        assert!(refused.err().contains(word), "`{word}` is not in {}", refused.err());
    }
    let by_flag = run(command().args(["--decoy", "flag.acme.io"]));
    let by_variable = run(command().env("HONEYCRATE_DECOY", "variable.acme.io"));
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), "decoy:\n  host: file.acme.io\n").expect("the home is writable");
    let by_file = run(&mut command());
    for (ran, host) in [(by_flag, "flag.acme.io"), (by_variable, "variable.acme.io"), (by_file, "file.acme.io")] {
        assert_eq!(ran.code, 0, "{}", ran.all());
        assert!(ran.out().contains(host), "{}", ran.out());
    }
    let nearest = run(command().args(["--decoy", "flag.acme.io"]).env("HONEYCRATE_DECOY", "variable.acme.io"));
    assert!(nearest.out().contains("flag.acme.io") && !nearest.out().contains("variable.acme.io"), "{}", nearest.out());
}

#[test]
fn the_same_inputs_give_the_same_image_until_the_key_is_rotated() {
    let (honeycrate, layout) = (Honeycrate::new(), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let (first, second) = (Planted::of(&honeycrate, &source), Planted::of(&honeycrate, &source));
    assert_eq!(first.index(), second.index());
    must(&mut honeycrate.command(&["key", "rotate"]));
    let third = Planted::of(&honeycrate, &source);
    assert_ne!(first.index(), third.index());
    let (old, new) = (thief::loot(first.layout()), thief::loot(third.layout()));
    for loot in old.iter().chain(&new) {
        let traced = crate::common::command::run_with_input(&mut honeycrate.command(&["token", "trace", "-"]), loot.secret.as_bytes());
        assert!(traced.code == 0 && traced.out().contains(&format!("on the {} surface", loot.surface)), "{}", traced.all());
        assert!(!traced.all().contains(&loot.secret));
    }
    assert!(old.iter().all(|old| new.iter().all(|new| old.secret != new.secret)), "a new epoch has tokens of its own");
}

#[test]
fn a_key_is_taken_from_the_variable_and_from_a_file() {
    let (honeycrate, layout) = (Honeycrate::stranger(), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let printed = must(&mut honeycrate.command(&["key", "new", "--print"]));
    let file = honeycrate.home().join("owner.key");
    std::fs::write(&file, &printed).expect("the home is writable");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("the file is ours");
    let plant = |out: &str| {
        let target = format!("oci:{}:latest", honeycrate.home().join(out).display());
        let mut command = honeycrate.command(&["plant", &source, "--out", &target]);
        command.args(TARGET);
        command
    };
    let bare = base64::engine::general_purpose::STANDARD.encode((0..32).collect::<Vec<u8>>());
    must(plant("variable").env("HONEYCRATE_KEY", printed.trim()));
    must(plant("flag").arg("--key-file").arg(&file));
    must(plant("file-variable").env("HONEYCRATE_KEY_FILE", &file));
    must(plant("bare").env("HONEYCRATE_KEY", &bare));
    let index = |name: &str| std::fs::read_to_string(honeycrate.home().join(name).join("index.json")).expect("a layout");
    assert_eq!((index("variable"), index("flag")), (index("file-variable"), index("file-variable")));
    assert_ne!(index("bare"), index("variable"));
    let refused = run(plant("short").env("HONEYCRATE_KEY", "AAECAwQF"));
    assert!(refused.code == 2 && !refused.all().contains("AAECAwQF"), "{}", refused.all());
}

#[test]
fn what_is_not_planted_keeps_its_bytes() {
    let layout = tempdir().expect("scratch");
    let source = Image::shop()
        .setting("Entrypoint", json!(["/app/run", "--name", "a<b>&c"]))
        .setting("User", json!("1000:1000"))
        .setting("Volumes", json!({ "/data": {} }))
        .setting("Healthcheck", json!({ "Test": ["CMD-SHELL", "curl -f http://localhost || exit 1"], "Interval": 30_000_000_000_u64 }))
        .setting("OnBuild", json!(["RUN true"]))
        .setting("StopSignal", json!("SIGTERM"))
        .setting("Labels", json!({ "z": "1", "a": "2" }))
        .write(layout.path());
    for (source, layout) in [(source, layout.path())] {
        let planted = Planted::of(&Honeycrate::new(), &source);
        let ((before, manifest), (after, planted_manifest)) = (documents(layout), documents(planted.layout()));
        assert_eq!(kept(&after), kept(&before));
        assert!(kept(&after).len() >= 10, "{after}");
        let layers = list(&manifest, "layers");
        assert!(holds(list(&planted_manifest, "layers"), layers));
        for layer in layers {
            let path = format!("blobs/{}", layer["digest"].as_str().expect("a digest").replace(':', "/"));
            assert!(std::fs::read(planted.layout().join(&path)).ok() == std::fs::read(layout.join(&path)).ok(), "{path}");
        }
        let env = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["config"]["Env"].as_array().cloned().unwrap_or_default();
        assert!(holds(&env(&after), &env(&before)) && env(&after).len() > env(&before).len());
    }
}

/// The steps of a config's history, and where the new ones begin.
fn steps(before: &str, after: &str) -> (Vec<Value>, Vec<Value>) {
    let history = |text: &str| list(&serde_json::from_str::<Value>(text).expect("JSON"), "history").to_vec();
    let (old, mut new) = (history(before), history(after));
    let everything = new.clone();
    for step in &old {
        let at = new.iter().position(|other| other == step).expect("an old step stays as it is");
        new.remove(at);
    }
    (everything, new)
}

#[test]
fn new_history_is_written_as_each_builder_writes_it() {
    let (classic, buildah, buildkit) = (tempdir().expect("scratch"), tempdir().expect("scratch"), tempdir().expect("scratch"));
    let archive = classic.path().join("save.tar");
    must(daemon().docker().args(["save", "--output"]).arg(&archive).arg(IMAGE));
    let layout = classic.path().join("layout");
    skopeo::copy(&format!("docker-archive:{}", archive.display()), &format!("oci:{}:latest", layout.display()));
    let rows = [
        ("dockerd", format!("oci:{}:latest", layout.display()), layout.clone(), "/bin/sh -c #(nop)  ENV ", "/bin/sh -c #(nop) COPY file:"),
        ("buildah", Buildah::new().build(buildah.path()), buildah.path().to_owned(), "/bin/sh -c #(nop) ENV ", "/bin/sh -c #(nop) COPY file:"),
        ("BuildKit", Image::shop().write(buildkit.path()), buildkit.path().to_owned(), "ENV ", "COPY "),
    ];
    for (builder, source, layout, variable, copy) in rows {
        let planted = Planted::of(&Honeycrate::new(), &source);
        let ((before, _), (after, _)) = (documents(&layout), documents(planted.layout()));
        let (all, new) = steps(&before, &after);
        let by = |step: &Value| step["created_by"].as_str().unwrap_or_default().to_owned();
        let shown = || all.iter().map(by).collect::<Vec<_>>().join("\n");
        assert!(new.iter().any(|step| by(step).starts_with(variable) && step["empty_layer"] == true), "{builder}:\n{}", shown());
        assert!(new.iter().any(|step| by(step).starts_with(copy) && step["empty_layer"] != true), "{builder}:\n{}", shown());
        // Every variable that was added has its step, with the very text.
        let env = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["config"]["Env"].as_array().cloned().unwrap_or_default();
        for line in env(&after).iter().filter(|line| !env(&before).contains(line)) {
            let line = line.as_str().expect("a text");
            assert!(new.iter().any(|step| by(step).contains(line)), "{builder}: a variable without a step:\n{}", shown());
        }
        // A new step has the members of its neighbours and no others, and is not younger or older than they are.
        let old: Vec<&Value> = all.iter().filter(|step| !new.contains(step)).collect();
        for step in &new {
            let names = |step: &Value| step.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
            assert!(
                old.iter().any(|other| names(other) == names(step)),
                "{builder}: {step} is like none of:\n{}",
                Value::from_iter(old.iter().map(|step| (*step).clone()))
            );
            let time = |step: &Value| step["created"].as_str().expect("a time").to_owned();
            let times: Vec<String> = old.iter().map(|step| time(step)).collect();
            assert!(times.iter().min() <= Some(&time(step)) && Some(&time(step)) <= times.iter().max(), "{builder}: {step}");
        }
        assert_eq!(by(all.last().expect("a step")), by(old.last().expect("a step")), "{builder}: bait is not the last thing that was done");
    }
}

#[test]
fn bait_has_owner_mode_and_time_of_its_neighbours() {
    let (honeycrate, built) = (Honeycrate::new(), tempdir().expect("scratch"));
    let source = Buildah::new().build(built.path());
    let planted = Planted::of(&honeycrate, &source);
    let bundle = tempdir().expect("scratch");
    let unpack = |layout: &Path, name: &str| {
        let image = format!("{}:latest", layout.display());
        must(program("umoci", bundle.path()).args(["unpack", "--image", &image]).arg(bundle.path().join(name)));
        bundle.path().join(name).join("rootfs")
    };
    let (before, after) = (unpack(built.path(), "before"), unpack(planted.layout(), "after"));
    let look = |root: &Path| must(program("find", root).arg(root).args(["-printf", "%P %M %U:%G %T@ %s\n"]));
    let old: Vec<String> = look(&before).lines().map(str::to_owned).collect();
    let new: Vec<String> = look(&after).lines().filter(|line| !old.iter().any(|known| known == line)).map(str::to_owned).collect();
    let loot = thief::loot(planted.layout());
    let place_on = |surface: &str| &loot.iter().find(|loot| loot.surface == surface).expect("a file").place;
    let (place, buried) = (place_on("file"), place_on("buried"));
    let buried_text = std::fs::read_to_string(bundle.path().join("after/rootfs").join(buried)).unwrap_or_default();
    assert!(loot.iter().filter(|loot| loot.surface == "buried").all(|loot| !buried_text.contains(&loot.secret)));
    // Only what new layers hold and folders on the way to it are new, as after `rm`; what was there looks as before.
    let known = layers(built.path());
    let brought: Vec<String> =
        layers(planted.layout()).iter().filter(|layer| !known.contains(layer)).flat_map(|layer| paths(planted.layout(), layer)).collect();
    for line in &new {
        let path = line.split(' ').next().expect("a path");
        let on_the_way = brought.iter().chain([buried]).any(|place| place.starts_with(&format!("{path}/")));
        assert!(brought.iter().any(|place| place == path) || on_the_way, "{line} changed");
        // A folder is as old as the file that came to it, or went.
        let but_for_time = |line: &str| [0, 1, 2, 4].map(|word| line.split(' ').nth(word).unwrap_or_default().to_owned());
        let known = old.iter().find(|known| known.starts_with(&format!("{path} ")));
        assert!(known.is_none_or(|known| on_the_way && but_for_time(known)[..3] == but_for_time(line)[..3]), "{line} was otherwise before");
    }
    let line = new.iter().find(|line| line.starts_with(place.as_str())).expect("the bait is there");
    let words: Vec<&str> = line.split(' ').collect();
    assert!(words[2] == "0:0" && ["-rw-r--r--", "-rw-------", "-rw-r-----"].contains(&words[1]), "{line}");
    let time: f64 = words[3].parse().expect("a time");
    let times: Vec<f64> = old.iter().filter_map(|line| line.split(' ').nth(3)?.parse().ok()).collect();
    assert!(times.iter().any(|other| *other <= time) && times.iter().any(|other| *other >= time), "{line}");
}

#[test]
fn a_dockerfile_with_bait_builds_and_its_container_has_it() {
    let (honeycrate, context) = (Honeycrate::new(), tempdir().expect("scratch"));
    debian::context(context.path());
    let file = context.path().join("Dockerfile");
    let recipe = std::fs::read_to_string(&file).expect("the recipe");
    let plant = || {
        let mut command = honeycrate.command(&["plant", "--dockerfile"]);
        command.arg(&file).args(TARGET);
        command
    };
    must(&mut plant());
    let text = std::fs::read_to_string(&file).expect("the recipe");
    let added: Vec<&str> = text.lines().filter(|line| !recipe.contains(line)).collect();
    let [instruction] = added[..] else { panic!("one line is added: {added:?}") };
    let variable = instruction.strip_prefix("ENV ").expect("an ENV instruction");
    let (name, value) = variable.split_once('=').expect("a variable");
    let printed = Buildah::new().build_and_run(context.path(), &["/bin/sh", "-c", &format!("printf %s \"${name}\"")]);
    assert_eq!(printed.out(), value.trim_matches('"'), "{}", printed.err());
    let traced = must(&mut honeycrate.command(&["token", "trace", value.trim_matches('"')]));
    assert!(traced.contains("on the env surface"), "{traced}");
    // A recipe that has bait is left as it is.
    must(&mut plant());
    assert_eq!(std::fs::read_to_string(&file).expect("the recipe"), text);
    // The refusals are those of an image.
    for (place, message) in [("DATABASE_URL", "is read by"), ("APP_ENV", "exists already")] {
        std::fs::write(&file, &recipe).expect("the folder is writable");
        std::fs::write(honeycrate.home().join("honeycrate.yaml"), format!("plant:\n  env: {{ name: {place} }}\n")).expect("the home is writable");
        let refused = run(&mut plant());
        assert_eq!(refused.code, 4, "{}", refused.all());
        assert!(refused.err().contains(message), "{}", refused.err());
        assert_eq!(std::fs::read_to_string(&file).expect("the recipe"), recipe);
    }
}

#[test]
fn a_plan_for_a_dockerfile_names_the_variable_and_changes_nothing() {
    let honeycrate = Honeycrate::new();
    let file = honeycrate.home().join("Dockerfile");
    let recipe = "FROM scratch\nENV SHOP_PORT=8080\nCMD [\"/shop\"]\n";
    std::fs::write(&file, recipe).expect("the home is writable");
    let path = file.display().to_string();
    let arguments = ["plant", "--dockerfile", &path, "--env", "production", "--service", "shop", "--decoy", "http://127.0.0.1:9"];
    let planned = honeycrate.run(&[&arguments[..], &["--dry-run"]].concat());
    assert_eq!(planned.code, 0, "{}", planned.all());
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), recipe);
    assert!(!honeycrate.ledger_path().exists());

    let planted = honeycrate.run(&arguments);
    assert_eq!(planted.code, 0, "{}", planted.all());
    let text = std::fs::read_to_string(&file).expect("readable");
    let added: Vec<&str> = text.lines().filter(|line| !recipe.lines().any(|old| old == *line)).collect();
    let name = added.first().and_then(|line| line.strip_prefix("ENV ")).and_then(|line| line.split('=').next()).expect("an instruction");
    assert!(planned.out().contains(name), "`{name}` is not in {}", planned.out());
}

#[test]
fn a_file_without_neighbours_is_as_old_as_the_build() {
    let (honeycrate, built, out) = (Honeycrate::new(), tempdir().expect("scratch"), tempdir().expect("scratch"));
    let source = Image::shop().write(built.path());
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), "plant:\n  file: { path: /srv/backup/registry.json }\n").expect("the home is writable");
    let target = format!("oci:{}:latest", out.path().join("planted").display());
    must(&mut honeycrate.command(&["plant", &source, "--out", &target, "--env", "production", "--service", "shop", "--decoy", "http://127.0.0.1:9"]));
    let blobs = std::fs::read_dir(out.path().join("planted/blobs/sha256")).expect("a layout");
    let listed: Vec<String> = blobs
        .map(|blob| {
            run(program("tar", out.path()).env("TZ", "UTC").args(["--full-time", "-tzvf"]).arg(blob.expect("readable").path())).out().to_owned()
        })
        .collect();
    let line = listed.iter().flat_map(|text| text.lines()).find(|line| line.ends_with("srv/backup/registry.json")).expect("the bait is there");
    assert!(line.contains(&CREATED.replace('T', " ").replace('Z', "")), "{line}");
}

#[test]
fn a_dry_run_names_every_file_that_planting_brings() {
    let (honeycrate, built) = (Honeycrate::new(), tempdir().expect("scratch"));
    let source = Image::shop().write(built.path());
    let dry = must(honeycrate.command(&["plant", &source, "--out", "oci:nowhere:latest", "--dry-run"]).args(TARGET));
    let planted = Planted::of(&honeycrate, &source);
    let old: Vec<String> = layers(built.path());
    let new: Vec<String> = layers(planted.layout()).into_iter().filter(|layer| !old.contains(layer)).collect();
    assert!(new.len() >= 2, "{new:?}");
    let known: Vec<String> = old.iter().flat_map(|layer| paths(built.path(), layer)).collect();
    let brought: Vec<String> = new.iter().flat_map(|layer| paths(planted.layout(), layer)).filter(|path| !known.contains(path)).collect();
    // Folders on the way and whiteouts stand for files that are named.
    let is_file = |path: &&String| !path.contains("/.wh.") && !brought.iter().any(|other| other.starts_with(&format!("{path}/")));
    let files: Vec<&String> = brought.iter().filter(is_file).collect();
    assert!(!files.is_empty());
    for file in files {
        assert!(dry.contains(&format!("/{file}")), "{file} is not in\n{dry}");
    }
}

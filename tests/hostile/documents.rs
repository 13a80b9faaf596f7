//! Documents that lie: index, manifest, config and the layout around them.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::common::images::{Packing, digest, github_token};
use crate::common::raw_tar::{end, file};
use crate::hostile::case::Case;
use crate::hostile::case::Expected::{self, Denied, Passes, Unreadable};
use crate::hostile::picture::{CONFIG, Form, INDEX, LAYER, MANIFEST, Parts, Picture, describe};

const TOKEN: Expected = Denied("github-personal-token");
const JSON: Expected = Unreadable("not valid JSON");
const DIGEST: Expected = Unreadable("digest");

type Row = (&'static str, Expected, fn() -> Picture);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, expected, make) in [indexes(), descriptors(), manifests(), configs(), several()].concat() {
        for form in [Form::Layout, Form::OciArchive] {
            cases.push(Case::picture(name, form, expected, make));
        }
    }
    cases.extend(layouts());
    cases
}

fn tar() -> Vec<u8> {
    [file("etc/os-release", "ID=test\n"), end()].concat()
}

fn token() -> String {
    github_token(92)
}

fn parts() -> Parts {
    Parts::of(&[tar()], Packing::Gzip)
}

fn sound() -> Picture {
    parts().picture()
}

/// A sound image under an index whose text is made from the manifest's descriptor.
fn indexed(text: impl Fn(Value) -> String) -> Picture {
    let mut picture = Picture::default();
    let line = parts().put(&mut picture);
    picture.index(&text(line));
    picture
}

/// A sound image with another descriptor in its index.
fn described(change: impl Fn(&mut Value)) -> Picture {
    indexed(|mut line| {
        change(&mut line);
        json!({ "schemaVersion": 2, "manifests": [line] }).to_string()
    })
}

/// An image with a member of its manifest changed.
fn manifest(name: &str, value: Value) -> Picture {
    let mut parts = parts();
    parts.manifest[name] = value;
    parts.picture()
}

/// An image with a member of its config changed.
fn config(name: &str, value: Value) -> Picture {
    let mut parts = parts();
    parts.config[name] = value;
    parts.picture()
}

/// An image with a member of the part of the config that a container is run with changed.
fn run(name: &str, value: Value) -> Picture {
    let mut parts = parts();
    parts.config["config"][name] = value;
    parts.picture()
}

/// An image with its config's text changed.
fn config_text(change: impl Fn(String) -> String) -> Picture {
    let mut parts = parts();
    let mut picture = Picture::default();
    parts.config["rootfs"] = json!({ "type": "layers", "diff_ids": parts.diff_ids });
    let line = picture.put(CONFIG, change(parts.config.to_string()).as_bytes());
    parts.manifest["config"] = line;
    let line = parts.put(&mut picture);
    picture.index_of(&[line]);
    picture
}

/// An image with its manifest's text changed.
fn manifest_text(change: impl Fn(String) -> String) -> Picture {
    let mut picture = Picture::default();
    let line = parts().put(&mut picture);
    let hex = line["digest"].as_str().expect("a digest")["sha256:".len()..].to_owned();
    let text = String::from_utf8(picture.files[&format!("blobs/sha256/{hex}")].clone()).expect("JSON is UTF-8");
    let line = picture.put(MANIFEST, change(text).as_bytes());
    picture.index_of(&[line]);
    picture
}

fn deep(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

fn deep_text(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

fn indexes() -> Vec<Row> {
    vec![
        ("a sound image", Passes, sound),
        ("an index of no byte", JSON, || sound().with("index.json", "")),
        ("an index that is no JSON", JSON, || sound().with("index.json", "manifests: []")),
        ("an index of zero bytes", JSON, || sound().with("index.json", [0; 100])),
        ("an index that is null", JSON, || sound().with("index.json", "null")),
        ("an index that is a list", JSON, || sound().with("index.json", "[]")),
        ("an index that is empty", Unreadable("neither `layers` nor `manifests`"), || sound().with("index.json", "{}")),
        ("an index with a byte order mark", JSON, || indexed(|line| format!("\u{feff}{}", json!({ "schemaVersion": 2, "manifests": [line] })))),
        ("an index with more after its end", JSON, || indexed(|line| format!("{}}}", json!({ "schemaVersion": 2, "manifests": [line] })))),
        ("an index in UTF-16", JSON, || {
            sound().with("index.json", "{\"manifests\":[]}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
        }),
        ("an index with a broken surrogate", JSON, || sound().with("index.json", r#"{"schemaVersion":2,"mediaType":"\ud800","manifests":[]}"#)),
        ("an index of ten thousand brackets", JSON, || sound().with("index.json", deep_text(10_000))),
        ("an index with ten thousand brackets in an unknown member", Passes, || {
            indexed(|line| format!(r#"{{"schemaVersion":2,"x":{},"manifests":[{line}]}}"#, deep_text(10_000)))
        }),
        ("an index without lines", Passes, || sound().with("index.json", r#"{"schemaVersion":2,"manifests":[]}"#)),
        ("an index whose lines are null", Unreadable("neither `layers` nor `manifests`"), || {
            sound().with("index.json", r#"{"schemaVersion":2,"manifests":null}"#)
        }),
        ("an index whose lines are a text", JSON, || sound().with("index.json", r#"{"schemaVersion":2,"manifests":"x"}"#)),
        ("an index whose line is null", JSON, || sound().with("index.json", r#"{"schemaVersion":2,"manifests":[null]}"#)),
        ("an index with its lines twice", JSON, || indexed(|line| format!(r#"{{"schemaVersion":2,"manifests":[{line}],"manifests":[]}}"#))),
        ("an index that is a manifest", Unreadable("it is a manifest"), || {
            indexed(|line| json!({ "schemaVersion": 2, "config": line, "layers": [] }).to_string())
        }),
        ("an index with layers and lines", Unreadable("both `layers` and `manifests`"), || {
            indexed(|line| json!({ "schemaVersion": 2, "manifests": [line], "layers": [line], "config": line }).to_string())
        }),
        ("an index that calls itself a manifest", Unreadable("without `config`"), || {
            indexed(|line| json!({ "schemaVersion": 2, "mediaType": MANIFEST, "manifests": [line] }).to_string())
        }),
        ("an index that calls itself a picture", Unreadable("not supported"), || {
            indexed(|line| json!({ "schemaVersion": 2, "mediaType": "image/png\u{1b}[2J", "manifests": [line] }).to_string())
        }),
        ("an index of schema 1", Unreadable("schema 1"), || indexed(|line| json!({ "schemaVersion": 1, "manifests": [line] }).to_string())),
        ("an index of a schema below zero", JSON, || indexed(|line| json!({ "schemaVersion": -2, "manifests": [line] }).to_string())),
        ("an index of 257 lines", Unreadable("the limit is 256"), || {
            indexed(|line| json!({ "schemaVersion": 2, "manifests": vec![line; 257] }).to_string())
        }),
        ("an index of a hundred thousand lines", Unreadable("limit"), || {
            indexed(|line| json!({ "schemaVersion": 2, "manifests": vec![line; 100_000] }).to_string())
        }),
        ("an index of five MiB of blanks", Unreadable("limit"), || {
            indexed(|line| json!({ "schemaVersion": 2, "manifests": [line] }).to_string() + &" ".repeat(5 << 20))
        }),
        ("one line 256 times", Passes, || indexed(|line| json!({ "schemaVersion": 2, "manifests": vec![line; 256] }).to_string())),
        ("an index without names of two images", Passes, || {
            let mut picture = Picture::default();
            let lines = [parts().put(&mut picture), Parts::of(&[end()], Packing::Gzip).put(&mut picture)];
            picture.index_of(&lines);
            picture
        }),
        ("an index whose names steer terminals", Passes, || {
            let mut picture = Picture::default();
            let mut lines = [parts().put(&mut picture), Parts::of(&[end()], Packing::Gzip).put(&mut picture)];
            for line in &mut lines {
                line["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1\u{1b}[2J\u{202e}\n::error::x" });
            }
            picture.index_of(&lines);
            picture
        }),
        ("a secret in the index's annotations", TOKEN, || {
            let mut picture = Picture::default();
            let mut line = parts().put(&mut picture);
            line["annotations"] = json!({ "build\u{1b}[2J": token() });
            picture.nested(&[line]);
            picture
        }),
        ("annotations that are no texts", JSON, || {
            indexed(|line| json!({ "schemaVersion": 2, "manifests": [line], "annotations": { "a": 1 } }).to_string())
        }),
    ]
}

fn descriptors() -> Vec<Row> {
    vec![
        ("a digest in capitals", DIGEST, || described(|line| line["digest"] = json!(line["digest"].as_str().expect("text").to_uppercase()))),
        ("a digest of capital digits", DIGEST, || {
            described(|line| line["digest"] = json!(line["digest"].as_str().expect("text").to_uppercase().replace("SHA256", "sha256")))
        }),
        ("a digest that climbs out", DIGEST, || described(|line| line["digest"] = json!("sha256:../../../../etc/passwd"))),
        ("a digest that is too short", DIGEST, || described(|line| line["digest"] = json!("sha256:abcdef"))),
        ("a digest that is too long", DIGEST, || described(|line| line["digest"] = json!(format!("sha256:{}", "a".repeat(65))))),
        ("a digest of an unknown kind", DIGEST, || described(|line| line["digest"] = json!(format!("md5:{}", "a".repeat(32))))),
        ("a digest without a kind", DIGEST, || described(|line| line["digest"] = json!("a".repeat(64)))),
        ("a digest with a zero byte", DIGEST, || described(|line| line["digest"] = json!(format!("sha256:\0{}", "a".repeat(63))))),
        ("a digest with a line break", DIGEST, || described(|line| line["digest"] = json!(format!("{}\n", line["digest"].as_str().expect("text"))))),
        ("a digest that steers terminals", DIGEST, || described(|line| line["digest"] = json!("sha256:\u{1b}]0;owned\u{7}\u{202e}"))),
        ("a digest of a megabyte", DIGEST, || described(|line| line["digest"] = json!("a".repeat(1 << 20)))),
        ("a digest that is a number", JSON, || described(|line| line["digest"] = json!(1))),
        ("a digest that is missing", JSON, || described(|line| line["digest"] = Value::Null)),
        ("a digest of something else", Unreadable("is missing from the image"), || {
            described(|line| line["digest"] = json!(digest(b"something else")))
        }),
        ("a SHA-512 digest of something else", Unreadable("is missing from the image"), || {
            described(|line| line["digest"] = json!(format!("sha512:{}", "a".repeat(128))))
        }),
        ("a size below zero", JSON, || described(|line| line["size"] = json!(-1))),
        ("a size with a fraction", JSON, || described(|line| line["size"] = json!(1.5))),
        ("a size in a text", JSON, || described(|line| line["size"] = json!("100"))),
        ("a size beyond 64 bits", JSON, || {
            indexed(|line| json!({ "schemaVersion": 2, "manifests": [line] }).to_string().replace("\"size\":", "\"size\":99999999999999999999"))
        }),
        ("a size of zero", Unreadable("should be 0 bytes long"), || described(|line| line["size"] = json!(0))),
        ("a size of one less", Unreadable("bytes long"), || described(|line| line["size"] = json!(line["size"].as_u64().expect("a number") - 1))),
        ("a size of one more", Unreadable("bytes long"), || described(|line| line["size"] = json!(line["size"].as_u64().expect("a number") + 1))),
        ("a size of all bits", Unreadable("limit"), || described(|line| line["size"] = json!(u64::MAX))),
        ("a manifest announced as an index", Unreadable("announced as"), || described(|line| line["mediaType"] = json!(INDEX))),
        ("a manifest announced as something else", Passes, || described(|line| line["mediaType"] = json!("application/json"))),
        ("a line with data of its own", Passes, || described(|line| line["data"] = json!("e30="))),
        ("a line with a platform that steers terminals", Passes, || {
            described(|line| line["platform"] = json!({ "os": "lin\u{1b}[2Jux", "architecture": "amd64\n::error::x" }))
        }),
        ("a line with a platform that is a text", JSON, || described(|line| line["platform"] = json!("linux/amd64"))),
        ("a line whose member occurs twice", JSON, || {
            indexed(|line| json!({ "schemaVersion": 2, "manifests": [line] }).to_string().replace("\"size\":", "\"x\":1,\"x\":2,\"size\":"))
        }),
    ]
}

fn manifests() -> Vec<Row> {
    vec![
        ("a manifest that is not there", Unreadable("missing from the image"), || {
            let mut picture = sound();
            let name = picture
                .files
                .iter()
                .find(|(_, bytes)| bytes.starts_with(b"{\"config\":{\"digest") || bytes.starts_with(b"{\"schemaVersion\":2,\"mediaType\""))
                .map(|(name, _)| name.clone());
            picture.files.remove(&name.expect("a manifest"));
            picture
        }),
        ("a manifest without a config", Unreadable("without `config`"), || manifest_text(|text| text.replace("\"config\":", "\"konfig\":"))),
        ("a manifest without layers", Unreadable("without `layers`"), || manifest_text(|text| text.replace("\"layers\":", "\"lairs\":"))),
        ("a manifest whose layers are null", Unreadable("without `layers`"), || manifest("layers", Value::Null)),
        ("a manifest with its layers twice", JSON, || manifest_text(|text| text.replace("\"layers\":", "\"layers\":[],\"layers\":"))),
        ("a manifest with its config twice", JSON, || manifest_text(|text| text.replace("\"config\":", "\"config\":{},\"config\":"))),
        ("a manifest with lines too", Unreadable("both `layers` and `manifests`"), || manifest("manifests", json!([]))),
        ("a manifest of schema 1", Unreadable("schema 1"), || manifest("schemaVersion", json!(1))),
        ("a signed manifest of schema 1", Unreadable("schema 1"), || {
            manifest_text(|_| {
                let kind = "application/vnd.docker.distribution.manifest.v1+prettyjws";
                json!({ "schemaVersion": 1, "mediaType": kind, "name": "a", "tag": "b", "fsLayers": [], "history": [], "signatures": [] }).to_string()
            })
        }),
        ("a manifest of an unknown type", Unreadable("announced as"), || manifest("mediaType", json!("application/vnd.example\u{1b}[2J"))),
        ("a manifest of Docker's family", Passes, || {
            let mut picture = Picture::default();
            let mut parts = parts();
            parts.manifest["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
            let mut line = parts.put(&mut picture);
            line["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
            picture.index_of(&[line]);
            picture
        }),
        ("a manifest that is an artifact", Passes, || {
            let mut picture = Picture::default();
            let mut parts = parts();
            parts.manifest["config"] = picture.put("application/vnd.cncf.helm.config.v1+json", b"{}");
            let line = parts.put(&mut picture);
            picture.index_of(&[line]);
            picture
        }),
        ("a manifest with a subject and an artifact type", Passes, || {
            let mut parts = parts();
            parts.manifest["subject"] = describe(MANIFEST, b"another");
            parts.manifest["artifactType"] = json!("application/vnd.example");
            parts.picture()
        }),
        ("a manifest of no layers", Passes, || Parts::of(&[], Packing::Gzip).picture()),
        ("a manifest of 127 layers", Passes, || {
            Parts::of(&(0..127).map(|number| [file(format!("f{number}"), "1"), end()].concat()).collect::<Vec<_>>(), Packing::Gzip).picture()
        }),
        ("a manifest of one layer 300 times", Passes, || Parts::of(&vec![tar(); 300], Packing::Gzip).picture()),
        ("a manifest of 513 layers", Unreadable("the limit is 512"), || Parts::of(&vec![end(); 513], Packing::Gzip).picture()),
        ("a manifest of ten thousand layers", Unreadable("limit"), || {
            let mut parts = parts();
            parts.manifest["layers"] = json!(vec![parts.layers[0].1.clone(); 10_000]);
            parts.picture()
        }),
        ("a manifest of five MiB", Unreadable("limit"), || manifest("x", json!(" ".repeat(5 << 20)))),
        ("a layer that is not there", Unreadable("is missing from the image"), || {
            let mut parts = parts();
            parts.layers[0].1["digest"] = json!(digest(b"not there"));
            parts.layers[0].0.clear();
            let mut picture = parts.picture();
            picture.files.retain(|name, _| !name.ends_with(&digest(b"not there")["sha256:".len()..]));
            picture
        }),
        ("a layer of other bytes", Unreadable("digest"), || {
            let mut parts = parts();
            parts.layers[0].0 = Packing::Gzip.pack(&[file("other", "1"), end()].concat());
            parts.layers[0].1["size"] = json!(parts.layers[0].0.len());
            parts.picture()
        }),
        ("a layer that is longer than it says", Unreadable("digest"), || {
            let mut parts = parts();
            parts.layers[0].1["size"] = json!(parts.layers[0].0.len() - 20);
            parts.picture()
        }),
        ("a layer that is shorter than it says", Unreadable("bytes long"), || {
            let mut parts = parts();
            parts.layers[0].1["size"] = json!(1_u64 << 62);
            parts.picture()
        }),
        ("a layer with data of its own", Passes, || {
            let mut parts = parts();
            parts.layers[0].1["data"] = json!("e30=");
            parts.picture()
        }),
        ("a layer with addresses to fetch it from", Passes, || {
            let mut parts = parts();
            parts.layers[0].1["urls"] = json!(["http://169.254.169.254/latest/meta-data", "file:///etc/passwd"]);
            parts.picture()
        }),
        ("a foreign layer", Denied("not everything could be scanned"), || {
            let mut parts = parts();
            parts.layers[0].1["mediaType"] = json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
            parts.layers[0].1["urls"] = json!(["http://127.0.0.1:1/layer"]);
            parts.picture()
        }),
        ("a foreign layer of Docker's", Denied("not everything could be scanned"), || {
            let mut parts = parts();
            parts.layers[0].1["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
            parts.picture()
        }),
        ("a layer that is the config", Unreadable("malformed"), || {
            let mut picture = Picture::default();
            let mut parts = parts();
            let text = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "diff_ids": [digest(b"x")] } }).to_string();
            let line = picture.put(CONFIG, text.as_bytes());
            parts.manifest["config"] = line.clone();
            parts.manifest["layers"] = json!([line]);
            let line = parts.put(&mut picture);
            picture.index_of(&[line]);
            picture
        }),
        ("a config that is the manifest of a layer", JSON, || {
            let mut picture = Picture::default();
            let mut parts = parts();
            let mut line = parts.layers[0].1.clone();
            line["mediaType"] = json!(CONFIG);
            parts.manifest["config"] = line;
            let line = parts.put(&mut picture);
            picture.index_of(&[line]);
            picture
        }),
        ("a config that claims 200 MB", Unreadable("limit"), || {
            let mut picture = Picture::default();
            let mut parts = parts();
            let mut line = picture.put(CONFIG, b"{}");
            line["size"] = json!(200_000_000);
            parts.manifest["config"] = line;
            let line = parts.put(&mut picture);
            picture.index_of(&[line]);
            picture
        }),
        ("a secret in the manifest's annotations", TOKEN, || manifest("annotations", json!({ "x\u{202e}": token() }))),
        ("a secret as the name of an annotation", TOKEN, || manifest("annotations", json!({ (token()): "x" }))),
        ("ten thousand brackets in the manifest", Passes, || manifest_text(|text| text.replacen('{', &format!("{{\"x\":{},", deep_text(10_000)), 1))),
    ]
}

fn configs() -> Vec<Row> {
    vec![
        ("a config that is no JSON", JSON, || config_text(|_| "architecture: amd64".to_owned())),
        ("a config of no byte", JSON, || config_text(|_| String::new())),
        ("a config that is a list", JSON, || config_text(|text| format!("[{text}]"))),
        ("a config of five MiB", Unreadable("limit"), || config("x", json!(" ".repeat(5 << 20)))),
        ("a config of ten thousand brackets", Passes, || config_text(|text| text.replacen('{', &format!("{{\"x\":{},", deep_text(10_000)), 1))),
        ("a config whose environment is ten thousand brackets", JSON, || config_text(|text| text.replace("\"A=1\"", &deep_text(10_000)))),
        ("a config with a member twice", Unreadable("occurs twice"), || config_text(|text| text.replacen('{', "{\"x\":1,\"x\":2,", 1))),
        ("a config with its layers twice", JSON, || {
            config_text(|text| text.replace("\"rootfs\":", "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"rootfs\":"))
        }),
        ("a config with its diffIDs twice", JSON, || config_text(|text| text.replace("\"diff_ids\":", "\"diff_ids\":[],\"diff_ids\":"))),
        ("a config with its environment twice", JSON, || config_text(|text| text.replace("\"Env\":", "\"Env\":[],\"Env\":"))),
        ("a config with its environment in two spellings", Unreadable("ambiguous"), || {
            config_text(|text| text.replace("\"Env\":", "\"env\":[\"B=2\"],\"Env\":"))
        }),
        ("a secret in the environment in another spelling", Unreadable("ambiguous"), || {
            config_text(|text| text.replace("\"Env\":", &format!("\"env\":[\"B={}\"],\"Env\":", token())))
        }),
        ("a secret in a member that nobody knows", TOKEN, || config("x-build", json!({ "args": [token()] }))),
        ("a config without layers", JSON, || config_text(|text| text.replace("\"rootfs\":", "\"rootsf\":"))),
        ("a config whose layers are null", Unreadable("the config 0 diffIDs"), || config("rootfs", json!({ "type": "layers", "diff_ids": null }))),
        ("a config with a diffID too few", Unreadable("the config 0 diffIDs"), || config("rootfs", json!({ "type": "layers", "diff_ids": [] }))),
        ("a config with a diffID too many", Unreadable("the config 2 diffIDs"), || {
            config("rootfs", json!({ "type": "layers", "diff_ids": [digest(&tar()), digest(&tar())] }))
        }),
        ("a config with another diffID", Unreadable("should have diffID"), || {
            config("rootfs", json!({ "type": "layers", "diff_ids": [digest(b"clean")] }))
        }),
        ("a config with a diffID that is none", DIGEST, || config("rootfs", json!({ "type": "layers", "diff_ids": ["sha256:../x"] }))),
        ("a config with a diffID that steers terminals", DIGEST, || config("rootfs", json!({ "type": "layers", "diff_ids": ["\u{1b}[2J"] }))),
        ("a config with a million diffIDs", Unreadable("limit"), || {
            config("rootfs", json!({ "type": "layers", "diff_ids": vec![digest(b"x"); 60_000] }))
        }),
        ("layers of another type", Passes, || config("rootfs", json!({ "type": "other", "diff_ids": [digest(&tar())] }))),
        ("a history of more steps than layers", Passes, || config("history", json!(vec![json!({ "created_by": "RUN x" }); 50]))),
        ("a history of fewer steps than layers", Passes, || config("history", json!([]))),
        ("a history that is null", Passes, || config("history", Value::Null)),
        ("a history that is a text", JSON, || config("history", json!("RUN x"))),
        ("a history of twenty thousand steps", Passes, || {
            config("history", json!(vec![json!({ "created_by": "RUN x", "empty_layer": true }); 20_000]))
        }),
        ("a secret in the history", TOKEN, || config("history", json!([{ "created_by": format!("RUN \u{1b}[2J login {}", token()) }]))),
        ("an environment that is null", Passes, || run("Env", Value::Null)),
        ("an environment of numbers", JSON, || run("Env", json!([1, 2]))),
        ("an environment that is a map", JSON, || run("Env", json!({ "A": "1" }))),
        ("an environment of a hundred thousand lines", Passes, || run("Env", json!(vec!["A=1"; 100_000]))),
        ("an environment with zero bytes and line breaks", Passes, || run("Env", json!(["A=\0\n::error::x", "=B", "C", ""]))),
        ("a secret in the environment", TOKEN, || run("Env", json!([format!("TOKEN\u{1b}[2J={}", token())]))),
        ("a secret as a variable's name", TOKEN, || run("Env", json!([format!("{}=1", token())]))),
        ("a secret in a label", TOKEN, || run("Labels", json!({ "a\u{202e}b": token() }))),
        ("a secret in the command", TOKEN, || run("Cmd", json!(["sh", "-c", format!("login {}", token())]))),
        ("labels that are a list", JSON, || run("Labels", json!(["a"]))),
        ("a user that is a number", JSON, || run("User", json!(0))),
        ("a user beyond 64 bits", Passes, || run("User", json!("99999999999999999999:0"))),
        ("a working directory that climbs out", Passes, || run("WorkingDir", json!("../../../\u{1b}[2J"))),
        ("volumes that are a list", JSON, || run("Volumes", json!(["/data"]))),
        ("volumes of any kind", Passes, || run("Volumes", json!({ "/data": deep(50), "../x": null }))),
        ("a health check that is a text", JSON, || run("Healthcheck", json!("CMD true"))),
        ("a config part that is null", Passes, || config("config", Value::Null)),
        ("a platform that steers terminals", Unreadable("its platform has"), || config("architecture", json!("amd\u{1b}[2J64\n::error::x\u{202e}"))),
        ("a platform that is a number", JSON, || config("os", json!(1))),
        ("a platform of a megabyte", Passes, || config("variant", json!("v".repeat(1 << 20)))),
        ("an image of Windows", Passes, || config("os", json!("windows"))),
        ("a time that is none", Passes, || config("created", json!("yesterday\u{1b}[2J"))),
    ]
}

fn several() -> Vec<Row> {
    fn index_in_index(depth: usize) -> Picture {
        let mut picture = Picture::default();
        let mut line = parts().put(&mut picture);
        for _ in 0..depth {
            line = picture.put(INDEX, json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [line] }).to_string().as_bytes());
        }
        picture.index_of(&[line]);
        picture
    }
    /// An image and something that its index calls an attestation.
    fn attested(mut attestation: Parts, mark: Value) -> Picture {
        let mut picture = Picture::default();
        let line = parts().put(&mut picture);
        attestation.config["os"] = json!("unknown");
        attestation.config["architecture"] = json!("unknown");
        let mut other = attestation.put(&mut picture);
        other.as_object_mut().expect("a descriptor").extend(mark.as_object().expect("members").clone());
        picture.nested(&[line, other]);
        picture
    }
    fn statement(text: &str) -> Parts {
        let mut parts = Parts::packed(vec![text.as_bytes().to_vec()], &[digest(text.as_bytes())]);
        parts.layers[0].1["mediaType"] = json!("application/vnd.in-toto+json");
        parts
    }
    vec![
        ("an index in the index", Passes, || index_in_index(1)),
        ("an index in an index in the index", Passes, || index_in_index(2)),
        ("sixty-four indexes", Unreadable("nested more than"), || index_in_index(64)),
        ("an index that leads to itself", Unreadable("cannot read"), || {
            let mut picture = sound();
            let own = digest(b"round and round");
            let line = json!({ "mediaType": INDEX, "digest": own, "size": 300 });
            let text = format!("{:<300}", json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [line] }));
            picture.add(text.as_bytes(), &line);
            picture.index_of(&[line]);
            picture
        }),
        ("two platforms, neither there", Unreadable("missing from the image"), || {
            let mut picture = Picture::default();
            let mut config = parts();
            config.config["architecture"] = json!("arm64");
            let lines = [parts().put(&mut picture), config.put(&mut picture)];
            picture.nested(&lines);
            let hex = |line: &Value| line["digest"].as_str().expect("a digest")["sha256:".len()..].to_owned();
            lines.iter().fold(picture, |picture, line| picture.without(&format!("blobs/sha256/{}", hex(line))))
        }),
        ("a secret in the second platform", TOKEN, || {
            let mut picture = Picture::default();
            let mut dirty = Parts::of(&[[file("key", token()), end()].concat()], Packing::Zstd);
            dirty.config["architecture"] = json!("arm64");
            let lines = [parts().put(&mut picture), dirty.put(&mut picture)];
            picture.nested(&lines);
            picture
        }),
        ("one layer under two diffIDs", Unreadable("should have diffID"), || {
            let mut picture = Picture::default();
            let mut lying = parts();
            lying.diff_ids[0] = json!(digest(b"clean"));
            let lines = [parts().put(&mut picture), lying.put(&mut picture)];
            picture.nested(&lines);
            picture
        }),
        ("an attestation", Passes, || {
            attested(statement("{\"predicate\":{}}"), json!({ "annotations": { "vnd.docker.reference.type": "attestation-manifest" } }))
        }),
        ("a secret in an attestation", TOKEN, || {
            attested(statement(&token()), json!({ "annotations": { "vnd.docker.reference.type": "attestation-manifest" } }))
        }),
        ("an attestation of other bytes", Unreadable("should be"), || {
            let mut statement = statement("{\"predicate\":{}}");
            statement.layers[0].0[3] ^= 1;
            attested(statement, json!({ "annotations": { "vnd.docker.reference.type": "attestation-manifest" } }))
        }),
        ("an image in the guise of an attestation", TOKEN, || {
            let dirty = Parts::of(&[[file("key", token()), end()].concat()], Packing::Gzip);
            attested(dirty, json!({ "annotations": { "vnd.docker.reference.type": "attestation-manifest" } }))
        }),
        ("an image for an unknown platform", TOKEN, || {
            let dirty = Parts::of(&[[file("key", token()), end()].concat()], Packing::Gzip);
            attested(dirty, json!({ "platform": { "os": "unknown", "architecture": "unknown" } }))
        }),
        ("many small bombs", Unreadable("the image exceeds the limit of 200 times its stored size"), || {
            Parts::of(&[120, 121, 122].map(|mib| vec![0; mib << 20]), Packing::Zstd).picture()
        }),
        ("a blob of the wrong type in the place of a config", JSON, || {
            let mut picture = Picture::default();
            let mut parts = parts();
            parts.manifest["config"] = picture.put(CONFIG, &[0xff; 100]);
            let line = parts.put(&mut picture);
            picture.index_of(&[line]);
            picture
        }),
        ("a layer's descriptor that is a list", JSON, || manifest("layers", json!([[LAYER]]))),
    ]
}

fn layouts() -> Vec<Case> {
    let with = |name: &str, expected, change: fn(&std::path::Path)| {
        Case::new(format!("{name} (Layout)"), expected, move |folder| {
            let source = sound().write(Form::Layout, folder);
            change(folder);
            source
        })
    };
    let regular = Unreadable("not a regular file");
    vec![
        with("a folder without its mark", Unreadable("oci-layout"), |folder| fs::remove_file(folder.join("oci-layout")).expect("scratch")),
        with("a folder without an index", Unreadable("index.json"), |folder| fs::remove_file(folder.join("index.json")).expect("scratch")),
        with("a mark of another version", Passes, |folder| fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).expect("scratch")),
        with("a mark of five MiB", Unreadable("limit"), |folder| fs::write(folder.join("oci-layout"), vec![0; 5 << 20]).expect("scratch")),
        with("an index that is a device", regular, |folder| replace(folder, "index.json", |path| symlink("/dev/zero", path))),
        with("an index that is a folder", regular, |folder| replace(folder, "index.json", |path| fs::create_dir(path))),
        with("an index that is a pipe", regular, |folder| {
            replace(folder, "index.json", |path| {
                rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).map_err(Into::into)
            });
        }),
        with("an index that links to itself", Unreadable("index.json"), |folder| replace(folder, "index.json", |path| symlink("index.json", path))),
        with("an index that links to /etc/passwd", JSON, |folder| replace(folder, "index.json", |path| symlink("/etc/passwd", path))),
        with("blobs that are not there", Unreadable("missing from the image"), |folder| fs::remove_dir_all(folder.join("blobs")).expect("scratch")),
        with("blobs that lie elsewhere", Unreadable("missing from the image"), |folder| {
            fs::remove_dir_all(folder.join("blobs")).expect("scratch");
            symlink("/", folder.join("blobs")).expect("scratch");
        }),
        with("blobs that are devices", regular, |folder| each_blob(folder, |path| symlink("/dev/zero", path))),
        with("blobs that are folders", regular, |folder| each_blob(folder, |path| fs::create_dir(path))),
        with("blobs that link to /etc/passwd", Unreadable("bytes long"), |folder| each_blob(folder, |path| symlink("/etc/passwd", path))),
        with("blobs of ten GB of nothing", Unreadable("bytes long"), |folder| {
            each_blob(folder, |path| fs::File::create(path).and_then(|file| file.set_len(10 << 30)));
        }),
        with("blobs of no byte", Unreadable("bytes long"), |folder| each_blob(folder, |path| fs::write(path, ""))),
    ]
}

fn replace(folder: &std::path::Path, name: &str, make: impl Fn(&std::path::Path) -> std::io::Result<()>) {
    let path = folder.join(name);
    fs::remove_file(&path).expect("scratch");
    make(&path).expect("scratch");
}

fn each_blob(folder: &std::path::Path, make: impl Fn(&std::path::Path) -> std::io::Result<()>) {
    for entry in fs::read_dir(folder.join("blobs/sha256")).expect("blobs") {
        let path = entry.expect("an entry").path();
        fs::remove_file(&path).expect("scratch");
        make(&path).expect("scratch");
    }
}

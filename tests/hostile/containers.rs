//! Archives of images that lie about their members: what `docker save` writes, and layouts in tar files.

use serde_json::{Value, json};

use crate::common::images::{Packing, digest, github_token};
use crate::common::raw_tar::{Header, end, entry, file, pax, record, with_data};
use crate::hostile::case::Case;
use crate::hostile::case::Expected::{self, Denied, Passes, Unreadable};
use crate::hostile::picture::{Form, Parts};

const DOCKER: &str = "docker-archive";
const OCI: &str = "oci-archive";
const MISSING: Expected = Unreadable("is missing from the image");
const MANIFEST: Expected = Unreadable("manifest.json is malformed");

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = docker().into_iter().map(|(name, expected, make)| Case::archive(name, DOCKER, expected, make)).collect();
    cases.extend(oci().into_iter().map(|(name, expected, make)| Case::archive(name, OCI, expected, make)));
    cases.extend(references());
    cases
}

fn tar() -> Vec<u8> {
    [file("etc/os-release", "ID=test\n"), end()].concat()
}

fn config(tars: &[Vec<u8>]) -> String {
    json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": tars.iter().map(|tar| digest(tar)).collect::<Vec<_>>() } })
        .to_string()
}

fn listed(config: &str, layers: &[&str]) -> Vec<u8> {
    file("manifest.json", json!([{ "Config": config, "RepoTags": ["acme/hostile:1"], "Layers": layers }]).to_string())
}

/// A `docker save` of one layer, with the given list and more members.
fn saved(list: Vec<u8>, more: &[Vec<u8>]) -> Vec<u8> {
    [file("c.json", config(&[tar()])), file("l/layer.tar", tar()), list, more.concat(), end()].concat()
}

fn sound() -> Vec<u8> {
    saved(listed("c.json", &["l/layer.tar"]), &[])
}

/// A `docker save` whose only layer is called so in the list.
fn layer_called(name: &str, more: &[Vec<u8>]) -> Vec<u8> {
    saved(listed("c.json", &[name]), more)
}

fn list_text(text: impl AsRef<[u8]>) -> Vec<u8> {
    saved(file("manifest.json", text), &[])
}

fn layout() -> Vec<u8> {
    Parts::of(&[tar()], Packing::Gzip).picture().oci_archive()
}

/// A layout in an archive, each member written by `write`.
fn written(write: impl Fn(&str, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let picture = Parts::of(&[tar()], Packing::Gzip).picture();
    let files = picture.files.iter().filter(|(name, _)| !name.starts_with("docker/"));
    [files.flat_map(|(name, bytes)| write(name, bytes)).collect(), end()].concat()
}

type Row = (&'static str, Expected, fn() -> Vec<u8>);

fn docker() -> Vec<Row> {
    vec![
        ("a sound archive", Passes, sound),
        ("a sound archive, packed with gzip", Passes, || Packing::Gzip.pack(&sound())),
        ("a sound archive, packed with zstd", Passes, || Packing::Zstd.pack(&sound())),
        ("an archive packed with xz", Unreadable("xz, which is not supported"), || b"\xfd7zXZ\0\0\x04".repeat(10)),
        ("an archive that is a bomb", Unreadable("times its stored size"), || Packing::Gzip.pack(&vec![0; 8 << 20]).repeat(40)),
        ("an archive of no byte", MISSING, Vec::new),
        ("an archive of zeros", MISSING, || vec![0; 10_240]),
        ("an archive that is text", Unreadable("malformed"), || b"this is no archive ".repeat(100)),
        ("an archive that is cut", Unreadable("truncated"), || sound()[..1800].to_vec()),
        ("an archive without its list", MISSING, || saved(Vec::new(), &[])),
        ("an archive of the oldest format", MISSING, || saved(file("repositories", r#"{"acme/x":{"1":"l"}}"#), &[])),
        ("a layer that climbs out", MISSING, || layer_called("../../../etc/passwd", &[])),
        ("a layer of an absolute name", MISSING, || layer_called("/etc/passwd", &[])),
        ("a layer of no name", MISSING, || layer_called("", &[])),
        ("a layer whose name steers terminals", MISSING, || layer_called("l\u{1b}[2J\u{202e}\n::error::x", &[])),
        ("a layer of a name of a megabyte", Unreadable("layer `lll"), || layer_called(&"l".repeat(1 << 20), &[])),
        ("a layer that is a link to the layer", Passes, || {
            layer_called("m/layer.tar", &[Header::new("m/layer.tar", b'2').link("../l/layer.tar").seal()])
        }),
        ("a layer that is a hard link to the layer", Passes, || {
            layer_called("m/layer.tar", &[Header::new("m/layer.tar", b'1').link("l/layer.tar").seal()])
        }),
        ("a layer that is a link out", MISSING, || layer_called("m", &[Header::new("m", b'2').link("../../../etc/passwd").seal()])),
        ("a layer that is a link to /etc/passwd", MISSING, || layer_called("m", &[Header::new("m", b'2').link("/etc/passwd").seal()])),
        ("a layer that is a link to itself", MISSING, || layer_called("m", &[Header::new("m", b'2').link("m").seal()])),
        ("a layer that is a circle of links", MISSING, || {
            layer_called("m", &[Header::new("m", b'2').link("n").seal(), Header::new("n", b'1').link("m").seal()])
        }),
        ("a layer that is twenty links long", MISSING, || {
            let links: Vec<_> = (0..20).map(|number| Header::new(format!("k{number}"), b'2').link(format!("k{}", number + 1)).seal()).collect();
            layer_called("k0", &links)
        }),
        ("a layer that is a folder", MISSING, || layer_called("m", &[entry("m/", b'5', b"")])),
        ("a layer that is a device", MISSING, || layer_called("m", &[entry("m", b'3', b"")])),
        ("a layer that is a pipe", MISSING, || layer_called("m", &[entry("m", b'6', b"")])),
        ("a layer that is the list", Unreadable("cannot read"), || layer_called("manifest.json", &[])),
        ("a layer twice", Unreadable("it lists 2 layers"), || saved(listed("c.json", &["l/layer.tar", "l/layer.tar"]), &[])),
        ("no layers", Unreadable("it lists 0 layers"), || saved(listed("c.json", &[]), &[])),
        ("ten thousand layers", Unreadable("it lists 10000 layers"), || saved(listed("c.json", &vec!["l/layer.tar"; 10_000]), &[])),
        ("a million layers", Unreadable("limit"), || saved(listed("c.json", &vec!["l"; 1_200_000]), &[])),
        ("a layer packed with gzip", Passes, || {
            [file("c.json", config(&[tar()])), file("l", Packing::Gzip.pack(&tar())), listed("c.json", &["l"]), end()].concat()
        }),
        ("a layer packed with bzip2", Unreadable("bzip2, which is not supported"), || {
            [file("c.json", config(&[tar()])), file("l", b"BZh91AY&SY"), listed("c.json", &["l"]), end()].concat()
        }),
        ("a layer of other bytes", Unreadable("should have"), || {
            let other = [file("etc/os-release", "ID=other"), end()].concat();
            [file("c.json", config(&[tar()])), file("l", other), listed("c.json", &["l"]), end()].concat()
        }),
        ("a secret in the layer", Denied("github-personal-token"), || {
            let dirty = [file("key", github_token(93)), end()].concat();
            [file("c.json", config(std::slice::from_ref(&dirty))), file("l", dirty), listed("c.json", &["l"]), end()].concat()
        }),
        ("a list that is no JSON", MANIFEST, || list_text("Config: c.json")),
        ("a list of no byte", MANIFEST, || list_text("")),
        ("a list that is null", MANIFEST, || list_text("null")),
        ("a list that is a map", MANIFEST, || list_text("{}")),
        ("a list of nothing", MANIFEST, || list_text("[]")),
        ("a list of null", MANIFEST, || list_text("[null]")),
        ("a list without a config", MANIFEST, || list_text(r#"[{"Layers":["l/layer.tar"]}]"#)),
        ("a list whose config is a number", MANIFEST, || list_text(r#"[{"Config":1,"Layers":["l/layer.tar"]}]"#)),
        ("a list whose config occurs twice", MANIFEST, || list_text(r#"[{"Config":"c.json","Config":"d.json","Layers":["l/layer.tar"]}]"#)),
        ("a list of ten thousand brackets", MANIFEST, || list_text("[".repeat(10_000))),
        ("a list of five MiB", Unreadable("limit"), || list_text(" ".repeat(5 << 20))),
        ("a list without names", Passes, || list_text(r#"[{"Config":"c.json","RepoTags":null,"Layers":["l/layer.tar"]}]"#)),
        ("a list whose names steer terminals", Passes, || {
            list_text(json!([{ "Config": "c.json", "RepoTags": ["\u{1b}[2J\u{202e}"], "Layers": ["l/layer.tar"] }]).to_string())
        }),
        ("a list of two images", Unreadable("none was chosen"), || {
            let image = json!({ "Config": "c.json", "RepoTags": ["a:\u{1b}[2J\n::error::x"], "Layers": ["l/layer.tar"] });
            list_text(json!([image, image]).to_string())
        }),
        ("a list whose layers are null", Unreadable("it lists 0 layers"), || list_text(r#"[{"Config":"c.json","Layers":null}]"#)),
        ("a list with a parent and links", Passes, || {
            list_text(r#"[{"Config":"c.json","Parent":"sha256:x","LayerSources":{},"Layers":["l/layer.tar"]}]"#)
        }),
        ("the list twice", Unreadable("twice"), || saved(listed("c.json", &["l/layer.tar"]), &[listed("d.json", &["l/layer.tar"])])),
        ("the list twice under two spellings", Unreadable("twice"), || {
            saved(listed("c.json", &["l/layer.tar"]), &[file("./x/../manifest.json", "[]"), file(".//manifest.json", "[]")])
        }),
        ("the layer twice", Unreadable("twice"), || saved(listed("c.json", &["l/layer.tar"]), &[file("l/layer.tar", "other")])),
        ("a list that is a link", Passes, || {
            saved(file("list", r#"[{"Config":"c.json","Layers":["l/layer.tar"]}]"#), &[Header::new("manifest.json", b'2').link("list").seal()])
        }),
        ("a list that is a link to /etc/passwd", MISSING, || saved(Header::new("manifest.json", b'2').link("/etc/passwd").seal(), &[])),
        ("a list that is a device", MISSING, || saved(Header::new("manifest.json", b'3').seal(), &[])),
        ("a list that is a folder", MISSING, || saved(entry("manifest.json/", b'5', b""), &[])),
        ("a config that climbs out", MISSING, || saved(listed("../../etc/passwd", &["l/layer.tar"]), &[])),
        ("a config that is the layer", Unreadable("not valid JSON"), || saved(listed("l/layer.tar", &["l/layer.tar"]), &[])),
        ("a config of five MiB", Unreadable("limit"), || saved(listed("big", &["l/layer.tar"]), &[file("big", vec![b' '; 5 << 20])])),
        ("a sparse list", Unreadable("manifest.json"), || {
            let data = listed("c.json", &["l/layer.tar"])[512..].to_vec();
            let map = format!("1\n100\n{}\n", data.len());
            let mut body = map.into_bytes();
            body.resize(512, 0);
            body.extend(&data);
            let header =
                pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "manifest.json"), ("GNU.sparse.realsize", "99999")]);
            saved([header, file("GNUSparseFile.0/manifest.json", body)].concat(), &[])
        }),
        ("a layout beside the list", Passes, || [layout()[..layout().len() - 1024].to_vec(), sound()].concat()),
        ("a broken layout beside the list", Passes, || {
            saved(listed("c.json", &["l/layer.tar"]), &[file("oci-layout", "{}"), file("index.json", r#"{"schemaVersion":2,"manifests":null}"#)])
        }),
        ("a hundred and one thousand members", Unreadable("entries"), || {
            saved(listed("c.json", &["l/layer.tar"]), &[entry("d/", b'5', b"").repeat(101_000)])
        }),
        ("a member of a name of five kB", Unreadable("bytes for a name"), || saved(pax(&[("path", &"n".repeat(5000))]), &[file("x", "")])),
        ("a member that claims eight EiB", Unreadable("truncated"), || {
            let size = [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
            [file("c.json", config(&[tar()])), listed("c.json", &["l"]), Header::new("l", b'0').field(124, &size).seal(), vec![0; 4096]].concat()
        }),
        ("a member in the data of a folder", Unreadable("no file claims to have data"), || {
            saved(listed("c.json", &["l/layer.tar"]), &[with_data(Header::new("d/", b'5').size(1024).seal(), &file("manifest.json", "x"))])
        }),
    ]
}

fn oci() -> Vec<Row> {
    vec![
        ("a sound layout", Passes, layout),
        ("a layout packed with gzip", Passes, || Packing::Gzip.pack(&layout())),
        ("a layout of names with a dot before", Passes, || written(|name, bytes| file(format!("./{name}"), bytes))),
        ("a layout of absolute names", Passes, || written(|name, bytes| file(format!("/{name}"), bytes))),
        ("a layout of names that climb", Passes, || written(|name, bytes| file(format!("../{name}"), bytes))),
        ("a layout of extended names", Passes, || written(|name, bytes| [pax(&[("path", name)]), file("x", bytes)].concat())),
        ("a layout of GNU names", Passes, || {
            written(|name, bytes| [entry("././@LongLink", b'L', format!("{name}\0").as_bytes()), file("x", bytes)].concat())
        }),
        ("a layout of version 7", Passes, || {
            written(|name, bytes| with_data(Header::new(name, 0).field(257, &[0; 8]).size(bytes.len() as u64).seal(), bytes))
        }),
        ("a layout whose sizes are in base 256", Passes, || {
            written(|name, bytes| {
                let mut size = [0; 12];
                size[0] = 0x80;
                size[4..].copy_from_slice(&(bytes.len() as u64).to_be_bytes());
                with_data(Header::new(name, b'0').field(124, &size).seal(), bytes)
            })
        }),
        ("a layout behind a global header", Passes, || [entry("g", b'g', &record("comment", "x")), layout()].concat()),
        ("a layout of hard links", Passes, || {
            written(|name, bytes| [file(format!("x/{name}"), bytes), Header::new(name, b'1').link(format!("x/{name}")).seal()].concat())
        }),
        ("a layout of symlinks that are too long to be read", MISSING, || {
            written(|name, bytes| [file(format!("elsewhere/{name}"), bytes), Header::new(name, b'2').link("elsewhere").seal()].concat())
        }),
        ("a layout of folders", MISSING, || written(|name, _| entry(name, b'5', b""))),
        ("a layout of devices", MISSING, || written(|name, _| entry(name, b'3', b""))),
        ("a layout of nothing but names", Unreadable("not valid JSON"), || written(|name, _| file(name, ""))),
        ("a layout with junk after its end", Passes, || [layout(), b"junk".repeat(1000)].concat()),
        ("a layout with an index twice", Unreadable("twice"), || [file("index.json", "{}"), layout()].concat()),
        ("a layout with an index in the padding", Passes, || {
            let mut bytes = layout();
            let at = bytes.len() - 1024 - 100;
            bytes[at] = b'!';
            bytes
        }),
        ("a layout without an index", MISSING, || [file("oci-layout", "{}"), end()].concat()),
        ("a layout whose index is a link out", MISSING, || {
            [file("oci-layout", "{}"), Header::new("index.json", b'2').link("/etc/passwd").seal(), end()].concat()
        }),
        ("a layout that is cut in a blob", Unreadable("truncated"), || layout()[..layout().len() - 1400].to_vec()),
        ("a layout of two extended headers", Unreadable("two extended headers"), || {
            written(|name, bytes| [pax(&[("path", name)]), pax(&[("path", "other")]), file("x", bytes)].concat())
        }),
        ("a layout that is a docker-archive", MISSING, sound),
        ("a layout whose blob is a file too", Passes, || [file("blobs", "x"), layout()].concat()),
    ]
}

/// What is asked for by name, and is not there or is there twice.
fn references() -> Vec<Case> {
    let named = |name: &str, transport: &'static str, expected, reference: &'static str, make: fn() -> Vec<u8>| {
        Case::new(format!("{name} ({transport})"), expected, move |folder| {
            format!("{}:{reference}", crate::hostile::picture::write_archive(transport, folder, &make()))
        })
    };
    let twice = || {
        let image = |tag: &str| json!({ "Config": "c.json", "RepoTags": [tag], "Layers": ["l/layer.tar"] });
        list_text(Value::from(vec![image("acme/a:1"), image("acme/b:1")]).to_string())
    };
    vec![
        named("the image that is asked for", DOCKER, Passes, "acme/hostile:1", sound),
        named("an image that is not there", DOCKER, MISSING, "acme/other:1", sound),
        named("an image of a name that steers terminals", DOCKER, MISSING, "a\u{1b}[2J\u{202e}", sound),
        named("one of two images", DOCKER, Passes, "acme/b:1", twice),
        named("a tag that is not there", OCI, MISSING, "v9", layout),
        named("a tag that climbs out", OCI, MISSING, "../../etc/passwd", layout),
        Case::picture("a docker-archive of a layout's parts", Form::DockerArchive, Passes, || Parts::of(&[tar()], Packing::Plain).picture()),
    ]
}

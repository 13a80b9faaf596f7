//! Layers whose tar is wrong, odd or excessive; each in three packings and three forms of image.

use crate::common::images::{Packing, github_token};
use crate::common::raw_tar::{BLOCK, Header, end, entry, file, pax, record, with_data};
use crate::hostile::case::Case;
use crate::hostile::case::Expected::{self, Denied, Noted, Passes, Unreadable};
use crate::hostile::picture::{Form, Parts};

const TOKEN: Expected = Denied("github-personal-token");
const TRUNCATED: Expected = Unreadable("truncated");
const NUMBER: Expected = Unreadable("size is no number");
const RECORD: Expected = Unreadable("record of an extended header is broken");

type Tars = Vec<Vec<u8>>;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let rows = [plain(), names(), kinds(), numbers(), extended(), sparse(), beside(), whiteouts(), excessive()].concat();
    for (name, expected, make) in rows {
        let ways = [(Packing::Gzip, Form::Layout), (Packing::Zstd, Form::OciArchive), (Packing::Plain, Form::DockerArchive)];
        for (packing, form) in ways {
            cases.push(Case::picture(&format!("{name}, {packing:?}"), form, expected, move || Parts::of(&make(), packing).picture()));
        }
    }
    cases
}

type Row = (&'static str, Expected, fn() -> Tars);

fn token() -> String {
    github_token(90)
}

fn one(parts: &[Vec<u8>]) -> Tars {
    vec![[parts.concat(), end()].concat()]
}

fn cut(tar: &Tars, length: usize) -> Tars {
    vec![tar[0][..length].to_vec()]
}

fn plain() -> Vec<Row> {
    vec![
        ("no byte at all", Passes, || vec![Vec::new()]),
        ("nothing but the end", Passes, || vec![end()]),
        ("no end", Passes, || vec![file("a", "1")]),
        ("one zero block at the end", Passes, || vec![[file("a", "1"), vec![0; BLOCK]].concat()]),
        ("eight MiB of zeros after the end", Passes, || vec![[file("a", "1"), vec![0; 8 << 20]].concat()]),
        ("a lone zero block in between", Unreadable("one zero block instead of two"), || one(&[file("a", "1"), vec![0; BLOCK], file("b", "2")])),
        ("no tar but text", Unreadable("malformed"), || vec![b"Not a tar archive, in no way whatsoever. ".repeat(40)]),
        ("no tar but a few bytes", TRUNCATED, || vec![b"tar".to_vec()]),
        ("no tar but random bytes", Unreadable("checksum"), || vec![crate::common::numbers::Numbers(7).bytes(4096)]),
        ("a wrong checksum", Unreadable("checksum"), || {
            one(&[Header::new("a", b'0').seal().iter().map(|byte| byte ^ u8::from(*byte == b'a')).collect()])
        }),
        ("a blank checksum", Unreadable("checksum"), || one(&[Header::new("a", b'0').raw()])),
        ("a checksum with letters", Unreadable("checksum"), || one(&[Header::new("a", b'0').field(148, b"12x456\0 ").raw()])),
        ("a signed checksum", Passes, || one(&[Header::new(b"caf\xe9", b'0').seal_signed()])),
        ("cut in a header", TRUNCATED, || cut(&one(&[file("a", "1")]), 100)),
        ("cut in the data", TRUNCATED, || cut(&one(&[file("a", [b'1'; 2000])]), 1500)),
        ("cut in the padding", TRUNCATED, || cut(&one(&[file("a", "1")]), 600)),
        ("cut in an extended header", TRUNCATED, || cut(&one(&[pax(&[("path", "abc")]), file("a", "1")]), 520)),
        ("cut after an extended header", Unreadable("ends after an extended header"), || vec![pax(&[("path", "abc")])]),
        ("cut before the second zero block ends", Unreadable("one zero block instead of two"), || vec![[file("a", "1"), vec![0; 700]].concat()]),
    ]
}

fn names() -> Vec<Row> {
    vec![
        ("an absolute name", Passes, || one(&[file("/etc/passwd", "x")])),
        ("a name that climbs out", Noted("`..`"), || one(&[file("../../etc/cron.d/x", "x")])),
        ("a name that climbs in between", Noted("`..`"), || one(&[file("a/../../b", "x")])),
        ("a name of dots and slashes", Passes, || one(&[entry("./././/.//", b'5', b"")])),
        ("an empty name", Passes, || one(&[file("", "x")])),
        ("a name that is no UTF-8", Passes, || one(&[file(b"\xff\xfe\x80name", "x")])),
        ("a name with a zero byte", Passes, || one(&[file(b"name\0hidden", "x")])),
        ("a secret under a name that is no UTF-8", TOKEN, || one(&[file(b"\xff\xfe\x80name", token())])),
        ("a secret under a name with line breaks", TOKEN, || one(&[file("a\n::error file=x::owned\r\nb", token())])),
        ("a secret under a name that steers terminals", TOKEN, || one(&[file("a\x1b[2J\x1b]0;owned\x07\u{9b}31mb", token())])),
        ("a secret under a name that turns text around", TOKEN, || one(&[file("a\u{202e}gpj.exe\u{2066}\u{200f}\u{feff}", token())])),
        ("a secret under a name with workflow commands", TOKEN, || one(&[file("::set-output name=x::%0A::add-mask::y", token())])),
        ("a secret under a name with markup", TOKEN, || one(&[file("<script>|`[x](javascript:y)", token())])),
        ("names that differ in case alone", Passes, || one(&[file("A", "1"), file("a", "2")])),
        ("one name three times", Passes, || one(&[file("a", "1"), file("a", "2"), file("./a", "3")])),
        ("a secret in a version of a file that is overwritten", TOKEN, || one(&[file("a", token()), file("a", "2")])),
        ("a path five thousand folders deep", Passes, || one(&[pax(&[("path", &("d/".repeat(5000) + "file"))]), file("x", "1")])),
        ("a name of 64 KiB", Passes, || one(&[pax(&[("path", &"n".repeat(65_536))]), file("x", "1")])),
        ("a name longer than 64 KiB", Unreadable("bytes for a name"), || one(&[pax(&[("path", &"n".repeat(65_537))]), file("x", "1")])),
        ("a name of a megabyte", Unreadable("bytes for a name"), || one(&[pax(&[("path", &"n".repeat(1_000_000))]), file("x", "1")])),
        ("a link target of a megabyte", Unreadable("bytes for a name"), || {
            one(&[pax(&[("linkpath", &"n".repeat(1_000_000))]), entry("x", b'2', b"")])
        }),
        ("a GNU name of 65,000 bytes", Passes, || one(&[entry("././@LongLink", b'L', &[b'n'; 65_000]), file("x", "1")])),
        ("a GNU name of a megabyte", Unreadable("bytes for a name"), || one(&[entry("././@LongLink", b'L', &[b'n'; 1_000_000]), file("x", "1")])),
        ("an empty GNU name", Passes, || one(&[entry("././@LongLink", b'L', b"\0"), file("x", "1")])),
        ("a GNU name at the end", Unreadable("ends after an extended header"), || one(&[entry("././@LongLink", b'L', b"abc\0")])),
        ("a prefix and a name", Passes, || one(&[Header::new("end", b'0').field(345, b"begin/middle").seal()])),
        ("a prefix that climbs out", Noted("`..`"), || one(&[Header::new("end", b'0').field(345, b"../../begin").seal()])),
    ]
}

fn kinds() -> Vec<Row> {
    vec![
        ("a hard link out of the root", Passes, || one(&[Header::new("x", b'1').link("../../etc/shadow").seal()])),
        ("a hard link to a later entry", Passes, || one(&[Header::new("x", b'1').link("later").seal(), file("later", "1")])),
        ("a hard link to itself", Passes, || one(&[Header::new("x", b'1').link("x").seal()])),
        ("a hard link that claims data", Noted("no file claims to have data"), || {
            one(&[Header::new("x", b'1').link("a").size(10).seal(), file("a", "1")])
        }),
        ("a symlink out of the root", Passes, || one(&[Header::new("etc", b'2').link("../../../etc").seal(), file("etc/passwd", "x")])),
        ("a symlink to itself", Passes, || one(&[Header::new("x", b'2').link("x").seal(), file("x/x/x", "1")])),
        ("symlinks in a circle", Passes, || {
            one(&[Header::new("a", b'2').link("b").seal(), Header::new("b", b'2').link("a").seal(), file("a/c", "1")])
        }),
        ("a chain of forty symlinks", Passes, || {
            one(&(0..40).map(|number| Header::new(format!("l{number}"), b'2').link(format!("l{}", number + 1)).seal()).collect::<Vec<_>>())
        }),
        ("a symlink of no target", Passes, || one(&[Header::new("x", b'2').seal()])),
        ("a symlink with data", Unreadable("no file claims to have data"), || {
            one(&[with_data(Header::new("x", b'2').link("a").size(512).seal(), &file("y", ""))])
        }),
        ("a folder with data", Unreadable("no file claims to have data"), || {
            one(&[with_data(Header::new("x/", b'5').size(512).seal(), &file("y", ""))])
        }),
        ("a device with data", Unreadable("no file claims to have data"), || {
            one(&[with_data(Header::new("x", b'3').size(512).seal(), &file("y", ""))])
        }),
        ("a fifo with data", Unreadable("no file claims to have data"), || {
            one(&[with_data(Header::new("x", b'6').size(512).seal(), &file("y", ""))])
        }),
        ("a folder of version 7 with data", Unreadable("no file claims to have data"), || {
            one(&[with_data(Header::new("x/", 0).field(257, &[0; 8]).size(512).seal(), &file("y", ""))])
        }),
        ("character and block devices", Passes, || one(&[Header::new("dev/sda", b'4').seal(), Header::new("dev/mem", b'3').seal()])),
        ("a fifo in the place of /etc/passwd", Passes, || one(&[Header::new("etc/passwd", b'6').seal()])),
        ("a file that sets the user", Passes, || one(&[Header::new("su", b'0').field(100, b"0006755\0").seal()])),
        ("a mode beyond all bits", Passes, || one(&[Header::new("x", b'0').field(100, b"77777777").seal()])),
        ("a mode that is no number", Passes, || one(&[Header::new("x", b'0').field(100, b"rwxr-xr-").seal()])),
        ("owners beyond 32 bits", Passes, || one(&[Header::new("x", b'0').field(108, &[0x80, 0, 0, 1, 0, 0, 0, 0]).field(116, &[0xff; 8]).seal()])),
        ("a time before 1970", Passes, || one(&[Header::new("x", b'0').field(136, &[0xff; 12]).seal()])),
        ("a time beyond all clocks", Passes, || {
            one(&[Header::new("x", b'0').field(136, &[0x80, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).seal()])
        }),
        ("a contiguous file", Passes, || one(&[entry("x", b'7', b"12")])),
        ("a type that nobody knows", Noted("entries of type"), || one(&[entry("x", b'Z', b"12")])),
        ("a secret in an entry of a type that nobody knows", TOKEN, || one(&[entry("x", b'Z', token().as_bytes())])),
        ("a Solaris extended header", Unreadable("readers disagree"), || one(&[entry("x", b'X', &record("path", "other")), file("y", "1")])),
        ("a volume label", Unreadable("readers disagree"), || one(&[entry("label", b'V', b""), file("y", "1")])),
        ("a file continued from another volume", Unreadable("readers disagree"), || one(&[entry("x", b'M', b"rest"), file("y", "1")])),
        ("a GNU folder listing", Unreadable("readers disagree"), || one(&[entry("x/", b'D', b"Yfile\0\0"), file("y", "1")])),
    ]
}

fn numbers() -> Vec<Row> {
    vec![
        ("a size of 2^63 + 5", NUMBER, || one(&[Header::new("x", b'0').field(124, &[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 5]).seal()])),
        ("a size of all bits", NUMBER, || one(&[Header::new("x", b'0').field(124, &[0xff; 12]).seal()])),
        ("a size below zero in base 256", NUMBER, || {
            one(&[Header::new("x", b'0').field(124, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0]).seal()])
        }),
        ("a size below zero in digits", NUMBER, || one(&[Header::new("x", b'0').field(124, b"-0000000010\0").seal()])),
        ("a size with letters", NUMBER, || one(&[Header::new("x", b'0').field(124, b"0000000001x\0").seal()])),
        ("a size in hexadecimal", NUMBER, || one(&[Header::new("x", b'0').field(124, b"0x00000010\0\0").seal()])),
        ("a size of eight and nine", NUMBER, || one(&[Header::new("x", b'0').field(124, b"00000000089\0").seal()])),
        ("a size in base 256", Passes, || {
            one(&[with_data(Header::new("x", b'0').field(124, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]).seal(), b"abc")])
        }),
        ("a size of twelve digits", Passes, || one(&[with_data(Header::new("x", b'0').field(124, b"000000000003").seal(), b"abc")])),
        ("a size with blanks before it", Passes, || one(&[with_data(Header::new("x", b'0').field(124, b"          3 ").seal(), b"abc")])),
        ("a blank size", Passes, || one(&[Header::new("x", b'0').field(124, &[b' '; 12]).seal()])),
        ("a size of zero bytes", Passes, || one(&[Header::new("x", b'0').field(124, &[0; 12]).seal()])),
        ("a size with digits after its end", Passes, || one(&[with_data(Header::new("x", b'0').field(124, b"3\0 000000777").seal(), b"abc")])),
        ("eight GiB that are not there", TRUNCATED, || one(&[Header::new("x", b'0').field(124, b"77777777777\0").seal()])),
        ("eight EiB that are not there", TRUNCATED, || {
            one(&[Header::new("x", b'0').field(124, &[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).seal()])
        }),
        ("an extended size below zero", Unreadable("below zero"), || one(&[pax(&[("size", "-1")]), file("x", "1")])),
        ("an extended size beyond 64 bits", Unreadable("number in an extended header"), || {
            one(&[pax(&[("size", "99999999999999999999")]), file("x", "1")])
        }),
        ("an extended size of letters", Unreadable("number in an extended header"), || one(&[pax(&[("size", "0x10")]), file("x", "1")])),
        ("an extended size with a plus", Unreadable("number in an extended header"), || one(&[pax(&[("size", "+1")]), file("x", "1")])),
        ("an extended size with a fraction", Unreadable("number in an extended header"), || one(&[pax(&[("size", "1.5")]), file("x", "1")])),
        ("an extended size with a blank", Unreadable("number in an extended header"), || one(&[pax(&[("size", " 1")]), file("x", "1")])),
        ("an extended size above the header's own", Passes, || {
            one(&[pax(&[("size", "512")]), with_data(Header::new("x", b'0').size(0).seal(), &file("smuggled", ""))])
        }),
        ("an extended size below the header's own", Passes, || {
            one(&[pax(&[("size", "0")]), Header::new("x", b'0').size(512).seal(), file("seen", "")])
        }),
        ("a secret in a header that an extended size hides", TOKEN, || {
            one(&[pax(&[("size", "1024")]), with_data(Header::new("x", b'0').size(0).seal(), &file("smuggled", token()))])
        }),
        ("an empty extended size", Unreadable("value in an extended header is empty"), || one(&[pax(&[("size", "")]), file("x", "1")])),
        ("an extended size for a folder", Unreadable("no file claims to have data"), || {
            one(&[pax(&[("size", "512")]), with_data(entry("x/", b'5', b""), &file("y", ""))])
        }),
    ]
}

fn extended() -> Vec<Row> {
    vec![
        ("two extended headers", Unreadable("two extended headers"), || one(&[pax(&[("path", "a")]), pax(&[("path", "a")]), file("x", "1")])),
        ("an extended header for an extended header", Unreadable("extended header"), || {
            one(&[pax(&[("size", "1024")]), pax(&[("path", "a")]), file("x", "1")])
        }),
        ("one record twice", Passes, || one(&[pax(&[("path", "a"), ("path", "b")]), file("x", "1")])),
        ("two sizes in one header", Passes, || one(&[pax(&[("size", "512"), ("size", "1")]), file("x", "1")])),
        ("an extended and a GNU name that differ", Unreadable("name one entry differently"), || {
            one(&[entry("././@LongLink", b'L', b"one\0"), pax(&[("path", "two")]), file("x", "1")])
        }),
        ("an extended and a GNU name that agree", Passes, || one(&[entry("././@LongLink", b'L', b"one\0"), pax(&[("path", "one")]), file("x", "1")])),
        ("two GNU names that differ", Unreadable("name one entry differently"), || {
            one(&[entry("././@LongLink", b'L', b"one\0"), entry("././@LongLink", b'L', b"two\0"), file("x", "1")])
        }),
        ("two GNU targets that differ", Unreadable("name one entry differently"), || {
            one(&[entry("././@LongLink", b'K', b"one\0"), entry("././@LongLink", b'K', b"two\0"), entry("x", b'2', b"")])
        }),
        ("a zero byte in an extended name", Unreadable("zero byte"), || one(&[pax(&[("path", "a\0b")]), file("x", "1")])),
        ("a zero byte in an extended target", Unreadable("zero byte"), || one(&[pax(&[("linkpath", "a\0b")]), entry("x", b'2', b"")])),
        ("a record that is longer than its header", RECORD, || one(&[entry("p", b'x', b"99 path=a\n"), file("x", "1")])),
        ("a record without its line break", RECORD, || one(&[entry("p", b'x', b"9 path=ab"), file("x", "1")])),
        ("a record without a length", RECORD, || one(&[entry("p", b'x', b"path=a\n"), file("x", "1")])),
        ("a record of length zero", RECORD, || one(&[entry("p", b'x', b"0 path=a\n"), file("x", "1")])),
        ("a record of a length beyond 64 bits", RECORD, || one(&[entry("p", b'x', b"99999999999999999999999 path=a\n"), file("x", "1")])),
        ("a record of a length below zero", RECORD, || one(&[entry("p", b'x', b"-9 path=a\n"), file("x", "1")])),
        ("a record of a length with a plus", RECORD, || one(&[entry("p", b'x', b"+10 path=a\n"), file("x", "1")])),
        ("a record without an equals sign", RECORD, || one(&[entry("p", b'x', b"8 patha\n"), file("x", "1")])),
        ("a record without a key", RECORD, || one(&[entry("p", b'x', b"6 =ab\n"), file("x", "1")])),
        ("an extended header of zeros", RECORD, || one(&[entry("p", b'x', &[0; 100]), file("x", "1")])),
        ("an empty extended header", Passes, || one(&[entry("p", b'x', b""), file("x", "1")])),
        ("an extended header that claims a GiB", Unreadable("bytes for an extended header"), || one(&[Header::new("p", b'x').size(1 << 30).seal()])),
        ("a GNU name that claims a GiB", Unreadable("bytes for an extended header"), || one(&[Header::new("p", b'L').size(1 << 30).seal()])),
        ("a GNU target that claims a GiB", Unreadable("bytes for an extended header"), || one(&[Header::new("p", b'K').size(1 << 30).seal()])),
        ("a global header that claims a GiB", Unreadable("bytes for an extended header"), || one(&[Header::new("p", b'g').size(1 << 30).seal()])),
        ("a GNU name of eight MiB", Unreadable("bytes for an extended header"), || one(&[entry("p", b'L', &vec![b'n'; 8 << 20]), file("x", "1")])),
        ("an attribute of nearly a MiB", Passes, || one(&[pax(&[("SCHILY.xattr.user.x", &"v".repeat(1_000_000))]), file("x", "1")])),
        ("sixty-four headers of a MiB before one entry", Unreadable("bytes beside its entries"), || {
            one(&[entry("g", b'g', &record("comment", "v".repeat(1_000_000))).repeat(70), file("x", "1")])
        }),
        ("a global header with a remark", Passes, || one(&[entry("g", b'g', &record("comment", "built by nobody")), file("x", "1")])),
        ("a global header with a name", Unreadable("global header sets"), || one(&[entry("g", b'g', &record("path", "all")), file("x", "1")])),
        ("a global header with a size", Unreadable("global header sets"), || one(&[entry("g", b'g', &record("size", "0")), file("x", "1")])),
        ("a global header with a target", Unreadable("global header sets"), || {
            one(&[entry("g", b'g', &record("linkpath", "all")), entry("x", b'2', b"")])
        }),
        ("a global header with a sparse map", Unreadable("global header sets"), || {
            one(&[entry("g", b'g', &record("GNU.sparse.major", "1")), file("x", "1")])
        }),
        ("a broken global header", Unreadable("record of a global header"), || one(&[entry("g", b'g', b"99 comment=x\n"), file("x", "1")])),
        ("a hundred thousand records", Passes, || one(&[entry("p", b'x', &record("a", "b").repeat(100_000)), file("x", "1")])),
    ]
}

fn sparse() -> Vec<Row> {
    /// An old GNU sparse header with one piece.
    fn old(more: bool, real: &[u8]) -> Header {
        let header = Header::new("old", b'S').field(257, b"ustar  \0").field(386, b"00000000000\0").field(398, b"00000000003\0").size(3);
        header.field(482, &[u8::from(more)]).field(483, real)
    }
    fn new(map: &[u8], data: &[u8]) -> Vec<u8> {
        let mut body = map.to_vec();
        body.resize(body.len().next_multiple_of(BLOCK), 0);
        body.extend(data);
        let header =
            pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "new"), ("GNU.sparse.realsize", "1099511627776")]);
        [header, file("GNUSparseFile.0/new", body)].concat()
    }
    fn more(first: u8, again: u8) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..24].copy_from_slice(b"00000010000\x0000000000000\0");
        block[0] = first;
        block[504] = again;
        block
    }
    vec![
        ("an old sparse file of a TiB", Passes, || one(&[with_data(old(false, &[0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]).seal(), b"abc")])),
        ("an old sparse file with more of its map", Passes, || {
            one(&[old(true, b"00000020000\0").seal(), more(b'0', 0), with_data(Vec::new(), b"abc")])
        }),
        ("an old sparse map without end", Unreadable("pieces of a sparse file"), || {
            one(&[old(true, b"00000020000\0").seal(), more(b'0', 1).repeat(70_000)])
        }),
        ("an old sparse map of empty blocks", Unreadable("pieces of a sparse file"), || {
            one(&[old(true, b"00000020000\0").seal(), more(0, 1), more(0, 1)])
        }),
        ("an old sparse map that is cut", TRUNCATED, || vec![[old(true, b"00000020000\0").seal(), vec![b'0'; 100]].concat()]),
        ("a new sparse file of a TiB", Passes, || one(&[new(b"1\n1099511627770\n3\n", b"abc")])),
        ("a new sparse file that is all hole", Passes, || one(&[new(b"1\n1099511627776\n0\n", b"")])),
        ("a new sparse map of ten million pieces", Unreadable("pieces of a sparse file"), || one(&[new(b"10000000\n", b"")])),
        ("a new sparse map of a count beyond 64 bits", Unreadable("sparse map is broken"), || one(&[new(b"99999999999999999999999\n", b"")])),
        ("a new sparse map with letters", Unreadable("sparse map is broken"), || one(&[new(b"1\nx\n3\n", b"")])),
        ("a new sparse map with a number below zero", Unreadable("sparse map is broken"), || one(&[new(b"1\n-1\n3\n", b"")])),
        ("a new sparse map that is longer than its file", Unreadable("sparse map"), || one(&[new(b"5\n1\n", b"")])),
        ("a new sparse file without a map", Unreadable("sparse map"), || one(&[pax(&[("GNU.sparse.major", "1")]), file("x", "")])),
        ("a secret in a sparse file", TOKEN, || one(&[new(b"1\n0\n40\n", token().as_bytes())])),
        ("a secret behind a sparse map", TOKEN, || one(&[new(format!("1\n0\n3\n\0{}", token()).as_bytes(), b"abc")])),
        ("sparse format 0.0", Passes, || {
            let pieces = [("GNU.sparse.size", "1000000"), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.offset", "0"), ("GNU.sparse.numbytes", "3")];
            one(&[pax(&pieces), file("x", "abc")])
        }),
        ("sparse format 0.1", Passes, || {
            one(&[
                pax(&[("GNU.sparse.size", "1000000"), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", "0,3"), ("GNU.sparse.name", "y")]),
                file("x", "abc"),
            ])
        }),
        ("sparse format 0.1 with a hundred thousand pieces", Unreadable("pieces of a sparse file"), || {
            one(&[pax(&[("GNU.sparse.size", "1000000"), ("GNU.sparse.map", &"0,1,".repeat(100_000))]), file("x", "abc")])
        }),
        ("sparse format 0.0 with seventy thousand pieces", Unreadable("bytes for an extended header"), || {
            let pieces = [record("GNU.sparse.offset", "0"), record("GNU.sparse.numbytes", "1")].concat();
            one(&[entry("p", b'x', &pieces.repeat(70_000)), file("x", "abc")])
        }),
    ]
}

fn beside() -> Vec<Row> {
    vec![
        ("junk after the end", Noted("after the end of the archive"), || vec![[file("a", "1"), end(), b"junk".to_vec()].concat()]),
        ("a secret after the end", TOKEN, || vec![[file("a", "1"), end(), token().into_bytes()].concat()]),
        ("a second archive after the end", TOKEN, || vec![[file("a", "1"), end(), file("b", token()), end()].concat()]),
        ("bytes in the padding", Noted("in the padding"), || {
            let mut tar = file("a", "1");
            tar[BLOCK + 300] = b'!';
            one(&[tar])
        }),
        ("a secret in the padding", TOKEN, || {
            let mut tar = file("a", "1");
            tar[BLOCK + 300..BLOCK + 340].copy_from_slice(token().as_bytes());
            one(&[tar])
        }),
        ("a secret in an extended header", TOKEN, || one(&[pax(&[("comment", &token())]), file("a", "1")])),
        ("a secret in an attribute", TOKEN, || one(&[pax(&[("SCHILY.xattr.user.key", &token())]), file("a", "1")])),
        ("a secret in a global header", TOKEN, || one(&[entry("g", b'g', &record("comment", token())), file("a", "1")])),
        ("a secret that spans a block", TOKEN, || one(&[file("a", format!("{}{}\n", "\n".repeat(490), token()))])),
        ("a secret behind a MiB of zeros", TOKEN, || one(&[file("a", [vec![0; 1 << 20], token().into_bytes()].concat())])),
        ("ten thousand secrets", TOKEN, || {
            one(&[file("a", (0..10_000).map(|number| format!("{}\n", crate::hostile::token_number(number))).collect::<String>())])
        }),
        ("a line of eight MiB", Passes, || one(&[file("a", vec![b'a'; 8 << 20])])),
        ("a MiB of the start of a private key", Passes, || one(&[file("a", ["-----BEGIN ", "PRIVATE ", "KEY-----\n"].concat().repeat(35_000))])),
        ("a MiB of quotes and equals signs", Passes, || one(&[file("a", "password=\"".repeat(100_000))])),
    ]
}

fn whiteouts() -> Vec<Row> {
    fn over(name: &str) -> Tars {
        vec![[file("d/a", "1"), end()].concat(), [file(name, ""), end()].concat()]
    }
    vec![
        ("a whiteout", Passes, || over("d/.wh.a")),
        ("a whiteout of nothing", Passes, || over("d/.wh.other")),
        ("a whiteout of the root's name", Passes, || over(".wh.")),
        ("a whiteout of a dot", Passes, || over(".wh..")),
        ("a whiteout of the parent", Passes, || over("d/.wh...")),
        ("a whiteout of a whiteout", Passes, || over("d/.wh..wh.a")),
        ("an opaque folder", Passes, || over("d/.wh..wh..opq")),
        ("an opaque root", Passes, || over(".wh..wh..opq")),
        ("an opaque mark twice", Passes, || over("d/.wh..wh..opq/.wh..wh..opq")),
        ("a whiteout that is a folder", Passes, || {
            vec![[file("d/a", "1"), end()].concat(), [entry(".wh.d/", b'5', b""), file(".wh.d/x", "1"), end()].concat()]
        }),
        ("a whiteout that is a symlink", Passes, || {
            vec![[file("d/a", "1"), end()].concat(), [Header::new("d/.wh.a", b'2').link("/").seal(), end()].concat()]
        }),
        ("a whiteout that is a device, as overlayfs has it", Passes, || {
            vec![[file("d/a", "1"), end()].concat(), [Header::new("d/a", b'3').seal(), end()].concat()]
        }),
        ("a whiteout and the path itself", Passes, || vec![[file("a", "1"), end()].concat(), [file(".wh.a", ""), file("a", "2"), end()].concat()]),
        ("the path itself and its whiteout", Passes, || vec![[file("a", "1"), end()].concat(), [file("a", "2"), file(".wh.a", ""), end()].concat()]),
        ("a whiteout of a folder whose file stays", Passes, || {
            vec![[file("d/a", "1"), end()].concat(), [file(".wh.d", ""), file("d/b", "2"), end()].concat()]
        }),
        ("a secret that a whiteout deletes", TOKEN, || vec![[file("d/a", token()), end()].concat(), [file("d/.wh.a", ""), end()].concat()]),
        ("a secret that an opaque folder deletes", TOKEN, || {
            vec![[file("d/a", token()), end()].concat(), [file("d/.wh..wh..opq", ""), end()].concat()]
        }),
        ("a secret in a whiteout", TOKEN, || vec![[file("d/a", "1"), end()].concat(), [file("d/.wh.a", token()), end()].concat()]),
        ("a secret below a file that was a folder", TOKEN, || vec![[file("d/a", token()), end()].concat(), [file("d", "1"), end()].concat()]),
    ]
}

fn excessive() -> Vec<Row> {
    vec![
        ("ten thousand entries", Passes, || one(&(0..10_000).map(|number| file(format!("f{number}"), "")).collect::<Vec<_>>())),
        ("four hundred names of 60 KiB", Passes, || {
            one(&(0..400).map(|number| [pax(&[("path", &format!("{}{number}", "n".repeat(60_000)))]), file("x", "")].concat()).collect::<Vec<_>>())
        }),
        ("twenty thousand times one entry", Passes, || one(&[file("f", "").repeat(20_000)])),
    ]
}

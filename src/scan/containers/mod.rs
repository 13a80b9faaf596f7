//! Every kind of file that is looked into, known by its first bytes and never by its name.

pub mod bzip2;
pub mod contract;
pub mod cpio;
pub mod deb;
pub mod git_pack;
pub mod gzip;
pub mod java_class;
pub mod lz4;
pub mod python_bytecode;
pub mod rpm;
pub mod sqlite;
pub mod tar;
pub mod unread;
pub mod xz;
pub mod zip;
pub mod zlib;
pub mod zstd;

use crate::scan::containers::contract::Container;

/// Every format. No two begin alike.
pub static CONTAINERS: [&dyn Container; 16] = [
    &gzip::Gzip,
    &zip::Zip,
    &tar::Tar,
    &zlib::Zlib,
    &python_bytecode::PythonBytecode,
    &java_class::JavaClass,
    &zstd::Zstd,
    &xz::Xz,
    &bzip2::Bzip2,
    &lz4::Lz4,
    &sqlite::Sqlite,
    &git_pack::GitPack,
    &deb::Deb,
    &rpm::Rpm,
    &cpio::Cpio,
    &unread::Unread,
];

/// The format of a file that begins with these bytes.
#[must_use]
pub fn recognise(start: &[u8]) -> Option<&'static dyn Container> {
    CONTAINERS.into_iter().find(|container| container.is_start(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_files_are_no_containers() {
        for start in [&b""[..], b"#!/bin/sh\n", b"\x7fELF\x02\x01\x01", b"{\"a\":1}", b"PK", b"BZhello", b"x = 1\n", b"PACKAGE=1", b"\x89PNG\r\n"] {
            assert!(recognise(start).is_none(), "{}", start.escape_ascii());
        }
        assert!(recognise(&[0; 512]).is_none());
        assert!(recognise(&[b'1'; 512]).is_none());
    }
}

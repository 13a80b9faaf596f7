//! A hostile image by name, how it is made, and what has to become of it.

use std::path::Path;

use crate::hostile::picture::{Form, Picture, write_archive};

/// What the program has to do with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Exit 0, nothing odd told.
    Passes,
    /// Exit 0, and the report tells an anomaly with these words.
    Noted(&'static str),
    /// Exit 0, and these words somewhere in the report.
    Told(&'static str),
    /// Exit 1: a finding, or something that could not be scanned, with these words somewhere in the report.
    Denied(&'static str),
    /// Exit 3, and these words in the message.
    Unreadable(&'static str),
}

type Write = Box<dyn Fn(&Path) -> String>;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) expected: Expected,
    /// Makes the image in a folder; gives the source to read it by.
    pub(crate) write: Write,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, expected: Expected, write: impl Fn(&Path) -> String + 'static) -> Self {
        Self { name: name.into(), expected, write: Box::new(write) }
    }

    /// A picture in one form.
    pub(crate) fn picture(name: &str, form: Form, expected: Expected, make: impl Fn() -> Picture + 'static) -> Self {
        Self::new(format!("{name} ({form:?})"), expected, move |folder| make().write(form, folder))
    }

    /// The bytes of an archive.
    pub(crate) fn archive(name: &str, transport: &'static str, expected: Expected, make: impl Fn() -> Vec<u8> + 'static) -> Self {
        Self::new(format!("{name} ({transport})"), expected, move |folder| write_archive(transport, folder, &make()))
    }
}

//! Java classes: the texts of the constant pool, of which each follows its length, so that the raw bytes run them together.
//!
//! Source: The Java Virtual Machine Specification, section 4.4.

use std::io;

use crate::scan::containers::contract::{Container, Members, Opened};
use crate::scan::gap::{Gap, GapKind};

pub struct JavaClass;

impl Container for JavaClass {
    fn name(&self) -> &'static str {
        "class"
    }

    /// Programs for macOS that hold several processors' code begin alike, with a small number in place of the version.
    fn is_start(&self, start: &[u8]) -> bool {
        matches!(start, [0xca, 0xfe, 0xba, 0xbe, _, _, 0, 45..=120, ..])
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        file.bytes.pass(8)?;
        let count = u16::from_be_bytes(file.bytes.array()?);
        // At most 65,535 texts of so many bytes; real ones are some hundred kilobytes. A text that grows takes up to twice its length.
        let most = members.memory() / 4;
        members.hold(2 * most)?;
        let most = usize::try_from(most).unwrap_or(0);
        let mut texts = Vec::new();
        let mut index = 1;
        while index < count {
            index += 1;
            let length = match file.bytes.array::<1>()?[0] {
                1 => {
                    let length = usize::from(u16::from_be_bytes(file.bytes.array()?));
                    if texts.len() + length > most {
                        return Err(Gap::new(GapKind::TooLarge, "class: its constants are too many").into_io());
                    }
                    texts.extend_from_slice(&file.bytes.vec(length)?);
                    texts.push(b'\n');
                    0
                }
                5 | 6 => {
                    // Eight bytes take two numbers.
                    index += 1;
                    8
                }
                3 | 4 | 9..=12 | 17 | 18 => 4,
                7 | 8 | 16 | 19 | 20 => 2,
                15 => 3,
                _ => return Err(Gap::new(GapKind::Damaged, "class: a constant is of an unknown kind").into_io()),
            };
            file.bytes.pass(length)?;
        }
        members.unpacked(b"constants", &mut &texts[..])
    }
}

//! Hostile images: whatever is in one, the program ends by itself, soon, in little memory, and says clearly what it thinks.
//!
//! All of them: `.ci/hostile`. Every ordinary run takes the cases made by hand and some hundred mutations.

mod archives;
mod case;
mod containers;
mod documents;
mod jail;
mod mutations;
mod nested;
mod packings;
mod picture;

use std::collections::BTreeSet;

pub(crate) use crate::hostile::mutations::damage;
pub(crate) use crate::hostile::nested::seeds as nested_seeds;

use honeycrate::oci::digest::Digest;

use crate::common::images::Packing;
use crate::hostile::case::Case;
use crate::hostile::jail::{Tally, scan_all};
use crate::hostile::picture::Parts;
pub(crate) use crate::hostile::picture::{Form, Picture};

/// Images of an ordinary run, and damaged ones of a whole one.
const SOME: usize = 1_000;
const ALL: u64 = 20_000;

fn by_hand() -> Vec<Case> {
    let cases: Vec<Case> =
        [archives::cases(), packings::cases(), documents::cases(), containers::cases(), nested::cases()].into_iter().flatten().collect();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert!(names.len() == cases.len() && cases.len() >= 500, "{} names of {} cases", names.len(), cases.len());
    cases
}

/// The parts of an image of one layer.
pub(crate) fn parts_of(tar: &[u8]) -> Parts {
    parts_of_all(&[tar.to_vec()])
}

/// The parts of an image of these layers.
pub(crate) fn parts_of_all(tars: &[Vec<u8>]) -> Parts {
    Parts::of(tars, Packing::Gzip)
}

/// A token with a valid checksum for each number, put together at run time.
pub(crate) fn token_number(number: u32) -> String {
    let body = Digest::of(&number.to_le_bytes()).hex()[..30].to_owned();
    let mut sum = crc32fast::hash(body.as_bytes());
    let mut check = [b'0'; 6];
    for place in check.iter_mut().rev() {
        *place = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(sum % 62) as usize];
        sum /= 62;
    }
    ["gh", "p_", &body, std::str::from_utf8(&check).expect("digits are ASCII")].concat()
}

#[expect(clippy::print_stdout, reason = "the tally is for people who ask for it")]
fn assert_sound(tally: &Tally, what: &str) {
    println!("{}", tally.line(what));
    assert!(tally.wrong.is_empty(), "{}\n{}", tally.line(what), tally.wrong.join("\n"));
}

/// Of what comes in several forms, every second.
#[test]
fn some_images_made_by_hand_end_as_they_should_and_damaged_ones_in_a_documented_way() {
    let cases: Vec<Case> = by_hand().into_iter().step_by(2).collect();
    let damaged = SOME.saturating_sub(cases.len()) as u64;
    assert_sound(&scan_all(&mut cases.into_iter(), true), "by hand");
    assert_sound(&scan_all(&mut (0..damaged).map(mutations::case), false), "damaged");
}

#[test]
#[ignore = "a thousand processes: `.ci/hostile` runs it"]
fn all_images_made_by_hand_end_as_they_should() {
    assert_sound(&scan_all(&mut by_hand().into_iter(), true), "by hand");
}

#[test]
#[ignore = "twenty thousand processes: `.ci/hostile` runs it"]
fn twenty_thousand_damaged_images_end_in_a_documented_way() {
    assert_sound(&scan_all(&mut (0..ALL).map(mutations::case), false), "damaged");
}

//! How letters follow each other: words and the names of programs are made of few pairs of letters, random texts of all.

/// For each letter, those that often follow it: of all pairs in 76,000 names of Python's and its packages' programs, nine of ten are one of these 220,
/// of random letters one of three.
const FOLLOWERS: [&str; 26] = [
    "bcdgilmnprstuvy",
    "aeijlou",
    "aehiklortu",
    "adefilos",
    "acdefgilmnopqrstvwxy",
    "aefilor",
    "aehilnrs",
    "aeiot",
    "abcdefglmnoprstvz",
    "",
    "ei",
    "adeilostuy",
    "abeiops",
    "acdefginostuv",
    "abcdgiklmnoprstuvw",
    "aehiloprtu",
    "u",
    "acdeiklmnorstuy",
    "acehiklopstu",
    "acefhilmoprstuy",
    "beilmnprst",
    "aei",
    "io",
    "et",
    "ps",
    "e",
];

/// [`FOLLOWERS`], a bit for each letter.
const FOLLOWS: [u32; 26] = {
    let mut table = [0; 26];
    let mut letter = 0;
    while letter < 26 {
        let followers = FOLLOWERS[letter].as_bytes();
        let mut at = 0;
        while at < followers.len() {
            table[letter] |= 1 << (followers[at] - b'a');
            at += 1;
        }
        letter += 1;
    }
    table
};

/// The least number of pairs that says something.
const ENOUGH: usize = 4;

/// Whether a text of twelve bytes or more reads as if chance had made it: most of its pairs of letters are no word's; with too few pairs for that,
/// it has small letters, capitals and digits.
///
/// Of random texts of 16 letters and digits nine of ten do; of names with capitals one in 130.
#[must_use]
pub fn is_random(text: &[u8]) -> bool {
    if text.len() < 12 || text.iter().any(u8::is_ascii_whitespace) {
        return false;
    }
    let place = |byte: u8| usize::from(byte.to_ascii_lowercase() - b'a');
    // A capital after a small letter begins a word: names have one now and then, random letters at every fourth place.
    let is_usual =
        |pair: &[u8]| !(pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()) && FOLLOWS[place(pair[0])] >> place(pair[1]) & 1 == 1;
    let pairs = text.windows(2).filter(|pair| pair.iter().all(u8::is_ascii_alphabetic));
    let (number, usual) = pairs.fold((0, 0), |(number, usual), pair| (number + 1, usual + usize::from(is_usual(pair))));
    if number >= ENOUGH {
        return usual * 2 < number;
    }
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sentences_are_told_from_what_chance_made() {
        for text in [
            "authorizationCodeFlow",
            "_SESSION_TOKEN_V2",
            "api_v1alpha1_Server",
            "process.env.TOKEN_2",
            "os.getenv(key)",
            "a[1]",
            "correcthorsebattery",
        ] {
            assert!(!is_random(text.as_bytes()), "{text}");
        }
        for text in ["qOHUaEpERnQfbYeB", "xq_7Kfz.vRw2pLkG", "Zp4(kW}q1xG;rT9v", "9f-Kx_2qWz7bVd3j", "T4[9q]0,8R{7}1;a", "Q_LtRIKDLQEeKE68"] {
            assert!(is_random(text.as_bytes()), "{text}");
        }
    }
}

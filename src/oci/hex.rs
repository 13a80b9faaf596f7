//! Bytes as hexadecimal digits.

/// Two lower-case digits for each byte.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// Whether a text is what [`encode`] makes, of whatever length.
#[must_use]
pub fn is_encoded(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_two_lower_case_digits_each() {
        assert_eq!(encode(&[0, 1, 0x9a, 0xff]), "00019aff");
        assert_eq!(encode(&[]), "");
        assert!(is_encoded("00019aff") && is_encoded(""));
        assert!(!is_encoded("00019AFF") && !is_encoded("0x12") && !is_encoded("1g"));
    }
}

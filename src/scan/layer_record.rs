//! A scanned layer as bytes, and back: what a process that reads layers sends, and what a cache keeps.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::image::layer_style::LayerStyle;
use crate::image::limits::Limits;
use crate::image::listing_record::{ListingError, read_listing, write_listing};
use crate::scan::blob_scan::{LayerScan, Seen};

/// Raised with every change of the form.
const VERSION: u8 = 6;

/// Why bytes are no scanned layer.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the record of a scanned layer is of another version")]
    Version,
    #[error("the record of a scanned layer is damaged: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error("the record of a scanned layer ends too early")]
    Short,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    seen: Seen,
    files: u64,
    bytes: u64,
    anomalies: Vec<String>,
    style: LayerStyle,
}

/// A version, the length of a JSON head in four bytes, the head, the listing.
///
/// # Errors
/// When the head cannot be written: never in practice.
pub fn write_layer_scan(scan: &LayerScan) -> Result<Vec<u8>, RecordError> {
    let head = Head { seen: scan.seen.clone(), files: scan.files, bytes: scan.bytes, anomalies: scan.anomalies.clone(), style: scan.style.clone() };
    let head = serde_json::to_vec(&head)?;
    let mut out = vec![VERSION];
    out.extend_from_slice(&u32::try_from(head.len()).map_err(|_| RecordError::Short)?.to_le_bytes());
    out.extend_from_slice(&head);
    write_listing(&scan.listing, &mut out);
    Ok(out)
}

/// Reads what [`write_layer_scan`] wrote. Whether the layer was read just now is not in the record, but known to whoever has it.
///
/// # Errors
/// When the bytes are of another version, damaged, or beyond the limits.
pub fn read_layer_scan(bytes: &[u8], limits: &Limits) -> Result<LayerScan, RecordError> {
    let (version, rest) = bytes.split_first().ok_or(RecordError::Short)?;
    if *version != VERSION {
        return Err(RecordError::Version);
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(RecordError::Short)?;
    let (head, listing) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(RecordError::Short)?;
    let Head { seen, files, bytes, anomalies, style } = serde_json::from_slice(head)?;
    Ok(LayerScan { listing: Arc::new(read_listing(listing, limits)?), style, seen, files, bytes, anomalies, was_read: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::entry::{Entry, EntryKind};
    use crate::image::listing_builder::ListingBuilder;
    use crate::scan::blob_scan::PlacedSighting;
    use crate::scan::finding::{Confidence, Severity};
    use crate::scan::nested_scan::Inside;
    use crate::scan::places::Sighting;
    use crate::secret::fingerprint::Fingerprint;

    fn scan() -> LayerScan {
        let mut builder = ListingBuilder::default();
        let entry = Entry { path: b"a".to_vec(), kind: EntryKind::File, size: 1, mode: 0o644, uid: 0, gid: 0, mtime: 3, link: Vec::new() };
        assert!(builder.push(&entry));
        let fingerprint = Fingerprint::of_finding("rule", b"value");
        let sighting = Sighting {
            rule: "rule".to_owned(),
            severity: Severity::High,
            confidence: Confidence::Low,
            fingerprint: fingerprint.clone(),
            redacted: "v***".to_owned(),
            line: 4,
            column: 5,
            proven_by: Some("pem".to_owned()),
            marked_by: Some("gitleaks:allow".to_owned()),
            until: Some(7),
        };
        let seen = Seen {
            sightings: vec![PlacedSighting { path: b"\xff/x".to_vec(), stray: true, inner: b"b!/c".to_vec(), sighting }],
            own_bait: [fingerprint].into(),
            overflow: true,
            inside: Inside { files: 11, bytes: 12 },
            more_gaps: 13,
        };
        LayerScan {
            listing: Arc::new(builder.finish()),
            style: LayerStyle::default(),
            seen,
            files: 9,
            bytes: 10,
            anomalies: vec!["odd".to_owned()],
            was_read: false,
        }
    }

    #[test]
    fn a_scanned_layer_comes_back_as_it_was() {
        let bytes = write_layer_scan(&scan()).expect("written");
        let back = read_layer_scan(&bytes, &Limits::default()).expect("read");
        assert_eq!((back.seen, back.files, back.bytes, back.anomalies), (scan().seen, 9, 10, scan().anomalies));
        assert_eq!(back.listing, scan().listing);
    }

    #[test]
    fn cut_or_foreign_bytes_are_refused() {
        let bytes = write_layer_scan(&scan()).expect("written");
        for length in 0..bytes.len() {
            assert!(read_layer_scan(&bytes[..length], &Limits::default()).is_err(), "cut at {length}");
        }
        let mut other = bytes;
        other[0] += 1;
        assert!(matches!(read_layer_scan(&other, &Limits::default()), Err(RecordError::Version)));
    }
}

//! The faces: the services that the decoy pretends to be, all on one port. The first that claims a request answers it.

pub mod contract;
mod forge;
mod kubernetes;
mod registry;
mod s3;
mod site;
mod vault;

use crate::decoy::faces::contract::Face;
use crate::decoy::request::RequestHead;

/// In the order in which they are asked; the last claims everything.
pub const FACES: [&dyn Face; 6] = [&s3::S3, &registry::Registry, &kubernetes::Kubernetes, &forge::Forge, &vault::Vault, &site::Site];

/// The face that answers `request`.
#[must_use]
pub fn face_for(request: &RequestHead) -> &'static dyn Face {
    FACES.into_iter().find(|face| face.claims(request)).unwrap_or(&site::Site)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_meets_its_own_face() {
        for (path, header, id) in [
            ("/v2/", ("", ""), "registry"),
            ("/token", ("", ""), "registry"),
            ("/v2/acme/shop/manifests/1", ("", ""), "registry"),
            ("/version", ("", ""), "kubernetes"),
            ("/api/v1/secrets", ("", ""), "kubernetes"),
            ("/api/v4/user", ("", ""), "forge"),
            ("/v1/auth/token/lookup-self", ("", ""), "vault"),
            ("/backup/2026/dump.gz", ("authorization", "AWS4-HMAC-SHA256 Credential=x/y"), "s3"),
            ("/acme/shop.git/info/refs", ("", ""), "site"),
            ("/simple/requests/", ("", ""), "site"),
            ("/-/whoami", ("", ""), "site"),
        ] {
            let headers = vec![(header.0.to_owned(), header.1.to_owned())];
            let request = RequestHead { path: path.to_owned(), headers, ..RequestHead::default() };
            assert_eq!(face_for(&request).id(), id, "{path}");
        }
    }

    #[test]
    fn ids_are_unique_and_nothing_says_what_we_are() {
        let mut ids: Vec<_> = FACES.iter().map(|face| face.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), FACES.len());
        for face in FACES {
            for known in [None, Some("00112233445566aa".parse().expect("16 digits"))] {
                let realm = contract::Realm { origin: "https://a.example.net", seed: &[0; 32], known: known.as_ref() };
                let request = RequestHead { path: "/v2/a/manifests/b".to_owned(), ..RequestHead::default() };
                let answer = face.answer(&request, &realm);
                let text = format!("{:?}{}", answer.headers, answer.body).to_lowercase();
                assert!(!text.contains("honey") && !text.contains("decoy"), "{}: {text}", face.id());
            }
        }
    }
}

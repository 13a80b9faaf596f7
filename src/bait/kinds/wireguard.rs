//! Access to a private network: the configuration of a WireGuard client.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Seen, Spot};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;

pub struct Wireguard;

impl BaitKind for Wireguard {
    fn id(&self) -> &'static str {
        "wireguard"
    }

    fn describe(&self) -> &'static str {
        "a private network, through WireGuard"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::File, Surface::Buried]
    }

    fn identifying(&self) -> &'static str {
        "private_key"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!(
            "[Interface]\nPrivateKey = {}\nAddress = {}\n\n[Peer]\nPublicKey = {}\nAllowedIPs = {}\nEndpoint = {}\nPersistentKeepalive = {}\n",
            fields.get("private_key"),
            fields.get("address"),
            fields.get("public_key"),
            fields.get("allowed"),
            fields.get("endpoint"),
            fields.get("keepalive"),
        )
    }

    fn syntax(&self) -> Syntax {
        Syntax::Comments
    }

    /// `/etc/wireguard` is read when a container may set up networks.
    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Side, "deploy/wg-ops.conf"), Spot(Area::App, "deploy/wg-ops.conf"), Spot(Area::Home, "wg-ops.conf.old")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &[]
    }

    /// Without its peer a key opens nothing, and the two are a file.
    fn variables(&self, _: &Fields<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn build_argument(&self) -> &'static str {
        "OPS_WG_KEY"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Ok("generic-api-key"),
            trufflehog: Err("has no rule for it"),
            kingfisher: Err("has no rule for it"),
            trivy: Err("has no rule for it"),
        }
    }
}

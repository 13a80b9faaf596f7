//! A service principal of a Microsoft Entra tenant, which signs in by a certificate.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Seen, Spot};
use crate::bait::surfaces::Surface;

pub struct AzureId;

impl BaitKind for AzureId {
    fn id(&self) -> &'static str {
        "azure-id"
    }

    fn describe(&self) -> &'static str {
        "an Azure tenant, as a service principal that deploys"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::File, Surface::Buried]
    }

    fn identifying(&self) -> &'static str {
        "private_key"
    }

    /// What stands before the first block of a PEM file is read by people alone.
    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!(
            "# az login --service-principal --username {} --tenant {} --certificate azure-deploy.pem\n{}\n{}\n",
            fields.get("app_id"),
            fields.get("tenant_id"),
            fields.get("private_key"),
            fields.get("certificate"),
        )
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::App, "deploy/azure-deploy.pem"), Spot(Area::Side, "deploy/azure-deploy.pem"), Spot(Area::Home, "azure-deploy.pem.old")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &[]
    }

    /// A certificate is a file.
    fn variables(&self, _: &Fields<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn build_argument(&self) -> &'static str {
        "AZURE_DEPLOY_PEM"
    }

    fn seen_by(&self) -> Seen {
        Seen { gitleaks: Ok("private-key"), trufflehog: Ok("PrivateKey"), kingfisher: Ok("betterleaks.private-key"), trivy: Ok("private-key") }
    }
}

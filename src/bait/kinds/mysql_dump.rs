//! A dump of a MySQL database, which whoever loads it sets replicating from the source of the dump.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Seen, Spot};
use crate::bait::surfaces::Surface;

pub struct MysqlDump;

impl BaitKind for MysqlDump {
    fn id(&self) -> &'static str {
        "mysql-dump"
    }

    fn describe(&self) -> &'static str {
        "a dump of a MySQL database, for whoever loads it"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::File, Surface::Buried]
    }

    fn identifying(&self) -> &'static str {
        "source_user"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!(
            "-- MySQL dump 10.13  Distrib 8.0.41, for Linux (x86_64)\n--\n-- Host: localhost    Database: customers\n\
             -- ------------------------------------------------------\n-- Server version\t8.0.41\n\n/*!40101 SET NAMES utf8mb4 */;\n\n\
             DROP TABLE IF EXISTS `accounts`;\nCREATE TABLE `accounts` (\n  `id` bigint unsigned NOT NULL AUTO_INCREMENT,\n  \
             `email` varchar(255) NOT NULL,\n  `password_hash` varchar(128) NOT NULL,\n  `created_at` datetime NOT NULL,\n  PRIMARY KEY (`id`)\n\
             ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n\n{}\n\n-- Dump completed\n",
            fields.get("statements"),
        )
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Side, "backup/customers.sql"), Spot(Area::App, "backup/customers.sql"), Spot(Area::Home, "backup/customers.sql")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &[]
    }

    /// A dump is a file.
    fn variables(&self, _: &Fields<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn build_argument(&self) -> &'static str {
        "SEED_DUMP"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Err("has no rule for it"),
            trufflehog: Err("has no rule for it"),
            kingfisher: Err("has no rule for it"),
            trivy: Err("has no rule for it"),
        }
    }
}

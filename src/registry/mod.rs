//! Registries: what they ask for, what they hold, and how an image gets there.

pub mod access;
pub mod answer;
pub mod artifacts;
pub mod attempts;
pub mod auth;
pub mod challenge;
pub mod client;
pub mod confirm;
pub mod contents;
pub mod copy_referrers;
pub mod credential;
pub mod credential_helper;
pub mod credentials;
pub mod docker_config;
pub mod error;
pub mod exchange;
pub mod feed;
pub mod pull;
pub mod push;
pub mod quirks;
pub mod read;
pub mod realm;
pub mod referrers;
pub mod registries;
pub mod scope;
pub mod sessions;
pub mod together;
pub mod token;
pub mod upload;
pub mod veil;

#[cfg(test)]
pub(crate) mod kept;
#[cfg(test)]
pub(crate) mod scripted;

//! The table of report formats.

pub mod contract;
pub mod github;
pub mod gitlab;
pub mod gitlab_code_quality;
pub mod gitlab_links;
pub mod gitlab_secret_detection;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod sarif;
pub mod terminal;

/// Every format, the one for people first.
pub const TABLE: &[&dyn contract::Format] = &[
    &terminal::Terminal,
    &json::Json,
    // Before the next, whose files end as its own do.
    &markdown::Summary,
    &markdown::Markdown,
    &html::Html,
    &sarif::Sarif,
    &junit::JUnit,
    &gitlab_secret_detection::SecretDetection,
    &gitlab_code_quality::CodeQuality,
    &gitlab_links::Links,
    &gitlab::GitLab,
    &github::GitHub,
];

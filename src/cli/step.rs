//! What a CI step is told: the inputs of `honeycrate ci`, read from their variables.

use std::path::PathBuf;

use clap::ValueEnum as _;

use crate::bait::surfaces::Surface;
use crate::cli::args::{Comment, Judging, Passing, Planting, Registries, Ship, Switch, Validating};
use crate::config::error::{ConfigError, Place, Problem};
use crate::config::inputs::{self, Input};
use crate::config::vars::{self, Variable, Variables};
use crate::report::formats::contract::Format as _;
use crate::report::formats::gitlab::GitLab;

/// The inputs of one step.
pub struct Step {
    /// What the flags of `ship` would say.
    pub ship: Ship,
    pub plant: Plant,
    pub comment_id: Option<String>,
    pub pr_number: Option<u64>,
    pub annotations: Annotations,
    pub summary: bool,
    pub upload_sarif: bool,
    pub dockerfile: Option<PathBuf>,
}

/// Whether honeytokens are planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Where there are a key and a decoy.
    Auto,
    Always,
    Never,
}

/// How findings are shown beside the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Annotations {
    Commands,
    CheckRun,
    None,
}

impl Step {
    /// Reads the inputs.
    ///
    /// # Errors
    /// With all problems together.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let mut read = Read { variables, problems: Vec::new() };
        inputs::TABLE.iter().for_each(|input| read.check(input));
        let image = variables.get(vars::HONEYCRATE_IMAGE).unwrap_or_default().trim().to_owned();
        if image.is_empty() {
            read.problem(vars::HONEYCRATE_IMAGE, "no image is named", Some("the input `image`: docker-daemon:NAME, oci-archive:FILE …"));
        }
        let surfaces = read.surfaces();
        let pr_number = read.number(vars::HONEYCRATE_PR_NUMBER);
        let on = |variable| variables.get(variable) == Some("true");
        let validate = variables.get(vars::HONEYCRATE_VALIDATE).map(|word| if word == "true" { Switch::On } else { Switch::Off });
        // What the forge shows of a log.
        let judging = match variables.get(vars::GITLAB_CI) {
            Some("true") => Judging { format: GitLab.id().to_owned(), ..Judging::default() },
            _ => Judging::default(),
        };
        let step = Self {
            ship: Ship {
                image,
                to: read.list(vars::HONEYCRATE_TO),
                no_plant: false,
                planting: Planting { surfaces, dry_run: on(vars::HONEYCRATE_DRY_RUN), ..Planting::default() },
                judging: Judging {
                    rules: read.paths(vars::HONEYCRATE_RULES),
                    passing: Passing {
                        baseline: variables.get(vars::HONEYCRATE_BASELINE).map(PathBuf::from),
                        ignore_file: read.paths(vars::HONEYCRATE_IGNORE_FILES),
                        inline_allow: None,
                    },
                    comment: variables.get(vars::HONEYCRATE_COMMENT).and_then(|word| Comment::from_str(word, false).ok()).unwrap_or_default(),
                    strict_forge: on(vars::HONEYCRATE_STRICT_FORGE),
                    ..judging
                },
                validating: Validating { validate },
                registries: Registries { upload: variables.get(vars::HONEYCRATE_UPLOAD).map(str::to_owned), ..Registries::default() },
            },
            plant: match variables.get(vars::HONEYCRATE_PLANT) {
                Some("true") => Plant::Always,
                Some("false") => Plant::Never,
                _ => Plant::Auto,
            },
            comment_id: variables.get(vars::HONEYCRATE_COMMENT_ID).map(str::to_owned),
            pr_number,
            annotations: match variables.get(vars::HONEYCRATE_ANNOTATIONS) {
                Some("check-run") => Annotations::CheckRun,
                Some("none") => Annotations::None,
                _ => Annotations::Commands,
            },
            summary: variables.get(vars::HONEYCRATE_SUMMARY) != Some("false"),
            upload_sarif: on(vars::HONEYCRATE_UPLOAD_SARIF),
            dockerfile: variables.get(vars::HONEYCRATE_DOCKERFILE).map(PathBuf::from),
        };
        if read.problems.is_empty() { Ok(step) } else { Err(ConfigError::Invalid { problems: read.problems }) }
    }
}

struct Read<'a> {
    variables: &'a Variables,
    problems: Vec<Problem>,
}

impl Read<'_> {
    fn problem(&mut self, variable: Variable, what: impl Into<String>, suggestion: Option<&str>) {
        self.problems.push(Problem { place: Place::Variable(variable.name), what: what.into(), suggestion: suggestion.map(str::to_owned) });
    }

    fn check(&mut self, input: &Input) {
        let Some(text) = self.variables.get(input.variable) else { return };
        if !input.words.is_empty() && !input.words.contains(&text) {
            // What is not a word of ours may be anything, a credential too.
            self.problem(input.variable, format!("the input `{}` is not one of {}", input.name, input.words.join(", ")), None);
        }
    }

    /// One entry in a line; on GitLab, where inputs are one line, spaces part them as well.
    fn list(&self, variable: Variable) -> Vec<String> {
        let text = self.variables.get(variable).unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if self.variables.get(vars::GITLAB_CI).is_some() {
            lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
        } else {
            lines.map(str::to_owned).collect()
        }
    }

    fn paths(&self, variable: Variable) -> Vec<PathBuf> {
        self.list(variable).into_iter().map(PathBuf::from).collect()
    }

    fn surfaces(&mut self) -> Option<Vec<Surface>> {
        let text = self.variables.get(vars::HONEYCRATE_SURFACES)?;
        let parsed: Result<Vec<Surface>, _> = text.split([',', '\n', ' ']).filter(|word| !word.is_empty()).map(str::parse).collect();
        parsed.map_err(|error| self.problem(vars::HONEYCRATE_SURFACES, error.to_string(), None)).ok()
    }

    fn number(&mut self, variable: Variable) -> Option<u64> {
        let number = self.variables.get(variable)?.trim().parse().ok().filter(|number| *number > 0);
        if number.is_none() {
            self.problem(variable, "it is not the number of a pull request", None);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(set: &[(Variable, &str)]) -> Result<Step, ConfigError> {
        let mut variables = Variables::default();
        set.iter().for_each(|(variable, value)| variables.set(*variable, (*value).to_owned()));
        Step::read(&variables)
    }

    #[test]
    fn an_image_is_all_that_a_step_must_be_told() {
        let step = step(&[(vars::HONEYCRATE_IMAGE, " shop:1 \n"), (vars::HONEYCRATE_TO, "")]).expect("enough");
        assert_eq!((step.ship.image.as_str(), step.ship.to.len(), step.plant), ("shop:1", 0, Plant::Auto));
        assert_eq!((step.ship.judging.comment, step.annotations, step.summary), (Comment::OnFindings, Annotations::Commands, true));
    }

    #[test]
    fn a_list_has_an_entry_in_a_line() {
        let text = "ghcr.io/acme/shop:1\n\n  oci:my folder \n";
        let on_github = step(&[(vars::HONEYCRATE_IMAGE, "shop"), (vars::HONEYCRATE_TO, text)]).expect("valid");
        assert_eq!(on_github.ship.to, ["ghcr.io/acme/shop:1", "oci:my folder"]);
        let on_gitlab = [(vars::GITLAB_CI, "true"), (vars::HONEYCRATE_IMAGE, "shop"), (vars::HONEYCRATE_TO, "a.example/x:1 b.example/x:1")];
        assert_eq!(step(&on_gitlab).expect("valid").ship.to, ["a.example/x:1", "b.example/x:1"]);
    }

    #[test]
    fn all_problems_are_told_at_once_and_no_value_is_repeated() {
        let wrong = [
            (vars::HONEYCRATE_COMMENT, "hunter2"),
            (vars::HONEYCRATE_PR_NUMBER, "0"),
            (vars::HONEYCRATE_SURFACES, "file,attic"),
            (vars::HONEYCRATE_SUMMARY, "yes"),
        ];
        let error = step(&wrong).err().expect("five problems");
        assert_eq!(error.problems().len(), 5, "{error}");
        assert!(error.to_string().contains("no image is named") && !error.to_string().contains("hunter2"), "{error}");
    }
}

//! What can be typed: commands, flags and the help that teaches them.

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};

use crate::bait::surfaces::Surface;

/// Makes container images tamper-evident: scans them for leaked secrets, plants honeytokens, pushes, and tells who read them.
#[derive(Debug, Parser)]
#[command(
    name = "honeycrate",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Start here:\n  honeycrate demo            the whole loop on a sample image, offline, in seconds\n  honeycrate scan IMAGE      what an attacker would find in an image of yours\n  honeycrate init            a configuration file and an owner's key\n\n\
                  How images are named, as skopeo does:\n  docker-daemon:NAME         in the Docker daemon; a bare NAME is read from there\n  docker-archive:FILE        from docker save; - is stdin\n  oci:FOLDER[:TAG]           an OCI layout\n  oci-archive:FILE[:TAG]     an OCI layout in a tar file\n  docker://REFERENCE         in a registry; a bare REFERENCE is written there\n\n\
                  More: honeycrate explain exit-codes, kinds, surfaces, variables, rules …"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Configuration file; default: honeycrate.yaml in this folder, if there is one
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The ledger: an SQLite file, or a URL (`honeycrate explain ledgers`); default: a file under the user's state directory,
    /// outside any work tree
    #[arg(long, global = true, value_name = "FILE|URL")]
    pub ledger: Option<PathBuf>,
    /// Folder for scan results, so that a layer is read once; off keeps none; default: under the user's cache directory,
    /// in CI only where there is a key
    #[arg(long, global = true, value_name = "DIR|off")]
    pub cache: Option<PathBuf>,
    /// File with the owner's key; default: HONEYCRATE_KEY, or ~/.config/honeycrate/key
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Colours: auto, always, never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorChoice,
    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole loop on a sample image: offline, in seconds, nothing left behind
    Demo(Demo),
    /// Write honeycrate.yaml and make an owner's key, or write a workflow or pipeline
    Init(Init),
    /// Scan, judge, plant, push, read back, record and report: the step between build and push
    Ship(Ship),
    /// Look for leaked secrets in an image, a folder, a file, a git history or stdin
    Scan(Scan),
    /// Write down the findings that are known, or tell what is new since
    #[command(subcommand)]
    Baseline(Baseline),
    /// The step of a CI job, as the Action and the component run it: inputs are HONEYCRATE_* variables (`honeycrate explain inputs`)
    Ci,
    /// Let a finding pass for a reason and until a date, in .honeycrateignore
    Ignore(Ignore),
    /// Plant honeytokens without pushing, or into a Dockerfile
    Plant(Plant),
    /// Push an image as it is: nothing is scanned, judged or planted
    Push(Push),
    /// The honeytokens that the ledger knows
    #[command(subcommand)]
    Token(Token),
    /// The memory of all this: check it, or write it out
    #[command(subcommand)]
    Ledger(Ledger),
    /// The trap: the server that planted credentials lead to
    Decoy(Decoy),
    /// Follow the ledger and deliver an alert for every trigger in it
    Watch(Watch),
    /// Whether what later runs need is there, without doing any of it
    #[command(subcommand)]
    Doctor(Doctor),
    /// Render the report of a run again
    Report(Report),
    /// The owner's key, under which every honeytoken is sealed
    #[command(subcommand)]
    Key(Key),
    /// The rules that secrets are found by: list them, and try out your own
    #[command(subcommand)]
    Rules(Rules),
    /// What a rule, surface, kind, provider, decoy face, format or exit code is
    Explain {
        /// An id: a rule's, `env`, `registry-login`, `exit-5` …; without one, a list of all
        id: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the folder with the sample image, its planted copy and the ledger
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Args)]
pub struct Init {
    /// Where it goes; default: honeycrate.yaml, .github/workflows/honeycrate.yml, .gitlab-ci.yml
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The decoy's host, if it is known already
    #[arg(long, value_name = "HOST")]
    pub decoy: Option<String>,
    /// The service's name; default: the repository of the git remote, if there is one
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Write a GitHub workflow instead: build, scan, push, with the smallest permissions
    #[arg(long, conflicts_with = "decoy")]
    pub github: bool,
    /// The Action in that workflow; default: the clone that this program lies in
    #[arg(long, value_name = "OWNER/NAME@COMMIT", requires = "github")]
    pub action: Option<String>,
    /// Write a GitLab pipeline instead: build, then our component; where there is one, print what it lacks
    #[arg(long, conflicts_with_all = ["github", "decoy", "service"])]
    pub gitlab: bool,
}

/// How registries are reached.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Registries")]
pub struct Registries {
    /// User name, with --password-stdin or --password-file; default: docker's config.json, helpers, CI variables
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// Read the password from stdin
    #[arg(long, requires = "username", conflicts_with = "password_file")]
    pub password_stdin: bool,
    /// Read the password from a file
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Trust this CA for registries, besides docker's certs.d
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Speak plain HTTP to this host; loopback needs no permission
    #[arg(long, value_name = "HOST[:PORT]")]
    pub plain_http: Vec<String>,
    /// Send credentials to this token server although it is not the registry's own
    #[arg(long, value_name = "HOST")]
    pub allow_realm: Vec<String>,
    /// When layers leave: as-scanned (each as soon as its own scan has passed) or after-verdict [default: as-scanned]
    #[arg(long, value_name = "WHEN")]
    pub upload: Option<String>,
}

/// What is planted and for whom.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Planting")]
pub struct Planting {
    /// The environment that this copy goes to, each with tokens of its own; default: the configuration's only one, or `default`
    #[arg(long = "env", value_name = "NAME")]
    pub environment: Option<String>,
    /// What the image is; default: the repository that it is pushed to
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// The host that planted credentials lead to: your decoy
    #[arg(long, value_name = "HOST[:PORT]")]
    pub decoy: Option<String>,
    /// Surfaces to plant on; default: all (file, env, buried, history)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub surfaces: Option<Vec<Surface>>,
    /// Print the plan and stop: nothing is minted, planted, pushed or recorded
    #[arg(long)]
    pub dry_run: bool,
}

/// What may pass and where the report goes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Judging and reporting")]
pub struct Judging {
    /// Deny from this severity up: none, low, medium, high, critical; default: high
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<String>,
    /// What becomes of a denied image: block, warn (it goes on), block-after:DATE (it goes on up to that day); default: block
    #[arg(long, value_name = "HOW")]
    pub enforce: Option<String>,
    /// More rules: a file of ours, gitleaks, Nosey Parker or Kingfisher, or a folder of them
    #[arg(long, value_name = "FILE")]
    pub rules: Vec<PathBuf>,
    #[command(flatten)]
    pub passing: Passing,
    /// Write the whole report as JSON (honeycrate/run/v1); or what may be published of it in another format, named before
    /// the file or by its ending (.html, .md, .sarif, .xml); may be given several times
    #[arg(long, value_name = "[FORMAT=]FILE")]
    pub report: Vec<String>,
    /// What is printed: see `honeycrate explain formats`
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    pub format: String,
    /// In a CI job for a pull or merge request: when to leave the one note there
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub comment: Comment,
    /// End with exit code 8 where that note cannot be left
    #[arg(long)]
    pub strict_forge: bool,
}

/// What lets findings pass, besides the exceptions of honeycrate.yaml and .honeycrateignore.
#[derive(Debug, Clone, Default, Args)]
pub struct Passing {
    /// Known findings do not deny: a file that `baseline write` made
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Another scanner's: .gitleaksignore, a gitleaks report, .trivyignore, .trivyignore.yaml
    #[arg(long, value_name = "FILE")]
    pub ignore_file: Vec<PathBuf>,
    /// Where comments like honeycrate:allow or gitleaks:allow count: nowhere, files, everywhere (in
    /// images too); default: files
    #[arg(long, value_name = "WHERE")]
    pub inline_allow: Option<String>,
}

/// Whether what is found still works.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Judging and reporting")]
pub struct Validating {
    /// Send each credential that is found to its own vendor, once, and ask whether it works; the vendor may log that. A live
    /// one is critical. Never sent: your honeytokens, and kinds that others hand out as such, AWS keys among them; default: off
    #[arg(long, value_name = "WHEN", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub validate: Option<Switch>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// When a change gets a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Comment {
    Never,
    #[default]
    OnFindings,
    Always,
}

impl Default for Judging {
    fn default() -> Self {
        Self {
            fail_on: None,
            enforce: None,
            rules: Vec::new(),
            passing: Passing::default(),
            report: Vec::new(),
            format: "terminal".to_owned(),
            comment: Comment::default(),
            strict_forge: false,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  honeycrate ship shop:1.4 --to ghcr.io/acme/shop:1.4 --env production --dry-run\n  \
                        honeycrate ship shop:1.4 --to ghcr.io/acme/shop:1.4 --env production\n  \
                        docker save x | honeycrate ship docker-archive:- --to ghcr.io/acme/x --env qa")]
pub struct Ship {
    /// The image as built
    pub image: String,
    /// Where it goes; may be given several times: registry references, oci:, oci-archive:, docker-archive:, docker-daemon:
    #[arg(long, value_name = "REF")]
    pub to: Vec<String>,
    /// Scan, judge and push, but plant nothing
    #[arg(long)]
    pub no_plant: bool,
    #[command(flatten)]
    pub planting: Planting,
    #[command(flatten)]
    pub judging: Judging,
    #[command(flatten)]
    pub validating: Validating,
    #[command(flatten)]
    pub registries: Registries,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  honeycrate scan shop:1.4                          an image in Docker\n  \
                        honeycrate scan docker://ghcr.io/acme/shop:1.4    an image in a registry\n  \
                        honeycrate scan shop.tar                          what docker save wrote\n  \
                        honeycrate scan .                                 a folder, before a build\n  \
                        honeycrate scan Dockerfile                        its instructions\n  \
                        honeycrate scan dump.sql.gz                       a file, and what it packs\n  \
                        honeycrate scan --staged                          what a commit would hold\n  \
                        honeycrate scan --git origin/main..HEAD           what a branch brings\n  \
                        honeycrate scan git:../shop                       a whole history\n  \
                        docker save shop | honeycrate scan docker-archive:- --report report.json\n  \
                        honeycrate scan shop:1.4 --report report.html --report junit=tests.xml")]
pub struct Scan {
    /// An image, a folder, a file or archive, a Dockerfile, git:FOLDER[#RANGE], or - for stdin
    #[arg(required_unless_present_any = ["staged", "git", "watch_json"], conflicts_with_all = ["staged", "git", "watch_json"])]
    pub target: Option<String>,
    /// What is staged in git here, as it would be committed
    #[arg(long)]
    pub staged: bool,
    /// What the commits of a range added or changed in the repository here, also if it was deleted later: A..B, HEAD, --all
    #[arg(long, value_name = "RANGE", conflicts_with = "staged", allow_hyphen_values = true)]
    pub git: Option<String>,
    /// Of an image in a registry: its signatures, SBOMs and attestations too
    #[arg(long, requires = "target")]
    pub referrers: bool,
    /// Answer requests on stdin with diagnostics on stdout, a line of JSON each, until stdin ends: see docs/editors.md
    #[arg(long, conflicts_with_all = ["staged", "git", "validate"])]
    pub watch_json: bool,
    #[command(flatten)]
    pub judging: Judging,
    #[command(flatten)]
    pub validating: Validating,
    #[command(flatten)]
    pub registries: Registries,
}

#[derive(Debug, Subcommand)]
pub enum Baseline {
    /// Write down what is found, so that only what is new denies; reasons in the file are kept
    #[command(after_help = "Examples:\n  honeycrate baseline write shop:1.4 --out known.yaml\n  \
                            honeycrate baseline write --from report.json --out known.yaml\n  \
                            honeycrate scan shop:1.4 --baseline known.yaml")]
    Write {
        #[command(flatten)]
        found: Found,
        /// Where to; default: stdout
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Fingerprints that need no key to be compared: a guess at a secret can be tested against them
        #[arg(long, conflicts_with = "from")]
        unkeyed: bool,
    },
    /// Tell what is new, gone and still there; exit code 1 when something new would deny
    #[command(after_help = "Examples:\n  honeycrate baseline compare shop:1.5 --baseline known.yaml\n  \
                            honeycrate baseline compare --from report.json --baseline known.yaml")]
    Compare {
        #[command(flatten)]
        found: Found,
        /// The known findings
        #[arg(long, value_name = "FILE")]
        baseline: PathBuf,
    },
}

/// Findings: of a scan, or of a report.
#[derive(Debug, Args)]
pub struct Found {
    /// What to scan: an image, a folder, a file, or - for stdin
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    pub target: Option<String>,
    /// Take the findings of a report that --report wrote
    #[arg(long, value_name = "REPORT")]
    pub from: Option<PathBuf>,
    /// Deny from this severity up: none, low, medium, high, critical; default: high
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<String>,
    /// More rules: a file of ours, gitleaks, Nosey Parker or Kingfisher, or a folder of them
    #[arg(long, value_name = "FILE")]
    pub rules: Vec<PathBuf>,
    #[command(flatten)]
    pub registries: Registries,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  honeycrate ignore a447b5b20ad62a5d --reason fixture --until 2027-01-31\n  \
                        honeycrate ignore --rule private-key --path 'test/**' --reason tls --until …")]
pub struct Ignore {
    /// The finding, as reports name it
    #[arg(required_unless_present_any = ["rule", "path"])]
    pub fingerprint: Option<String>,
    /// Findings of this rule
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// Findings in these files: * within a name, ** over folders
    #[arg(long, value_name = "PATTERN")]
    pub path: Option<String>,
    /// Why it is harmless
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The last day on which it may pass: year-month-day, at most a year from now
    #[arg(long, value_name = "DATE")]
    pub until: String,
    /// Who answers for it; default: USER
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  honeycrate plant shop:1.4 --env qa --service acme/shop --dry-run\n  \
                        honeycrate plant shop:1.4 --out oci:planted --env qa --service acme/shop\n  \
                        honeycrate plant --dockerfile Dockerfile --env qa --service acme/shop")]
pub struct Plant {
    /// The image as built
    #[arg(required_unless_present = "dockerfile", conflicts_with = "dockerfile")]
    pub image: Option<String>,
    /// Where the planted image goes
    #[arg(long, value_name = "IMAGE", required_unless_present_any = ["dockerfile", "dry_run"])]
    pub out: Option<String>,
    /// Plant an ENV instruction into a Dockerfile instead
    #[arg(long, value_name = "FILE")]
    pub dockerfile: Option<PathBuf>,
    #[command(flatten)]
    pub planting: Planting,
    #[command(flatten)]
    pub judging: Judging,
    #[command(flatten)]
    pub registries: Registries,
}

#[derive(Debug, Args)]
pub struct Push {
    /// The image as built
    pub image: String,
    /// Where it goes, with all its platforms; may be given several times
    #[arg(required = true, value_name = "REF")]
    pub to: Vec<String>,
    /// From registry to registry: its signatures, SBOMs and attestations too
    #[arg(long)]
    pub referrers: bool,
    #[command(flatten)]
    pub registries: Registries,
}

#[derive(Debug, Subcommand)]
pub enum Token {
    /// One line for each honeytoken
    #[command(after_help = "Examples:\n  honeycrate token list\n  \
                            honeycrate token list --only undrilled --days 30   no proof for a month\n  \
                            honeycrate token list --only orphans               in no image that arrived")]
    List(List),
    /// All about one honeytoken, except its value
    Show {
        /// A fingerprint, as `token list` prints it
        fingerprint: String,
    },
    /// Where a credential comes from: image, digest, environment, commit
    #[command(after_help = "Examples:\n  honeycrate token trace - < found.txt       a text with a credential in it\n  \
                            honeycrate token trace a447b5b20ad62a5d    a fingerprint, as in an alert")]
    Trace {
        /// A fingerprint, a credential, or - to read it from stdin, which keeps it out of the process list
        token: String,
    },
    /// Use tokens on purpose, and follow each alert to its end
    #[command(after_help = "Examples:\n  honeycrate token drill a447b5b20ad62a5d --from ci-runner\n  \
                            honeycrate token drill --env production --from ci-runner   every token in use there\n\n\
                            The decoy, or the watch over a vendor, must run with the same ledger. The alert says DRILL and what it is for.")]
    Drill(Drill),
    /// Have the next images carry other tokens; the old ones stay armed, and date a theft
    #[command(after_help = "Examples:\n  honeycrate token rotate a447b5b20ad62a5d --reason used\n  \
                            honeycrate token rotate --service acme/shop --env production --reason quarterly")]
    Rotate(Change),
    /// Say that no image carries these tokens any more; they stay armed
    Retire(Change),
    /// Disarm tokens for good
    Revoke(Change),
    /// Which of TruffleHog, ggshield, Kingfisher, Trivy and gitleaks would find each bait in an image, and why not
    Simulate(Simulate),
    /// Write what makes another scanner of yours pass over your bait, and over nothing else
    IgnoreList(IgnoreList),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  honeycrate token ignore-list --for gitleaks --out ~/silent/gitleaks.toml\n  \
                        honeycrate token ignore-list --for trivy shop:1.4 --out ~/silent/trivy.yaml --days 30\n  \
                        honeycrate token ignore-list --check ~/silent/gitleaks.toml\n\n\
                        A list silences bait by the first 8 characters of each token, wherever it lies: a new\n\
                        secret in the same line is found as before. Whoever has the list can tell bait from\n\
                        secrets, which no form can help; the tokens themselves and their places are not in it,\n\
                        except for ggshield, which takes nothing but places. `honeycrate explain ignore-lists`\n\
                        says how each is given to its scanner. It is never written into a git work tree; the file\n\
                        can be read by you alone, and is out of date after --days.")]
pub struct IgnoreList {
    /// Images whose bait is meant; default: all tokens that the ledger knows
    pub images: Vec<String>,
    /// The scanner: gitleaks, trufflehog, kingfisher, trivy, ggshield
    #[arg(long = "for", value_name = "SCANNER", required_unless_present = "check")]
    pub scanner: Option<String>,
    /// Where to; what is there is replaced, if it is such a list
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    pub out: Option<PathBuf>,
    /// How long it is good, at most 366
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=366))]
    pub days: u16,
    /// Say how long a list is good; exit code 1 when it is out of date
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scanner", "out", "images"])]
    pub check: Option<PathBuf>,
    #[command(flatten)]
    pub registries: Registries,
}

#[derive(Debug, Args)]
pub struct List {
    /// As JSON, one object a line
    #[arg(long)]
    pub json: bool,
    /// Those alone that need a look
    #[arg(long, value_name = "WHICH", value_enum)]
    pub only: Option<Only>,
    /// After so many days without a drill that passed a token counts as undrilled
    #[arg(long, value_name = "DAYS", default_value_t = DRILL_DAYS)]
    pub days: u16,
}

/// After so many days without a drill a word is said.
pub const DRILL_DAYS: u16 = 90;

/// Tokens that need a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// Minted for an image that never arrived; a vendor's quota counts them: revoke them
    Orphans,
    /// Revoked, and in images that arrived: their bait is dead, ship them again
    Ghosts,
    /// In use, and nobody knows whether their alert still arrives: drill them
    Undrilled,
}

/// Which tokens.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Fingerprints, as `token list` prints them
    #[arg(value_name = "FINGERPRINT")]
    pub fingerprints: Vec<String>,
    /// All tokens in use of this service
    #[arg(long, conflicts_with = "fingerprints")]
    pub service: Option<String>,
    /// All tokens in use of this environment
    #[arg(long = "env", value_name = "NAME", conflicts_with = "fingerprints")]
    pub environment: Option<String>,
    /// Of these, the ones on this surface
    #[arg(long, conflicts_with = "fingerprints")]
    pub surface: Option<Surface>,
}

/// Which tokens something becomes of, and why.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    pub chosen: Chosen,
    /// Why, for whoever reads the ledger
    #[arg(long, value_name = "TEXT", default_value = "not told")]
    pub reason: String,
}

/// Which tokens are used, and from where.
#[derive(Debug, Args)]
pub struct Drill {
    #[command(flatten)]
    pub chosen: Chosen,
    /// The place that this is done from, for whoever reads the ledger
    #[arg(long, value_name = "PLACE")]
    pub from: String,
    /// How long to wait for the alert, seconds; AWS keys take minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  honeycrate token simulate oci:planted\n  \
                        honeycrate token simulate docker://ghcr.io/acme/shop:1.4 --format json\n\n\
                        Bait is what the owner's key sealed. The scanners are computed from their own rules,\n\
                        and none is run: ? stands where the vendor's server decides. Not foreseen: TruffleHog\n\
                        drops the odd token, of JSON Web Tokens six in 1000, whose letters spell a word by chance.")]
pub struct Simulate {
    /// The image as planted
    pub image: String,
    /// What is printed: table or json
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: TableFormat,
    #[command(flatten)]
    pub registries: Registries,
}

/// How a table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TableFormat {
    #[default]
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Doctor {
    /// Whether a provider can be used: its key, the rights, what is left of the quota; nothing is minted
    Provider {
        /// A provider's id; default: all that honeycrate.yaml names
        id: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Make the ledger: in a database its tables and roles, by whoever owns it
    #[command(after_help = "Examples:\n  honeycrate ledger init --ledger postgres://owner@db.example.org/ledger")]
    Init,
    /// Check the chain of hashes from the first record to the last
    Verify {
        /// Check an export instead of the ledger
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// A head that was printed earlier: is it still there? May be given several times
        #[arg(long = "head", value_name = "HEAD")]
        heads: Vec<String>,
    },
    /// Write every record as a line of JSON; values stay sealed
    Export {
        /// Where to; default: stdout
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Fill an empty ledger with an export, to the byte
    #[command(after_help = "Examples:\n  honeycrate ledger import backup.jsonl --ledger restored.sqlite")]
    Import {
        /// What `ledger export` wrote
        file: PathBuf,
    },
    /// Bring the records of one ledger into another: an empty one becomes the same, to the byte; else what is new there
    /// continues its chain. Running it again adds nothing twice
    #[command(after_help = "Examples:\n  honeycrate ledger copy --from ledger.sqlite --into postgres://ship@db/ledger")]
    Copy {
        #[arg(long, value_name = "FILE|URL")]
        from: PathBuf,
        #[arg(long, value_name = "FILE|URL")]
        into: PathBuf,
    },
    /// Ask the registries about every image in the ledger: which are gone, and which hold bait and were never recorded;
    /// and list the tokens that are in none. Exit code 7 while records are missing
    Reconcile {
        /// Look for images without a record here too; may be given several times
        #[arg(long = "in", value_name = "REPOSITORY")]
        within: Vec<String>,
        /// Write the records that are missing
        #[arg(long)]
        record: bool,
        #[command(flatten)]
        registries: Registries,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  honeycrate decoy --cert chain.pem --cert-key key.pem --postgres 0.0.0.0:5432\n  \
                        honeycrate decoy --listen 127.0.0.1:8443 --decoy 127.0.0.1:8443\n\n\
                        It needs the owner's key, and grants nothing to anybody. Each use of a token is\n\
                        recorded in the ledger, told on stdout and sent to the alert sinks.")]
pub struct Decoy {
    /// Address for HTTPS (and HTTP on the same port)
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:443")]
    pub listen: String,
    /// Address for PostgreSQL, where database bait leads
    #[arg(long, value_name = "ADDRESS")]
    pub postgres: Option<String>,
    /// The host that tokens were planted with; default: decoy.host of the configuration
    #[arg(long, value_name = "HOST")]
    pub decoy: Option<String>,
    /// Certificate chain (PEM); without one a certificate is self-made, which strict clients refuse
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    pub cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub cert_key: Option<PathBuf>,
    /// Append every alert to this file as a line of JSON
    #[arg(long, value_name = "FILE")]
    pub alerts: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Watch {
    /// Deliver what is there and stop
    #[arg(long)]
    pub once: bool,
    /// Append every alert to this file as a line of JSON
    #[arg(long, value_name = "FILE")]
    pub alerts: Option<PathBuf>,
    /// Say which tokens had no drill that passed for so many days; 0: none
    #[arg(long, value_name = "DAYS", default_value_t = DRILL_DAYS)]
    pub drill_days: u16,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  honeycrate report report.json --format markdown >> $GITHUB_STEP_SUMMARY\n  \
                        honeycrate report report.json --comment on-findings")]
pub struct Report {
    /// A report that --report wrote
    pub file: PathBuf,
    /// See `honeycrate explain formats`
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    pub format: String,
    /// Leave the note on the change as well: for a job with the rights that the run had not. The job says which change it is
    #[arg(long, value_name = "WHEN", value_enum, default_value = "never")]
    pub comment: Comment,
    /// The change, where the job is for none: its number, from whom you trust, never from the file
    #[arg(long, value_name = "NUMBER", requires = "comment")]
    pub change: Option<u64>,
    /// End with exit code 8 where that note cannot be left
    #[arg(long)]
    pub strict_forge: bool,
}

#[derive(Debug, Subcommand)]
pub enum Rules {
    /// One line for each rule: id, vendor, severity, confidence, name
    List {
        /// Only rules in whose line all these words are
        words: Vec<String>,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
        /// More rules: a file of ours, gitleaks, Nosey Parker or Kingfisher, or a folder of them
        #[arg(long, value_name = "FILE")]
        rules: Vec<PathBuf>,
    },
    /// Check rule files: every example must be found and no counter-example; exit code 1 when that is not so
    #[command(after_help = "Examples:\n  honeycrate rules test acme.yaml                    its examples\n  \
                            honeycrate rules test acme.yaml --on config.env    on a text, and why not\n  \
                            honeycrate rules test acme.yaml --on - < config.env")]
    Test {
        /// Rule files, or folders of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Try the rules on this text instead, and tell why what they match is no finding; - is stdin
        #[arg(long, value_name = "TEXT")]
        on: Option<PathBuf>,
    },
    /// All about one rule, except how it is written
    Explain {
        /// A rule's id
        id: String,
        /// More rules: a file of ours, gitleaks, Nosey Parker or Kingfisher, or a folder of them
        #[arg(long, value_name = "FILE")]
        rules: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key from the system's random generator
    New {
        /// Print it to stdout instead of writing the key file, to be kept as a CI secret
        #[arg(long)]
        print: bool,
    },
    /// Begin a new epoch: new tokens are sealed under a new key, old ones stay recognisable
    Rotate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}

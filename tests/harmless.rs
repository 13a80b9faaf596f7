//! Planting does not change what a container does: many kinds of images, run before and after, say the same and end the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::buildah::Buildah;
use crate::common::command::{PATH, Ran, must, program, run};
use crate::common::daemon::{IMAGE, daemon};
use crate::common::honeycrate::{Honeycrate, holds, list};
use crate::common::images::{Image, Packing, layers, paths};

/// What an application does with its surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// Reads variables and files whose names it knows.
    Knows,
    /// Loads `.env` and its brothers with a library, in the working directory.
    Dotenv,
    /// Reads every file of its folder for settings, reads its home's, and asks for optional ones.
    Settings,
    /// Prints everything: all variables, all files below its folder and its home.
    Walks,
}

const HABITS: [Habit; 4] = [Habit::Knows, Habit::Dotenv, Habit::Settings, Habit::Walks];

/// A language: the file and the command of its program, and its text for each habit.
struct Language {
    name: &'static str,
    file: &'static str,
    command: &'static [&'static str],
    text: [&'static str; 4],
}

/// The libraries are Debian's own (python3-dotenv, ruby-dotenv, php-symfony-dotenv), Node's is built in (and Node the one of `.ci/setup`); a shell has `.`.
const LANGUAGES: [Language; 7] = [
    Language {
        name: "shell",
        file: "app.sh",
        command: &["/bin/sh", "app.sh"],
        text: [
            "echo $APP_PORT $APP_MODE ${DATABASE_URL:-none}; cat settings.ini; id -u; pwd; exit 3\n",
            "set -a; for f in .env .env.local .env.production; do test -f $f && . ./$f; done; echo $GREETING $LEVEL ${DATABASE_URL:-none}\n",
            "cat settings.d/*; for f in ~/.profile ~/.netrc ~/.npmrc ~/.docker/config.json; do test -f $f && cat $f; done; echo done\n",
            "env | sort; find . $HOME | sort\n",
        ],
    },
    Language {
        name: "python",
        file: "app.py",
        command: &["/usr/bin/python3", "-B", "app.py"],
        text: [
            "import os, sys\nprint(os.environ['APP_PORT'], os.environ.get('DATABASE_URL'), sorted(k for k in os.environ if k in ('APP_PORT', 'APP_MODE')))\n\
             print(open('settings.ini').read(), os.getuid(), os.getcwd())\nsys.exit(4)\n",
            "import sys\nsys.path.append('/usr/lib/python3/dist-packages')\nfrom dotenv import dotenv_values, find_dotenv\nprint(find_dotenv(usecwd=True))\n\
             for name in ('.env', '.env.local', '.env.production'):\n    print(name, sorted(dotenv_values(name).items()))\n",
            "import configparser, glob, netrc, os\nfor name in sorted(glob.glob('settings.d/*')):\n    print(name, open(name).read())\n\
             print(configparser.ConfigParser().read([os.path.expanduser('~/.pypirc'), os.path.expanduser('~/.boto'), 'settings.ini']))\n\
             try:\n    print(netrc.netrc().hosts)\nexcept FileNotFoundError:\n    print('no netrc')\n",
            "import os\nfor pair in sorted(os.environ.items()):\n    print(*pair, sep='=')\nfor top in ('.', os.environ['HOME']):\n    for at, folders, files in sorted(os.walk(top)):\n\
             \x20       for name in sorted(files):\n            print(os.path.join(at, name), len(open(os.path.join(at, name), 'rb').read()))\n",
        ],
    },
    Language {
        name: "node",
        file: "app.js",
        command: &["/mnt/node", "app.js"],
        text: [
            "console.log(process.env.APP_PORT, process.env.DATABASE_URL, process.cwd());\nconsole.log(require('fs').readFileSync('settings.ini', 'utf8'));\nprocess.exit(5);\n",
            "const fs = require('fs');\nfor (const name of ['.env', '.env.local', '.env.production']) if (fs.existsSync(name)) process.loadEnvFile(name);\n\
             console.log(process.env.GREETING, process.env.LEVEL, process.env.DATABASE_URL);\n",
            "const fs = require('fs');\nfor (const name of fs.readdirSync('settings.d').sort()) console.log(name, fs.readFileSync('settings.d/' + name, 'utf8'));\n\
             for (const name of ['.npmrc', '.yarnrc', 'config/default.json']) console.log(name, fs.existsSync(name), fs.existsSync(require('os').homedir() + '/' + name));\n",
            "const fs = require('fs'), path = require('path');\nfor (const name of Object.keys(process.env).sort()) console.log(name + '=' + process.env[name]);\n\
             const walk = (at) => { for (const name of fs.readdirSync(at).sort()) { const whole = path.join(at, name); const stat = fs.lstatSync(whole);\n\
             if (stat.isDirectory()) walk(whole); else console.log(whole, fs.readFileSync(whole).length); } };\nwalk('.'); walk(process.env.HOME);\n",
        ],
    },
    Language {
        name: "ruby",
        file: "app.rb",
        command: &["/usr/bin/ruby", "app.rb"],
        text: [
            "puts ENV['APP_PORT'], ENV.fetch('DATABASE_URL', 'none'), Dir.pwd, File.read('settings.ini')\nexit 6\n",
            "require 'dotenv'\nputs Dotenv.load('.env.production', '.env.local', '.env').sort.inspect\nputs ENV['DATABASE_URL'].inspect\n",
            "require 'yaml'\nDir.glob('settings.d/*').sort.each { |name| puts name, YAML.load(File.read(name)).inspect }\n\
             puts File.exist?(File.join(Dir.home, '.gem/credentials')), File.exist?('config/database.yml')\n",
            "ENV.sort.each { |pair| puts pair.join('=') }\n['.', Dir.home].each { |top| Dir.glob(File.join(top, '**/*'), File::FNM_DOTMATCH).sort.each { |name| puts name if File.file?(name) && File.read(name) } }\n",
        ],
    },
    Language {
        name: "php",
        file: "app.php",
        command: &["/usr/bin/php", "app.php"],
        text: [
            "<?php echo getenv('APP_PORT'), ' ', var_export(getenv('DATABASE_URL'), true), ' ', getcwd(), PHP_EOL; print_r(parse_ini_file('settings.ini')); exit(7);\n",
            "<?php require 'Symfony/Component/Dotenv/autoload.php';\n$dotenv = new Symfony\\Component\\Dotenv\\Dotenv();\n$dotenv->loadEnv(getcwd() . '/.env');\n\
             echo $_ENV['GREETING'], ' ', $_ENV['LEVEL'], ' ', $_ENV['DATABASE_URL'] ?? 'none', ' ', $_ENV['SYMFONY_DOTENV_VARS'], PHP_EOL;\n",
            "<?php foreach (glob('settings.d/*') as $name) echo $name, file_get_contents($name);\nvar_dump(file_exists('config/secrets.php'), file_exists('wp-config.php'), file_exists('auth.json'));\n",
            "<?php $all = getenv(); ksort($all); foreach ($all as $name => $value) echo \"$name=$value\\n\";\nforeach (['.', getenv('HOME')] as $top) {\n\
             foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($top, FilesystemIterator::SKIP_DOTS)) as $file) $names[] = $file . ' ' . strlen(file_get_contents($file)); }\n\
             sort($names); echo implode(\"\\n\", $names), \"\\n\";\n",
        ],
    },
    Language {
        name: "perl",
        file: "app.pl",
        command: &["/usr/bin/perl", "app.pl"],
        text: [
            "print \"$ENV{APP_PORT} \", $ENV{DATABASE_URL} // 'none', \"\\n\"; open(F, '<', 'settings.ini') or die; print <F>; exit 8;\n",
            "for my $name ('.env', '.env.local', '.env.production') { open(F, '<', $name) or next; while (<F>) { $ENV{$1} = $2 if /^(\\w+)=(.*)/ } }\nprint \"$ENV{GREETING} $ENV{LEVEL} \", $ENV{DATABASE_URL} // 'none', \"\\n\";\n",
            "for my $name (sort glob('settings.d/*')) { open(F, '<', $name) or die; print $name, <F> }\nprint -e \"$ENV{HOME}/.my.cnf\" ? 1 : 0, -e \"$ENV{HOME}/.pgpass\" ? 1 : 0, \"\\n\";\n",
            "use File::Find; print \"$_=$ENV{$_}\\n\" for sort keys %ENV; my @all; find(sub { push @all, $File::Find::name if -f }, '.', $ENV{HOME}); print \"$_\\n\" for sort @all;\n",
        ],
    },
    Language {
        name: "java",
        file: "App.java",
        command: &["/usr/bin/java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "App.java"],
        text: [
            "import java.nio.file.*;\nclass App { public static void main(String[] a) throws Exception { System.out.println(System.getenv(\"APP_PORT\") + System.getenv(\"DATABASE_URL\"));\n\
             System.out.print(Files.readString(Path.of(\"settings.ini\"))); System.exit(9); } }\n",
            "import java.io.*;\nimport java.util.*;\nclass App { public static void main(String[] a) throws Exception { for (String name : new String[] {\".env\", \".env.local\", \".env.production\"}) {\n\
             File file = new File(name); if (!file.exists()) continue; Properties p = new Properties(); p.load(new FileReader(file)); System.out.println(name + new TreeMap<>(p)); } } }\n",
            "import java.nio.file.*;\nclass App { public static void main(String[] a) throws Exception { try (var files = Files.list(Path.of(\"settings.d\"))) { for (Path p : files.sorted().toList())\n\
             System.out.println(p + Files.readString(p)); } System.out.println(Files.exists(Path.of(\"config/application.yml\"))); } }\n",
            "import java.nio.file.*;\nimport java.util.*;\nclass App { public static void main(String[] a) throws Exception { new TreeMap<>(System.getenv()).forEach((k, v) -> System.out.println(k + \"=\" + v));\n\
             for (String top : new String[] {\".\", System.getenv(\"HOME\")}) try (var files = Files.walk(Path.of(top))) { for (Path p : files.sorted().toList()) if (Files.isRegularFile(p)) System.out.println(p + \" \" + Files.readAllBytes(p).length); } } }\n",
        ],
    },
];

/// Who runs a container, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Manner {
    user: &'static str,
    is_read_only: bool,
}

const MANNERS: [Manner; 3] =
    [Manner { user: "", is_read_only: false }, Manner { user: "1000:1000", is_read_only: false }, Manner { user: "65534:65534", is_read_only: true }];

/// How histories and layers are written.
const BUILDERS: [&str; 5] = ["BuildKit", "Docker", "buildah", "kaniko", "Jib"];
/// Not zstd, which umoci does not unpack.
const PACKINGS: [Packing; 2] = [Packing::Gzip, Packing::Plain];
/// Kinds of bait for a file and for variables, so that all have their turn.
const FILE_KINDS: [&str; 10] =
    ["registry-login", "database-url", "git-credentials", "pypi-index", "https-url", "npm-index", "kubeconfig", "s3-keys", "vault-token", "jwt"];
const ENV_KINDS: [&str; 6] = ["database-url", "https-url", "s3-keys", "jwt", "git-credentials", "pypi-index"];

/// One image to be run.
struct Case {
    number: usize,
    language: &'static Language,
    habit: Habit,
    manner: Manner,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for language in &LANGUAGES {
        for habit in HABITS {
            // Two of the three manners each, in turn, so that each language and each habit meets all.
            for manner in 0..2 {
                let number = cases.len();
                cases.push(Case { number, language, habit, manner: MANNERS[(number / 2 + manner) % 3] });
            }
        }
    }
    cases
}

impl Case {
    fn name(&self) -> String {
        let Manner { user, is_read_only } = self.manner;
        format!("{}: {} that {:?}, user `{user}`, read-only: {is_read_only}, {}", self.number, self.language.name, self.habit, self.builder())
    }

    fn builder(&self) -> &'static str {
        BUILDERS[self.number % BUILDERS.len()]
    }

    /// The application on a root that takes its programs from this machine, as Debian's packages put them there.
    fn image(&self) -> Image {
        let Language { file, command, text, .. } = self.language;
        let home = if self.manner.user.is_empty() { "root" } else { "home/app" };
        let profile = format!("{home}/.profile");
        let mut image = Image::new()
            .layer(
                "ADD rootfs.tar.xz / # buildkit",
                &[("etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"), (&profile, "# home\n")],
            )
            .layer(
                "COPY . . # buildkit",
                &[
                    (&format!("app/{file}"), text[self.habit as usize]),
                    ("app/settings.ini", "port=8080\n"),
                    ("app/settings.d/one.yml", "one: 1\n"),
                    ("app/settings.d/two.yml", "two: 2\n"),
                    ("app/.env", "GREETING=hello\nLEVEL=3\n"),
                    // What other stages left behind.
                    ("app/build/output.log", "step ok\n"),
                    ("app/deploy/notes.txt", "none\n"),
                ],
            )
            .layer("RUN /bin/sh -c rm -f build/output.log # buildkit", &[("app/build/.wh.output.log", "")])
            .env("APP_PORT", "8080")
            .env("APP_MODE", "production")
            .env("HOME", &format!("/{home}"))
            .setting("Cmd", json!(command))
            .setting("User", json!(self.manner.user))
            .packing(PACKINGS[self.number / 3 % PACKINGS.len()]);
        for (number, name) in ["bin", "sbin", "lib", "lib64"].into_iter().enumerate() {
            image = image.link(&format!("RUN /bin/sh -c ln -s usr/{name} {number} # buildkit"), name, &format!("usr/{name}"));
        }
        image.steps(|step| restyle(step, self.builder()))
    }

    fn plant(&self, honeycrate: &Honeycrate, source: &str, target: &Path) {
        let file = FILE_KINDS[self.number % FILE_KINDS.len()];
        let env = ENV_KINDS[self.number % ENV_KINDS.len()];
        let config = format!("environments:\n  production:\n    kinds: {{ file: {file}, env: {env} }}\n");
        std::fs::write(honeycrate.home().join("honeycrate.yaml"), config).expect("the home is writable");
        plant(honeycrate, source, target, &format!("acme/shop-{}", self.number));
    }
}

fn plant(honeycrate: &Honeycrate, source: &str, target: &Path, service: &str) {
    let out = format!("oci:{}:latest", target.display());
    let arguments = ["plant", source, "--out", &out, "--env", "production", "--service", service, "--decoy", "ops.acme-internal.net"];
    must(honeycrate.command(&arguments).env("DOCKER_HOST", daemon_host(source)));
}

fn daemon_host(source: &str) -> String {
    if source.starts_with("docker-daemon:") { daemon().host() } else { String::new() }
}

/// BuildKit's step as another builder writes it.
fn restyle(step: &mut Value, builder: &str) {
    let by = step["created_by"].as_str().unwrap_or_default().trim_end_matches(" # buildkit").to_owned();
    let (word, rest) = by.split_once(' ').unwrap_or((&by, ""));
    let members = step.as_object_mut().expect("an object");
    if builder != "BuildKit" {
        members.remove("comment");
    }
    let written = match (builder, word) {
        ("BuildKit", _) => return,
        ("Docker" | "buildah", "RUN") => rest.to_owned(),
        ("Docker", "COPY" | "ADD") => format!("/bin/sh -c #(nop) {word} dir:{} in / ", "0".repeat(64)),
        ("Docker", _) => format!("/bin/sh -c #(nop)  {by}"),
        ("buildah", "COPY" | "ADD") => format!("/bin/sh -c #(nop) {word} dir:{} in / ", "0".repeat(64)),
        ("buildah", _) => format!("/bin/sh -c #(nop) {by}"),
        ("kaniko", _) => by.clone(),
        _ => "jib-maven-plugin:3.4.0".to_owned(),
    };
    members.insert("created_by".to_owned(), written.into());
    match builder {
        "kaniko" => _ = members.insert("author".to_owned(), "kaniko".into()),
        "Jib" => _ = members.insert("author".to_owned(), "Jib".into()),
        _ => {}
    }
}

/// An image on disk, as a runtime would lay it out.
struct Bundle(PathBuf);

impl Bundle {
    fn of(layout: &Path, at: PathBuf) -> Self {
        must(program("umoci", layout).args(["unpack", "--image", &format!("{}:latest", layout.display())]).arg(&at));
        Self(at)
    }

    /// Runs the image's command as its config says, in a mount namespace of its own.
    fn run(&self, config: &Value, is_read_only: bool, takes_programs: bool) -> Ran {
        let root = self.0.join("rootfs");
        let settings = &config["config"];
        let user = settings["User"].as_str().filter(|user| !user.is_empty()).unwrap_or("0:0");
        let folder = settings["WorkingDir"].as_str().filter(|folder| *folder != "/").unwrap_or_default();
        let mut script = "set -e\nmount --bind \"$1\" \"$1\"\ncd \"$1\"\nmkdir -p dev proc tmp\n".to_owned();
        if takes_programs {
            // Beside the programs, what Debian's packages keep of them in /etc.
            script += "mkdir -p usr etc/alternatives\nfor at in usr etc/alternatives; do mount --rbind /$at $at; done\n";
            let node = std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin/node")).expect("run .ci/setup");
            script += &format!("mkdir -p mnt\nmount --bind {} mnt\n", node.parent().expect("a file lies in a folder").display());
            script += "for at in /etc/java-17-openjdk /etc/php; do if test -e $at; then mkdir -p .$at; mount --bind $at .$at; fi; done\n";
        }
        script += "mount --rbind /dev dev\nmount -t proc proc proc\nmount -t tmpfs tmpfs tmp\nchmod 1777 tmp\n";
        if is_read_only {
            script += "mount -o remount,bind,ro \"$1\"\n";
        }
        script += "cd /\nroot=$1 user=$2 at=$3\nshift 3\nexec chroot --userspec=$user \"$root\" /usr/bin/env -i ${at:+-C \"$at\"} \"$@\"\n";
        let mut command = program("unshare", &self.0);
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-c", &script, "run"]);
        command.arg(&root).args([user, folder]);
        command.args(list(settings, "Env").iter().filter_map(Value::as_str)).args(list(settings, "Cmd").iter().filter_map(Value::as_str));
        run(command.env("PATH", PATH))
    }
}

/// A layout's config.
fn config(layout: &Path) -> Value {
    let read = |name: String| -> Value { serde_json::from_slice(&std::fs::read(layout.join(name)).expect("a layout")).expect("JSON") };
    let blob = |named: &Value| read(format!("blobs/{}", named["digest"].as_str().expect("a digest").replace(':', "/")));
    blob(&blob(&read("index.json".to_owned())["manifests"][0])["config"])
}

/// What no planting may change: all but Env, history and the layer list, and of those what was there.
fn same_but_for_bait(before: &Value, after: &Value, name: &str) {
    let kept = |config: &Value| {
        let mut config = config.clone();
        config.as_object_mut().expect("an object").remove("history");
        config["rootfs"].as_object_mut().expect("an object").remove("diff_ids");
        config["config"].as_object_mut().expect("an object").remove("Env");
        config
    };
    assert_eq!(kept(before), kept(after), "{name}");
    let env = |config: &Value| list(&config["config"], "Env").to_vec();
    assert!(holds(&env(after), &env(before)), "{name}");
    assert!(holds(list(&after["rootfs"], "diff_ids"), list(&before["rootfs"], "diff_ids")), "{name}");
    let mut steps = list(after, "history").iter();
    assert!(list(before, "history").iter().all(|step| steps.any(|other| other == step)), "{name}");
}

/// Every place of bait that the ledger tells of: paths, names of variables.
fn places(honeycrate: &Honeycrate) -> BTreeSet<String> {
    let planted = honeycrate.records().into_iter().filter(|record| record["event"] == "planted");
    let locations = planted.filter_map(|record| record["placement"]["location"].as_str().map(ToOwned::to_owned));
    locations.flat_map(|location| location.split(", ").map(ToOwned::to_owned).collect::<Vec<_>>()).collect()
}

/// Whether the program that walks everything differs by the bait and nothing else.
fn differs_by_bait(before: &Ran, after: &Ran, places: &BTreeSet<String>) -> Result<usize, String> {
    let lines = |ran: &Ran| ran.out().lines().map(ToOwned::to_owned).collect::<BTreeSet<String>>();
    let (old, new) = (lines(before), lines(after));
    if let Some(lost) = old.difference(&new).next() {
        return Err(format!("`{lost}` is gone"));
    }
    let added: Vec<&String> = new.difference(&old).collect();
    for line in &added {
        let is_bait = places.iter().any(|place| match place.strip_prefix('/') {
            // The file, or a folder on the way that was not there.
            Some(path) => {
                let named = line.split(' ').next().unwrap_or_default().trim_start_matches("./").trim_start_matches('/');
                !named.is_empty() && (path.ends_with(named) || format!("app/{named}") == *path || path.contains(&format!("{named}/")))
            }
            None => line.starts_with(&format!("{place}=")),
        });
        if !is_bait {
            return Err(format!("`{line}` is new and no bait"));
        }
    }
    Ok(added.len())
}

/// Runs a layout before and after, and compares. Gives how many lines the bait added to what a program that walks everything printed.
fn compare(honeycrate: &Honeycrate, clean: &Path, planted: &Path, case: (&str, bool, bool, bool)) -> usize {
    let (name, walks, is_read_only, takes_programs) = case;
    let (before, after) = (config(clean), config(planted));
    same_but_for_bait(&before, &after, name);
    let work = TempDir::new().expect("a scratch folder can be made");
    let of = |layout: &Path, config: &Value, at: &str| Bundle::of(layout, work.path().join(at)).run(config, is_read_only, takes_programs);
    let (first, second) = (of(clean, &before, "before"), of(planted, &after, "after"));
    assert!(!first.stdout.is_empty() && first.code < 100, "{name}: it does not run as it is: {}", first.all());
    assert_eq!((first.code, first.err()), (second.code, second.err()), "{name}");
    if walks {
        let known = layers(clean);
        let brought = layers(planted).into_iter().filter(|layer| !known.contains(layer)).flat_map(|layer| paths(planted, &layer));
        let places = places(honeycrate).into_iter().chain(brought.map(|path| format!("/{path}"))).collect();
        differs_by_bait(&first, &second, &places).unwrap_or_else(|why| panic!("{name}: {why}\n{places:?}"))
    } else {
        assert_eq!(first.out(), second.out(), "{name}");
        0
    }
}

fn is_harmless(case: &Case) -> usize {
    let (clean, planted, honeycrate) = (TempDir::new().expect("scratch"), TempDir::new().expect("scratch"), Honeycrate::new());
    let source = case.image().write(clean.path());
    case.plant(&honeycrate, &source, planted.path());
    let clean = clean.path();
    compare(&honeycrate, clean, planted.path(), (&case.name(), case.habit == Habit::Walks, case.manner.is_read_only, true))
}

#[test]
fn a_container_does_the_same_with_bait_in_its_image() {
    // Each language twice; the others by the whole round.
    let all = cases();
    let mut seen = BTreeSet::new();
    for case in all.iter().filter(|case| case.number % 4 == case.number / 8 % 4) {
        is_harmless(case);
        seen.insert((case.language.name, format!("{:?}", case.habit)));
    }
    assert_eq!(seen.iter().map(|(language, _)| language).collect::<BTreeSet<_>>().len(), LANGUAGES.len());
    assert_eq!(seen.iter().map(|(_, habit)| habit).collect::<BTreeSet<_>>().len(), HABITS.len());
}

#[test]
fn images_of_real_builders_do_the_same_with_bait() {
    for builder in ["buildah", "Docker"] {
        of_a_builder(builder);
    }
}

#[test]
fn a_static_program_in_an_image_without_a_shell_does_the_same_with_bait() {
    static_program("0:0", false);
}

/// An image with nothing but BusyBox, which is one static program, under a name that is no shell's.
fn static_program(user: &'static str, is_read_only: bool) -> usize {
    let (clean, planted, honeycrate) = (TempDir::new().expect("scratch"), TempDir::new().expect("scratch"), Honeycrate::new());
    let busybox = std::fs::read("/bin/busybox").or_else(|_| std::fs::read("/usr/bin/busybox")).expect("busybox-static is installed");
    let source = Image::new()
        .layer_of_bytes("COPY shop /usr/bin/env # buildkit", &[("usr/bin/env", &busybox)])
        .layer("COPY settings.ini /settings.ini # buildkit", &[("settings.ini", "port=8080\n")])
        .setting("Cmd", json!(["/usr/bin/env", "APP=1"]))
        .setting("WorkingDir", json!("/"))
        .setting("User", json!(user))
        .write(clean.path());
    plant(&honeycrate, &source, planted.path(), "acme/static");
    // It prints its variables, so it walks everything.
    compare(&honeycrate, clean.path(), planted.path(), ("a static program", true, is_read_only, false))
}

fn of_a_builder(builder: &str) {
    let (clean, planted, honeycrate) = (TempDir::new().expect("scratch"), TempDir::new().expect("scratch"), Honeycrate::new());
    let source = if builder == "buildah" {
        Buildah::new().build(clean.path())
    } else {
        let archive = clean.path().join("save.tar");
        must(daemon().docker().args(["save", "--output"]).arg(&archive).arg(IMAGE));
        crate::common::skopeo::copy(
            &format!("docker-archive:{}", archive.display()),
            &format!("oci:{}:latest", clean.path().join("layout").display()),
        );
        format!("oci:{}:latest", clean.path().join("layout").display())
    };
    let layout = if builder == "buildah" { clean.path().to_owned() } else { clean.path().join("layout") };
    plant(&honeycrate, &source, planted.path(), &format!("acme/{builder}").to_lowercase());
    compare(&honeycrate, &layout, planted.path(), (builder, false, false, false));
}

/// All of them: `cargo test -- --ignored every_image_does_the_same --nocapture`.
#[test]
#[ignore = "runs more than sixty images twice each"]
fn every_image_does_the_same_with_bait() {
    use std::io::Write as _;
    let all = cases();
    let ran: Vec<_> = all.iter().map(|case| (case.name(), std::panic::catch_unwind(|| is_harmless(case)))).collect();
    let failed: Vec<&String> = ran.iter().filter(|(_, ran)| ran.is_err()).map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let mut added: usize = ran.iter().filter_map(|(_, ran)| ran.as_ref().ok()).sum();
    for builder in ["buildah", "Docker"] {
        of_a_builder(builder);
    }
    let manners = [("0:0", false), ("1000:1000", false), ("65534:65534", true)];
    for (user, is_read_only) in manners {
        added += static_program(user, is_read_only);
    }
    let walking = all.iter().filter(|case| case.habit == Habit::Walks).count() + manners.len();
    let whole = all.len() + 2 + manners.len();
    let told =
        format!("{whole} images: {} said the same, {walking} that print everything differed by {added} lines of bait alone\n", whole - walking);
    std::io::stderr().write_all(told.as_bytes()).expect("somebody reads");
    assert!(whole >= 60 && added > 0, "{told}");
}

//! Reads the mounted files, and keeps the last valid configuration file for when the mounted one is broken.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::issue::{Entry, Issue, Origin};
use crate::model::Config;
use crate::resolve::{Detail, File, Inputs, Resolution, parse, resolve};
use crate::secret::Secret;
use crate::stops::{self, Broken};
use crate::tree::{Format, Node};

/// The name of the kept file in the state directory.
pub const LAST_VALID: &str = "config.last-valid.json";

/// The kept file of the node monitor.
const LAST_VALID_MONITOR: &str = "node-monitor.last-valid.json";

/// The node monitor's own file in the mounted `ConfigMap`.
const MONITOR_FILE: &str = "node-monitor.yaml";

/// Where the former stand-alone monitor had its file.
const FORMER_MONITOR_FILE: &str = "/etc/node-monitor/config.yaml";

/// The variable that names another place for it.
const MONITOR_VARIABLE: &str = "NODE_MONITOR_CONFIG";

/// A `ConfigMap` or Secret holds at most this many bytes, so no file of ours is larger.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The files a configuration may be in, the first found counts.
const FILES: [(&str, Format); 2] = [("config.json", Format::Json), ("config.yaml", Format::Yaml)];

/// Names that a warning lists at most.
const MAX_NAMES: usize = 10;

/// Where a configuration comes from, as paths and values.
#[derive(Clone, Default)]
pub struct Sources {
    /// The mounted `ConfigMap`.
    pub config_dir: PathBuf,
    /// The mounted Secret.
    pub secrets_dir: PathBuf,
    /// Our own directory, where the last valid file is kept.
    pub state_dir: PathBuf,
    /// The environment.
    pub env: BTreeMap<String, String>,
}

impl std::fmt::Debug for Sources {
    /// Names the variables, but shows no values: some are passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("config_dir", &self.config_dir)
            .field("secrets_dir", &self.secrets_dir)
            .field("state_dir", &self.state_dir)
            .field("env", &self.env.keys())
            .finish()
    }
}

/// A configuration to run on, and how it came about.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Whether it is the mounted one.
    pub state: State,
    /// What may be a mistake, and trouble with the state directory.
    pub warnings: Vec<Issue>,
    /// Every effective setting and where it came from, secrets masked; only [`inspect`] tells.
    pub entries: Vec<Entry>,
}

/// Whether the mounted configuration is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is.
    Valid,
    /// It is not, or not all of it.
    Fallback {
        /// Everything that is wrong with what is mounted and set.
        errors: Vec<Issue>,
        /// What is used instead.
        used: Used,
    },
}

/// What stands in for an invalid configuration. Secret files and variables hold above and below it as always;
/// one that is wrong itself is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// The last file that was valid. That is the mounted one if only a Secret file or a variable is wrong.
    LastValid,
    /// The built-in defaults: no valid file was seen yet. `safety.paused` and `safety.dryRun` hold wherever the invalid
    /// one sets them and can be read so far.
    Defaults,
}

/// Loads the configuration; whatever is wrong, there is one to run on.
///
/// A valid file is kept in the state directory, where it is written only when it has changed. Without
/// a state directory that can be written, loading works, with a warning.
pub fn load(sources: &Sources) -> Loaded {
    load_and_keep(sources, Mounted::read(sources))
}

/// Loads as [`load`] does, with the texts of a `ConfigMap` by key in place of the mounted ones: what was just applied
/// is checked before it is mounted. What is valid is kept, so that whoever finds the mounted file broken goes on with
/// its correction at once.
pub fn load_applied(sources: &Sources, data: &BTreeMap<String, String>) -> Loaded {
    let mut applied = Mounted::default();
    let text = |name: &str| match data.get(name) {
        Some(text) => Ok(text.clone()),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    applied.take_config(text);
    applied.take_monitor(text, sources);
    applied.doubt_if_none("ConfigMap", || data.keys().cloned().collect());
    applied.read_secrets(&sources.secrets_dir);
    load_and_keep(sources, applied)
}

fn load_and_keep(sources: &Sources, mut mounted: Mounted) -> Loaded {
    mounted.detail = Detail::Values;
    let resolution = mounted.resolve(sources);
    let mut warnings = std::mem::take(&mut mounted.warnings);
    let wrong = mounted.wrong(&resolution);
    let monitor = mounted.monitor.as_ref().map(Text::to_keep);
    let to_keep = [
        (LAST_VALID, wrong.main, Some(mounted.to_keep())),
        (LAST_VALID_MONITOR, wrong.monitor, monitor),
    ];
    for (name, wrong, text) in to_keep {
        let kept = text
            .filter(|_| !wrong)
            .map(|text| keep(&sources.state_dir, name, &text));
        if let Some(Err(error)) = kept {
            warnings.push(state_issue(name, &format!("cannot be kept: {error}")));
        }
    }
    choose(sources, mounted, resolution, warnings)
}

/// Loads as [`load`] does, but leaves the state directory as it is: for commands that only look.
pub fn inspect(sources: &Sources) -> Loaded {
    let mut mounted = Mounted::read(sources);
    let resolution = mounted.resolve(sources);
    let warnings = std::mem::take(&mut mounted.warnings);
    choose(sources, mounted, resolution, warnings)
}

/// Takes the resolution of what is mounted, or finds a stand-in if it is invalid.
fn choose(
    sources: &Sources,
    mut mounted: Mounted,
    resolution: Resolution,
    mut warnings: Vec<Issue>,
) -> Loaded {
    let wrong = mounted.wrong(&resolution);
    let mut errors = std::mem::take(&mut mounted.file_errors);
    errors.append(&mut mounted.secret_errors);
    let Resolution {
        config,
        entries,
        errors: found,
        warnings: doubts,
    } = resolution;
    errors.extend(found);
    warnings.extend(doubts);
    if errors.is_empty() {
        return Loaded {
            config,
            state: State::Valid,
            warnings,
            entries,
        };
    }
    let (config, entries, used) = if wrong == Wrong::default() {
        (config, entries, Used::LastValid)
    } else {
        let (mut stand_in, used) = last_valid(sources, &mounted, wrong, &mut warnings);
        if let (Used::Defaults, Some(file)) = (used, &mounted.file) {
            let broken = Broken {
                name: &file.name,
                config: &config,
                entries: &entries,
            };
            warnings.extend(stops::take_over(&mut stand_in, &broken));
        }
        (stand_in.config, stand_in.entries, used)
    };
    Loaded {
        config,
        state: State::Fallback { errors, used },
        warnings,
        entries,
    }
}

/// The kept file in the place of each one that is wrong, combined with the other layers, or these alone.
fn last_valid(
    sources: &Sources,
    mounted: &Mounted,
    wrong: Wrong,
    warnings: &mut Vec<Issue>,
) -> (Resolution, Used) {
    let mut stand_in = |name, wrong, mounted: &Option<Text>| {
        if wrong {
            kept(sources, name, warnings)
        } else {
            mounted.clone()
        }
    };
    let mut file = stand_in(LAST_VALID, wrong.main, &mounted.file);
    let mut monitor = stand_in(LAST_VALID_MONITOR, wrong.monitor, &mounted.monitor);
    let mut used = if (wrong.main && file.is_none()) || (wrong.monitor && monitor.is_none()) {
        Used::Defaults
    } else {
        Used::LastValid
    };
    loop {
        let resolution = resolve(&Inputs {
            file: file.as_ref().map(Text::file),
            monitor: monitor.as_ref().map(Text::file),
            secrets: &mounted.secrets,
            env: &sources.env,
            detail: mounted.detail,
        });
        let mut again = false;
        for text in [&mut file, &mut monitor] {
            let outdated = text
                .take_if(|text| text.kept && concerns_file(&resolution, Some(text.name.as_str())));
            if let Some(outdated) = outdated {
                let issue = state_issue(&outdated.name, "is no longer valid and is not used");
                warnings.push(issue);
                used = Used::Defaults;
                again = true;
            }
        }
        if !again {
            return (resolution, used);
        }
    }
}

/// A file that was kept when it was valid.
fn kept(sources: &Sources, name: &str, warnings: &mut Vec<Issue>) -> Option<Text> {
    match read_file(&sources.state_dir.join(name)) {
        Ok(text) => Some(Text {
            name: name.to_owned(),
            format: Format::Json,
            content: text,
            kept: true,
        }),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                warnings.push(state_issue(name, &format!("cannot be read: {error}")));
            }
            None
        }
    }
}

fn state_issue(name: &str, detail: &str) -> Issue {
    Issue::new(name, "", detail)
}

/// Which of the two files are wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wrong {
    main: bool,
    monitor: bool,
}

/// A file that was read.
#[derive(Clone)]
struct Text {
    /// For messages: a path, or the name in the mounted folder.
    name: String,
    format: Format,
    content: String,
    /// Whether it is a copy that we kept.
    kept: bool,
}

impl Text {
    fn mounted(name: &str, format: Format, content: String) -> Self {
        Self {
            name: name.to_owned(),
            format,
            content,
            kept: false,
        }
    }

    fn file(&self) -> File<'_> {
        File {
            name: &self.name,
            text: &self.content,
            format: self.format,
        }
    }

    /// JSON as it stands, YAML as the JSON of the same value.
    fn to_keep(&self) -> String {
        match self.format {
            Format::Json => self.content.clone(),
            Format::Yaml => parse(&self.file()).map_or_else(
                |_| "{}".to_owned(),
                |map| Node::Map(map).to_json().to_string(),
            ),
        }
    }
}

/// Whether an error is the file's own, and not one of a variable or Secret file.
fn concerns_file(resolution: &Resolution, name: Option<&str>) -> bool {
    name.is_some_and(|name| {
        let place = Origin::File(name.to_owned()).to_string();
        resolution.errors.iter().any(|error| error.place() == place)
    })
}

/// What is mounted, as texts.
#[derive(Default)]
struct Mounted {
    file: Option<Text>,
    /// The node monitor's own file.
    monitor: Option<Text>,
    secrets: BTreeMap<String, Secret>,
    file_errors: Vec<Issue>,
    /// Which of the files is there and cannot be read.
    unreadable: Wrong,
    detail: Detail,
    secret_errors: Vec<Issue>,
    warnings: Vec<Issue>,
}

impl Mounted {
    fn read(sources: &Sources) -> Self {
        let mut mounted = Mounted::default();
        let read = |name: &str| read_file(&sources.config_dir.join(name));
        mounted.take_config(read);
        mounted.take_monitor(read, sources);
        mounted.doubt_if_none(sources.config_dir.display(), || {
            visible(&sources.config_dir)
        });
        mounted.read_secrets(&sources.secrets_dir);
        mounted
    }

    /// Which of the files cannot be used as they are.
    fn wrong(&self, resolution: &Resolution) -> Wrong {
        let concerned = |text: &Option<Text>| {
            let name = text.as_ref().map(|text| text.name.as_str());
            concerns_file(resolution, name)
        };
        Wrong {
            main: self.unreadable.main || concerned(&self.file),
            monitor: self.unreadable.monitor || concerned(&self.monitor),
        }
    }

    fn resolve(&self, sources: &Sources) -> Resolution {
        resolve(&Inputs {
            file: self.file.as_ref().map(Text::file),
            monitor: self.monitor.as_ref().map(Text::file),
            secrets: &self.secrets,
            env: &sources.env,
            detail: self.detail,
        })
    }

    /// The node monitor's own file: the mounted one, else the one where the former monitor had it.
    fn take_monitor(&mut self, mounted: impl Fn(&str) -> io::Result<String>, sources: &Sources) {
        let former = sources.env.get(MONITOR_VARIABLE).map(String::as_str);
        let former = former.unwrap_or(FORMER_MONITOR_FILE);
        let is_there = |result: &io::Result<String>| !result.as_ref().is_err_and(is_missing);
        let candidates = [
            (MONITOR_FILE, mounted(MONITOR_FILE)),
            (former, read_file(Path::new(former))),
        ];
        let found = candidates.into_iter().find(|(_, result)| is_there(result));
        let Some((name, result)) = found else {
            if sources.env.contains_key(MONITOR_VARIABLE) {
                let detail = format!("{MONITOR_VARIABLE} names it, and there is no such file");
                self.warnings.push(Issue::new(former, "", detail));
            }
            return;
        };
        match result {
            Ok(text) => self.monitor = Some(Text::mounted(name, Format::Yaml, text)),
            Err(error) => {
                self.unreadable.monitor = true;
                let detail = format!("cannot be read: {error}");
                self.file_errors.push(Issue::new(name, "", detail));
            }
        }
    }

    /// The first file found; a missing one is not an error, an unreadable one is.
    fn take_config(&mut self, read: impl Fn(&str) -> io::Result<String>) {
        let mut found: Option<&str> = None;
        for (name, format) in FILES {
            if let Some(first) = found {
                if !read(name).as_ref().is_err_and(is_missing) {
                    self.warnings.push(Issue::new(
                        name,
                        "",
                        format!("not used, because there is {first}"),
                    ));
                }
                continue;
            }
            match read(name) {
                Ok(text) => self.file = Some(Text::mounted(name, format, text)),
                Err(error) if is_missing(&error) => continue,
                Err(error) => {
                    self.unreadable.main = true;
                    let detail = format!("cannot be read: {error}");
                    self.file_errors.push(Issue::new(name, "", detail));
                }
            }
            found = Some(name);
        }
    }

    /// Warns where something is there, but none of it is the configuration: a slip of the pen in the name of the file.
    /// Nothing at all is a first start.
    fn doubt_if_none(&mut self, place: impl Display, names: impl FnOnce() -> Vec<String>) {
        if self.file.is_some() || self.unreadable.main {
            return;
        }
        let others = names().into_iter().filter(|name| name != MONITOR_FILE);
        let mut names: Vec<String> = others.map(|name| format!("{name:?}")).collect();
        if names.is_empty() {
            return;
        }
        names.sort_unstable();
        let more = match names.len().saturating_sub(MAX_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        names.truncate(MAX_NAMES);
        let [(first, _), (second, _)] = FILES;
        self.warnings.push(Issue::new(
            place,
            "",
            format!(
                "expected {first} or {second}, found {}{more}: no file is in use",
                names.join(", ")
            ),
        ));
    }

    /// Every visible file; what begins with a dot belongs to the way Kubernetes swaps mounted files.
    fn read_secrets(&mut self, dir: &Path) {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return,
            Err(error) => {
                self.secret_errors.push(Issue::new(
                    "secrets",
                    "",
                    format!("cannot be listed: {error}"),
                ));
                return;
            }
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || entry.path().is_dir() {
                continue;
            }
            match read_file(&entry.path()) {
                Ok(text) => {
                    let text = text.trim_end_matches(['\n', '\r']);
                    self.secrets.insert(name, Secret::new(text));
                }
                Err(error) => self.secret_errors.push(Issue::new(
                    format!("secret {name}"),
                    "",
                    format!("cannot be read: {error}"),
                )),
            }
        }
    }

    /// The text to keep; nothing at all as an empty object.
    fn to_keep(&self) -> String {
        let text = self.file.as_ref().map(Text::to_keep);
        text.unwrap_or_else(|| "{}".to_owned())
    }
}

/// The names of the files in a folder that are not hidden; none where it cannot be listed.
fn visible(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| !entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

/// No such file, or no directory where it would be.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The files of a mounted Secret by name, and those that cannot be read.
pub fn read_secrets(dir: &Path) -> (BTreeMap<String, Secret>, Vec<Issue>) {
    let mut mounted = Mounted::default();
    mounted.read_secrets(dir);
    (mounted.secrets, mounted.secret_errors)
}

/// The text of a file of at most 1 MiB.
pub fn read_file(path: &Path) -> io::Result<String> {
    read_text(fs::File::open(path)?)
}

/// A text of at most 1 MiB.
pub fn read_text(source: impl io::Read) -> io::Result<String> {
    // Most are read at once.
    let mut bytes = Vec::with_capacity(4 << 10);
    source.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        io::Error::other(format!(
            "it is not UTF-8 text (byte {})",
            error.utf8_error().valid_up_to() + 1
        ))
    })
}

/// Writes the kept file if it says something else, in one step: a reader sees the old or the new one.
///
/// Nothing is forced to disk: after a power loss the mounted file is there to be read again. Only we may read it,
/// because an older configuration may hold a password.
fn keep(state_dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let path = state_dir.join(name);
    if read_file(&path).is_ok_and(|kept| kept == text) {
        return Ok(());
    }
    fs::create_dir_all(state_dir)?;
    let temporary = state_dir.join(format!(".{name}.{}", std::process::id()));
    // One of a run that was killed and had our number.
    if let Err(error) = fs::remove_file(&temporary)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&temporary, &path));
    written.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

//! Reads and writes the files that commands are given.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ng_config::{File, Format, Sources};
use ng_hook::Env;

/// The files a mounted configuration may be in, the first found counts.
const MOUNTED: [&str; 2] = ["config.json", "config.yaml"];

/// A configuration file that has been read.
#[derive(Debug)]
pub(super) struct ConfigFile {
    /// The path as it was given, for messages.
    pub(super) name: String,
    /// What stands in it.
    pub(super) text: String,
    pub(super) format: Format,
    /// `None`: standard input.
    pub(super) path: Option<PathBuf>,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = name_of(path);
        let text = if is_dash(path) {
            ng_config::read_text(io::stdin().lock())
        } else {
            ng_config::read_file(path)
        };
        let text = text.with_context(|| format!("{name}: cannot be read"))?;
        Ok(ConfigFile {
            format: format_of(path, &text),
            path: (!is_dash(path)).then(|| path.to_owned()),
            name,
            text,
        })
    }

    /// The given file, or the mounted one.
    pub(super) fn read_or_mounted(given: Option<&Path>, env: &Env) -> anyhow::Result<Self> {
        if let Some(path) = given {
            return Self::read(path);
        }
        let dir = env.config_dir();
        match MOUNTED
            .iter()
            .map(|name| dir.join(name))
            .find(|path| path.exists())
        {
            Some(path) => Self::read(&path),
            None => bail!(
                "{}: there is neither config.json nor config.yaml; name a file with --config",
                dir.display()
            ),
        }
    }

    pub(super) fn as_input(&self) -> File<'_> {
        File {
            name: &self.name,
            text: &self.text,
            format: self.format,
        }
    }
}

/// By its name, and by its content where the name does not tell.
pub(super) fn format_of(path: &Path, text: &str) -> Format {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => Format::Yaml,
        Some("json") => Format::Json,
        _ if text
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with(['{', '[']) =>
        {
            Format::Json
        }
        _ => Format::Yaml,
    }
}

/// The path as it was given, for messages.
pub(super) fn name_of(path: &Path) -> String {
    if is_dash(path) {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    }
}

pub(super) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The mounted directories and the environment.
pub(crate) fn sources(env: &Env) -> Sources {
    Sources {
        config_dir: env.config_dir().to_path_buf(),
        secrets_dir: env.secrets_dir().to_path_buf(),
        state_dir: env.state_dir().to_path_buf(),
        env: env.variables(),
    }
}

/// Writes a file in one step: whoever reads it sees the old text or the new one. What a link points to is replaced,
/// not the link, and the rights of a file that is there are kept.
pub(super) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    write(&target, text).with_context(|| format!("{}: cannot be written", path.display()))
}

fn write(target: &Path, text: &str) -> io::Result<()> {
    let dir = match target.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::other("it is not the path of a file"))?
        .to_string_lossy();
    if target.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let temporary = dir.join(format!(".{name}.{}.new", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .and_then(|mut file| {
            if let Ok(old) = fs::metadata(target) {
                file.set_permissions(fs::Permissions::from_mode(old.permissions().mode()))?;
            }
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, target));
    written.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Writes a file that is not there yet.
pub(super) fn create(path: &Path, text: &str) -> anyhow::Result<()> {
    let created = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    match created.and_then(|mut file| file.write_all(text.as_bytes())) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!(
                "{}: it is there already; --force replaces it",
                path.display()
            )
        }
        result => result.with_context(|| format!("{}: cannot be written", path.display())),
    }
}

//! Where the servers' executables are, and how the pinned ones are built.
//!
//! Building takes many minutes, so a test only looks; the `stack-tools` program builds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::server::write_file;

/// Directory for built executables; `target/stack-tools` in the workspace if it is not set.
pub const CACHE_VARIABLE: &str = "NODEGUARDIAN_STACK_TOOLS";
/// Directory with `etcd` and `kube-apiserver`, as others know it.
pub const ASSETS_VARIABLE: &str = "KUBEBUILDER_ASSETS";
/// `required` turns a skipped stack test into a failed one.
pub const MODE_VARIABLE: &str = "NODEGUARDIAN_STACK";

/// One executable built from a pinned Go module below `tests/tools`.
struct Pinned {
    name: &'static str,
    module: &'static str,
    package: &'static str,
    version: Option<(&'static str, &'static str)>,
    /// Whether an executable of any other version serves as well.
    replaceable: bool,
}

const PINNED: [Pinned; 3] = [
    Pinned {
        name: "etcd",
        module: "kubernetes",
        package: "go.etcd.io/etcd/server/v3",
        version: None,
        replaceable: true,
    },
    Pinned {
        name: "shell-operator",
        module: "shell-operator",
        package: "github.com/flant/shell-operator/cmd/shell-operator",
        version: Some(("github.com/flant/shell-operator/pkg/app.Version", "v1.20.2")),
        replaceable: false,
    },
    Pinned {
        name: "kube-apiserver",
        module: "kubernetes",
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        version: Some(("k8s.io/component-base/version.gitVersion", "v1.35.4")),
        replaceable: true,
    },
];

const CLIENTS: [Pinned; 2] = [
    Pinned {
        name: "helm",
        module: "helm",
        package: "helm.sh/helm/v4/cmd/helm",
        version: Some(("helm.sh/helm/v4/internal/version.version", "v4.3.1")),
        replaceable: false,
    },
    Pinned {
        name: "kubectl",
        module: "helm",
        package: "./kubectl",
        version: Some(("k8s.io/component-base/version.gitVersion", "v1.37.1")),
        replaceable: true,
    },
];

/// The programs that people bring manifests onto a cluster with.
#[derive(Debug, Clone)]
pub struct Clients {
    /// `helm`
    pub helm: PathBuf,
    /// `kubectl`
    pub kubectl: PathBuf,
}

impl Clients {
    /// Looks for both.
    pub fn locate() -> Result<Self, MissingTools> {
        Places::from_environment().clients()
    }

    /// For a test's first line, as [`Tools::for_test`].
    pub fn for_test() -> Result<Option<Self>> {
        or_skip(Self::locate())
    }

    /// Name and path of each.
    pub fn list(&self) -> [(&'static str, &Path); 2] {
        [("helm", &self.helm), ("kubectl", &self.kubectl)]
    }
}

/// The servers' executables.
#[derive(Debug, Clone)]
pub struct Tools {
    /// `etcd`
    pub etcd: PathBuf,
    /// `kube-apiserver`
    pub kube_apiserver: PathBuf,
    /// `shell-operator`
    pub shell_operator: PathBuf,
    /// `prometheus`
    pub prometheus: PathBuf,
    /// `node_exporter`
    pub node_exporter: PathBuf,
}

/// Every executable that was not found, and what would help.
#[derive(Debug)]
pub struct MissingTools(Vec<String>);

impl fmt::Display for MissingTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.join("; "))
    }
}

impl std::error::Error for MissingTools {}

impl Tools {
    /// Looks for all of them.
    pub fn locate() -> Result<Self, MissingTools> {
        Places::from_environment().tools()
    }

    /// For a test's first line: the tools, or `None` with the reason printed, to return early.
    ///
    /// With `NODEGUARDIAN_STACK=required` missing tools are an error.
    pub fn for_test() -> Result<Option<Self>> {
        or_skip(Self::locate())
    }

    /// The same for a test that only needs `promtool`.
    pub fn promtool_for_test() -> Result<Option<PathBuf>> {
        let promtool = Places::from_environment().on_path("promtool");
        or_skip(promtool.ok_or_else(|| MissingTools(vec![not_installed("prometheus")])))
    }

    /// Name and path of each.
    pub fn list(&self) -> [(&'static str, &Path); 5] {
        [
            ("etcd", &self.etcd),
            ("kube-apiserver", &self.kube_apiserver),
            ("shell-operator", &self.shell_operator),
            ("prometheus", &self.prometheus),
            ("node_exporter", &self.node_exporter),
        ]
    }
}

/// The first of these executables of a package that is there and passes `check`; `None`, with the reason printed,
/// where the tests of real servers may be skipped.
#[expect(clippy::print_stderr, reason = "a test that is skipped has to say why")]
pub fn installed(
    names: &[&str],
    package: &str,
    check: impl Fn(&Path) -> bool,
) -> Result<Option<PathBuf>> {
    let folders = variable("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&folders)
        .chain(["/usr/bin".into()])
        .collect();
    let found = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file() && check(path));
    if found.is_none() {
        let missing = format!("no {package} (a Debian package)");
        if variable(MODE_VARIABLE).as_deref() == Some("required") {
            bail!("{MODE_VARIABLE}=required, but {missing}");
        }
        eprintln!("skipped: {missing}");
    }
    Ok(found)
}

/// What was found, or `None` with the reason printed where a test may be skipped.
#[expect(clippy::print_stderr, reason = "a test that is skipped has to say why")]
fn or_skip<T>(found: Result<T, MissingTools>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(missing) if variable(MODE_VARIABLE).as_deref() == Some("required") => {
            bail!("{MODE_VARIABLE}=required, but {missing}")
        }
        Err(missing) => {
            eprintln!("skipped: {missing}");
            Ok(None)
        }
    }
}

fn not_installed(package: &str) -> String {
    format!("no {package} on the PATH (a Debian package)")
}

/// Builds every pinned executable that [`Tools::locate`] would not find, naming each to `progress`.
pub fn build_missing(mut progress: impl FnMut(&str)) -> Result<()> {
    let places = Places::from_environment();
    for pinned in PINNED.iter().chain(&CLIENTS) {
        if places.pinned(pinned).is_none() {
            progress(pinned.name);
            places.build(pinned)?;
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the harness is not a hook and has no ng_hook::Env"
)]
/// A variable that is set to something.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Directories to look in.
struct Places {
    cache: PathBuf,
    assets: Option<PathBuf>,
    path: Vec<PathBuf>,
    modules: PathBuf,
}

impl Places {
    fn from_environment() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = package.parent().unwrap_or(package);
        let default_cache = workspace.join("target/stack-tools");
        Self {
            cache: variable(CACHE_VARIABLE).map_or(default_cache, PathBuf::from),
            assets: variable(ASSETS_VARIABLE).map(PathBuf::from),
            path: variable("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            modules: package.join("tools"),
        }
    }

    fn clients(&self) -> Result<Clients, MissingTools> {
        let mut missing = Vec::new();
        let mut found = self.find(&CLIENTS, &mut missing);
        let mut take = |name| found.remove(name).unwrap_or_default();
        let clients = Clients {
            helm: take("helm"),
            kubectl: take("kubectl"),
        };
        if missing.is_empty() {
            Ok(clients)
        } else {
            Err(MissingTools(missing))
        }
    }

    /// Those of these that there are; what is not there is added to `missing`.
    fn find(
        &self,
        wanted: &[Pinned],
        missing: &mut Vec<String>,
    ) -> BTreeMap<&'static str, PathBuf> {
        let mut found = BTreeMap::new();
        for pinned in wanted {
            match self.pinned(pinned) {
                Some(path) => {
                    found.insert(pinned.name, path);
                }
                None => missing.push(format!(
                    "no up-to-date {} (build: cargo run -p ng-tests --bin stack-tools)",
                    pinned.name
                )),
            }
        }
        found
    }

    fn tools(&self) -> Result<Tools, MissingTools> {
        let mut missing = Vec::new();
        let mut found = self.find(&PINNED, &mut missing);
        for (package, names) in [
            ("prometheus", &["prometheus"][..]),
            (
                "prometheus-node-exporter",
                &["prometheus-node-exporter", "node_exporter"],
            ),
        ] {
            match names.iter().find_map(|name| self.on_path(name)) {
                Some(path) => {
                    found.insert(package, path);
                }
                None => missing.push(not_installed(package)),
            }
        }
        let mut take = |name| found.remove(name).unwrap_or_default();
        let tools = Tools {
            etcd: take("etcd"),
            kube_apiserver: take("kube-apiserver"),
            shell_operator: take("shell-operator"),
            prometheus: take("prometheus"),
            node_exporter: take("prometheus-node-exporter"),
        };
        if missing.is_empty() {
            Ok(tools)
        } else {
            Err(MissingTools(missing))
        }
    }

    fn pinned(&self, pinned: &Pinned) -> Option<PathBuf> {
        let given = self.assets.as_ref().filter(|_| pinned.replaceable);
        given
            .map(|dir| dir.join(pinned.name))
            .filter(|path| path.is_file())
            .or_else(|| self.cached(pinned))
            .or_else(|| {
                pinned
                    .replaceable
                    .then(|| self.on_path(pinned.name))
                    .flatten()
            })
    }

    /// The built executable, if it was built from the modules as they are now.
    fn cached(&self, pinned: &Pinned) -> Option<PathBuf> {
        let path = self.cache.join(pinned.name);
        let stamp = std::fs::read_to_string(self.stamp_path(pinned)).ok()?;
        (path.is_file() && stamp == self.stamp(pinned).ok()?).then_some(path)
    }

    fn on_path(&self, name: &str) -> Option<PathBuf> {
        self.path
            .iter()
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
    }

    fn stamp_path(&self, pinned: &Pinned) -> PathBuf {
        self.cache.join(format!("{}.stamp", pinned.name))
    }

    /// Everything the executable depends on: the build's arguments and the module's files.
    fn stamp(&self, pinned: &Pinned) -> Result<String> {
        let mut stamp = arguments(pinned).join(" ");
        for path in files_below(&self.modules.join(pinned.module))? {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            stamp.push('\n');
            stamp.push_str(&text);
        }
        Ok(stamp)
    }

    fn build(&self, pinned: &Pinned) -> Result<()> {
        std::fs::create_dir_all(&self.cache)
            .with_context(|| format!("cannot create {}", self.cache.display()))?;
        let target = std::path::absolute(self.cache.join(pinned.name))?;
        let status = Command::new("go")
            .args(arguments(pinned))
            .arg("-o")
            .arg(&target)
            .arg(pinned.package)
            .current_dir(self.modules.join(pinned.module))
            .env("CGO_ENABLED", "0")
            .stdin(Stdio::null())
            .status()
            .context("cannot run go")?;
        if !status.success() {
            bail!("go build of {} failed: {status}", pinned.name);
        }
        write_file(&self.stamp_path(pinned), self.stamp(pinned)?)
    }
}

fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            paths.extend(files_below(&path)?);
        } else {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn arguments(pinned: &Pinned) -> Vec<String> {
    let flags = match pinned.version {
        Some((variable, version)) => format!("-s -w -X {variable}={version}"),
        None => "-s -w".to_owned(),
    };
    ["build", "-mod=readonly", "-trimpath", "-ldflags", &flags]
        .map(str::to_owned)
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(dir: &Path) -> Places {
        Places {
            cache: dir.join("cache"),
            assets: Some(dir.join("assets")),
            path: vec![dir.join("bin")],
            modules: Path::new(env!("CARGO_MANIFEST_DIR")).join("tools"),
        }
    }

    fn put(dir: &Path, name: &str) {
        std::fs::create_dir_all(dir).unwrap();
        write_file(&dir.join(name), "").unwrap();
    }

    #[test]
    fn everything_missing_is_named_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let text = places(dir.path()).tools().unwrap_err().to_string();
        for name in [
            "etcd",
            "kube-apiserver",
            "shell-operator",
            "prometheus",
            "node-exporter",
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }

    #[test]
    fn a_built_tool_counts_only_with_the_stamp_of_this_lock() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        let pinned = &PINNED[1];
        put(&places.cache, pinned.name);
        assert_eq!(places.pinned(pinned), None, "no stamp");
        write_file(&places.stamp_path(pinned), "older lock").unwrap();
        assert_eq!(places.pinned(pinned), None, "old stamp");
        write_file(&places.stamp_path(pinned), places.stamp(pinned).unwrap()).unwrap();
        assert_eq!(places.pinned(pinned), Some(places.cache.join(pinned.name)));
    }

    #[test]
    fn another_shell_operator_does_not_serve_but_another_etcd_does() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        for name in ["etcd", "shell-operator"] {
            put(&dir.path().join("assets"), name);
            put(&dir.path().join("bin"), name);
        }
        assert_eq!(
            places.pinned(&PINNED[0]),
            Some(dir.path().join("assets/etcd"))
        );
        assert_eq!(places.pinned(&PINNED[1]), None);
    }
}

//! Directories as Kubernetes mounts them, and what is run on when they are broken.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use ng_config::{
    Config, LAST_VALID, Loaded, LogLevel, Origin, Sources, State, Used, inspect, load,
};
use tempfile::TempDir;

const INFO: &str = r#"{"log": {"level": "WARN"}}"#;
const BROKEN: &str = r#"{"log": {"level": "LOUD"}, "safety": {"paused": true}}"#;

struct Mounts {
    root: TempDir,
    env: BTreeMap<String, String>,
}

impl Mounts {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        for name in ["config", "secrets", "state"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        Mounts {
            root,
            env: BTreeMap::new(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::File::create(self.path(name))
            .unwrap()
            .write_all(text.as_ref())
            .unwrap();
    }

    fn sources(&self) -> Sources {
        Sources {
            config_dir: self.path("config"),
            secrets_dir: self.path("secrets"),
            state_dir: self.path("state"),
            env: self.env.clone(),
        }
    }

    fn load(&self) -> Loaded {
        load(&self.sources())
    }

    fn kept(&self) -> Option<String> {
        fs::read_to_string(self.path("state").join(LAST_VALID)).ok()
    }
}

fn used(loaded: &Loaded) -> Option<Used> {
    match &loaded.state {
        State::Valid => None,
        State::Fallback { used, .. } => Some(*used),
    }
}

fn errors(loaded: &Loaded) -> Vec<String> {
    match &loaded.state {
        State::Valid => Vec::new(),
        State::Fallback { errors, .. } => errors.iter().map(ToString::to_string).collect(),
    }
}

fn warnings(loaded: &Loaded) -> Vec<String> {
    loaded.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_at_all_is_the_defaults() {
    let root = TempDir::new().unwrap();
    let missing = |name: &str| root.path().join(name);
    let loaded = load(&Sources {
        config_dir: missing("a"),
        secrets_dir: missing("b"),
        state_dir: missing("c/d"),
        env: BTreeMap::new(),
    });
    assert_eq!((&loaded.state, warnings(&loaded)), (&State::Valid, vec![]));
    assert_eq!(loaded.config, Config::default());
    assert_eq!(
        fs::read_to_string(missing("c/d").join(LAST_VALID)).unwrap(),
        "{}"
    );
}

#[test]
fn an_invalid_file_falls_back_as_a_whole() {
    let mounts = Mounts::new();
    mounts.put("config/config.json", BROKEN);
    let first = mounts.load();
    assert_eq!(used(&first), Some(Used::Defaults));
    let mut expected = Config::default();
    expected.safety.paused = true;
    assert_eq!(first.config, expected, "of the valid half only the stop");
    assert_eq!(
        errors(&first),
        [
            "config.json: log.level: expected a log level (DEBUG, INFO, WARN or ERROR), found \"LOUD\""
        ]
    );
    assert_eq!(mounts.kept(), None);

    mounts.put("config/config.json", INFO);
    assert_eq!(mounts.load().state, State::Valid);
    mounts.put("config/config.json", BROKEN);
    let later = mounts.load();
    assert_eq!(
        (used(&later), later.config.log.level),
        (Some(Used::LastValid), LogLevel::Warn)
    );
    assert!(!later.config.safety.paused);
    assert_eq!(later.entries.len(), 0, "a run needs none");
    let looked = inspect(&mounts.sources());
    let level = looked
        .entries
        .iter()
        .find(|entry| entry.path == "log.level")
        .unwrap();
    assert_eq!(level.origin, Origin::File(LAST_VALID.to_owned()));
    assert_eq!(mounts.kept().as_deref(), Some(INFO));
}

/// Files that cannot be used, and whether they are read to pause, and to be a dry run.
const STOPS: &[(&str, bool, bool)] = &[
    (
        r#"{"email": {"smtpPort": "abc"}, "safety": {"paused": true, "dryRun": true}}"#,
        true,
        true,
    ),
    (
        r#"{"log": {"level": "LOUD"}, "safety": {"dryRun": true}}"#,
        false,
        true,
    ),
    // A wrong limit beside it is not used, and does not end the stop.
    (
        r#"{"safety": {"maxNodes": "many", "paused": true}}"#,
        true,
        false,
    ),
    (
        r#"{"safety": {"paused": "perhaps", "dryRun": true}}"#,
        false,
        true,
    ),
    (
        r#"{"log": {"level": "LOUD"}, "safety": {"maxNodes": 7}}"#,
        false,
        false,
    ),
    (
        r#"{"safety": {"paused": true, "dryRun": true}"#,
        false,
        false,
    ),
];

#[test]
fn the_stops_of_a_broken_file_hold_where_the_defaults_stand_in() {
    for (text, paused, dry_run) in STOPS.iter().copied() {
        let mounts = Mounts::new();
        mounts.put("config/config.json", text);
        let loaded = mounts.load();
        assert_eq!(used(&loaded), Some(Used::Defaults), "{text}");
        let mut expected = Config::default();
        (expected.safety.paused, expected.safety.dry_run) = (paused, dry_run);
        assert_eq!(loaded.config, expected, "{text}");
        let told = |path: &str| {
            let start = format!("config.json: {path}: holds although the file is not in use");
            warnings(&loaded)
                .iter()
                .any(|text| text.starts_with(&start))
        };
        assert_eq!(
            (told("safety.paused"), told("safety.dryRun")),
            (paused, dry_run),
            "{text}"
        );
        let looked = inspect(&mounts.sources());
        let entry = |path| {
            looked
                .entries
                .iter()
                .find(|entry| entry.path == path)
                .unwrap()
        };
        for (path, set) in [("safety.paused", paused), ("safety.dryRun", dry_run)] {
            let origin = if set {
                Origin::File("config.json".to_owned())
            } else {
                Origin::Default
            };
            assert_eq!(
                (&entry(path).value, &entry(path).origin),
                (&set.into(), &origin),
                "{text}"
            );
        }
    }
}

#[test]
fn a_valid_file_that_was_kept_decides_on_its_stops() {
    let mounts = Mounts::new();
    mounts.put("config/config.json", r#"{"safety": {"dryRun": true}}"#);
    assert_eq!(mounts.load().state, State::Valid);
    mounts.put("config/config.json", BROKEN);
    let loaded = mounts.load();
    assert_eq!(used(&loaded), Some(Used::LastValid));
    let safety = loaded.config.safety;
    assert_eq!((safety.paused, safety.dry_run), (false, true));
}

#[test]
fn the_kept_file_is_private_and_written_only_when_it_changes() {
    let mounts = Mounts::new();
    mounts.put("config/config.json", INFO);
    let metadata = || fs::metadata(mounts.path("state").join(LAST_VALID)).unwrap();
    mounts.load();
    let first = metadata();
    assert_eq!(first.permissions().mode() & 0o777, 0o600);
    mounts.load();
    assert_eq!(
        metadata().ino(),
        first.ino(),
        "an unchanged file is not written again"
    );
    mounts.put("config/config.json", "{}");
    mounts.load();
    assert_ne!(
        metadata().ino(),
        first.ino(),
        "a changed one replaces it in one step"
    );
    assert_eq!(
        fs::read_dir(mounts.path("state")).unwrap().count(),
        1,
        "nothing else is left behind"
    );
}

#[test]
fn looking_leaves_no_trace() {
    let mounts = Mounts::new();
    mounts.put("config/config.json", INFO);
    assert_eq!(inspect(&mounts.sources()).config.log.level, LogLevel::Warn);
    assert_eq!(mounts.kept(), None);
}

#[test]
fn yaml_is_kept_as_json() {
    let mounts = Mounts::new();
    mounts.put("config/config.yaml", "log: {level: WARN}\nclusterName: a\n");
    assert_eq!(mounts.load().state, State::Valid);
    assert_eq!(
        mounts.kept().as_deref(),
        Some(r#"{"clusterName":"a","log":{"level":"WARN"}}"#)
    );
    mounts.put("config/config.yaml", "log: [\n");
    let loaded = mounts.load();
    assert_eq!(loaded.config.cluster_name.as_deref(), Some("a"));
    assert!(
        errors(&loaded)[0].starts_with("config.yaml: line 2, column 1: "),
        "{:?}",
        errors(&loaded)
    );
}

#[test]
fn json_wins_over_yaml_with_a_warning() {
    let mounts = Mounts::new();
    mounts.put("config/config.json", INFO);
    mounts.put("config/config.yaml", "log: {level: ERROR}");
    let loaded = mounts.load();
    assert_eq!(loaded.config.log.level, LogLevel::Warn);
    assert_eq!(
        warnings(&loaded),
        ["config.yaml: not used, because there is config.json"]
    );
}

#[test]
fn files_that_cannot_be_read_are_errors() {
    for (content, expected) in [
        (
            &b"{\"a\": \"\xff\"}"[..],
            "config.json: cannot be read: it is not UTF-8 text (byte 8)",
        ),
        (
            &vec![b' '; (1 << 20) + 1],
            "config.json: cannot be read: it is larger than 1 MiB",
        ),
    ] {
        let mounts = Mounts::new();
        mounts.put("config/config.json", content);
        assert_eq!(errors(&mounts.load()), [expected]);
        assert_eq!(mounts.kept(), None);
    }
    let mounts = Mounts::new();
    fs::create_dir(mounts.path("config/config.json")).unwrap();
    assert!(errors(&mounts.load())[0].starts_with("config.json: cannot be read: "));
}

#[test]
fn files_of_other_names_are_one_warning() {
    for (names, found) in [
        (&[][..], None),
        (&[".config.yml.swp"], None),
        (&["config.yml"], Some("\"config.yml\"")),
        (
            &["notes.txt", "config.yml"],
            Some("\"config.yml\", \"notes.txt\""),
        ),
        (&["config.yml", "config.json"], None),
    ] {
        let mounts = Mounts::new();
        let mut data = BTreeMap::new();
        for name in names {
            mounts.put(&format!("config/{name}"), INFO);
            data.insert((*name).to_owned(), INFO.to_owned());
        }
        fs::create_dir(mounts.path("config/..2026_01_01")).unwrap();
        fs::create_dir(mounts.path("config/lost+found")).unwrap();
        let said = |place: &str| {
            let line = |found| {
                format!(
                    "{place}: expected config.json or config.yaml, found {found}: no file is in use"
                )
            };
            found.map(line).into_iter().collect::<Vec<_>>()
        };
        let loaded = mounts.load();
        let place = mounts.path("config").display().to_string();
        assert_eq!(
            (&loaded.state, warnings(&loaded)),
            (&State::Valid, said(&place))
        );
        assert_eq!(warnings(&inspect(&mounts.sources())), said(&place));
        data.retain(|name, _| !name.starts_with('.'));
        let applied = ng_config::load_applied(&mounts.sources(), &data);
        assert_eq!(warnings(&applied), said("ConfigMap"));
    }
    let mounts = Mounts::new();
    for index in 10..25 {
        mounts.put(&format!("config/{index}"), "");
    }
    let many = warnings(&mounts.load());
    assert!(many[0].contains("\"19\" and 5 more: "), "{many:?}");
}

#[test]
fn blanks_around_a_secret_count_only_where_they_can() {
    let mounts = Mounts::new();
    let url = "https://hooks.example.com/x";
    mounts.put("secrets/webhook-url", format!(" {url} \r\n\n"));
    mounts.put("secrets/slack-webhook-url", format!("{url} \n \n"));
    mounts.put("secrets/prometheus-url", "http://x/y \n");
    mounts.put("secrets/email-password", " hunter2 \n");
    let loaded = mounts.load();
    assert_eq!(errors(&loaded), Vec::<String>::new());
    let config = &loaded.config;
    let hook = |url: Option<&ng_config::SecretUrl>| url.map(|it| it.expose().to_owned());
    assert_eq!(
        hook(config.alert.webhook_url.as_ref()).as_deref(),
        Some(url)
    );
    assert_eq!(
        config.email.password.as_ref().unwrap().expose(),
        " hunter2 "
    );
    mounts.put("secrets/webhook-url", "https://hooks.example.com/x y");
    assert_eq!(errors(&mounts.load()).len(), 1, "blanks within are wrong");
}

/// A mounted Secret: a dated directory, `..data` pointing at it, and a link for every key.
#[test]
fn secrets_are_read_as_kubernetes_mounts_them() {
    let mounts = Mounts::new();
    fs::create_dir(mounts.path("secrets/..2026_01_01")).unwrap();
    mounts.put("secrets/..2026_01_01/email-password", "hunter2\n");
    mounts.put("secrets/..2026_01_01/colour", "hunter2");
    symlink("..2026_01_01", mounts.path("secrets/..data")).unwrap();
    for name in ["email-password", "colour"] {
        symlink(
            Path::new("..data").join(name),
            mounts.path("secrets").join(name),
        )
        .unwrap();
    }
    mounts.put("secrets/.hidden", "hunter2");
    let loaded = mounts.load();
    assert_eq!(loaded.state, State::Valid);
    assert_eq!(
        loaded.config.email.password.as_ref().unwrap().expose(),
        "hunter2"
    );
    assert_eq!(warnings(&loaded), ["secret colour: unknown file"]);
    assert!(!format!("{loaded:?}").contains("hunter2"));
    assert!(
        !mounts.kept().unwrap().contains("hunter2"),
        "Secret files are not kept"
    );
}

#[test]
fn a_wrong_secret_or_variable_leaves_the_valid_file_in_use() {
    let mut mounts = Mounts::new();
    mounts.put("config/config.json", INFO);
    mounts.put("secrets/webhook-url", "hunter2");
    mounts.env.insert(
        "NODEGUARDIAN_NAMESPACE".to_owned(),
        "No Namespace".to_owned(),
    );
    symlink("nowhere", mounts.path("secrets/email-password")).unwrap();
    let loaded = mounts.load();
    assert_eq!(
        (used(&loaded), loaded.config.log.level),
        (Some(Used::LastValid), LogLevel::Warn)
    );
    let errors = errors(&loaded);
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(
        errors[0].starts_with("secret email-password: cannot be read: "),
        "{errors:?}"
    );
    assert!(
        errors.iter().all(|error| !error.contains("hunter2")),
        "{errors:?}"
    );
    assert_eq!(mounts.kept().as_deref(), Some(INFO));
}

#[test]
fn trouble_with_the_state_directory_is_only_a_warning() {
    let mounts = Mounts::new();
    mounts.put("config/config.json", INFO);
    mounts.put("file", "");
    let sources = Sources {
        state_dir: mounts.path("file"),
        ..mounts.sources()
    };
    let loaded = load(&sources);
    assert_eq!(
        (&loaded.state, loaded.config.log.level),
        (&State::Valid, LogLevel::Warn)
    );
    assert!(
        warnings(&loaded)[0].starts_with("config.last-valid.json: cannot be kept: "),
        "{:?}",
        warnings(&loaded)
    );

    mounts.put("config/config.json", BROKEN);
    fs::create_dir(mounts.path("state").join(LAST_VALID)).unwrap();
    let loaded = mounts.load();
    assert_eq!(used(&loaded), Some(Used::Defaults));
    assert!(
        warnings(&loaded)[0].starts_with("config.last-valid.json: cannot be read: "),
        "{:?}",
        warnings(&loaded)
    );
}

#[test]
fn a_kept_file_that_is_broken_is_not_used() {
    let mounts = Mounts::new();
    mounts.put("config/config.json", "{");
    mounts.put("state/config.last-valid.json", BROKEN);
    let loaded = mounts.load();
    assert_eq!(
        (used(&loaded), &loaded.config),
        (Some(Used::Defaults), &Config::default())
    );
    assert_eq!(
        warnings(&loaded),
        ["config.last-valid.json: is no longer valid and is not used"]
    );
}

#[test]
fn the_environment_still_counts_in_a_fallback() {
    let mut mounts = Mounts::new();
    mounts
        .env
        .insert("LOG_LEVEL".to_owned(), "ERROR".to_owned());
    mounts
        .env
        .insert("ALERT_EMAIL_PASSWORD".to_owned(), "hunter2".to_owned());
    mounts.put("config/config.json", "{");
    assert_eq!(mounts.load().config.log.level, LogLevel::Error);
    assert!(!format!("{:?}", mounts.sources()).contains("hunter2"));
}

#[test]
fn what_is_applied_is_checked_before_it_is_mounted() {
    let mounts = Mounts::new();
    mounts.put("config/config.json", BROKEN);
    mounts.put("secrets/log-format", "text\n");
    let applied = |text: &str| {
        let data = BTreeMap::from([("config.json".to_owned(), text.to_owned())]);
        ng_config::load_applied(&mounts.sources(), &data)
    };
    let loaded = applied(INFO);
    assert_eq!(loaded.state, State::Valid);
    assert_eq!(loaded.config.log.format, ng_config::LogFormat::Text);
    assert_eq!(mounts.kept().as_deref(), Some(INFO));
    // The correction counts before it is mounted.
    let mounted = mounts.load();
    assert_eq!(
        (used(&mounted), mounted.config.log.level),
        (Some(Used::LastValid), LogLevel::Warn)
    );
    assert_eq!(
        errors(&applied("{")),
        ["config.json: line 1, column 1: EOF while parsing an object"]
    );
    assert_eq!(mounts.kept().as_deref(), Some(INFO));
    let nothing = ng_config::load_applied(&mounts.sources(), &BTreeMap::new());
    assert_eq!(
        (nothing.state, nothing.config.log.level),
        (State::Valid, LogLevel::Info)
    );
}

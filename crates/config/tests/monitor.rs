//! The settings of the node monitor, from its section and from a file of the former stand-alone monitor.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::fs;

use std::time::Duration;

use ng_config::{
    ChannelKind, File, Format, Inputs, Language, Resolution, SecretUrl, Sources, State, Used, load,
    resolve,
};
use tempfile::TempDir;

/// The whole file as the former monitor shipped it.
const FORMER: &str = "
checkInterval: 60
logLevel: info
alertCooldown: 15
thresholds:
  cpuWarning: 70
  cpuCritical: 90
  memoryWarning: 70
  memoryCritical: 90
slack:
  webhookURL: \"\"
dingtalk:
  webhookURL: \"https://oapi.dingtalk.example/robot/send?access_token=hunter2\"
  secret: SEChunter2
";

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn of_files(config: &str, monitor: &str, env: &[(&str, &str)]) -> Resolution {
    let file = |name, text| File {
        name,
        text,
        format: Format::Yaml,
    };
    resolve(&Inputs {
        file: Some(file("config.yaml", config)),
        monitor: (!monitor.is_empty()).then_some(file("node-monitor.yaml", monitor)),
        env: &map(env),
        ..Inputs::default()
    })
}

fn texts(issues: &[ng_config::Issue]) -> Vec<String> {
    issues.iter().map(ToString::to_string).collect()
}

#[test]
fn the_file_of_the_former_monitor_is_read_as_it_is() {
    let resolution = of_files("", FORMER, &[]);
    assert_eq!(texts(&resolution.errors), Vec::<String>::new());
    assert_eq!(texts(&resolution.warnings), Vec::<String>::new());
    let monitor = resolution.config.node_monitor;
    assert_eq!(monitor.check_interval, Duration::from_mins(1));
    assert_eq!(monitor.alert_cooldown, Duration::from_mins(15));
    assert_eq!(monitor.own_channels(), [ChannelKind::Dingtalk]);
    assert_eq!(
        monitor
            .receivers
            .channels
            .dingtalk
            .webhook
            .map(|url| url.host().to_owned()),
        Some("oapi.dingtalk.example".to_owned())
    );
    // Its messages were Chinese.
    assert_eq!(monitor.language, Some(Language::Chinese));
}

#[test]
fn a_part_of_a_section_keeps_the_other_defaults() {
    let default = ng_config::Config::default().node_monitor;
    let monitor = of_files("", "thresholds: {cpuCritical: 95}\nslack: {}", &[])
        .config
        .node_monitor;
    assert!((monitor.thresholds.cpu.critical - 95.0).abs() < f64::EPSILON);
    assert!((monitor.thresholds.cpu.warning - 70.0).abs() < f64::EPSILON);
    assert_eq!(monitor.thresholds.memory, default.thresholds.memory);
    // The other one of a pair makes way.
    for (set, expected) in [
        ("cpuCritical: 60", (60.0, 60.0)),
        ("cpuWarning: 95", (95.0, 95.0)),
    ] {
        let monitor = of_files("", &format!("thresholds: {{{set}}}"), &[]);
        assert_eq!(texts(&monitor.errors), Vec::<String>::new());
        let cpu = monitor.config.node_monitor.thresholds.cpu;
        assert_eq!(
            (cpu.warning.to_bits(), cpu.critical.to_bits()),
            (f64::to_bits(expected.0), f64::to_bits(expected.1))
        );
    }
    assert_eq!(monitor.alert_cooldown, default.alert_cooldown);
}

#[test]
fn the_section_hides_the_file_and_the_file_the_environment() {
    let env = [
        ("SLACK_WEBHOOK_URL", "https://slack.example/env"),
        ("DINGTALK_WEBHOOK_URL", "https://ding.example/env"),
        ("DINGTALK_SECRET", "SECenv"),
    ];
    let shown = |url: Option<SecretUrl>| url.map(|url| url.expose().to_owned());
    let from_env = of_files("", "", &env).config.node_monitor;
    assert_eq!(
        from_env.own_channels(),
        [ChannelKind::Slack, ChannelKind::Dingtalk]
    );
    assert_eq!(from_env.language, None);
    let both = of_files(
        "",
        "dingtalk: {webhookURL: 'https://ding.example/file'}",
        &env,
    );
    let channels = both.config.node_monitor.receivers.channels;
    assert_eq!(
        shown(channels.dingtalk.webhook).as_deref(),
        Some("https://ding.example/file")
    );
    assert_eq!(
        shown(channels.slack_webhook).as_deref(),
        Some("https://slack.example/env")
    );
    let section = of_files("nodeMonitor: {alertCooldown: 5m}", FORMER, &[]);
    assert_eq!(
        section.config.node_monitor.alert_cooldown,
        Duration::from_mins(5)
    );
    assert_eq!(section.config.node_monitor.own_channels(), []);
    assert_eq!(
        texts(&section.warnings),
        ["node-monitor.yaml: not used, because there is nodeMonitor in config.yaml"]
    );
}

#[test]
fn every_mistake_is_named_with_its_file_and_path() {
    let wrong = "{checkInterval: 0, thresholds: {cpuWarning: 95, cpuCritical: 90, memoryWarnin: 1, diskCritical: full}, slack: {webhookURL: hooks}}";
    let own = of_files("", wrong, &[]);
    let section = of_files(&format!("nodeMonitor: {wrong}"), "", &[]);
    for (found, place) in [
        (&own, "node-monitor.yaml: "),
        (&section, "config.yaml: nodeMonitor."),
    ] {
        assert_eq!(
            texts(&found.errors),
            [
                format!(
                    "{place}checkInterval: expected a number of seconds above zero, or a duration such as \"60s\", found 0"
                ),
                format!("{place}thresholds.cpuWarning: expected at most cpuCritical, 90, found 95"),
                format!(
                    "{place}thresholds.diskCritical: expected a number from 0 to 1000, found \"full\""
                ),
                format!(
                    "{place}slack.webhookURL: expected an http or https URL, found a text (not shown: it may be a secret)"
                ),
            ]
        );
    }
    assert_eq!(
        texts(&own.warnings),
        [
            "node-monitor.yaml: thresholds.memoryWarnin: unknown key, did you mean \"thresholds.memoryWarning\"?"
        ]
    );
    assert_eq!(
        texts(&section.warnings),
        [
            "config.yaml: nodeMonitor.thresholds.memoryWarnin: unknown key, did you mean \"nodeMonitor.thresholds.memoryWarning\"?"
        ]
    );
}

struct Mounted {
    folder: TempDir,
}

impl Mounted {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("config")).unwrap();
        Self { folder }
    }

    #[expect(clippy::disallowed_methods, reason = "input of a test, not state")]
    fn put(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn load(&self) -> ng_config::Loaded {
        let path = |name: &str| self.folder.path().join(name);
        let former = path("former.yaml").display().to_string();
        load(&Sources {
            config_dir: path("config"),
            secrets_dir: path("secrets"),
            state_dir: path("state"),
            env: map(&[("NODE_MONITOR_CONFIG", &former)]),
        })
    }
}

#[test]
fn a_broken_file_is_replaced_by_the_last_valid_one_and_touches_nothing_else() {
    let mounted = Mounted::new();
    mounted.put("config/config.json", r#"{"clusterName": "one"}"#);
    mounted.put("config/node-monitor.yaml", "alertCooldown: 7");
    assert_eq!(mounted.load().state, State::Valid);
    mounted.put("config/config.json", r#"{"clusterName": "two"}"#);
    mounted.put("config/node-monitor.yaml", "alertCooldown: [");
    let loaded = mounted.load();
    let State::Fallback { errors, used } = &loaded.state else {
        panic!("expected a fallback");
    };
    assert_eq!(*used, Used::LastValid);
    assert_eq!(errors[0].place(), "node-monitor.yaml");
    assert_eq!(loaded.config.cluster_name.as_deref(), Some("two"));
    assert_eq!(
        loaded.config.node_monitor.alert_cooldown,
        Duration::from_mins(7)
    );
    // And the other way round.
    mounted.put("config/config.json", "{");
    mounted.put("config/node-monitor.yaml", "alertCooldown: 8");
    let loaded = mounted.load();
    assert_eq!(loaded.config.cluster_name.as_deref(), Some("two"));
    assert_eq!(
        loaded.config.node_monitor.alert_cooldown,
        Duration::from_mins(8)
    );
}

#[test]
fn a_former_path_counts_where_nothing_is_mounted() {
    let mounted = Mounted::new();
    assert_eq!(
        texts(&mounted.load().warnings),
        [format!(
            "{}: NODE_MONITOR_CONFIG names it, and there is no such file",
            mounted.folder.path().join("former.yaml").display()
        )]
    );
    mounted.put("former.yaml", "alertCooldown: 3");
    let loaded = mounted.load();
    assert_eq!(texts(&loaded.warnings), Vec::<String>::new());
    assert_eq!(
        loaded.config.node_monitor.alert_cooldown,
        Duration::from_mins(3)
    );
    mounted.put("config/node-monitor.yaml", "alertCooldown: 4");
    assert_eq!(
        mounted.load().config.node_monitor.alert_cooldown,
        Duration::from_mins(4)
    );
}

#[test]
fn a_webhook_of_its_own_gets_no_credentials_of_another() {
    let own = "alert: {webhookUrl: 'https://one.example/', webhookHeaders: {X-Token: hunter2}, webhookSecret: hunter2}
nodeMonitor: {webhook: {url: 'https://two.example/'}}";
    let config = of_files(own, "", &[]).config;
    let overlaid = config.with_monitor_receivers().alert;
    assert_eq!(
        overlaid
            .webhook_url
            .map(|url| url.host().to_owned())
            .as_deref(),
        Some("two.example")
    );
    assert!(overlaid.webhook_headers.is_empty() && overlaid.webhook_secret.is_none());
    assert!(!config.alert.webhook_headers.is_empty());
}

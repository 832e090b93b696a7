//! Prometheus over the made-up nodes and one real node exporter.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::server::{Launch, Server, Signal, free_port, write_file};
use crate::tools::Tools;
use crate::wait::wait_until;

const READY_LIMIT: Duration = Duration::from_secs(30);

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    program: PathBuf,
    dir: PathBuf,
    port: u16,
    config: Value,
    server: Option<Server>,
    node_exporter: Server,
}

impl Prometheus {
    /// Starts it below `dir`, scraping `exporter` (`HOST:PORT`) and a real node exporter each second.
    pub fn start(tools: &Tools, dir: &Path, exporter: &str) -> Result<Self> {
        let dir = dir.join("prometheus");
        std::fs::create_dir_all(&dir).context("cannot create Prometheus's folder")?;
        let node_exporter_port = free_port()?;
        let node_exporter = Launch::new(&tools.node_exporter, dir.join("node_exporter.log"))
            .arg(format!(
                "--web.listen-address=127.0.0.1:{node_exporter_port}"
            ))
            .arg("--log.level=error")
            .start()?;
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {"job_name": "node-exporter", "honor_labels": true,
                 "static_configs": [{"targets": [exporter]}]},
                {"job_name": "real-node-exporter",
                 "static_configs": [{"targets": [format!("127.0.0.1:{node_exporter_port}")]}]},
            ],
        });
        let mut prometheus = Self {
            program: tools.prometheus.clone(),
            dir,
            port: free_port()?,
            config,
            server: None,
            node_exporter,
        };
        prometheus.restart()?;
        Ok(prometheus)
    }

    /// Scrapes one more target (`HOST:PORT`) each second, as its own job; starts Prometheus again.
    pub fn scrape(&mut self, job: &str, target: &str, path: &str) -> Result<()> {
        let jobs = self.config["scrape_configs"].as_array_mut();
        jobs.context("no list of jobs")?.push(json!({
            "job_name": job, "metrics_path": path, "static_configs": [{"targets": [target]}],
        }));
        self.restart()
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The result of an instant query, now: a list of `{"metric": {...}, "value": [time, "1"]}`.
    pub fn query(&self, query: &str) -> Result<Vec<Value>> {
        let mut answer = ureq::get(format!("{}/api/v1/query", self.url()))
            .query("query", query)
            .config()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(READY_LIMIT))
            .build()
            .call()?;
        let mut body: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        match body["data"]["result"].take() {
            Value::Array(result) => Ok(result),
            _ => bail!("{query}: {body}"),
        }
    }

    /// The value of a query that gives exactly one series.
    pub fn value(&self, query: &str) -> Result<f64> {
        let result = self.query(query)?;
        let [series] = result.as_slice() else {
            bail!("{query}: {} series instead of one", result.len());
        };
        let text = series["value"][1].as_str();
        text.and_then(|text| text.parse().ok())
            .with_context(|| format!("{query}: {series}"))
    }

    /// Kills Prometheus.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts Prometheus again on its port and data, and waits until it answers.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        write_file(
            &self.dir.join("prometheus.yml"),
            serde_json::to_string_pretty(&self.config)?,
        )?;
        let server = Launch::new(&self.program, self.dir.join("prometheus.log"))
            .arg(format!(
                "--config.file={}",
                self.dir.join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                self.dir.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
            .arg("--log.level=warn")
            .start()?;
        let server = self.server.insert(server);
        let ready = format!("http://127.0.0.1:{}/-/ready", self.port);
        let waited = wait_until(READY_LIMIT, "readiness of Prometheus", || {
            server.check_running()?;
            ureq::get(&ready).config().proxy(None).build().call()?;
            Ok(())
        });
        waited.with_context(|| server.last_output())
    }

    /// Lets Prometheus stand still (queries hang) or go on.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.server
            .as_mut()
            .context("Prometheus is stopped")?
            .signal(signal)
    }

    /// Resident memory of Prometheus and the node exporter in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let server = self.server.as_ref().map_or(Ok(0), Server::resident_bytes)?;
        Ok(server + self.node_exporter.resident_bytes()?)
    }
}

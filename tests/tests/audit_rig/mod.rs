//! An authority whose audit log is looked at: by its REST API, by `hubctl`, and without our code.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use audit::{
    checkpoint::SignedCheckpoint,
    export::{ExportedCheckpoint, ExportedEntry},
    keys::VerifierKey,
};
use authority_api::{
    AuthorityClient,
    audit::{AuditKeys, ConsistencyProof, InclusionProof},
    types::Role,
};
use serde_json::{Value, json};
use testkit::{
    paths,
    process::{Launch, run},
    stack::Stack,
    wait::until,
};

const DEADLINE: Duration = Duration::from_secs(30);

/// What is read as an auditor, with the keys that sign.
pub struct Auditor {
    pub client: AuthorityClient,
    pub log: VerifierKey,
    pub time: VerifierKey,
    url: String,
    session: PathBuf,
}

impl Auditor {
    /// Signs in, over REST and with `hubctl`.
    pub async fn sign_in(stack: &Stack) -> Self {
        let operator = stack.operator("auditor", &[Role::Auditor]).await.unwrap();
        let client = stack.signed_in(&operator).await.unwrap();
        let keys: AuditKeys = client.get("/v1/audit/keys").await.unwrap();
        let (log, time) = (keys.log.parse().unwrap(), keys.time.parse().unwrap());
        let session = stack.directory().join("auditor-session.json");
        let auditor = Self { client, log, time, url: stack.authority_url(), session };
        let password = stack.directory().join("secrets").join(format!("operator-{}", operator.name));
        let signed_in = auditor.hubctl(&[
            "sign-in",
            "--operator",
            &operator.name,
            "--password-file",
            &password.display().to_string(),
        ]);
        assert!(signed_in.status.success(), "{}", told(&signed_in));
        auditor
    }

    /// Runs `hubctl --json …`.
    pub fn hubctl(&self, args: &[&str]) -> Output {
        let mut command = Command::new(paths::binary("hubctl").unwrap());
        command.arg("--json").args(args);
        command.env("AUTHORITY_URL", &self.url).env("HUBCTL_SESSION", &self.session).output().unwrap()
    }

    /// Exports with openings to a folder of this name.
    pub fn export(&self, stack: &Stack, name: &str) -> Exported {
        self.export_log(stack, name, None)
    }

    /// The same of a log that was put aside.
    pub fn export_log(&self, stack: &Stack, name: &str, log: Option<u32>) -> Exported {
        let folder = stack.directory().join(name);
        let (out, number) = (folder.display().to_string(), log.unwrap_or(1).to_string());
        let mut args = vec!["audit", "export", "--openings", "--out", &out];
        if log.is_some() {
            args.extend(["--log", &number]);
        }
        let done = self.hubctl(&args);
        assert!(done.status.success(), "{}", told(&done));
        Exported { folder }
    }

    /// Verifies exported files, with nobody to call: exit code and report.
    pub fn verify(&self, exported: &Exported, more: &[&str]) -> (i32, Value) {
        let (entries, checkpoints) = (exported.entries_file(), exported.checkpoints_file());
        let (entries, checkpoints) = (entries.display().to_string(), checkpoints.display().to_string());
        let key = self.log.to_string();
        let mut args = vec!["--json", "audit", "verify", "--key", &key];
        args.extend(["--entries", &entries, "--checkpoints", &checkpoints]);
        args.extend(more);
        let output = Command::new(paths::binary("hubctl").unwrap())
            .args(args)
            .env("AUTHORITY_URL", "http://127.0.0.1:1")
            .env("HUBCTL_SESSION", "/nowhere")
            .output()
            .unwrap();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(&output)));
        (output.status.code().unwrap(), report)
    }

    /// The newest checkpoint.
    pub async fn checkpoint(&self) -> SignedCheckpoint {
        self.client.get_text("/v1/audit/checkpoint").await.unwrap().parse().unwrap()
    }

    /// Waits until a checkpoint covers all that is in the log now; gives it.
    pub async fn covered(&self, stack: &Stack) -> SignedCheckpoint {
        let size = log_size(stack).await;
        until("a checkpoint of all entries", DEADLINE, async || {
            Some(self.checkpoint().await).filter(|checkpoint| checkpoint.claims().size >= size)
        })
        .await
        .unwrap()
    }

    pub async fn inclusion(&self, index: u64, size: u64) -> InclusionProof {
        self.client.get(&format!("/v1/audit/proofs/inclusion?index={index}&size={size}")).await.unwrap()
    }

    pub async fn consistency(&self, from: u64, to: u64) -> ConsistencyProof {
        self.client.get(&format!("/v1/audit/proofs/consistency?from={from}&to={to}")).await.unwrap()
    }
}

/// Entries in the database.
pub async fn log_size(stack: &Stack) -> u64 {
    stack.postgres.sql("authority", "SELECT count(*) FROM audit_leaf").await.unwrap().trim().parse().unwrap()
}

/// Two exported files.
pub struct Exported {
    pub folder: PathBuf,
}

impl Exported {
    pub fn entries_file(&self) -> PathBuf {
        self.folder.join("entries.jsonl")
    }

    pub fn checkpoints_file(&self) -> PathBuf {
        self.folder.join("checkpoints.jsonl")
    }

    pub fn entries(&self) -> Vec<ExportedEntry> {
        lines(&self.entries_file())
    }

    pub fn checkpoints(&self) -> Vec<ExportedCheckpoint> {
        lines(&self.checkpoints_file())
    }

    /// A copy whose entries' lines were edited.
    pub fn tampered(&self, name: &str, edit: impl FnOnce(&mut Vec<String>)) -> Self {
        let copy = Self { folder: self.folder.with_file_name(name) };
        std::fs::create_dir_all(&copy.folder).unwrap();
        std::fs::copy(self.checkpoints_file(), copy.checkpoints_file()).unwrap();
        let text = std::fs::read_to_string(self.entries_file()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        edit(&mut lines);
        std::fs::write(copy.entries_file(), lines.join("\n") + "\n").unwrap();
        copy
    }
}

fn lines<T: serde::de::DeserializeOwned>(file: &Path) -> Vec<T> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the payload of an entry says, as JSON.
pub fn payload(entry: &ExportedEntry) -> Value {
    serde_json::from_slice(entry.opening.as_ref().unwrap().payload.expose()).unwrap()
}

/// Has everything checked by tests/clients/python/rfc6962.py.
pub async fn check_without_our_code(
    exported: &Exported,
    keys: &[&VerifierKey],
    inclusions: &[InclusionProof],
    consistencies: &[ConsistencyProof],
) -> Value {
    let notes: Vec<String> = exported.checkpoints().into_iter().map(|checkpoint| checkpoint.note).collect();
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let asked = json!({
        "entries": exported.entries(), "notes": notes, "keys": keys,
        "inclusions": inclusions, "consistencies": consistencies,
    });
    let script = paths::root().join("tests/clients/python/rfc6962.py").display().to_string();
    let output = run(&Launch::new(paths::python().unwrap()).arg(script), &asked.to_string()).await;
    serde_json::from_str(&output.unwrap()).unwrap()
}

pub fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

//! `local up`, `status`, `down` and `clean` as a user runs them, in a root of their own.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test helper that fails fails the test")]
use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use testkit::{dir::Dir, paths, wait};

/// A checkout's root with nothing in it but the downloads of the real one.
struct Root(Dir);

impl Root {
    fn new() -> Self {
        let dir = Dir::temporary("local").unwrap();
        dir.folder("local").unwrap();
        std::os::unix::fs::symlink(paths::deps(), dir.path().join("local/deps")).unwrap();
        Self(dir)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.args(args).env("JOINTUSE_ROOT", self.0.path()).stdin(Stdio::null());
        command
    }

    fn local(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn file(&self, path: &str) -> PathBuf {
        self.0.path().join("local").join(path)
    }

    /// What `hub.env` says.
    fn environment(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.file("hub.env")).unwrap();
        let line = |line: &str| {
            let (name, value) = line.trim_start_matches("export ").split_once('=')?;
            Some((name.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
        };
        text.lines().filter_map(line).collect()
    }

    fn pids(&self) -> Vec<i64> {
        let text = std::fs::read_to_string(self.file("run/running.json")).unwrap();
        let running: serde_json::Value = serde_json::from_str(&text).unwrap();
        running["parts"].as_array().unwrap().iter().map(|part| part["pid"].as_i64().unwrap()).collect()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.local(&["down"]);
    }
}

fn alive(pid: i64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn up_twice_status_down_and_up_again() {
    let root = Root::new();
    assert_eq!(root.local(&["status"]).status.code(), Some(3));
    let started = Instant::now();
    let up = root.local(&["up", "--empty"]);
    assert!(up.status.success(), "{}", text(&up));
    eprintln!("local up --empty: {:?}", started.elapsed());

    let started = Instant::now();
    let again = root.local(&["up", "--empty"]);
    assert!(again.status.success() && text(&again).contains("running already"), "{}", text(&again));
    assert!(started.elapsed() < Duration::from_secs(5), "the second up took {:?}", started.elapsed());

    let status = root.local(&["status", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert!(status.status.success() && found["ready"] == true, "{found:#}");

    every_name_in_the_environment_leads_where_it_says(&root);

    // A part that dies is told of, whatever the files say.
    let pids = root.pids();
    let history = found["parts"].as_array().unwrap().iter().find(|part| part["name"] == "history").unwrap();
    assert!(Command::new("kill").args(["-9", &history["pid"].to_string()]).status().unwrap().success());
    let told = wait::until("status to tell of it", Duration::from_secs(10), async || {
        let status = root.local(&["status"]);
        (status.status.code() == Some(1) && text(&status).contains("ended")).then_some(())
    });
    told.await.unwrap();

    let down = root.local(&["down"]);
    assert!(down.status.success(), "{}", text(&down));
    assert!(pids.iter().all(|pid| !alive(*pid)), "left over after down: {pids:?}");
    assert!(text(&root.local(&["down"])).contains("nothing was running"));

    let up = root.local(&["up", "--empty"]);
    assert!(up.status.success(), "on the data of before: {}", text(&up));

    // However the supervisor ends, nothing is left over.
    let pids = root.pids();
    let supervisor: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(root.file("run/supervisor.pid")).unwrap()).unwrap();
    assert!(Command::new("kill").args(["-9", &supervisor["pid"].to_string()]).status().unwrap().success());
    let gone = wait::until("all parts to end", Duration::from_secs(10), async || {
        pids.iter().all(|pid| !alive(*pid)).then_some(())
    });
    gone.await.unwrap();
    assert_eq!(root.local(&["status"]).status.code(), Some(3));

    assert!(root.local(&["clean"]).status.success());
    assert_eq!(names_in(&root.file("")), ["deps"]);
}

/// `hub.env` is for a shell. Each address answers as what it is called, so that no two are mixed up.
fn every_name_in_the_environment_leads_where_it_says(root: &Root) {
    const SCRIPT: &str = r#"
        . "$0"
        says() { curl -sS --fail --max-time 20 --cacert "$AUTHORITY_TRUST" "$2" | grep "$1" >/dev/null || echo "$2 does not say $1"; }
        opens() { (: <>"/dev/tcp/${1%%:*}/${1##*:}") 2>&1; }
        says '"title":"Joint-use hub: authority"' "$AUTHORITY_URL/openapi.json"
        says '"title":"Intake"' "$INTAKE_URL/openapi.json"
        says '"title":"History"' "$HISTORY_URL/openapi.json"
        says '"jointuse.contact-value"' "$REGISTRY_URL/subjects"
        says '^hub_policy_number' "$HUB_ADMIN_URL/metrics"
        for address in "$HUB_BOOTSTRAP" ${BROKER_BOOTSTRAP//,/ }; do opens "$address"; done
        [[ $HUB_BOOTSTRAP != "$BROKER_BOOTSTRAP" ]] || echo "the hub is the broker"
        psql -qAt "$DATABASE_URL" -c 'SELECT 1 FROM person LIMIT 0' 2>&1
        # Nobody has clients in an empty stack.
        [[ $CLIENTS_DIR == "${0%/*}/clients" ]] || echo "CLIENTS_DIR is elsewhere"
        [[ $HUBCTL_SESSION == "$CLIENTS_DIR"/* ]] || echo "HUBCTL_SESSION is elsewhere"
    "#;
    let mut bash = Command::new("bash");
    // Nothing but what the file says.
    bash.args(["-uc", SCRIPT]).arg(root.file("hub.env")).env_clear().env("PATH", std::env::var("PATH").unwrap());
    let sourced = bash.output().unwrap();
    assert_eq!((sourced.status.success(), text(&sourced).as_str()), (true, ""));
    // A plain shell takes it, too.
    let plain = Command::new("sh").args(["-euc", ". \"$0\"; echo \"$CLIENTS_DIR\""]).arg(root.file("hub.env")).output();
    assert!(Path::new(text(&plain.unwrap()).trim()).is_absolute());
}

/// What was signed since the backup is not signed over: `up` begins another audit log, and all is well.
#[tokio::test]
async fn a_restored_stack_begins_another_audit_log() {
    let root = Root::new();
    let good = |output: Output| {
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    good(root.local(&["up", "--empty"]));
    let backup = root.file("backups/one.tar.age").display().to_string();
    good(root.local(&["backup", "--out", &backup]));
    sealed(&std::fs::read(&backup).unwrap());
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names_in(&root.file("backups")), ["one.tar.age"], "nothing else is written");
    assert!(text(&root.local(&["backup", "--out", &backup])).contains("never overwritten"));
    refusals_change_nothing(&root, &backup);
    // Something that is logged, and signed.
    let (kept, password) = (root.file("run/stack/authority/state/audit-checkpoint"), root.file("password"));
    let before = std::fs::read_to_string(&kept).unwrap();
    testkit::dir::write_secret(&password, "a-password-of-the-test").unwrap();
    let config = root.file("run/stack/authority/config.toml");
    let add = ["operator", "add", "--name", "later", "--role", "auditor", "--password-file"];
    let add =
        Command::new(paths::binary("authority").unwrap()).arg("--config").arg(config).args(add).arg(password).output();
    good(add.unwrap());
    let signed = async || std::fs::read_to_string(&kept).ok().filter(|now| *now != before);
    let signed = wait::until("it to be signed", Duration::from_secs(60), signed).await.unwrap();

    assert!(good(root.local(&["restore", "--from", &backup])).contains("another audit log"));
    assert!(good(root.local(&["up", "--empty"])).contains("audit log 2 is begun"));
    let logs = Command::new(paths::binary("hubctl").unwrap())
        .args(["--json", "audit", "logs"])
        .envs(root.environment())
        .output()
        .unwrap();
    let logs: serde_json::Value = serde_json::from_str(&good(logs)).unwrap();
    assert_eq!((&logs[1]["number"], &logs[1]["former"]), (&2.into(), &signed.into()), "{logs}");
    assert!(!root.file("run/stack/restored").exists());
    good(root.local(&["down"]));
}

/// Of what is in every data directory, and first in the archive, nothing is to be read.
fn sealed(backup: &[u8]) {
    assert!(backup.starts_with(b"age-encryption.org/v1\n-> X25519 "));
    for word in ["backup_label", "PG_VERSION", "pg_wal", "ustar", "admin-password", "CHECKPOINT"] {
        assert!(!backup.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
}

/// A backup that cannot be opened, or not to its end, is refused while everything goes on running.
fn refusals_change_nothing(root: &Root, backup: &str) {
    let (identity, aside) = (root.file("run/stack/secrets/backup-identity"), root.file("aside"));
    let data = root.file("run/stack/postgres/data").canonicalize().unwrap();
    let refused = |from: &str, words: &[&str]| {
        let output = root.local(&["restore", "--from", from]);
        let said = text(&output);
        assert!(!output.status.success() && words.iter().all(|word| said.contains(word)), "{said}");
        let status = root.local(&["status"]);
        assert!(status.status.success(), "{}", text(&status));
        for left in ["restored", "before-restore"] {
            assert!(!data.with_extension(left).exists(), "{left}");
        }
        assert!(!root.file("run/stack/restored").exists());
    };
    let path = identity.display().to_string();
    std::fs::rename(&identity, &aside).unwrap();
    refused(backup, &[&path, "is not at", "from where you keep it"]);
    assert!(!identity.exists(), "a restore makes none");
    // One of another stack, made where there is none.
    let other = root.file("backups/other.tar.age").display().to_string();
    assert!(root.local(&["backup", "--out", &other]).status.success());
    assert_eq!(std::fs::metadata(&identity).unwrap().permissions().mode() & 0o777, 0o600);
    let recipient = std::fs::read_to_string(&identity).unwrap();
    let recipient = recipient.lines().next().unwrap().rsplit(' ').next().unwrap();
    refused(backup, &[backup, &path, recipient, "was not made for"]);
    std::fs::rename(&aside, &identity).unwrap();
    std::fs::remove_file(&other).unwrap();
    // Cut off in its last block, when all of the archive has been unpacked, and changed in the middle.
    let (whole, broken) = (std::fs::read(backup).unwrap(), root.file("broken").display().to_string());
    std::fs::write(&broken, &whole[..whole.len() - 20]).unwrap();
    refused(&broken, &[&broken, "not a whole backup"]);
    let mut changed = whole;
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(&broken, changed).unwrap();
    refused(&broken, &[&broken, "not a whole backup"]);
    std::fs::write(&broken, "a tar archive of before").unwrap();
    refused(&broken, &[&broken, "not a whole backup"]);
}

#[tokio::test]
async fn interrupting_up_leaves_nothing_behind() {
    let root = Root::new();
    let log = root.file("up.log");
    let output = std::fs::File::create(&log).unwrap();
    let mut up = root.command(&["up", "--empty"]).stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
    let pid_file = root.file("run/stack/postgres/data/postmaster.pid");
    let postgres = wait::until("PostgreSQL to start", Duration::from_secs(60), async || {
        std::fs::read_to_string(&pid_file).ok()?.lines().next()?.parse::<i64>().ok()
    });
    let postgres = postgres.await.unwrap();
    assert!(Command::new("kill").args(["-INT", &up.id().to_string()]).status().unwrap().success());
    let ended = wait::until("up to end", Duration::from_secs(60), async || up.try_wait().unwrap()).await.unwrap();
    assert!(!ended.success());
    assert!(std::fs::read_to_string(&log).unwrap().contains("everything that was started has been stopped"));
    assert!(!alive(postgres));
    assert_eq!(root.local(&["status"]).status.code(), Some(3));
}

fn names_in(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

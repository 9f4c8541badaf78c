//! A private PostgreSQL server, up within a second.
//!
//! `initdb` runs once; its result is kept below `local/deps` and copied for every server. Every login needs its
//! password (SCRAM-SHA-256) and `fsync` is on: tests that kill the server mean it. There is no Unix socket (its path
//! may be only 107 bytes long), only a free loopback port. PostgreSQL refuses to run as root, so root runs it as
//! the system user `postgres`.
use std::{
    io::Write,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    Error, Result,
    authority::{Authority, Issued},
    dir::Dir,
    error::IoContext as _,
    paths, ports,
    process::{Launch, Process, run, run_into},
};

/// The superuser.
pub const ADMIN: &str = "admin";

/// The server's certificate and key, in its data directory.
const CERTIFICATE: &str = "server.pem";
const KEY: &str = "server.key";

/// After a kill the server puts every file on the disk, and again at the end of its recovery: on a slow one 45 s and 66 s.
const START: Duration = Duration::from_secs(300);
const STOP: Duration = Duration::from_secs(15);

/// SSLRequest (length 8, code 80877103), which a server answers with one byte before any login.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A running PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    password: String,
    trust: Option<PathBuf>,
    data: PathBuf,
    dir: Dir,
}

impl Postgres {
    /// Starts one in a temporary directory, removed on drop.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not come up; the error shows the end of its log.
    pub async fn start() -> Result<Self> {
        Self::start_in(Dir::temporary("postgres")?, None).await
    }

    /// Starts one whose data is in this directory, and is found there again at the next start, on the same port.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_at(directory: &Path) -> Result<Self> {
        Self::start_in(Dir::given(directory)?, None).await
    }

    /// The same, with a certificate of this authority; its URLs then ask for TLS and check it.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_with_tls(directory: &Path, authority: &Authority) -> Result<Self> {
        Self::start_in(Dir::given(directory)?, Some(authority)).await
    }

    async fn start_in(dir: Dir, authority: Option<&Authority>) -> Result<Self> {
        let user = server_user();
        let data = data_folder(dir.path(), user.as_deref())?;
        if !data.join("PG_VERSION").exists() {
            copy(&template(user.as_deref()).await?, &data).await?;
        }
        let password_file = data.join("admin-password");
        let password = std::fs::read_to_string(&password_file).at("read", password_file)?.trim().to_owned();
        let port_file = dir.path().join("port");
        let port = match std::fs::read_to_string(&port_file).ok().and_then(|text| text.trim().parse().ok()) {
            Some(port) => port,
            None => {
                let port = ports::free()?;
                std::fs::write(&port_file, port.to_string()).at("write", port_file)?;
                port
            }
        };
        if let Some(authority) = authority {
            install(&authority.issue("postgres", &["127.0.0.1", "localhost"])?, &data, user.as_deref()).await?;
        }
        let log = dir.path().join("postgres.log");
        let process = Process::start("PostgreSQL", launch(&data, port, user, authority.is_some())?, log)?;
        let trust = authority.map(Authority::trust);
        let mut postgres = Self { process, port, password, trust, data, dir };
        postgres.until_serving().await?;
        Ok(postgres)
    }

    /// Loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Password of [`ADMIN`].
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Server process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// The server's log.
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// Where log and port are kept; the data may be elsewhere (see [`Postgres::data`]).
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// The data directory: below [`Postgres::directory`] if the server's user can reach it there.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// URL of a database for a login, without the password.
    pub fn url(&self, database: &str, login: &str) -> String {
        format!("postgres://{login}@127.0.0.1:{}/{database}{}", self.port, self.checked())
    }

    /// URL of a database as superuser, with the password.
    pub fn admin_url(&self, database: &str) -> String {
        format!("postgres://{ADMIN}:{}@127.0.0.1:{}/{database}{}", self.password, self.port, self.checked())
    }

    /// What makes libpq ask for TLS and check the certificate.
    fn checked(&self) -> String {
        let trust = self.trust.as_ref();
        trust.map_or_else(String::new, |trust| format!("?sslmode=verify-full&sslrootcert={}", trust.display()))
    }

    /// Creates a login; one that exists gets the password.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_role(&self, name: &str, password: &str) -> Result<()> {
        let exists = self.sql("postgres", &format!("SELECT 1 FROM pg_roles WHERE rolname = {}", literal(name))).await?;
        let verb = if exists.trim().is_empty() { "CREATE" } else { "ALTER" };
        let sql = format!("{verb} ROLE {} LOGIN PASSWORD {}", identifier(name), literal(password));
        self.sql("postgres", &sql).await.map(|_| ())
    }

    /// Creates a database that belongs to `owner`, unless it is there.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_database(&self, name: &str, owner: &str) -> Result<()> {
        let sql = format!("SELECT 1 FROM pg_database WHERE datname = {}", literal(name));
        if self.sql("postgres", &sql).await?.trim().is_empty() {
            let sql = format!("CREATE DATABASE {} OWNER {}", identifier(name), identifier(owner));
            self.sql("postgres", &sql).await?;
        }
        Ok(())
    }

    /// Runs SQL as superuser through `psql`; answers rows as lines, columns parted by `|`.
    ///
    /// # Errors
    /// When the server refuses; the error shows its words.
    pub async fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let psql = Launch::new(paths::postgres_bin()?.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
            .args(["--host=127.0.0.1".to_owned(), format!("--port={}", self.port), format!("--username={ADMIN}")])
            .arg(format!("--dbname={database}"))
            .env("PGPASSWORD", &self.password);
        run(&psql, sql).await
    }

    /// Stops it in good order, breaking its connections.
    ///
    /// # Errors
    /// When it had to be killed.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(STOP).await.map(|_| ())
    }

    /// `kill -9` of the server; its workers end by themselves.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again on the same port and data, after a stop or a kill.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        // Workers of a killed server may hold its shared memory for a moment, and a start during it is refused.
        let tried = std::time::Instant::now();
        loop {
            self.process.start_again()?;
            match self.until_serving().await {
                Err(Error::Ended { .. }) if tried.elapsed() < START => {}
                other => return other,
            }
        }
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    async fn until_serving(&mut self) -> Result<()> {
        let port = self.port;
        let log_in = format!("postgres://{ADMIN}@127.0.0.1:{port}/postgres");
        let ready = paths::postgres_bin()?.join("pg_isready");
        self.process
            .until("to serve", START, async |_| {
                answers(port).await.ok()?;
                // The port is open while a crash is still being recovered from; this asks whether logins are taken.
                run(&Launch::new(&ready).args(["--quiet", "--dbname", &log_in]), "").await.ok().map(|_| ())
            })
            .await
    }
}

/// Writes all databases of a server, which another process may have started at this directory, as they are at one moment:
/// a tar archive of `pg_basebackup` with the write-ahead log that belongs to it. Answers `to`.
///
/// What is written is everything that the databases hold, and none of it touches a disk here: sealing it is the caller's
/// part. An error is the end of it: nothing that was written till then may be taken for a backup.
///
/// # Errors
/// When the server refuses, or `to` does.
pub async fn base_backup<W: Write + Send + 'static>(directory: &Path, to: W) -> Result<W> {
    let data = data_folder(directory, server_user().as_deref())?;
    let read = |path: PathBuf| std::fs::read_to_string(&path).at("read", path);
    let backup = Launch::new(paths::postgres_bin()?.join("pg_basebackup"))
        .args(["--host=127.0.0.1".to_owned(), format!("--port={}", read(directory.join("port"))?.trim())])
        .args([format!("--username={ADMIN}").as_str(), "--no-password", "--checkpoint=fast"])
        // To the standard output, where the log can only follow at the end.
        .args(["--format=tar", "--pgdata=-", "--wal-method=fetch"])
        .env("PGPASSWORD", read(data.join("admin-password"))?.trim());
    run_into(&backup, to).await
}

/// An empty folder beside a server's data that only its owner may look into: where a base backup is unpacked for [`put_back`].
///
/// # Errors
/// When it cannot be made.
pub fn folder_for_backup(directory: &Path) -> Result<PathBuf> {
    let folder = unpacked(&data_folder(directory, server_user().as_deref())?);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::DirBuilder::new().mode(0o700).create(&folder).at("make the directory", &folder)?;
    Ok(folder)
}

fn unpacked(data: &Path) -> PathBuf {
    data.with_extension("restored")
}

/// Puts what was unpacked into [`folder_for_backup`] in the place of the data of a server that is stopped; what was there is
/// kept beside it. Started again, the server recovers, and begins a new timeline, as after every restore.
///
/// # Errors
/// When it is no base backup, or the files cannot be written.
pub async fn put_back(directory: &Path) -> Result<()> {
    let data = data_folder(directory, server_user().as_deref())?;
    let new = unpacked(&data);
    std::fs::metadata(new.join("backup_label")).at("find the backup in", &new)?;
    // By this it recovers as from an archive, and so on a timeline of its own; all it needs is in the backup.
    let signal = new.join("recovery.signal");
    std::fs::write(&signal, "").at("write", &signal)?;
    let settings = new.join("postgresql.auto.conf");
    let mut text = std::fs::read_to_string(&settings).unwrap_or_default();
    text.push_str("restore_command = 'false'\n");
    std::fs::write(&settings, text).at("write", &settings)?;
    if let Some(user) = server_user() {
        run(&Launch::new("chown").args(["-R".to_owned(), user, new.display().to_string()]), "").await?;
    }
    let before = data.with_extension("before-restore");
    let _ = std::fs::remove_dir_all(&before);
    std::fs::rename(&data, &before).at("put aside", &data)?;
    std::fs::rename(&new, &data).at("put the backup at", data)
}

/// Puts certificate and key where the server's user may read them.
async fn install(issued: &Issued, data: &Path, user: Option<&str>) -> Result<()> {
    for (from, name) in [(&issued.certificate, CERTIFICATE), (&issued.key, KEY)] {
        let to = data.join(name);
        // A copy keeps the mode: 0600 for the key, as PostgreSQL demands.
        std::fs::copy(from, &to).at("copy to", &to)?;
        if let Some(user) = user {
            run(&Launch::new("chown").args([user.to_owned(), to.display().to_string()]), "").await?;
        }
    }
    Ok(())
}

fn launch(data: &Path, port: u16, user: Option<String>, tls: bool) -> Result<Launch> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
        "fsync=on".to_owned(),
        "log_line_prefix=%m [%p] %u@%d ".to_owned(),
    ];
    if tls {
        let own = ["ssl=on".to_owned(), format!("ssl_cert_file={CERTIFICATE}"), format!("ssl_key_file={KEY}")];
        settings.extend(own);
    }
    let mut launch = Launch::new(paths::postgres_bin()?.join("postgres"))
        .args(["-D".to_owned(), data.display().to_string()])
        .user(user)
        .stop_with_interrupt();
    for setting in settings {
        launch = launch.args(["-c".to_owned(), setting]);
    }
    Ok(launch)
}

async fn answers(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(&SSL_REQUEST).await?;
    stream.read_u8().await.map(|_| ())
}

/// The user to run the server as: `postgres` for root, oneself (`None`) for everybody else.
fn server_user() -> Option<String> {
    rustix::process::geteuid().is_root().then(|| "postgres".to_owned())
}

/// A folder for the data that the server's user can reach: `directory/data` as a rule. Root's own files are often
/// behind a closed door (`/root` has mode 700); then the data goes below `/var/tmp`, named after the directory.
fn data_folder(directory: &Path, user: Option<&str>) -> Result<PathBuf> {
    let closed = |path: &Path| std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o001 == 0);
    if user.is_none() || !directory.ancestors().any(closed) {
        return Ok(directory.join("data"));
    }
    let inode = std::fs::metadata(directory).at("look at", directory)?;
    let name = format!("jointuse-postgres-{:x}-{:x}", inode.dev(), inode.ino());
    let elsewhere = Path::new("/var/tmp").join(name);
    std::fs::create_dir_all(&elsewhere).at("make the directory", &elsewhere)?;
    // Whoever clears the directory finds it by this link.
    let link = directory.join("data");
    if link.symlink_metadata().is_err() {
        std::os::unix::fs::symlink(elsewhere.join("data"), &link).at("make the link", link)?;
    }
    Ok(elsewhere.join("data"))
}

/// Held while the template is made: tests of one program start servers at the same time.
static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A data directory fresh from `initdb`, made once and kept.
async fn template(user: Option<&str>) -> Result<PathBuf> {
    let bin = paths::postgres_bin()?;
    let version = bin.ancestors().nth(1).and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let deps = paths::deps();
    let kept = deps.join(format!("postgres-{version}-{}", user.unwrap_or("self")));
    let _one = MAKING.lock().await;
    if kept.join("PG_VERSION").exists() {
        return Ok(kept);
    }
    std::fs::create_dir_all(&deps).at("make the directory", &deps)?;
    let work = Dir::temporary("initdb")?;
    let data = work.folder("data")?;
    let password_file = data.with_extension("password");
    crate::dir::write_secret(&password_file, &format!("{}\n", crate::kafka::secret()))?;
    if let Some(user) = user {
        for path in [&data, &password_file] {
            run(&Launch::new("chown").args([user.to_owned(), path.display().to_string()]), "").await?;
        }
    }
    let initdb = Launch::new(bin.join("initdb"))
        .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--username", ADMIN])
        .args([format!("--pwfile={}", password_file.display()), data.display().to_string()])
        .user(user.map(str::to_owned));
    run(&initdb, "").await?;
    std::fs::rename(&password_file, data.join("admin-password")).at("keep the password", &password_file)?;
    // Beside its place first, then moved in one step: another process may be doing the same.
    let new = kept.with_extension(format!("new-{}", std::process::id()));
    copy(&data, &new).await?;
    if std::fs::rename(&new, &kept).is_err() {
        std::fs::remove_dir_all(&new).at("remove", new)?;
    }
    Ok(kept)
}

/// A copy with owners and modes; `to` must not exist.
async fn copy(from: &Path, to: &Path) -> Result<()> {
    let paths = [from.display().to_string(), to.display().to_string()];
    run(&Launch::new("cp").args(["-a", "--reflink=auto", "--no-target-directory"]).args(paths), "").await.map(|_| ())
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn identifier(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

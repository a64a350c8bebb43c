//! A real `redis-server` for one test: on a free port of loopback, in a folder of its own, killed when dropped.
//!
//! ```ignore
//! let redis = RedisServer::start();                // nothing on disk
//! let redis = RedisServer::with(Flavour::Disk);    // appendonly yes, appendfsync always
//! redis.url();                                     // redis://127.0.0.1:…
//! redis.kill();                                    // SIGKILL; `restart` brings it back on the same port and folder
//! redis.cli(&["INFO", "commandstats"]);            // what redis-cli prints
//! redis.calls("evalsha");                          // how often a command was called, by commandstats
//! ```

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a server may take until it answers.
const WITHIN: Duration = Duration::from_secs(20);
/// Runs a server until its own input ends, which happens at the latest when this process dies, however it dies.
const WITH_US: &str = "redis-server \"$@\" & read _; kill -9 $!; wait";

/// What kind of server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flavour {
    /// Nothing on disk.
    Memory,
    /// `appendonly yes`, `appendfsync always`: what `durability = "disk"` needs.
    Disk,
    /// One node with `cluster-enabled yes` and all slots.
    Cluster,
    /// TLS only, with `server.crt`, `server.key` and `ca.crt` of this folder.
    Tls(PathBuf),
    /// Nothing on disk, and these settings besides, as `redis-server` takes them.
    With(&'static [&'static str]),
}

/// A running server; killed when dropped.
pub struct RedisServer {
    folder: TempDir,
    flavour: Flavour,
    port: u16,
    child: Mutex<Option<Child>>,
}

impl RedisServer {
    /// A server that keeps nothing on disk.
    pub fn start() -> RedisServer {
        RedisServer::with(Flavour::Memory)
    }

    /// A server of this flavour, ready.
    pub fn with(flavour: Flavour) -> RedisServer {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for Redis");
        let server = RedisServer { folder, flavour, port: free_port(), child: Mutex::new(None) };
        server.restart();
        if server.flavour == Flavour::Cluster {
            server.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
            server.until(|s| s.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        }
        server
    }

    /// Empties a server that is known by its URL.
    pub fn flush(url: &str) {
        let emptied = Command::new("redis-cli").args(["-u", url, "FLUSHALL"]).output();
        assert!(emptied.expect("redis-cli is installed").status.success());
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where a store finds it.
    pub fn url(&self) -> String {
        match &self.flavour {
            Flavour::Tls(keys) => format!("rediss://localhost:{}?ca={}/ca.crt", self.port, keys.display()),
            _ => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// Starts it, again on the same port and folder, and waits until it answers.
    pub fn restart(&self) {
        let mut server = Command::new("sh");
        server.args(["-c", WITH_US, "sh", "--bind", "127.0.0.1", "--dir"]).arg(self.folder.path());
        server.args(self.settings()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = server.spawn().expect("a shell");
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        self.until(|s| s.cli(&["PING"]).trim() == "PONG");
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(child.stdin.take());
            child.wait().expect("the server ends");
        }
    }

    /// What redis-cli prints for a command.
    pub fn cli(&self, command: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.port.to_string()]);
        if let Flavour::Tls(keys) = &self.flavour {
            cli.args(["-h", "localhost", "--tls", "--cacert"]).arg(keys.join("ca.crt"));
        }
        let output = cli.args(command).output().expect("redis-cli is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// How often a command was called since the last `CONFIG RESETSTAT`, by clients and by scripts.
    pub fn calls(&self, command: &str) -> u64 {
        let stats = self.cli(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|l| l.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|l| l.split(',').next()).map_or(0, |n| n.parse().expect("a number"))
    }

    fn settings(&self) -> Vec<String> {
        let port = self.port.to_string();
        let plain = ["--port", &port, "--save", "", "--appendonly", "no"].map(str::to_owned).to_vec();
        let more: Vec<String> = match &self.flavour {
            Flavour::Memory => Vec::new(),
            Flavour::Disk => ["--appendonly", "yes", "--appendfsync", "always"].map(str::to_owned).to_vec(),
            Flavour::Cluster => ["--cluster-enabled", "yes"].map(str::to_owned).to_vec(),
            Flavour::With(settings) => settings.iter().map(|s| (*s).to_owned()).collect(),
            Flavour::Tls(keys) => {
                let file = |name: &str| keys.join(name).display().to_string();
                let (crt, key, ca) = (file("server.crt"), file("server.key"), file("ca.crt"));
                ["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]
                    .into_iter()
                    .chain(["--tls-cert-file", &crt, "--tls-key-file", &key, "--tls-ca-cert-file", &ca])
                    .map(str::to_owned)
                    .collect()
            }
        };
        [plain, more].concat()
    }

    /// Waits until the server is as it should be. Every look is a process of redis-cli, so this does not spin.
    fn until(&self, good: impl Fn(&RedisServer) -> bool) {
        let started = Instant::now();
        while !good(self) {
            assert!(started.elapsed() < WITHIN, "redis-server ({:?}) is not ready in time", self.flavour);
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody has, and that no other test is given. It lies below the ports that a system hands out by itself, so
/// nobody takes it by chance while a server is restarted; so does the port and 10 000, which a cluster node takes too.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two test binaries at the same time begin at different places.
    let begin = (std::process::id() % 97) as u16 * 100;
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (0..9_000)
        .map(|_| 12_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 9_900)
        .find(|port| free(*port) && free(*port + 10_000))
        .expect("one port in 9 000 is free")
}

//! The built binary, running in a directory of its own on a free port: started, asked, killed, read like an operator would.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

/// The longest any test waits for anything that must happen.
pub const LIMIT: Duration = Duration::from_secs(30);
/// The citizen of most tests.
pub const CITIZEN: &str = "+919437000001";

/// Two channels beside the phone: Africa's Talking in Odia and in English, both without a secret.
pub const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[privacy]
keys = { file = "data/keys" }
[[channel]]
id = "phone"
vendor = "simulator"
[[channel]]
id = "at-or"
vendor = "africastalking"
bearer = "ussd"
address = "*4545*1#"
auth = "none"
[[channel]]
id = "at-en"
vendor = "africastalking"
bearer = "ussd"
address = "*4545*1#"
language = "en"
auth = "none"
"#;

/// A directory with a configuration, in which gateways are started one after the other.
pub struct Home {
    dir: tempfile::TempDir,
    env: RefCell<BTreeMap<String, String>>,
}

impl Home {
    /// A home with [`CONFIG`] and more of it; `store` is the store's URL, or empty for the embedded one.
    pub fn new(store: &str, more: &str) -> Home {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("config.toml"), format!("{CONFIG}\n{more}")).expect("written");
        let mut env = BTreeMap::new();
        if !store.is_empty() {
            env.insert("MATAMAT_STORE__URL".to_owned(), store.to_owned());
        }
        Home { dir, env: RefCell::new(env) }
    }

    /// Sets a variable for the gateways that start from now on.
    pub fn set(&self, name: &str, value: &str) {
        self.env.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    /// Takes a variable away again.
    pub fn unset(&self, name: &str) {
        self.env.borrow_mut().remove(name);
    }

    /// A path in it.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    /// The completed responses, parsed; every line must be whole.
    pub fn responses(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path("data/responses.ndjson")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// The command in this home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_matamat"));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MATAMAT_")) {
            command.env_remove(name);
        }
        command.envs(&*self.env.borrow());
        command
    }

    /// Starts the gateway and waits until it is ready.
    pub fn start(&self) -> Gateway {
        let gateway = self.start_unready();
        until("the gateway is ready", || (gateway.get("/readyz").status == 200).then_some(()));
        gateway
    }

    /// Starts the gateway and waits until it listens.
    pub fn start_unready(&self) -> Gateway {
        let mut gateway = self.spawn();
        let started = gateway.line("address=");
        let at = started.split("address=").nth(1).expect("just seen");
        gateway.address = at.split_whitespace().next().expect("an address").parse().expect("an address");
        gateway
    }

    /// Starts the gateway and waits for nothing: it may die before it listens.
    pub fn spawn(&self) -> Gateway {
        let mut child = self
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("piped");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Gateway { child, lines, seen: RefCell::default(), address }
    }

    /// Every file under it, with its bytes.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files(self.dir.path())
    }
}

/// Every file under a folder, with its bytes.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()) {
        match entry.is_dir() {
            true => found.extend(files(&entry)),
            false => found.push((entry.clone(), fs::read(&entry).expect("readable"))),
        }
    }
    found
}

/// A running gateway; killed when dropped.
pub struct Gateway {
    child: Child,
    lines: Receiver<String>,
    seen: RefCell<Vec<String>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Gateway {
    /// Waits for a log line that holds `part`.
    pub fn line(&self, part: &str) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.borrow_mut().push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(why) => panic!("no log line with {part:?} ({why:?}):\n{}", self.seen.borrow().join("\n")),
            }
        }
    }

    /// GET.
    pub fn get(&self, path: &str) -> Reply {
        http(self.address, "GET", path, &[], b"").expect("an answer")
    }

    /// POST of a form.
    pub fn post_form(&self, path: &str, body: &str) -> std::io::Result<Reply> {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        http(self.address, "POST", path, &form, body.as_bytes())
    }

    /// One step of Africa's Talking: the history so far.
    pub fn dial(&self, channel: &str, phone: &str, session: &str, history: &str) -> std::io::Result<String> {
        let field = |text: &str| text.replace('+', "%2B").replace('*', "%2A").replace('#', "%23");
        let body = format!(
            "sessionId={session}&phoneNumber={}&networkCode=63902&serviceCode={}&text={}",
            field(phone),
            field("*4545*1#"),
            field(history)
        );
        let reply = self.post_form(&format!("/in/{channel}/ussd"), &body)?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        Ok(reply.body)
    }

    /// Plays histories one after the other and returns the screens.
    pub fn play(&self, channel: &str, phone: &str, session: &str, histories: &[&str]) -> Vec<String> {
        let screen = |history: &&str| self.dial(channel, phone, session, history).expect("an answer");
        histories.iter().map(screen).collect()
    }

    /// One number of `/metrics`: a line that begins with `name`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").body;
        let line =
            text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits for its end and returns the signal that ended it, or nothing if it exited by itself.
    pub fn ended(mut self) -> (Option<i32>, Option<i32>, String) {
        let end = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.borrow_mut().push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("it did not end:\n{}", self.seen.borrow().join("\n"))
                }
            }
        }
        let status = self.child.wait().expect("it was ours");
        let log = self.seen.borrow().join("\n");
        (status.signal(), status.code(), log)
    }

    /// SIGTERM, and its whole log once it ended well.
    pub fn terminate(self) -> String {
        // SAFETY: kill has no preconditions, and the child was not waited for, so the pid is its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let (signal, code, log) = self.ended();
        assert_eq!((signal, code), (None, Some(0)), "{log}");
        log
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// One request on a connection of its own.
pub fn http(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
    if !body.is_empty() || method == "POST" {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    // A server that refuses a large body may close before it has read it all.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    match parsed(&answer) {
        Some(reply) => Ok(reply),
        None => Err(read.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into())),
    }
}

fn parsed(answer: &[u8]) -> Option<Reply> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Some(Reply { status, headers, body: body.to_owned() })
}

/// Waits for something that must happen, by asking again and again inside [`LIMIT`].
pub fn until<T>(what: &str, ask: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "it did not happen within {LIMIT:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

//! A pretend telco for whole conversations, blocking, on loopback: it takes MTs as Africa's Talking does, gives each an id of
//! its own, and remembers all of them. What it is to post back is the test's business.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for an MT.
const PATIENCE: Duration = Duration::from_secs(60);

/// A vendor's description for a telco that echoes our id: what Africa's Talking does not.
pub const ECHO: &str = include_str!("../vendors/echo.toml");

/// The telco.
pub struct Telco {
    state: Mutex<State>,
    /// Told of every MT, and of whatever a test wants to tell.
    pub changed: Condvar,
}

/// What it knows.
#[derive(Default)]
pub struct State {
    /// Every MT, in the order in which they came.
    pub came: Vec<Mt>,
    /// The texts of each number, in the order in which they came.
    pub texts: BTreeMap<String, Vec<String>>,
    /// Conversations that came to their end, as whoever holds them counts.
    pub finished: u64,
}

/// An MT that came.
#[derive(Debug, Clone)]
pub struct Mt {
    /// When.
    pub at: Instant,
    /// To which number.
    pub to: String,
    /// What it says.
    pub text: String,
    /// What the telco calls it.
    pub id: String,
    /// What we call it, where the description tells the telco.
    pub reference: String,
}

impl Telco {
    /// Listens; gives itself and where.
    pub fn start() -> (Arc<Telco>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let telco = Arc::new(Telco { state: Mutex::default(), changed: Condvar::new() });
        let at = telco.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let telco = at.clone();
                thread::spawn(move || telco.serve(stream));
            }
        });
        (telco, address)
    }

    /// What it knows by now.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Waits until so many MTs came, and gives them.
    pub fn wait_for(&self, number: usize) -> Vec<Mt> {
        let until = Instant::now() + PATIENCE;
        let mut state = self.state();
        while state.came.len() < number {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {number} MTs after {PATIENCE:?}", state.came.len());
            state = self.changed.wait_timeout(state, left).expect("nobody panics with it").0;
        }
        state.came.clone()
    }

    /// Waits for the n-th MT for as long as it takes.
    pub fn wait_long_for(&self, number: usize) -> Mt {
        let mut state = self.state();
        while state.came.len() < number {
            state = self.changed.wait(state).expect("nobody panics with it");
        }
        state.came[number - 1].clone()
    }

    /// Takes MTs on one connection until it ends.
    fn serve(&self, mut stream: TcpStream) {
        let mut unread = Vec::new();
        while let Some(form) = request(&mut stream, &mut unread) {
            let (to, text, reference) = (field(&form, "to"), field(&form, "message"), field(&form, "ref"));
            let id = {
                let mut state = self.state();
                let id = format!("ATXid_{}", state.came.len());
                state.texts.entry(to.clone()).or_default().push(text.clone());
                state.came.push(Mt { at: Instant::now(), to: to.clone(), text, id: id.clone(), reference });
                id
            };
            self.changed.notify_all();
            let recipient = format!(
                "{{\"SMSMessageData\":{{\"Message\":\"Sent\",\"Recipients\":[{{\"statusCode\":101,\"number\":\"{to}\",\
                 \"status\":\"Success\",\"cost\":\"KES 0\",\"messageId\":\"{id}\"}}]}}}}"
            );
            let head = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: ";
            if stream.write_all(format!("{head}{}\r\n\r\n{recipient}", recipient.len()).as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// One request's body; `None` when the connection ended.
fn request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(head) = unread.windows(4).position(|w| w == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&unread[..head]).to_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            let end = head + 4 + length.trim().parse::<usize>().ok()?;
            if unread.len() >= end {
                let body = String::from_utf8_lossy(&unread[head + 4..end]).into_owned();
                unread.drain(..end);
                return Some(body);
            }
        }
        let mut block = [0; 4096];
        match stream.read(&mut block) {
            Ok(0) | Err(_) => return None,
            Ok(read) => unread.extend_from_slice(&block[..read]),
        }
    }
}

/// A field of a form, decoded.
fn field(form: &str, name: &str) -> String {
    let pair = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let raw = pair.unwrap_or("").replace('+', " ");
    let mut bytes = Vec::new();
    let mut rest = raw.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped =
            after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match escaped.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

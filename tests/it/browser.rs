//! A real browser for the pages: Debian's chromium, headless, driven through its own chromedriver.
//!
//! One [`Browser`] is one chromedriver on a port of its choosing and one chromium with an empty profile. Waiting happens
//! inside the page, frame by frame, and ends after [`PATIENCE`]. On drop everything that was started is killed, by pid.

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, key::Key};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// The longest that any one wait may take, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the browser pretends to be.
#[derive(Debug, Clone, Copy)]
pub struct Device {
    /// The viewport, in CSS pixels.
    pub size: (u16, u16),
    /// A finger instead of a mouse.
    pub touch: bool,
    /// The citizen prefers dark colours.
    pub dark: bool,
}

/// A small phone in the light.
pub const PHONE: Device = Device { size: (360, 740), touch: true, dark: false };
/// A laptop in the light.
pub const LAPTOP: Device = Device { size: (1280, 800), touch: false, dark: false };

/// A browser with one page open.
pub struct Browser {
    client: Client,
    /// Kept for its drop.
    _driver: Driver,
}

impl Browser {
    /// Starts one; the profile is new and goes away with it.
    pub async fn start(device: Device) -> Browser {
        let driver = Driver::start();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(device, driver.profile.path().to_str().expect("a UTF-8 path")))
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .expect("chromedriver starts chromium");
        Browser { client, _driver: driver }
    }

    /// Opens a page and waits for it to load.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("the page opens");
    }

    /// The element for a CSS selector; it must be there now.
    pub async fn find(&self, css: &str) -> Element {
        self.client.find(Locator::Css(css)).await.unwrap_or_else(|e| panic!("{css}: {e}"))
    }

    /// Types into whatever has the focus, as a keyboard does.
    pub async fn press(&self, keys: &str) {
        let focused = self.client.active_element().await.expect("something has the focus");
        focused.send_keys(keys).await.expect("it takes keys");
    }

    /// Types and presses Enter.
    pub async fn enter(&self, text: &str) {
        self.press(&format!("{text}{}", char::from(Key::Enter))).await;
    }

    /// Waits until a JavaScript expression is true.
    pub async fn until(&self, condition: &str) {
        let script = format!(
            "const done = arguments[0];
             (function look() {{ if ({condition}) done(true); else requestAnimationFrame(look); }})();"
        );
        if let Err(error) = self.client.execute_async(&script, vec![]).await {
            let body = self.ask("document.body.innerText").await;
            panic!("waited for {condition}: {error}\n--- the page says ---\n{}", body.as_str().unwrap_or(""));
        }
    }

    /// The value of a JavaScript expression.
    pub async fn ask(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), vec![]).await.expect("the page answers")
    }

    /// The value of a JavaScript expression that is a text.
    pub async fn text(&self, expression: &str) -> String {
        self.ask(expression).await.as_str().unwrap_or_default().to_owned()
    }

    /// Keeps a picture of the page in the directory `BROWSER_PICTURES` names, for people to look at; else nothing.
    pub async fn picture(&self, name: &str) {
        if let Some(dir) = std::env::var_os("BROWSER_PICTURES") {
            let png = self.client.screenshot().await.expect("the page can be drawn");
            std::fs::write(std::path::Path::new(&dir).join(name).with_extension("png"), png)
                .expect("it can be kept");
        }
    }
}

fn capabilities(device: Device, profile: &str) -> Map<String, Value> {
    let (width, height) = device.size;
    let mut args: Vec<String> = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-breakpad",
        "--disable-dev-shm-usage",
    ]
    .map(str::to_owned)
    .to_vec();
    args.push(format!("--user-data-dir={profile}"));
    args.push(format!("--window-size={width},{height}"));
    if device.dark {
        args.push("--blink-settings=preferredColorScheme=0".into());
    }
    let screen = json!({ "width": width, "height": height, "pixelRatio": 2.0, "touch": device.touch, "mobile": device.touch });
    let wanted = json!({
        "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": args, "mobileEmulation": { "deviceMetrics": screen } },
        "timeouts": { "script": PATIENCE.as_millis() as u64, "pageLoad": PATIENCE.as_millis() as u64 },
    });
    wanted.as_object().expect("an object").clone()
}

/// A chromedriver, and the profile of the chromium that it starts.
struct Driver {
    child: Child,
    port: u16,
    profile: tempfile::TempDir,
}

impl Driver {
    fn start() -> Driver {
        let profile = tempfile::tempdir().expect("a directory for the profile");
        let mut child = Command::new("/usr/bin/chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's chromium-driver is installed");
        let said = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let (found, port) = mpsc::channel();
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if let Some(number) = line
                    .rsplit_once("successfully on port ")
                    .and_then(|(_, n)| n.trim_end_matches('.').parse().ok())
                {
                    let _ = found.send(number);
                }
            }
        });
        let port = port.recv_timeout(PATIENCE).expect("chromedriver says on which port it listens");
        Driver { child, port, profile }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        for pid in descendants(self.child.id()) {
            // SAFETY: kill has no preconditions; the pid is of a process that this driver started.
            unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every process that comes from this one, children before their own children.
fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .expect("a Linux machine")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, parent(pid)?)))
        .collect();
    let mut found = vec![root];
    let mut seen = 0;
    while seen < found.len() {
        let of = found[seen];
        found.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        seen += 1;
    }
    found.split_off(1)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

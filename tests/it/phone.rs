//! The phone page in a real browser: dialled and answered by keyboard, on a small screen and a large one, light and dark.
//!
//! The first test runs the built binary; the others a pretend gateway, which can fail on purpose.

use crate::{
    browser::{Browser, Device, LAPTOP, PHONE},
    running::{Home, until},
};
use actix_web::{App, HttpResponse, HttpServer, body::BodyStream, dev::ServerHandle, web};
use matamat::{
    domain::{id::ChannelId, lang::Lang},
    web::phone::{Code, Lines, Page},
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

const QUESTION: &str = "ଡାକ୍ତରଖାନାରେ ବ୍ୟବହାର କିପରି ଥିଲା?\n1 ବହୁତ ଖରାପ … 5 ବହୁତ ଭଲ";
const THANKS: &str = "ଧନ୍ୟବାଦ। ମତାମତ ନମ୍ବର 482-109-375";

/// What the pretend gateway does with one request.
#[derive(Debug, Clone)]
enum Said {
    Screen {
        text: &'static str,
        end: bool,
        language: &'static str,
    },
    Problem {
        status: u16,
        detail: &'static str,
    },
    /// A message was taken.
    Taken,
    /// The answer breaks off in the middle.
    Cut,
}

/// A gateway that says what it was told to say and remembers what it heard.
struct Pretend {
    url: String,
    heard: Heard,
    thread: Heard,
    handle: ServerHandle,
}

type Script = Arc<Mutex<VecDeque<Said>>>;
type Heard = Arc<Mutex<Vec<Value>>>;

impl Pretend {
    async fn start(script: &[Said]) -> Pretend {
        let lines = Lines {
            channel: ChannelId::parse("phone").unwrap(),
            codes: vec![Code { code: "*4545*1#".into(), title: "After a hospital visit".into() }],
            words: vec![Code { code: "VISIT".into(), title: "After a hospital visit".into() }],
            languages: ["or", "en", "hi"].map(|tag| Lang::parse(tag).unwrap()).to_vec(),
        };
        let page = Page::new(&lines);
        let heard = Heard::default();
        let script: Script = Arc::new(Mutex::new(script.iter().cloned().collect()));
        let thread = Heard::default();
        let state = (page, Arc::clone(&heard), script, Arc::clone(&thread));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(state.clone()))
                .route("/phone", web::get().to(page_of))
                .route("/in/phone/ussd", web::post().to(answer))
                .route("/in/phone/mo", web::post().to(answer))
                .route("/phone/thread", web::post().to(thread_of))
        })
        .workers(1)
        .bind("127.0.0.1:0")
        .expect("a free port");
        let url = format!("http://{}/phone", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Pretend { url, heard, thread, handle }
    }

    /// The steps heard so far, as `event step input language`, and whether all were of one session.
    fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        assert!(
            heard.iter().all(|step| step["msisdn"] == "+919437000001" && step["code"] == "*4545*1#"),
            "{heard:?}"
        );
        let word = |step: &Value, key: &str| step[key].as_str().unwrap_or("(no text)").to_owned();
        heard
            .iter()
            .map(|step| ["event", "step", "input", "language"].map(|key| word(step, key)).join(" "))
            .collect()
    }

    /// How many different sessions were heard.
    fn sessions(&self) -> usize {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .map(|step| step["session"].as_str().unwrap())
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    }

    /// The messages heard so far, and their ids.
    fn messages(&self) -> Vec<(String, String)> {
        let heard = self.heard.lock().unwrap();
        let word = |mo: &Value, key: &str| mo[key].as_str().expect("a text").to_owned();
        heard.iter().map(|mo| (word(mo, "text"), word(mo, "id"))).collect()
    }

    /// Something comes to the citizen.
    fn comes(&self, id: &str, text: &str, language: &str) {
        let line = json!({ "id": id, "text": text, "at": "2026-11-24T09:12:03.120Z", "language": language });
        self.thread.lock().unwrap().push(line);
    }

    async fn stop(self) {
        self.handle.stop(false).await;
    }
}

type State = web::Data<(Page, Heard, Script, Heard)>;

async fn thread_of(state: State, asked: web::Json<Value>) -> HttpResponse {
    assert_eq!(*asked, json!({ "msisdn": "+919437000001" }));
    HttpResponse::Ok().json(json!({ "lines": *state.3.lock().unwrap() }))
}

async fn page_of(state: State) -> HttpResponse {
    let Page { html, policy, channel: _ } = &state.0;
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("Content-Security-Policy", policy.as_str()))
        .body(html.clone())
}

async fn answer(state: State, step: web::Json<Value>) -> HttpResponse {
    state.1.lock().unwrap().push(step.into_inner());
    match state.2.lock().unwrap().pop_front() {
        Some(Said::Screen { text, end, language }) => {
            HttpResponse::Ok().json(json!({ "text": text, "end": end, "language": language }))
        }
        Some(Said::Problem { status, detail }) => {
            let status = actix_web::http::StatusCode::from_u16(status).unwrap();
            HttpResponse::build(status).content_type("application/problem+json").body(
                json!({ "type": "about:blank", "title": "x", "status": status.as_u16(), "detail": detail })
                    .to_string(),
            )
        }
        Some(Said::Taken) => HttpResponse::Ok().json(json!({})),
        Some(Said::Cut) => {
            let torn = vec![Ok(web::Bytes::from_static(b"{\"text\":")), Err(std::io::Error::other("cut"))];
            HttpResponse::Ok().body(BodyStream::new(futures_util::stream::iter(torn)))
        }
        None => HttpResponse::NoContent().finish(),
    }
}

fn question() -> Said {
    Said::Screen { text: QUESTION, end: false, language: "or" }
}

fn thanks() -> Said {
    Said::Screen { text: THANKS, end: true, language: "or" }
}

async fn opened(device: Device, script: &[Said]) -> (Pretend, Browser) {
    let gateway = Pretend::start(script).await;
    let browser = Browser::start(device).await;
    browser.open(&gateway.url).await;
    browser.until("document.body.dataset.view === 'dial'").await;
    (gateway, browser)
}

/// Dials from the code field with Enter and waits for what happens.
async fn dial(browser: &Browser) {
    browser.ask("document.getElementById('code').focus()").await;
    browser.enter("").await;
    settled(browser).await;
}

/// Until no request is under way.
async fn settled(browser: &Browser) {
    browser.until("document.getElementById('phone').getAttribute('aria-busy') === 'false'").await;
}

const FOCUS: &str = "document.activeElement.id";
const SCREEN: &str = "document.getElementById('screen').textContent";
const STATUS: &str = "document.getElementById('status').textContent";
const VIEW: &str = "document.body.dataset.view";

/// The most screens that the bundled flow may show before it ends.
const MAX_SCREENS: usize = 8;

#[actix_web::test]
async fn a_dial_in_odia_ends_as_a_line_in_a_file() {
    let home = Home::new(
        "",
        "[[route]]\nto = 'ledger'\n[[department]]\nid = 'ledger'\nkind = 'file'\npath = 'data/responses.ndjson'\n",
    );
    let gateway = home.start();
    let browser = Browser::start(PHONE).await;
    browser.open(&format!("http://{}/phone", gateway.address)).await;
    browser.ask("document.querySelector('[value=or]').click()").await;
    browser.ask("document.getElementById('code').value = '*4545*1#'").await;
    dial(&browser).await;
    for step in 1..=MAX_SCREENS {
        assert_eq!(browser.text("document.getElementById('screen').lang").await, "or");
        let screen = browser.text(SCREEN).await;
        assert!(screen.chars().any(|c| ('\u{b00}'..='\u{b7f}').contains(&c)), "Odia letters in {screen:?}");
        browser.picture(&format!("gateway-{step}")).await;
        if browser.text(VIEW).await != "open" {
            break;
        }
        assert_eq!(browser.text(FOCUS).await, "answer");
        browser.enter("1").await;
        settled(&browser).await;
    }
    assert_eq!(browser.text(VIEW).await, "over", "{}", browser.text(SCREEN).await);
    assert_eq!(browser.text(FOCUS).await, "go");
    let screen = browser.text(SCREEN).await;
    let reference =
        screen.split_whitespace().find(|w| w.len() == 11 && w.split('-').all(|part| part.len() == 3));
    assert!(reference.is_some(), "a reference number in {screen:?}");
    let lines = until("the line", || Some(home.responses()).filter(|lines| !lines.is_empty()));
    let data = &lines[0]["data"];
    assert_eq!((&data["status"], &data["language"]), (&"complete".into(), &"or".into()));
    assert_eq!((&data["channel"], &data["bearer"]), (&"phone".into(), &"ussd".into()));
    assert_eq!(data["answers"][0]["value"], 1);
    assert_eq!(lines.len(), 1);
}

#[actix_web::test]
async fn a_citizen_dials_and_answers_by_keyboard() {
    let (gateway, browser) = opened(PHONE, &[question(), thanks(), question()]).await;
    assert_eq!(
        browser.text("document.documentElement.lang").await,
        "or",
        "the page speaks the first language"
    );
    browser.picture("phone-dial").await;

    dial(&browser).await;
    assert_eq!(browser.text(SCREEN).await, QUESTION);
    assert_eq!(browser.text("document.getElementById('screen').lang").await, "or");
    assert_eq!(
        browser.text("getComputedStyle(document.getElementById('screen')).whiteSpaceCollapse").await,
        "preserve"
    );
    assert_eq!(browser.text(FOCUS).await, "answer", "the next key is the answer");
    browser.picture("phone-open").await;

    browser.enter("୪").await;
    settled(&browser).await;
    assert_eq!(browser.text(SCREEN).await, THANKS);
    assert_eq!(browser.text(FOCUS).await, "go", "the next key can dial again");
    assert_eq!(browser.text(STATUS).await, "କଥାବାର୍ତ୍ତା ଶେଷ ହେଲା।");
    browser.picture("phone-over").await;

    browser.enter("").await;
    browser.until("document.body.dataset.view === 'open'").await;
    assert_eq!(gateway.heard(), ["start 1  or", "continue 2 ୪ or", "start 1  or"]);
    assert_eq!(gateway.sessions(), 2, "every dial is a session of its own");
    gateway.stop().await;
}

#[actix_web::test]
async fn a_step_whose_answer_was_lost_is_sent_again_as_it_was() {
    let script =
        [Said::Cut, question(), Said::Problem { status: 503, detail: "the store is away" }, thanks()];
    let (gateway, browser) = opened(PHONE, &script).await;
    dial(&browser).await;
    assert_eq!(browser.text(SCREEN).await, QUESTION);
    browser.enter("4").await;
    settled(&browser).await;
    assert_eq!(browser.text(SCREEN).await, THANKS);
    assert_eq!(gateway.heard(), ["start 1  or", "start 1  or", "continue 2 4 or", "continue 2 4 or"]);
    assert_eq!(gateway.sessions(), 1);
    gateway.stop().await;
}

#[actix_web::test]
async fn a_gateway_that_stays_away_is_told_in_plain_words_and_loses_no_answer() {
    let away = Said::Problem { status: 503, detail: "the store is away" };
    let (gateway, browser) = opened(PHONE, &[question(), away.clone(), away, thanks()]).await;
    dial(&browser).await;
    browser.enter("4").await;
    settled(&browser).await;
    let status = browser.text(STATUS).await;
    assert!(status.starts_with("ଗେଟୱେ ଏହା ରଖିପାରିଲା ନାହିଁ।") && status.ends_with("the store is away"), "{status}");
    assert_eq!(browser.text(VIEW).await, "open", "the dialogue is still there");
    assert_eq!(browser.text(FOCUS).await, "answer");
    assert_eq!(browser.text("document.getElementById('answer').value").await, "4", "and so is the answer");

    browser.enter("").await;
    settled(&browser).await;
    assert_eq!(browser.text(SCREEN).await, THANKS);
    assert_eq!(gateway.heard()[1..], ["continue 2 4 or"; 3], "one step, however often it is sent");
    gateway.stop().await;
}

#[actix_web::test]
async fn a_refusal_says_what_to_do_and_is_not_sent_again() {
    let script = [Said::Problem { status: 400, detail: "`msisdn` is not a number that can be" }, question()];
    let (gateway, browser) = opened(LAPTOP, &script).await;
    browser.ask("document.querySelector('[value=en]').click()").await;
    dial(&browser).await;
    let status = browser.text(STATUS).await;
    assert!(status.starts_with("The gateway could not read that. Is the number right?"), "{status}");
    assert_eq!(browser.text(VIEW).await, "dial");
    browser.picture("laptop-refused").await;
    assert_eq!(gateway.heard(), ["start 1  en"]);

    browser.ask("document.getElementById('code').value = ' '").await;
    dial(&browser).await;
    assert_eq!(browser.text(STATUS).await, "Please enter a code, such as *4545*1#.");
    assert_eq!(browser.text(FOCUS).await, "code");
    assert_eq!(gateway.heard().len(), 1, "nothing was sent");
    gateway.stop().await;
}

#[actix_web::test]
async fn escape_hangs_up_and_the_vendor_session_ends() {
    let (gateway, browser) = opened(LAPTOP, &[question()]).await;
    dial(&browser).await;
    browser.press(&char::from(fantoccini::key::Key::Escape).to_string()).await;
    browser.until("document.body.dataset.view === 'over'").await;
    assert_eq!(gateway.heard(), ["start 1  or", "end 2  or"]);
    assert_eq!(browser.text(FOCUS).await, "go");
    gateway.stop().await;
}

#[actix_web::test]
async fn the_keypad_is_one_stop_for_tab_and_types_where_it_should() {
    let (gateway, browser) = opened(PHONE, &[question()]).await;
    browser.ask("document.getElementById('code').value = ''").await;
    for key in ["*", "4", "5", "4", "5", "*", "1", "2"] {
        browser.ask(&format!("[...document.querySelectorAll('#keypad button')].find((b) => b.textContent === '{key}').click()")).await;
    }
    browser.find("#erase").await.click().await.unwrap();
    assert_eq!(browser.text("document.getElementById('code').value").await, "*4545*1");
    assert_eq!(browser.ask("document.querySelectorAll('#keypad [tabindex=\"0\"]').length").await, 1);
    browser.ask("document.querySelector('#keypad [tabindex=\"0\"]').focus()").await;
    let [down, right] = [fantoccini::key::Key::Down, fantoccini::key::Key::Right].map(char::from);
    browser.press(&format!("{down}{down}")).await;
    browser.press(&format!("{down}{right}")).await;
    browser.press(&format!("{right}")).await;
    browser.press(" ").await;
    assert_eq!(browser.text("document.getElementById('code').value").await, "*4545*1#");

    dial(&browser).await;
    browser.ask("document.querySelector('#keypad button').click()").await;
    assert_eq!(browser.text("document.getElementById('answer').value").await, "1");
    gateway.stop().await;
}

/// What a tool for accessibility would look at, in the page itself. Returns the faults found.
const FAULTS: &str = r#"(() => {
  const faults = [];
  const seen = (it) => it.offsetParent !== null && it.getClientRects().length > 0;
  const name = (it) => it.getAttribute('aria-label') || (it.labels && it.labels.length && it.labels[0].textContent) || it.textContent;
  for (const it of document.querySelectorAll('input, button')) {
    if (!seen(it)) continue;
    if (!name(it).trim()) faults.push('no name: ' + it.outerHTML);
    const { width, height } = it.getBoundingClientRect();
    if (width < 44 || height < 44) faults.push(`small (${width} x ${height}): ` + it.outerHTML);
  }
  const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
  const behind = (it) => {
    for (; it; it = it.parentElement) {
      const colour = parse(getComputedStyle(it).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  let pairs = 0;
  for (const it of document.querySelectorAll('h1, h2, p, label, legend, span, button, input[type=text], input[type=tel]')) {
    if (!seen(it)) continue;
    pairs += 1;
    const found = ratio(parse(getComputedStyle(it).color), behind(it));
    if (found < 4.5) faults.push(`contrast ${found.toFixed(2)}: ` + it.outerHTML);
  }
  for (const it of document.querySelectorAll('input[type=text], input[type=tel]')) {
    const found = ratio(parse(getComputedStyle(it).borderTopColor), behind(it.parentElement));
    if (seen(it) && found < 3) faults.push(`border ${found.toFixed(2)}: ` + it.outerHTML);
  }
  if (pairs < 7) faults.push('nothing was looked at');
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) faults.push(`${wide} pixels too wide`);
  return faults;
})()"#;

/// The page on one device, in all three views and with a fault on show.
async fn check_access(device: Device, name: &str) {
    let refused = Said::Problem { status: 429, detail: "30 callbacks at once, then 2 a second" };
    let (gateway, browser) = opened(device, &[refused, question(), thanks()]).await;
    let look = async |view: &str| {
        browser.picture(&format!("{name}-{view}")).await;
        assert_eq!(browser.ask(FAULTS).await, json!([]), "{name}, {view}");
    };
    look("fresh").await;
    dial(&browser).await;
    look("refused").await;
    dial(&browser).await;
    look("open").await;
    browser.enter("4").await;
    settled(&browser).await;
    look("over").await;
    browser.ask("document.getElementById('tab-sms').click()").await;
    look("no-messages").await;
    gateway.comes("m-1", QUESTION, "or");
    gateway.comes("m-2", "How were you treated at the hospital? Reply 1 to 5.", "en");
    browser.until("document.querySelectorAll('.line').length === 2").await;
    browser.ask("document.getElementById('text').focus()").await;
    browser.enter("୪").await;
    browser.until("document.querySelector('.line.mine')").await;
    look("messages").await;
    gateway.stop().await;
}

const LINES: &str = "[...document.querySelectorAll('.line')].map(({ children: [who, words] }) => who.textContent + words.textContent)";

/// Until no message is under way.
async fn sent(browser: &Browser) {
    browser.until("document.getElementById('write').getAttribute('aria-busy') === 'false'").await;
}

#[actix_web::test]
async fn a_message_is_sent_once_and_what_comes_stands_beside_it() {
    let away = Said::Problem { status: 503, detail: "the store is away" };
    let (gateway, browser) = opened(LAPTOP, &[Said::Cut, Said::Taken, away.clone(), away, Said::Taken]).await;
    browser.ask("document.getElementById('text').focus()").await;
    browser.enter("VISIT").await;
    sent(&browser).await;
    let messages = gateway.messages();
    assert_eq!(messages.len(), 2, "the first answer was lost, so it went again");
    assert_eq!(messages[0], messages[1], "the very same message, by which the gateway knows it");
    assert!(messages[0].0 == "VISIT" && messages[0].1.len() == 32, "{messages:?}");
    assert_eq!(browser.text("document.querySelector('.line.mine p').textContent").await, "VISIT");
    assert_eq!(browser.text("document.getElementById('text').value").await, "");
    assert_eq!(browser.text(FOCUS).await, "text", "the next key is the answer");

    gateway.comes("m-1", QUESTION, "or");
    browser.until("document.querySelectorAll('.line').length === 2").await;
    let incoming = "document.querySelector('.line:not(.mine) p')";
    assert_eq!(browser.text(&format!("{incoming}.textContent")).await, QUESTION);
    assert_eq!(browser.text(&format!("{incoming}.lang")).await, "or");
    assert_eq!(browser.text("document.getElementById('log').getAttribute('role')").await, "log");
    assert_eq!(browser.text("document.querySelector('.line:not(.mine) .unseen').textContent").await, "ଆସିଛି: ");
    browser.picture("laptop-thread").await;

    browser.enter("4").await;
    sent(&browser).await;
    let status = browser.text("document.getElementById('sms-status').textContent").await;
    assert!(status.ends_with("the store is away"), "{status}");
    assert_eq!(browser.text("document.getElementById('text').value").await, "4", "the text is not lost");
    browser.enter("").await;
    sent(&browser).await;
    let messages = gateway.messages();
    assert_eq!(messages.len(), 5);
    assert!(messages[2] == messages[3] && messages[3] == messages[4], "{messages:?}");
    assert_ne!(messages[0].1, messages[4].1);
    // A later look brings the same lines again, and shows none twice.
    gateway.comes("m-2", THANKS, "or");
    browser.until("document.querySelectorAll('.line').length === 4").await;
    assert_eq!(
        browser.ask("document.querySelectorAll('.line.mine').length").await,
        2,
        "{}",
        browser.ask(LINES).await
    );
    gateway.stop().await;
}

#[actix_web::test]
async fn on_a_small_screen_messages_are_a_second_page_that_counts_what_came() {
    let (gateway, browser) = opened(PHONE, &[]).await;
    let label = "document.getElementById('tab-sms').textContent";
    let shown = "[...document.querySelectorAll('#phone, #messages')].filter((it) => it.offsetParent).map((it) => it.id).join()";
    browser.ask("document.querySelector('[value=en]').click()").await;
    assert_eq!(
        (browser.text(label).await.as_str(), browser.text(shown).await.as_str()),
        ("Messages", "phone")
    );
    browser.until("performance.getEntriesByName(location.origin + '/phone/thread').length > 0").await;
    gateway.comes("m-1", "Good morning", "en");
    gateway.comes("m-2", "ନମସ୍କାର", "or");
    browser.until(&format!("{label} === 'Messages (2)'")).await;
    browser.ask("document.getElementById('tab-sms').focus()").await;
    browser.enter("").await;
    assert_eq!(
        (browser.text(label).await.as_str(), browser.text(shown).await.as_str()),
        ("Messages", "messages")
    );
    assert_eq!(browser.ask(LINES).await, json!(["Received: Good morning", "Received: ନମସ୍କାର"]));
    assert_eq!(browser.text("document.getElementById('tab-sms').getAttribute('aria-pressed')").await, "true");
    gateway.stop().await;
}

#[actix_web::test]
async fn a_word_by_sms_brings_its_question_into_the_thread() {
    let home = Home::new("", "");
    let gateway = home.start();
    let browser = Browser::start(LAPTOP).await;
    browser.open(&format!("http://{}/phone", gateway.address)).await;
    browser.ask("document.getElementById('text').focus()").await;
    let word = browser.text("lines.words[0].code").await;
    assert!(!word.is_empty(), "a bundled flow is opened by a word");
    browser.enter(&word).await;
    sent(&browser).await;
    browser.until("document.querySelectorAll('.line:not(.mine)').length > 0").await;
    assert_eq!(browser.ask("document.querySelector('.line').className").await, "line mine", "the word first");
    browser.enter("5").await;
    sent(&browser).await;
    browser.until("document.querySelectorAll('.line:not(.mine)').length > 1").await;
    browser.picture("gateway-thread").await;
    let log = gateway.terminate();
    assert!(!log.contains("9437000001"), "{log}");
}

#[actix_web::test]
async fn everybody_can_read_and_touch_it() {
    check_access(PHONE, "phone-light").await;
    check_access(Device { dark: true, ..PHONE }, "phone-dark").await;
    check_access(LAPTOP, "laptop-light").await;
    check_access(Device { dark: true, ..LAPTOP }, "laptop-dark").await;
}

#[actix_web::test]
async fn only_the_compiled_in_script_runs() {
    let (gateway, browser) = opened(LAPTOP, &[]).await;
    let broken = "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';
        document.body.append(s); return window.ran === undefined; })()";
    assert_eq!(browser.ask(broken).await, true, "a script that is put into the page does not run");
    gateway.stop().await;
}

//! The engine alone, on one core: the bundled flow from a dial to its end, Odia and English by turns, prompts rendered.
//! One element is one step; nothing is stored.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use matamat::{
    domain::{
        id::{ChannelId, ResponseId},
        lang::Lang,
        message::{Bearer, Screen},
        time::Timestamp,
    },
    findings::Findings,
    flow::{
        bundled, check,
        event::{Canvas, Event},
        graph::Flow,
        session::{Place, Session},
        step::{Step, step},
    },
};
use std::{hint::black_box, time::Duration};

const START: Timestamp = Timestamp(1_795_511_523_120);
/// What is typed at each step; the last one ends the session.
const TYPED: [&str; 4] = ["", "1", "2", "1"];

fn flow() -> Flow {
    let findings = Findings::default();
    let mut flows = check::load_all(&bundled::flows(), &bundled::texts(), &findings);
    flows.pop().expect("the bundled flow is good")
}

fn session(flow: &Flow, language: Lang) -> Session {
    Session {
        response: ResponseId([7; 16]),
        flow: flow.id.clone(),
        revision: flow.revision,
        language,
        bearer: Bearer::Ussd,
        channel: ChannelId::parse("phone").expect("an id"),
        started: START,
        expires: START.plus(flow.expires),
        place: Place::Fresh,
        answers: Vec::new(),
        context: vec![("visit.office".into(), "ଜିଲ୍ଲା ମୁଖ୍ୟ ଚିକିତ୍ସାଳୟ".into())],
        invited: false,
    }
}

fn event(turn: usize) -> Event {
    let (text, screen) = (TYPED[turn].to_owned(), Screen::default());
    if turn == 0 {
        Event::Dialled { typed: text, screen }
    } else {
        Event::Answered { text, on: Canvas::Screen(screen) }
    }
}

/// Steps a session to its end; it must end.
fn play(flow: &Flow, mut session: Session) -> Session {
    for turn in 0..TYPED.len() {
        let Step { session: next, effects } = step(flow, session, event(turn), START);
        black_box(effects);
        session = next;
    }
    session
}

fn engine(c: &mut Criterion) {
    let flow = flow();
    let fresh: Vec<Session> = flow.languages.iter().map(|language| session(&flow, *language)).collect();
    for session in &fresh {
        assert_eq!(play(&flow, session.clone()).place, Place::Over, "in {}", session.language);
    }
    let mut group = c.benchmark_group("engine");
    group.throughput(Throughput::Elements((TYPED.len() * fresh.len()) as u64));
    group.bench_function("steps", |b| {
        let run = |sessions: Vec<Session>| {
            sessions.into_iter().map(|s| play(&flow, s)).for_each(|s| drop(black_box(s)))
        };
        b.iter_batched(|| fresh.clone(), run, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    targets = engine
}
criterion_main!(benches);

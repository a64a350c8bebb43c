//! The description engine alone, on one core: a callback of the bundled described vendor decoded, and a screen put into
//! the vendor's words. One element is one callback.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use matamat::{
    channel::{
        self, Callback, CallbackKind, Channel, TurnOutcome, described::Described, guard::Guard, line::Line,
        request,
    },
    domain::{
        lang::Lang,
        message::{Inbound, Reply, UssdInput},
        time::Timestamp,
    },
    findings::Findings,
};
use std::{hint::black_box, time::Duration};

const REQUEST: &str = "POST /in/at-ussd/ussd HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n\
    sessionId=ATUid_0123456789abcdef&phoneNumber=%2B919437000001&networkCode=63902&serviceCode=%2A4545%2A1%23&text=1%2A2";

fn callback() -> Callback {
    request::parse(REQUEST.as_bytes(), CallbackKind::Ussd, Timestamp(1_795_511_523_120)).expect("a request")
}

fn codec() -> Described {
    let description = channel::all_described(&Findings::default()).swap_remove(0);
    Described::new(description, Guard::Open, Line::of_examples("IN", []))
}

fn screen() -> TurnOutcome {
    let text = "ଏହା ସୁଧାରିବା ପାଇଁ ଅଫିସ ଆପଣଙ୍କ ନମ୍ବର ଦେଖିପାରିବ କି?\n1 ହଁ\n2 ନା".to_owned();
    TurnOutcome::Screen(Reply { text, end: false, language: Lang::parse("or").expect("a tag") })
}

fn description(c: &mut Criterion) {
    let (codec, callback, screen) = (codec(), callback(), screen());
    let decoded = codec.decode(&callback).expect("it is good");
    let Some(Inbound::Ussd(step)) = decoded.first() else { panic!("one step: {decoded:?}") };
    assert_eq!(step.input, UssdInput::History("1*2".into()));
    assert!(codec.answer(&callback, &screen).body.starts_with("CON "));
    let mut group = c.benchmark_group("description");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode", |b| b.iter(|| codec.decode(black_box(&callback))));
    group.bench_function("answer", |b| b.iter(|| codec.answer(black_box(&callback), black_box(&screen))));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    targets = description
}
criterion_main!(benches);

//! TPS (P9): slots of a channel, shared by all gateways, never promised far ahead. A server's clock goes on by itself, so
//! each promise measures how far it went and allows for that and no more.

use super::{Bench, phone};
use matamat::{
    domain::{id::ChannelId, time::Timestamp},
    store::{Reserve, Reserved, SLOT_AHEAD, Store},
};
use std::time::Duration;

/// How often the long promise asks.
const STEP: Duration = Duration::from_millis(100);
/// How long it asks.
const TEN_SECONDS: u64 = 10_000;
/// The most answers that one step may bring before there must be a wait.
const ANSWERS_MAX: u32 = 100_000;

fn segments(segments: u32, tps: u32) -> Reserve {
    Reserve { channel: phone(), segments, tps }
}

async fn ask(store: &dyn Store, reserve: &Reserve) -> Reserved {
    store.reserve(reserve).await.expect("an answer")
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Since then, as the store's clock tells it, and a millisecond for what its reading hides.
fn since(bench: &Bench, then: Timestamp) -> Duration {
    ms(bench.now().0.abs_diff(then.0) + 1)
}

/// At `tps` 10 a segment takes a tenth of a second, so the third of single ones is just not too far ahead.
pub async fn a_slot_is_as_long_as_its_segments(bench: &Bench) {
    let begun = bench.now();
    assert_eq!(
        ask(&*bench.store, &segments(1, 10)).await,
        Reserved::In(Duration::ZERO),
        "the first leaves at once"
    );
    let second = ask(&*bench.store, &segments(7, 10)).await;
    let Reserved::In(second) = second else { panic!("{second:?}") };
    assert!(second <= ms(100) && second + since(bench, begun) >= ms(100), "{second:?}");
    let third = ask(&*bench.store, &segments(1, 10)).await;
    let Reserved::Wait(third) = third else { panic!("{third:?}: 0.8 s are promised already") };
    assert!(
        third <= ms(600) && third + since(bench, begun) >= ms(600),
        "until it is {SLOT_AHEAD:?} ahead: {third:?}"
    );
}

pub async fn after_the_wait_there_is_a_slot(bench: &Bench) {
    for (n, tps) in [(1, 1), (3, 2), (255, 7), (1, 333), (40, 10_000)] {
        let reserve = segments(n, tps);
        let mut waits = 0;
        while waits < 5 {
            if let Reserved::Wait(wait) = ask(&*bench.store, &reserve).await {
                waits += 1;
                assert!(wait > Duration::ZERO);
                (bench.move_clock)(wait);
                let after = ask(&*bench.store, &reserve).await;
                let Reserved::In(ahead) = after else { panic!("{after:?} after {wait:?} at TPS {tps}") };
                assert!(ahead <= SLOT_AHEAD, "{ahead:?}");
            }
        }
        bench.pass(60);
    }
}

pub async fn slots_in_the_past_lapse(bench: &Bench) {
    ask(&*bench.store, &segments(1, 10)).await;
    bench.pass(60);
    let begun = bench.now();
    assert_eq!(ask(&*bench.store, &segments(10, 10)).await, Reserved::In(Duration::ZERO));
    let next = ask(&*bench.store, &segments(1, 10)).await;
    let Reserved::Wait(wait) = next else { panic!("{next:?}: a quiet minute is no credit") };
    assert!(wait <= ms(800) && wait + since(bench, begun) >= ms(800), "{wait:?}");
}

pub async fn channels_have_slots_of_their_own(bench: &Bench) {
    ask(&*bench.store, &segments(1_000, 1)).await;
    let other = Reserve { channel: ChannelId::parse("other").expect("an id"), ..segments(1, 1) };
    assert_eq!(ask(&*bench.store, &other).await, Reserved::In(Duration::ZERO));
    assert!(matches!(ask(&*bench.store, &segments(1, 1)).await, Reserved::Wait(_)));
}

pub async fn two_gateways_share_a_channels_slots(bench: &Bench) {
    ask(&*bench.store, &segments(1, 1)).await;
    assert!(matches!(ask(&*bench.other, &segments(1, 1)).await, Reserved::Wait(_)));
}

/// Two gateways ask whenever they may, for ten seconds: what they get is ten seconds of TPS and what may be ahead.
pub async fn ten_seconds_give_ten_seconds_of_segments(bench: &Bench) {
    for (n, tps) in [(1, 10), (3, 30), (2, 7), (1, 100)] {
        let mut got = 0;
        let mut lapsed = Duration::ZERO;
        let begun = bench.now();
        let mut asked = begun;
        while since(bench, begun) < ms(TEN_SECONDS) {
            let before = bench.now();
            got += n * grants(bench, &segments(n, tps)).await;
            lapsed += since(bench, asked).saturating_sub(SLOT_AHEAD);
            asked = before;
            (bench.move_clock)(STEP);
        }
        let rate = f64::from(tps);
        let (got, passed) = (f64::from(got), since(bench, begun));
        let most = (passed + SLOT_AHEAD).as_secs_f64() * rate + f64::from(n);
        let least = passed.saturating_sub(lapsed + STEP).as_secs_f64() * rate - f64::from(n);
        assert!(least <= got && got <= most, "{got} at TPS {tps} in {passed:?}, of which {lapsed:?} lapsed");
        bench.pass(60);
    }
}

/// How often there is a slot before there is a wait.
async fn grants(bench: &Bench, reserve: &Reserve) -> u32 {
    for n in 0..ANSWERS_MAX {
        let store = if n % 2 == 0 { &bench.store } else { &bench.other };
        if let Reserved::Wait(_) = ask(&**store, reserve).await {
            return n;
        }
    }
    panic!("{ANSWERS_MAX} slots and no wait");
}

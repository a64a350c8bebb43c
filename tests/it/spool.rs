//! The spool: what a telco was told is taken is on a disk, in its order, also when the store is away and the gateway dies.
//!
//! First the file by itself, then the real gateway on a Redis that is killed.

use futures_util::future::join_all;
use matamat::{
    domain::{
        id::ChannelId,
        keys::Keys,
        message::{Dlr, Mo, MtState},
        msisdn::Msisdn,
        time::{Clock, Timestamp},
    },
    store::{
        SpoolSettings,
        spool::{Kept, Spool, SpoolError, SpoolOpenError, Spooled},
    },
};
use proptest::prelude::*;
use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};

fn keys() -> Arc<Keys> {
    Arc::new(Keys::new(&[1; 32], (7, [2; 32]), None))
}

fn settings(folder: &Path, max: u64) -> SpoolSettings {
    SpoolSettings { file: folder.join("deep/spool.db"), max }
}

fn open(folder: &Path, max: u64, clock: &Clock) -> Spool {
    let opened = Spool::open(&settings(folder, max), keys(), clock.clone());
    opened.expect("it opens").expect("there is one")
}

fn mo(text: &str) -> Spooled {
    Spooled {
        channel: ChannelId::parse("k4545").expect("an id"),
        random: [7; 16],
        what: Kept::Mo(Mo {
            from: Msisdn::from_e164("+919437000111").expect("a number"),
            to: "4545".into(),
            text: text.into(),
            id: None,
            sent: None,
            at: Timestamp(1_795_511_523_120),
        }),
    }
}

fn dlr(word: &str) -> Spooled {
    let what = Kept::Dlr(Dlr {
        reference: None,
        id: Some("v-1".into()),
        part: 0,
        state: Some(MtState::Delivered),
        word: word.into(),
        code: String::new(),
        at: Timestamp(1_795_511_523_120),
    });
    Spooled { what, ..mo("") }
}

/// What waits, in its order: texts and words, with their ids.
async fn waiting(spool: &Spool) -> Vec<(i64, String)> {
    let oldest = spool.oldest(1_000).await.expect("it answers");
    let text = |spooled: Spooled| match spooled.what {
        Kept::Mo(mo) => mo.text,
        Kept::Dlr(dlr) => dlr.word,
    };
    oldest.into_iter().map(|one| (one.id, text(one.spooled.expect("it can be read")))).collect()
}

async fn texts(spool: &Spool) -> Vec<String> {
    waiting(spool).await.into_iter().map(|(_, text)| text).collect()
}

#[tokio::test]
async fn what_is_put_comes_out_in_its_order_also_after_a_restart() {
    let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::manual(Timestamp(1_000_000)));
    let spool = open(folder.path(), 100, &clock);
    assert_eq!((spool.waiting(), spool.oldest_at()), (0, None));
    spool.put(&[mo("a"), dlr("b")]).await.expect("taken");
    clock.advance(Duration::from_secs(5));
    spool.put(&[mo("c")]).await.expect("taken");
    assert_eq!((spool.waiting(), spool.oldest_at()), (3, Some(Timestamp(1_000_000))));
    drop(spool);

    let spool = open(folder.path(), 100, &clock);
    assert_eq!((spool.waiting(), spool.oldest_at()), (3, Some(Timestamp(1_000_000))));
    assert_eq!(texts(&spool).await, ["a", "b", "c"]);
    let oldest = spool.oldest(1).await.expect("it answers").remove(0);
    assert_eq!(oldest.spooled, Ok(mo("a")), "whole, with what names its event");
    let ids: Vec<i64> = waiting(&spool).await.into_iter().map(|(id, _)| id).collect();
    spool.remove(ids[..2].to_vec()).await.expect("forgotten");
    assert_eq!((spool.waiting(), spool.oldest_at()), (1, Some(Timestamp(1_005_000))));
    spool.remove(ids).await.expect("what is gone already changes nothing");
    assert_eq!((spool.waiting(), spool.oldest_at()), (0, None));
    spool.put(&[mo("d")]).await.expect("taken");
    drop(spool);
    assert_eq!(texts(&open(folder.path(), 100, &clock)).await, ["d"]);
}

#[tokio::test]
async fn waiting_puts_are_one_fsync() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(folder.path(), 1_000, &Clock::shifted());
    let all: Vec<[Spooled; 1]> = (0..400).map(|n| [mo(&n.to_string())]).collect();
    for put in join_all(all.iter().map(|one| spool.put(one))).await {
        put.expect("taken");
    }
    assert_eq!(spool.waiting(), 400);
    assert!(spool.fsyncs() <= 40, "{} fsyncs for 400 puts", spool.fsyncs());
    let expected: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    assert_eq!(texts(&spool).await, expected);
}

#[tokio::test]
async fn a_full_spool_takes_all_of_a_callback_or_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(folder.path(), 3, &Clock::shifted());
    spool.put(&[mo("a"), mo("b")]).await.expect("taken");
    let refused = spool.put(&[mo("c"), mo("d")]).await;
    assert!(matches!(&refused, Err(SpoolError::Full(why)) if why.contains('3')), "{refused:?}");
    spool.put(&[mo("e")]).await.expect("there was room for one");
    assert_eq!(texts(&spool).await, ["a", "b", "e"]);
    let ids = waiting(&spool).await;
    spool.remove(vec![ids[0].0]).await.expect("forgotten");
    spool.put(&[mo("f")]).await.expect("there is room again");
    assert_eq!(texts(&spool).await, ["b", "e", "f"]);
}

#[tokio::test]
async fn what_was_set_aside_stands_in_nobodys_way_and_is_tried_again_at_the_next_start() {
    let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::manual(Timestamp(1_000_000)));
    let spool = open(folder.path(), 3, &clock);
    spool.put(&[mo("a"), mo("b"), mo("c")]).await.expect("taken");
    let first = waiting(&spool).await[0].0;
    spool.set_aside(first, "there is no channel k4545 any more".into()).await.expect("set aside");
    assert_eq!(texts(&spool).await, ["b", "c"]);
    assert_eq!((spool.waiting(), spool.aside()), (2, 1));
    assert!(spool.put(&[mo("d")]).await.is_err(), "it takes room all the same");
    spool.remove(vec![first]).await.expect("answered");
    drop(spool);
    let spool = open(folder.path(), 3, &clock);
    assert_eq!((spool.waiting(), spool.aside()), (3, 0));
    assert_eq!(texts(&spool).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn what_another_key_sealed_is_told_and_not_thrown_away() {
    let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::shifted());
    open(folder.path(), 3, &clock).put(&[mo("a")]).await.expect("taken");
    let other = Arc::new(Keys::new(&[1; 32], (8, [3; 32]), None));
    let spool = Spool::open(&settings(folder.path(), 3), other, clock.clone());
    let spool = spool.expect("it opens").expect("there is one");
    let unread = spool.oldest(1).await.expect("it answers").remove(0);
    assert!(unread.spooled.is_err_and(|why| why.contains("key")));
    drop(spool);
    assert_eq!(texts(&open(folder.path(), 3, &clock)).await, ["a"], "the right key file is back");
}

#[tokio::test]
async fn no_number_and_no_word_is_in_the_file_in_clear() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(folder.path(), 100, &Clock::shifted());
    spool.put(&[mo("they asked me for money"), dlr("DELIVRD")]).await.expect("taken");
    let files = crate::running::files(folder.path());
    assert!(files.iter().any(|(path, bytes)| path.ends_with("spool.db-wal") && bytes.len() > 200));
    for (path, bytes) in files {
        for secret in [&b"9437000111"[..], b"money", b"4545", b"DELIVRD", b"v-1"] {
            let found = bytes.windows(secret.len()).any(|part| part == secret);
            assert!(!found, "{} is in {}", String::from_utf8_lossy(secret), path.display());
        }
    }
}

#[test]
fn a_spool_has_one_gateway_and_a_format_that_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, settings) = (Clock::shifted(), settings(folder.path(), 10));
    let spool = open(folder.path(), 10, &clock);
    let second = Spool::open(&settings, keys(), clock.clone()).err().expect("refused");
    assert!(matches!(second, SpoolOpenError::Locked(_)), "{second}");
    assert!(second.to_string().contains("[spool] file"), "it says what to do: {second}");
    drop(spool);
    let db = rusqlite::Connection::open(&settings.file).expect("a file");
    db.pragma_update(None, "user_version", 99).expect("written");
    drop(db);
    let newer = Spool::open(&settings, keys(), clock.clone()).err().expect("refused");
    assert!(matches!(newer, SpoolOpenError::Newer { found: 99, .. }), "{newer}");
    let none = SpoolSettings { max: 0, ..settings };
    assert!(Spool::open(&none, keys(), clock).expect("nothing to open").is_none());
}

#[derive(Debug, Clone)]
enum Move {
    Put(usize),
    Forget(usize),
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// The spool is a queue with a limit, whatever is done to it in whatever order.
    #[test]
    fn a_spool_is_a_queue(moves in proptest::collection::vec(prop_oneof![
        4 => (1_usize..4).prop_map(Move::Put),
        2 => (1_usize..4).prop_map(Move::Forget),
        1 => Just(Move::Reopen),
    ], 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            const MAX: usize = 8;
            let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::shifted());
            let mut spool = open(folder.path(), MAX as u64, &clock);
            let (mut model, mut next) = (VecDeque::new(), 0);
            for one in moves {
                match one {
                    Move::Put(n) => {
                        let texts: Vec<String> = (0..n).map(|at| (next + at).to_string()).collect();
                        next += n;
                        let all: Vec<Spooled> = texts.iter().map(|text| mo(text)).collect();
                        let fits = model.len() + n <= MAX;
                        assert_eq!(spool.put(&all).await.is_ok(), fits);
                        if fits { model.extend(texts); }
                    }
                    Move::Forget(n) => {
                        let ids = waiting(&spool).await.into_iter().take(n).map(|(id, _)| id).collect();
                        spool.remove(ids).await.expect("forgotten");
                        model.drain(..n.min(model.len()));
                    }
                    Move::Reopen => {
                        drop(spool);
                        spool = open(folder.path(), MAX as u64, &clock);
                    }
                }
                assert_eq!(spool.waiting(), model.len() as u64);
                assert_eq!(VecDeque::from(texts(&spool).await), model);
            }
        });
    }
}

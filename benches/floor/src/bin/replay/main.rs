//! The floor that counts: a bare handler that sends the gateway's own load and commit, recorded from a real dialogue
//! (`record`), with another citizen's ids filled in. It decides nothing; it reads one thing out of what it loaded, the
//! version, because the script compares it. So it is the gateway's share in Redis and the way there, without the gateway.

mod spent;
mod template;

use actix_web::{HttpResponse, web::Form};
use anyhow::{Context as _, ensure};
use clap::Parser;
use floor::{Callback, Listen, TURNS, connection, screen, serve};
use redis::Value;
use std::{
    hash::{DefaultHasher, Hasher as _},
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use template::{Dialogue, Filling, Recording};

#[derive(Debug, Clone, Parser)]
struct Args {
    #[command(flatten)]
    listen: Listen,
    /// The Redis to use.
    #[arg(long, default_value = "redis://127.0.0.1:6390/")]
    redis: String,
    /// What `record` wrote while one dialogue of four turns was played.
    #[arg(long)]
    recording: PathBuf,
    /// Instead of serving: plays so many citizens' dialogues turn by turn and prints what Redis spends on each commit.
    #[arg(long)]
    spent: Option<usize>,
}

struct Floor {
    client: redis::Client,
    dialogue: Dialogue,
}

impl Floor {
    /// One load and one commit; whether the commit was done.
    async fn turn(&self, callback: &Callback) -> redis::RedisResult<bool> {
        let mut redis = connection(&self.client).await?;
        let turn = &self.dialogue.turns[callback.turn()];
        let mut filling = Filling::new(hash(&callback.phone), hash(&callback.session));
        let loaded: Vec<Option<Vec<u8>>> = turn.load.fill(&filling).query_async(&mut redis).await?;
        let known = loaded.first().and_then(Option::as_ref).and_then(|record| record.get(1..9));
        filling
            .found(known.map(|bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes"))), now_ms());
        let answer: Vec<Value> = turn.commit.fill(&filling).query_async(&mut redis).await?;
        let said = answer.first().map(redis::from_redis_value_ref::<String>).transpose()?;
        Ok(said.as_deref() == Some("done"))
    }
}

/// The version in a record that was loaded.
fn version(loaded: &[Option<Vec<u8>>]) -> Option<u64> {
    let bytes = loaded.first()?.as_ref()?.get(1..9)?;
    Some(u64::from_be_bytes(bytes.try_into().expect("eight bytes")))
}

fn hash(text: &str) -> [u8; 16] {
    let half = |n: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(n);
        hasher.write(text.as_bytes());
        u128::from(hasher.finish())
    };
    (half(0) << 64 | half(1)).to_be_bytes()
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let text = std::fs::read_to_string(&args.recording).context("the recording")?;
    let recording = Recording::read(&text)?;
    let client = redis::Client::open(args.redis)?;
    let mut redis = connection(&client).await?;
    for script in &recording.scripts {
        let _: String = redis::cmd("SCRIPT").arg("LOAD").arg(script).query_async(&mut redis).await?;
    }
    let dialogue = recording.dialogue()?;
    ensure!(dialogue.turns.len() == TURNS, "{} turns were recorded, not {TURNS}", dialogue.turns.len());
    if let Some(citizens) = args.spent {
        return spent::print(&dialogue, redis, citizens).await;
    }
    let floor = Arc::new(Floor { client, dialogue });
    let answer = move |callback: Form<Callback>| {
        let floor = Arc::clone(&floor);
        async move {
            match floor.turn(&callback).await {
                Ok(true) => screen(callback.turn()),
                Ok(false) => HttpResponse::Conflict().finish(),
                Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
            }
        }
    };
    serve(args.listen, answer).await
}

//! The floor with a store: one GET, then one script that compares, sets and appends. Two round trips a turn, as the
//! gateway has, and nothing decided in between. One connection a worker.

use actix_web::{HttpResponse, web::Form};
use clap::Parser;
use floor::{Callback, Listen, TRIVIAL, connection, screen, serve};
use redis::AsyncCommands as _;
use std::sync::Arc;

/// How long a state lives, in seconds.
const LIFE: u64 = 300;

#[derive(Debug, Clone, Parser)]
struct Args {
    #[command(flatten)]
    listen: Listen,
    /// The Redis to use.
    #[arg(long, default_value = "redis://127.0.0.1:6390/")]
    redis: String,
}

async fn turn(client: &redis::Client, callback: &Callback) -> redis::RedisResult<bool> {
    let mut redis = connection(client).await?;
    let key = format!("f:{}", callback.phone);
    let found: Option<String> = redis.get(&key).await?;
    let next = format!("{}|hospital-visit|q{}|{}|or", callback.session, callback.turn(), callback.text);
    let mut commit = TRIVIAL.prepare_invoke();
    commit.key(&key).key("f:events").arg(found.unwrap_or_default()).arg(next).arg(LIFE).arg(&callback.text);
    commit.invoke_async(&mut redis).await
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let client = Arc::new(redis::Client::open(args.redis)?);
    let answer = move |callback: Form<Callback>| {
        let client = Arc::clone(&client);
        async move {
            match turn(&client, &callback).await {
                Ok(true) => screen(callback.turn()),
                Ok(false) => HttpResponse::Conflict().finish(),
                Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
            }
        }
    };
    serve(args.listen, answer).await
}

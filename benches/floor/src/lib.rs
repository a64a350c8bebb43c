//! What the floors share: the callback they read, the answer they give, the way they listen.
//!
//! A floor is the least that a gateway of this kind can do: what it reaches on a machine is what there is to reach.
//! All floors speak the form-encoded USSD callback of the bundled described vendor, and count stars to know where a
//! dialogue stands: three of them, and it is over.

use actix_web::{HttpResponse, HttpServer, web};
use clap::Parser;
use redis::{AsyncConnectionConfig, RedisResult, Script, aio::MultiplexedConnection};
use serde::Deserialize;
use std::{cell::RefCell, sync::LazyLock, time::Duration};

/// A callback, as the form brings it. What nobody reads is not named.
#[derive(Debug, Deserialize)]
pub struct Callback {
    /// The vendor's session.
    #[serde(rename = "sessionId")]
    pub session: String,
    /// Who dials.
    #[serde(rename = "phoneNumber")]
    pub phone: String,
    /// Everything typed so far, joined by stars.
    #[serde(default)]
    pub text: String,
}

impl Callback {
    /// Which turn of the dialogue this is, from 0; a dialogue has [`TURNS`].
    pub fn turn(&self) -> usize {
        match self.text.as_str() {
            "" => 0,
            text => (1 + text.bytes().filter(|&b| b == b'*').count()).min(TURNS - 1),
        }
    }
}

/// How many turns a dialogue has.
pub const TURNS: usize = 4;

/// A screen about as long as the gateway's.
const SCREENS: [&str; TURNS] = [
    "CON How were you treated?\n1 Very badly\n2 Badly\n3 So-so\n4 Well\n5 Very well",
    "CON What went wrong?\n1 Behaviour of staff\n2 Money was asked\n3 Waiting\n4 Something else\n0 Back",
    "CON May the office that can put it right see your number?\n1 Yes\n2 No\n0 Back",
    "END Thank you. Your reference number is 482-109-375.",
];

/// The screen of a turn.
pub fn screen(turn: usize) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(SCREENS[turn])
}

/// A script that is trivial, and yet all that a turn needs: does the state still stand as it was read, then the new one
/// and an event.
pub static TRIVIAL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local now = redis.call('GET', KEYS[1]) or ''
         if now ~= ARGV[1] then return 0 end
         redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
         redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', 'e', ARGV[4])
         return 1",
    )
});

/// How long a floor waits for Redis: longer than a stalled disk, so that a stall shows as latency and not as an error.
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    static CONNECTION: RefCell<Option<MultiplexedConnection>> = const { RefCell::new(None) };
}

/// This worker's one connection.
pub async fn connection(client: &redis::Client) -> RedisResult<MultiplexedConnection> {
    if let Some(open) = CONNECTION.with_borrow(Clone::clone) {
        return Ok(open);
    }
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let opened = client.get_multiplexed_async_connection_with_config(&config).await?;
    CONNECTION.with_borrow_mut(|slot| *slot = Some(opened.clone()));
    Ok(opened)
}

/// What every floor is told.
#[derive(Debug, Clone, Parser)]
pub struct Listen {
    /// Address and port.
    #[arg(long, default_value = "127.0.0.1:18101")]
    pub listen: String,
    /// Worker threads; 0: one a core.
    #[arg(long, default_value_t = 0)]
    pub workers: usize,
}

/// Serves one form at `/ussd` until it is ended.
pub async fn serve<F, Args>(listen: Listen, handler: F) -> anyhow::Result<()>
where
    F: actix_web::Handler<Args> + Send + Clone,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    let app = move || actix_web::App::new().route("/ussd", web::post().to(handler.clone()));
    let mut server = HttpServer::new(app).backlog(4096);
    if listen.workers > 0 {
        server = server.workers(listen.workers);
    }
    server.bind(&listen.listen)?.run().await?;
    Ok(())
}

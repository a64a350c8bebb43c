//! Floor 5: doors. The route table, and what is told to whom when something is refused.
//!
//! Telcos come in by `/in/{channel}/{mo|ussd|dlr|missed-call}[/{secret}][/{tail…}]`, by any method. The operators' side has
//! `/healthz`, `/readyz`, `/metrics`, `/phone`, `/phone/thread` and the simulator's own `/in/…`, on a listener of its own or beside the telcos'.

mod callback;
mod guard;
mod health;
mod invitations;
mod limit;
mod meter;
pub mod phone;
mod problem;
mod settings;
mod sms;
mod thread;
mod ussd;

pub use callback::{Door, Doors, Tracker};
pub use health::Readiness;
pub use limit::Limiter;
pub use meter::TurnMetrics;
pub use settings::{AdminSettings, Settings};

use crate::{store::spool::Spool, turn::Turns};
use actix_web::{
    FromRequest, Handler, HttpResponse, Resource,
    web::{self, Data, ServiceConfig},
};
use secrecy::SecretString;
use std::sync::Arc;

/// Everything a worker's doors need.
#[derive(Clone)]
pub struct Hall {
    /// The channels, with their codecs.
    pub doors: Arc<Doors>,
    /// This worker's turns.
    pub turns: Turns,
    /// Turns under way, in this process.
    pub tracker: Tracker,
    /// How much one citizen may ask.
    pub limiter: Arc<Limiter>,
    /// What takes messages and receipts while the store is away; `None`: the configuration wants none.
    pub spool: Option<Arc<Spool>>,
    /// Whether we are ready, and the metrics.
    pub readiness: Arc<Readiness>,
    /// The operators' token; `None` on loopback.
    pub token: Option<SecretString>,
    /// The phone page, rendered once.
    pub phone: Option<Arc<phone::Page>>,
}

/// Which doors a listener has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Telcos only.
    Telcos,
    /// Operators only.
    Operators,
    /// Both on one listener.
    Both,
}

/// The random part of an event's id.
fn random() -> [u8; 16] {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the system has randomness");
    random
}

/// The route table.
pub fn routes(config: &mut ServiceConfig, hall: Hall, side: Side) {
    config.app_data(Data::new(hall)).app_data(Data::new(side));
    config.route("/in/{channel}/{kind}", web::route().to(callback::callback));
    config.route("/in/{channel}/{kind}/{tail:.*}", web::route().to(callback::callback));
    if side != Side::Telcos {
        let invitations = web::resource("/v1/invitations").route(web::post().to(invitations::take));
        config.service(invitations.default_service(web::route().to(problem::post_only)));
        config.service(read_only("/healthz", health::alive));
        config.service(read_only("/readyz", health::ready));
        config.service(read_only("/metrics", health::metrics));
        config.service(read_only("/phone", thread::page));
        let thread = web::resource("/phone/thread").route(web::post().to(thread::thread));
        config.service(thread.default_service(web::route().to(problem::post_only)));
    }
    config.default_service(web::route().to(problem::nothing_here));
}

/// A path that is read, by GET, or probed, by HEAD.
fn read_only<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args, Output = HttpResponse>,
    Args: FromRequest + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::route().to(problem::read_only))
}

//! The floor without a store: a form is read, a constant screen goes back.

use actix_web::{HttpResponse, web::Form};
use clap::Parser as _;
use floor::{Callback, Listen, screen, serve};

async fn answer(callback: Form<Callback>) -> HttpResponse {
    screen(callback.turn())
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    serve(Listen::parse(), answer).await
}

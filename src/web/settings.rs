//! `[server]` and `[admin]`.

use crate::{
    domain::secret::SecretSource,
    findings::{At, Layers, Source, Table},
};
use std::net::SocketAddr;

/// `[server]`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file that says where.
    pub source: Source,
    /// Where telcos come in.
    pub listen: At<SocketAddr>,
    /// What telcos are told to call: scheme, host, perhaps a path; without a slash at the end.
    pub public_url: String,
}

/// `[admin]`.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// The file that says it.
    pub source: Source,
    /// A listener of the operators' own; beside the telcos' when absent.
    pub listen: Option<At<SocketAddr>>,
    /// Where the operators' token comes from.
    pub token: Option<At<SecretSource>>,
}

impl AdminSettings {
    /// Reads `[admin]`, which may be absent as a whole.
    pub fn read(layers: &Layers<'_>) -> Option<AdminSettings> {
        let table = layers.nearest("listen").or(layers.nearest("token"));
        let source = table.map_or(Source::new("config.toml", ""), |table| table.source().clone());
        let listen = layers.nearest("listen").map(|table| address(table, "listen"));
        let token = layers.nearest("token").map(|table| table.secret("token"));
        layers.finish();
        Some(AdminSettings {
            source,
            listen: listen.map_or(Some(None), |read| read.map(Some))?,
            token: token.map_or(Some(None), |read| read.map(Some))?,
        })
    }
}

impl Settings {
    /// Reads `[server]`.
    pub fn read(layers: &Layers<'_>) -> Option<Settings> {
        let source = layers.nearest("listen").map(|table| table.source().clone());
        let listen = layers.read("listen", address);
        let public_url = layers.read("public_url", |table, key| {
            let url = table.text(key)?;
            let good = url.value.strip_prefix("http://").or(url.value.strip_prefix("https://"));
            if good.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', ' '])) {
                let what = format!("`{}` must be an http or https URL without a query", table.name_of(key));
                table.error(url.span, what, "public_url = \"https://gateway.example.org\"");
                return None;
            }
            Some(url.value.trim_end_matches('/').to_owned())
        });
        Some(Settings { source: source?, listen: listen?, public_url: public_url? })
    }
}

/// Reads an address and a port.
pub fn address(table: &Table<'_>, key: &str) -> Option<At<SocketAddr>> {
    let text = table.text(key)?;
    match text.value.parse() {
        Ok(value) => Some(At { value, span: text.span }),
        Err(_) => {
            let what =
                format!("`{}` must be an address and a port, not \"{}\"", table.name_of(key), text.value);
            table.error(
                text.span,
                what,
                "listen = \"127.0.0.1:8080\"; \"0.0.0.0:8080\" listens to everybody",
            );
            None
        }
    }
}

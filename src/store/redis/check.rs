//! What is asked of a Redis before it is used: the version, the format of what it holds, and whether it can keep what
//! `[store] durability` claims. Asked at every connection, because the next one may reach another server.

use super::{Fault, keys};
use crate::store::{Durability, StoreError};
use redis::{aio::MultiplexedConnection, cmd};
use std::collections::BTreeMap;

/// The oldest server whose scripts may begin `#!lua`.
const OLDEST: u32 = 7;
/// The format that this release writes and the highest that it reads.
const FORMAT: u32 = 1;

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Found {
    /// `INFO`, every field.
    info: BTreeMap<String, String>,
    /// `CONFIG GET appendfsync`; `None` where `CONFIG` is forbidden.
    fsync: Option<String>,
    /// `CONFIG GET min-replicas-to-write`; `None` where `CONFIG` is forbidden.
    min_replicas: Option<String>,
}

impl Found {
    fn says(&self, field: &str) -> &str {
        self.info.get(field).map_or("", String::as_str)
    }
}

/// Asks a server, and compares; gives what an operator should know, and refuses a claim that cannot hold.
pub async fn check(
    connection: &mut MultiplexedConnection,
    claim: Durability,
) -> Result<Vec<String>, StoreError> {
    let found = ask(connection).await?;
    let notes = compare(&found, claim)?;
    same_format(connection).await?;
    Ok(notes)
}

async fn ask(connection: &mut MultiplexedConnection) -> Result<Found, StoreError> {
    let fault = |e| Fault::from(e).error;
    let info: String = cmd("INFO").query_async(connection).await.map_err(fault)?;
    let mut found = Found { info: fields(&info), ..Found::default() };
    if found.says("cluster_enabled") == "1" {
        let info: String = cmd("CLUSTER").arg("INFO").query_async(connection).await.map_err(fault)?;
        found.info.extend(fields(&info));
    }
    let config = |name: &'static str| {
        let mut ask = cmd("CONFIG");
        ask.arg("GET").arg(name);
        ask
    };
    // An error here is no fault: many hosted servers forbid CONFIG.
    let get = |answer: redis::RedisResult<(String, String)>| answer.ok().map(|(_, value)| value);
    found.fsync = get(config("appendfsync").query_async(connection).await);
    found.min_replicas = get(config("min-replicas-to-write").query_async(connection).await);
    Ok(found)
}

fn fields(info: &str) -> BTreeMap<String, String> {
    info.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.into(), v.trim_end().into())).collect()
}

/// The pure part: notes, or why this server cannot be used. `Away` for what may pass by itself.
fn compare(found: &Found, claim: Durability) -> Result<Vec<String>, StoreError> {
    let major = found.says("redis_version").split('.').next().and_then(|v| v.parse::<u32>().ok());
    if major.is_some_and(|version| version < OLDEST) {
        let version = found.says("redis_version");
        return Err(StoreError::Refused(format!("this is Redis {version}; {OLDEST}.0 or later is needed")));
    }
    if found.says("role") == "slave" {
        return Err(StoreError::Away("this server is a replica, and takes no writes".into()));
    }
    one_node(found)?;
    no_eviction(found)?;
    let mut notes = durable(found, claim)?;
    if found.says("connected_slaves") != "0" && found.min_replicas.as_deref() == Some("0") {
        let what = "min-replicas-to-write is 0: a failover can lose what the former master went on accepting";
        notes.push(what.to_owned());
    }
    Ok(notes)
}

fn one_node(found: &Found) -> Result<(), StoreError> {
    if found.says("cluster_enabled") != "1" {
        return Ok(());
    }
    if !matches!(found.says("cluster_size"), "0" | "1") {
        return Err(StoreError::Refused(
            "this server is one of several of a cluster, and `redis+cluster://` is not built yet".into(),
        ));
    }
    match found.says("cluster_state") {
        "ok" => Ok(()),
        state => Err(StoreError::Away(format!("the cluster's state is {state}"))),
    }
}

fn no_eviction(found: &Found) -> Result<(), StoreError> {
    let policy = found.says("maxmemory_policy");
    match found.says("maxmemory") {
        "0" | "" => Ok(()),
        _ if policy == "noeviction" => Ok(()),
        _ => Err(StoreError::Refused(format!(
            "maxmemory-policy is {policy}: Redis would throw sessions away when memory is full; set it to noeviction"
        ))),
    }
}

fn durable(found: &Found, claim: Durability) -> Result<Vec<String>, StoreError> {
    let refused = |why: &str| Err(StoreError::Refused(why.to_owned()));
    let aof = found.says("aof_enabled") == "1";
    match (claim, aof, found.fsync.as_deref()) {
        (Durability::Replica, ..) => refused("durability \"replica\" is not built yet; use \"process\" or \"disk\""),
        (Durability::Process, true, _) => Ok(Vec::new()),
        (Durability::Process, false, _) => Ok(vec![
            "appendonly is no: when Redis or its host dies, everything since its last snapshot is lost".to_owned(),
        ]),
        (Durability::Disk, false, _) => {
            refused("durability \"disk\" is claimed, and this Redis has appendonly no; set it to yes")
        }
        (Durability::Disk, true, Some("always")) => Ok(Vec::new()),
        (Durability::Disk, true, Some(policy)) => refused(&format!(
            "durability \"disk\" is claimed, and this Redis has appendfsync {policy}; set it to always"
        )),
        (Durability::Disk, true, None) => Ok(vec![
            "CONFIG is forbidden here: that durability \"disk\" holds (appendfsync always) cannot be verified".to_owned(),
        ]),
    }
}

/// A store that a later release wrote is left alone; an empty one is marked with our format.
async fn same_format(connection: &mut MultiplexedConnection) -> Result<(), StoreError> {
    let fault = |e| Fault::from(e).error;
    let found: Option<u32> = cmd("GET").arg(keys::FORMAT).query_async(connection).await.map_err(fault)?;
    match found {
        Some(format) if format > FORMAT => Err(StoreError::Refused(format!(
            "the store has format {format}, and this release reads up to {FORMAT}"
        ))),
        Some(_) => Ok(()),
        None => mark(connection).await,
    }
}

async fn mark(connection: &mut MultiplexedConnection) -> Result<(), StoreError> {
    let mut set = cmd("SET");
    set.arg(keys::FORMAT).arg(FORMAT).arg("NX");
    match set.query_async::<()>(connection).await.map_err(|e| Fault::from(e).error) {
        // A store that is full can still be read; the mark waits for the next connection.
        Ok(()) | Err(StoreError::Full(_)) => Ok(()),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A good server, changed by `info` lines.
    fn found(info: &str, fsync: Option<&str>) -> Found {
        let good = "redis_version:7.0.15\nrole:master\nconnected_slaves:0\ncluster_enabled:0\nmaxmemory:0\n\
                    maxmemory_policy:noeviction\naof_enabled:1\n";
        Found {
            info: fields(&format!("{good}{info}")),
            fsync: fsync.map(str::to_owned),
            min_replicas: fsync.map(|_| "0".to_owned()),
        }
    }

    fn check(info: &str, fsync: Option<&str>, claim: Durability, expected: Result<&str, &str>) {
        let got = compare(&found(info, fsync), claim);
        let got = got.map(|notes| notes.join("; ")).map_err(|e| e.to_string());
        let (told, wanted) = match (&got, expected) {
            (Ok(told), Ok(wanted)) | (Err(told), Err(wanted)) => (told, wanted),
            _ => panic!("{info:?} {fsync:?} {claim:?}: {got:?}"),
        };
        let fits = if wanted.is_empty() { told.is_empty() } else { told.contains(wanted) };
        assert!(fits, "{info:?} {fsync:?} {claim:?}: {told:?} holds no {wanted:?}");
    }

    #[test]
    fn a_claim_is_compared_with_what_is_found() {
        use Durability::{Disk, Process, Replica};
        check("", Some("everysec"), Process, Ok(""));
        check("aof_enabled:0", Some("everysec"), Process, Ok("appendonly is no"));
        check("", Some("always"), Disk, Ok(""));
        check("", Some("everysec"), Disk, Err("appendfsync everysec"));
        check("aof_enabled:0", Some("always"), Disk, Err("appendonly no"));
        check("", None, Disk, Ok("cannot be verified"));
        check("", Some("always"), Replica, Err("not built yet"));
        check("connected_slaves:1", Some("always"), Disk, Ok("min-replicas-to-write is 0"));
    }

    #[test]
    fn a_server_that_would_lose_or_refuse_is_not_used() {
        let with = |info: &str, expected| check(info, Some("always"), Durability::Process, expected);
        with("maxmemory:1000\nmaxmemory_policy:allkeys-lru", Err("maxmemory-policy is allkeys-lru"));
        with("maxmemory:1000\nmaxmemory_policy:volatile-ttl", Err("maxmemory-policy is volatile-ttl"));
        with("maxmemory:1000", Ok(""));
        with("maxmemory_policy:allkeys-lru", Ok(""));
        with("redis_version:6.2.7", Err("7.0 or later"));
        with("role:slave", Err("a replica"));
        with("cluster_enabled:1\ncluster_state:ok\ncluster_size:1", Ok(""));
        with("cluster_enabled:1\ncluster_state:fail\ncluster_size:0", Err("the cluster's state is fail"));
        with(
            "cluster_enabled:1\ncluster_state:ok\ncluster_size:3",
            Err("`redis+cluster://` is not built yet"),
        );
    }
}

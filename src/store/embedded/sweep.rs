//! Takes out the rows whose time is over: records, dialogues, marks, lives, vendors' ids, invitations, threads. They are ignored from that moment on, so this only gives back
//! room, and may be slow: it walks each table in bites and begins again. No index by time, because every turn moves its
//! rows' times, and an index would cost each turn two pages more.

use crate::domain::time::Timestamp;
use rusqlite::{Connection, params};

/// The two statements of a walk through a table.
macro_rules! walk {
    ($table:literal) => {
        (
            concat!("SELECT max(id) FROM (SELECT id FROM ", $table, " WHERE id > ?1 ORDER BY id LIMIT ?2)"),
            concat!("DELETE FROM ", $table, " WHERE id > ?1 AND id <= ?2 AND expires <= ?3"),
        )
    };
}

/// How many rows of each table one bite looks at.
const BITE: i64 = 500;

/// Every table whose rows have a time, as (the last id of a bite, what takes out the lapsed up to it).
const WALKS: [(&str, &str); 7] = [
    walk!("citizen"),
    walk!("dialogue"),
    walk!("mark"),
    walk!("life"),
    walk!("vendor"),
    walk!("invitation"),
    walk!("thread"),
];

/// How far the walk through each table has come: the last id that was looked at; empty is the beginning.
#[derive(Debug, Default)]
pub(super) struct Sweep([Vec<u8>; WALKS.len()]);

impl Sweep {
    /// Looks at the next rows of each table, and says how many it took out.
    pub(super) fn bite(&mut self, db: &Connection, now: Timestamp) -> rusqlite::Result<usize> {
        WALKS.iter().zip(&mut self.0).map(|((last, delete), from)| bite(db, from, now, last, delete)).sum()
    }
}

fn bite(
    db: &Connection,
    from: &mut Vec<u8>,
    now: Timestamp,
    last: &str,
    delete: &str,
) -> rusqlite::Result<usize> {
    let last: Option<Vec<u8>> = db.prepare_cached(last)?.query_row(params![*from, BITE], |row| row.get(0))?;
    let Some(last) = last else {
        from.clear();
        return Ok(0);
    };
    let taken = db.prepare_cached(delete)?.execute(params![*from, last, now.0])?;
    *from = last;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::schema;

    /// More rows than one bite; every third has lapsed.
    #[test]
    fn what_has_lapsed_goes_bite_by_bite_and_the_rest_stays() {
        let db = schema::writer(None).expect("a store in memory");
        schema::make(&db).expect("tables");
        let rows = BITE * 2 + 10;
        let tables = [
            "citizen (record, id",
            "dialogue (stored, id",
            "mark (id",
            "life (stored, id",
            "vendor (part, mt, id",
            "invitation (id",
            "thread (stored, id",
        ];
        for table in tables {
            let other = "x'00', ".repeat(table.matches(',').count());
            let insert = format!("INSERT INTO {table}, expires) VALUES ({other}?1, ?2)");
            for n in 0..rows {
                let expires = if n % 3 == 0 { 1_000 } else { i64::MAX };
                db.execute(&insert, params![n.to_be_bytes(), expires]).expect("a row");
            }
        }
        let mut sweep = Sweep::default();
        assert_eq!(sweep.bite(&db, Timestamp(999)).expect("a bite"), 0, "not yet");
        sweep = Sweep::default();
        let bites: Vec<_> = (0..4).map(|_| sweep.bite(&db, Timestamp(1_000)).expect("a bite")).collect();
        let thirds = |from: i64, to: i64| tables.len() * (from..to).filter(|n| n % 3 == 0).count();
        assert_eq!(bites, [thirds(0, 500), thirds(500, 1_000), thirds(1_000, rows), 0]);
        for table in tables {
            let name = table.split(' ').next().expect("a name");
            let left = db.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get::<_, i64>(0));
            assert_eq!(left, Ok(rows - 337), "{name}");
        }
    }
}

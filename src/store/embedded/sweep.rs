//! Takes out records and dialogues whose time is over. They are ignored from that moment on, so this only gives back
//! room, and may be slow: it walks each table in bites and begins again. No index by time, because every turn moves its
//! rows' times, and an index would cost each turn two pages more.

use crate::domain::time::Timestamp;
use rusqlite::{Connection, params};

/// How many rows of each table one bite looks at.
const BITE: i64 = 500;

/// How far the walk through each table has come: the last id that was looked at; empty is the beginning.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    citizens: Vec<u8>,
    dialogues: Vec<u8>,
}

impl Sweep {
    /// Looks at the next rows, and says how many it took out.
    pub(super) fn bite(&mut self, db: &Connection, now: Timestamp) -> rusqlite::Result<usize> {
        let citizens = bite(
            db,
            &mut self.citizens,
            now,
            "SELECT max(id) FROM (SELECT id FROM citizen WHERE id > ?1 ORDER BY id LIMIT ?2)",
            "DELETE FROM citizen WHERE id > ?1 AND id <= ?2 AND expires <= ?3",
        )?;
        let dialogues = bite(
            db,
            &mut self.dialogues,
            now,
            "SELECT max(id) FROM (SELECT id FROM dialogue WHERE id > ?1 ORDER BY id LIMIT ?2)",
            "DELETE FROM dialogue WHERE id > ?1 AND id <= ?2 AND expires <= ?3",
        )?;
        Ok(citizens + dialogues)
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
        for table in ["citizen (id, record", "dialogue (id, stored"] {
            let insert = format!("INSERT INTO {table}, expires) VALUES (?1, x'00', ?2)");
            for n in 0..rows {
                let expires = if n % 3 == 0 { 1_000 } else { i64::MAX };
                db.execute(&insert, params![n.to_be_bytes(), expires]).expect("a row");
            }
        }
        let mut sweep = Sweep::default();
        assert_eq!(sweep.bite(&db, Timestamp(999)).expect("a bite"), 0, "not yet");
        sweep = Sweep::default();
        let bites: Vec<_> = (0..4).map(|_| sweep.bite(&db, Timestamp(1_000)).expect("a bite")).collect();
        let thirds = |from: i64, to: i64| 2 * (from..to).filter(|n| n % 3 == 0).count();
        assert_eq!(bites, [thirds(0, 500), thirds(500, 1_000), thirds(1_000, rows), 0]);
        let left =
            |table| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
        assert_eq!((left("citizen"), left("dialogue")), (Ok(rows - 337), Ok(rows - 337)));
    }
}

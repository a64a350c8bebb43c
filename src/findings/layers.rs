//! Several documents laid over one another, the nearest first: environment, the operator's file, the defaults.
//! A key is read from the nearest document that has it, and its faults are told at its place there.

use super::Table;

/// The same table of several documents, nearest first.
pub struct Layers<'a>(Vec<Table<'a>>);

impl<'a> Layers<'a> {
    /// Lays tables over one another, the nearest first.
    pub fn of(tables: Vec<Table<'a>>) -> Layers<'a> {
        Layers(tables)
    }

    /// The sub-tables of this name.
    pub fn section(&self, key: &str) -> Layers<'a> {
        Layers(self.0.iter().filter_map(|table| table.table(key)).collect())
    }

    /// The nearest table that has this key. Marks it as known in all.
    pub fn nearest(&self, key: &str) -> Option<&Table<'a>> {
        self.0.iter().for_each(|table| {
            table.value(key);
        });
        self.0.iter().find(|table| table.has(key))
    }

    /// Reads a key from the nearest table that has it.
    pub fn read<T>(&self, key: &str, read: impl FnOnce(&Table<'a>, &str) -> Option<T>) -> Option<T> {
        self.nearest(key).and_then(|table| read(table, key))
    }

    /// Reports what nobody asked for, in every layer.
    pub fn finish(&self) {
        self.0.iter().for_each(Table::finish);
    }
}

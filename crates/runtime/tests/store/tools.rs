//! Short words for what the tests say often.

use interlock_kernel::{bus::RowChange, ids::Position};
use interlock_runtime::store::{Append, Chunk, Durability, Scan, Span, Store, StoreFuture};

/// Waits for a store's answer.
pub fn wait<T>(answer: StoreFuture<T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer)
}

/// A chunk whose bytes tell where it belongs and how long it is.
pub fn chunk(first: u64, count: u32, bytes: usize) -> Chunk {
    let pattern = first.to_le_bytes();
    let bytes: Vec<u8> = pattern.iter().copied().cycle().take(bytes).collect();
    Chunk { first: Position(first), count, bytes: bytes.into() }
}

/// Appends chunks of one record each, up to and including the position.
pub fn fill(store: &dyn Store, first: u64, last: u64) {
    for at in first..=last {
        assert_eq!(wait(store.append(chunk(at, 1, 100))), Append::Done);
    }
}

pub fn span(store: &dyn Store) -> (u64, u64) {
    let Span { first, end } = wait(store.span()).unwrap();
    (first.0, end.0)
}

/// Where the chunks begin that a read returns.
pub fn firsts(store: &dyn Store, at: u64, bytes_max: usize) -> Vec<u64> {
    let chunks = wait(store.read(Position(at), bytes_max)).unwrap();
    chunks.iter().map(|chunk| chunk.first.0).collect()
}

pub fn put(table: &str, key: &[u8], value: &[u8]) -> RowChange {
    RowChange::Put { table: table.into(), key: key.into(), value: value.into() }
}

pub fn delete(table: &str, key: &[u8]) -> RowChange {
    RowChange::Delete { table: table.into(), key: key.into() }
}

pub fn delete_range(table: &str, from: &[u8], to: &[u8]) -> RowChange {
    RowChange::DeleteRange { table: table.into(), from: from.into(), to: to.into() }
}

pub fn write(store: &dyn Store, changes: Vec<RowChange>) {
    wait(store.write_rows(changes, Durability::Lazy)).unwrap();
}

pub fn row(store: &dyn Store, table: &str, key: &[u8]) -> Option<Vec<u8>> {
    wait(store.row(table, key)).unwrap().map(Into::into)
}

/// The keys that a scan returns.
pub fn keys(store: &dyn Store, scan: Scan) -> Vec<Vec<u8>> {
    wait(store.scan(scan)).unwrap().into_iter().map(|(key, _)| key).collect()
}

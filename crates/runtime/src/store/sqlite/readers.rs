//! The readers: a few threads that share one queue, each with a connection to both files.

use std::sync::Arc;

use bytes::Bytes;
use interlock_kernel::ids::Position;
use tokio::sync::oneshot;

use super::{
    database::Database,
    log,
    queue::{Next, Queue},
    rows,
};
use crate::store::{Chunk, Row, Scan, StoreError};

/// What a reader can be asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Log { at: Position, bytes_max: usize, reply: oneshot::Sender<Result<Vec<Chunk>, StoreError>> },
    Row { table: String, key: Vec<u8>, reply: oneshot::Sender<Result<Option<Bytes>, StoreError>> },
    Scan { scan: Scan, reply: oneshot::Sender<Result<Vec<Row>, StoreError>> },
}

/// One of the readers.
#[derive(Debug)]
pub(super) struct Reader {
    /// Which of the connections are its own.
    pub(super) number: usize,
    pub(super) log: Arc<Database>,
    pub(super) rows: Arc<Database>,
}

impl Reader {
    /// The thread's work, until the queue ends.
    pub(super) fn run(self, jobs: &Queue<Job>) {
        while let Next::Job(job) = jobs.pop() {
            // Whoever no longer listens to an answer does not need it.
            match job {
                Job::Log { at, bytes_max, reply } => {
                    let _ = reply.send(self.read_log(at, bytes_max));
                }
                Job::Row { table, key, reply } => {
                    let found = self.rows.read(self.number, |rows| rows::row(rows, &table, &key));
                    let _ = reply.send(found.map(|value| value.map(Bytes::from)));
                }
                Job::Scan { scan, reply } => {
                    let _ = reply.send(self.rows.read(self.number, |rows| rows::scan(rows, &scan)));
                }
            }
        }
    }

    fn read_log(&self, at: Position, bytes_max: usize) -> Result<Vec<Chunk>, StoreError> {
        let chunks = self.log.read(self.number, |log| log::read(log, at, bytes_max))?;
        for pair in chunks.windows(2) {
            if pair[1].first != pair[0].end() {
                return Err(StoreError::Damaged(format!(
                    "{}: the positions from {} to {} are missing",
                    self.log.path.display(),
                    pair[0].end(),
                    pair[1].first
                )));
            }
        }
        Ok(chunks)
    }
}

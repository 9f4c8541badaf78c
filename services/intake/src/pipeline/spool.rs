//! Answers on their way to the client.
//!
//! A client may send its whole file before it reads a byte of the answer. Then answers must go somewhere, or sender and
//! receiver wait for each other for ever. Up to a megabyte waits in memory, the rest in a file without name. Answers hold
//! ids, field names and rules, nothing of people, so they may touch a disk.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::Notify;

/// How much waits in memory.
const MEMORY: usize = 1 << 20;
/// How much is read from the file at a time.
const PIECE: usize = 256 << 10;

#[derive(Debug, Default)]
struct State {
    memory: VecDeque<Bytes>,
    size: usize,
    file: Option<File>,
    written: u64,
    read: u64,
    closed: bool,
    reader_gone: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes answers; never waits for the reader.
#[derive(Debug)]
pub struct Writer(Arc<Shared>);

/// Gives them out in order.
#[derive(Debug)]
pub struct Reader(Arc<Shared>);

/// A spool's two ends.
pub fn spool() -> (Writer, Reader) {
    let shared = Arc::new(Shared::default());
    (Writer(Arc::clone(&shared)), Reader(shared))
}

impl Writer {
    /// Adds bytes. When the disk refuses them the answer ends early, without its summary.
    pub fn write(&self, bytes: Bytes) {
        let mut state = self.0.lock();
        if state.reader_gone || state.closed {
            return;
        }
        // Once something is in the file, what follows goes behind it.
        if state.file.is_none() && state.size + bytes.len() <= MEMORY {
            state.size += bytes.len();
            state.memory.push_back(bytes);
        } else if let Err(error) = state.append(&bytes) {
            tracing::error!(%error, "an answer cannot be spooled");
            state.closed = true;
        }
        drop(state);
        self.0.news.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.news.notify_one();
    }
}

impl State {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile()?,
        };
        file.write_all_at(bytes, self.written)?;
        self.written += bytes.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    fn take(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(bytes) = self.memory.pop_front() {
            self.size -= bytes.len();
            return Ok(Some(bytes));
        }
        let Some(file) = &self.file else { return Ok(None) };
        let left = usize::try_from(self.written - self.read).unwrap_or(PIECE).min(PIECE);
        if left == 0 {
            // The reader has caught up: memory will do again.
            self.file = None;
            (self.written, self.read) = (0, 0);
            return Ok(None);
        }
        let mut piece = vec![0; left];
        file.read_exact_at(&mut piece, self.read)?;
        self.read += left as u64;
        Ok(Some(piece.into()))
    }
}

impl Reader {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let news = self.0.news.notified();
            {
                let mut state = self.0.lock();
                if let Some(bytes) = state.take()? {
                    return Ok(Some(bytes));
                }
                if state.closed {
                    return Ok(None);
                }
            }
            news.await;
        }
    }

    /// As a stream, for a response's body.
    pub fn stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        futures::stream::try_unfold(
            self,
            |mut reader| async move { Ok(reader.next().await?.map(|bytes| (bytes, reader))) },
        )
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.reader_gone = true;
        state.memory.clear();
        state.file = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn order_holds_through_memory_and_file() {
        let (writer, mut reader) = spool();
        let mut expected = Vec::new();
        for number in 0..5_000u32 {
            let piece = format!("{number} {}\n", "x".repeat(500));
            expected.extend_from_slice(piece.as_bytes());
            writer.write(piece.into());
        }
        assert!(writer.0.lock().file.is_some(), "more than memory takes");
        let mut read = Vec::new();
        while read.len() < expected.len() {
            read.extend_from_slice(&reader.next().await.unwrap().unwrap());
        }
        assert!(read == expected);
        writer.write(Bytes::from_static(b"late"));
        let waiting = tokio::spawn(async move {
            let mut rest = Vec::new();
            while let Some(bytes) = reader.next().await.unwrap() {
                rest.extend_from_slice(&bytes);
            }
            rest
        });
        writer.write(Bytes::from_static(b"r"));
        drop(writer);
        assert_eq!(waiting.await.unwrap(), b"later");
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_costs_nothing() {
        let (writer, reader) = spool();
        drop(reader);
        writer.write(Bytes::from(vec![0; 4 << 20]));
        assert!(writer.0.lock().file.is_none());
    }
}

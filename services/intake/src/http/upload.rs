//! An upload's parts, read by a task of its own: the answer begins while the file is still arriving. When nobody wants the
//! rest it is read and dropped, because many clients read no answer before they have sent everything.

use axum::extract::{Multipart, multipart::Field};
use bytes::{Bytes, BytesMut};
use runtime::Problem;
use tokio::sync::mpsc;

use crate::formats::Chunk;

/// Longest part other than the file.
const MAX_PART: usize = 256 << 10;
/// Chunks that wait to be read.
const WAITING: usize = 16;
/// Small frames are joined, so that passing them on costs little.
const JOIN: usize = 64 << 10;

/// A part, or a piece of the file.
#[derive(Debug)]
pub(super) enum Part {
    /// A part before the file.
    Text(String, Bytes),
    /// The file begins.
    File,
    /// A piece of it.
    Piece(Bytes),
    /// It ended.
    End,
    /// The body cannot be read on.
    Broken(&'static str),
}

/// Parts as they arrive.
#[derive(Debug)]
pub(super) struct Parts(mpsc::Receiver<Part>);

impl Parts {
    /// Reads `multipart` up to `limit` bytes of file.
    pub(super) fn read(multipart: Multipart, limit: u64) -> Self {
        let (sender, parts) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let broken = pump(multipart, limit, &sender).await.err();
            if let Some(reason) = broken {
                let _ = sender.send(Part::Broken(reason)).await;
            }
        });
        Self(parts)
    }

    /// The next part before the file; `None` when the file begins.
    pub(super) async fn text(&mut self) -> Result<Option<(String, Bytes)>, Problem> {
        match self.0.recv().await {
            Some(Part::Text(name, bytes)) => Ok(Some((name, bytes))),
            Some(Part::File) => Ok(None),
            Some(Part::Broken(reason)) => Err(Problem::bad_request(reason)),
            _ => Err(Problem::bad_request("the upload has no part `file`; it must come last")),
        }
    }

    /// The next piece of the file, for a thread for blocking work.
    pub(super) fn blocking_piece(&mut self) -> Chunk {
        piece(self.0.blocking_recv())
    }

    /// The whole file, at most `limit` bytes.
    pub(super) async fn whole(&mut self, limit: usize) -> Result<Bytes, Problem> {
        let mut whole = BytesMut::new();
        loop {
            match piece(self.0.recv().await) {
                Chunk::Data(bytes) if whole.len() + bytes.len() > limit => return Err(Problem::too_large(limit)),
                Chunk::Data(bytes) => whole.extend_from_slice(&bytes),
                Chunk::End => return Ok(whole.freeze()),
                Chunk::Broken => return Err(Problem::bad_request("the upload broke off")),
            }
        }
    }
}

fn piece(part: Option<Part>) -> Chunk {
    match part {
        Some(Part::Piece(bytes)) => Chunk::Data(bytes),
        Some(Part::End) => Chunk::End,
        _ => Chunk::Broken,
    }
}

async fn pump(mut multipart: Multipart, limit: u64, sender: &mpsc::Sender<Part>) -> Result<(), &'static str> {
    const BROKEN: &str = "the body is not multipart/form-data, or broke off";
    while let Some(field) = multipart.next_field().await.map_err(|_| BROKEN)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            let _ = sender.send(Part::File).await;
            return file(field, limit, sender).await;
        }
        let bytes = small(field).await?;
        let _ = sender.send(Part::Text(name, bytes)).await;
    }
    let _ = sender.send(Part::End).await;
    Ok(())
}

async fn file(mut field: Field<'_>, limit: u64, sender: &mpsc::Sender<Part>) -> Result<(), &'static str> {
    let mut read = 0u64;
    let mut joined = BytesMut::new();
    while let Some(bytes) = field.chunk().await.map_err(|_| "the upload broke off")? {
        read += bytes.len() as u64;
        if read > limit {
            return Err("the file is too large");
        }
        if sender.is_closed() {
            // Refused already: read on and drop it.
            continue;
        }
        joined.extend_from_slice(&bytes);
        if joined.len() >= JOIN {
            let _ = sender.send(Part::Piece(joined.split().freeze())).await;
        }
    }
    if !joined.is_empty() {
        let _ = sender.send(Part::Piece(joined.freeze())).await;
    }
    let _ = sender.send(Part::End).await;
    Ok(())
}

async fn small(mut field: Field<'_>) -> Result<Bytes, &'static str> {
    let mut bytes = BytesMut::new();
    while let Some(more) = field.chunk().await.map_err(|_| "the upload broke off")? {
        if bytes.len() + more.len() > MAX_PART {
            return Err("a part before the file is too large");
        }
        bytes.extend_from_slice(&more);
    }
    Ok(bytes.freeze())
}

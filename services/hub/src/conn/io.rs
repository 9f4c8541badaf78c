//! Frames over sockets: nothing is allocated from a claimed length alone, and nothing may arrive slowly for ever.

use std::{collections::VecDeque, io, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};
use wire::{
    WireError,
    frame::{self, PREFIX},
};
use zeroize::Zeroize as _;

use crate::{conn::End, refusal::Refusal};

/// How much of a large frame's buffer is granted before its bytes arrive.
const STEP: usize = 64 * 1024;

/// A frame with its length prefix.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) whole: Bytes,
}

impl Frame {
    /// Without the prefix.
    pub(crate) fn body(&self) -> Bytes {
        self.whole.slice(PREFIX.min(self.whole.len())..)
    }

    /// Overwrites what it held, where nothing else holds it.
    pub(crate) fn wipe(self) {
        wipe(self.whole);
    }
}

/// Overwrites bytes that may hold a secret, where nothing else holds them; gives the memory back then.
pub(crate) fn wipe(bytes: Bytes) -> Option<BytesMut> {
    let mut alone = bytes.try_into_mut().ok()?;
    alone.as_mut().zeroize();
    Some(alone)
}

/// Reads one request. Waits as long as it takes for the first byte (no memory is held meanwhile); from then on the
/// frame must be complete within `patience`.
pub(crate) async fn read_request<R: AsyncRead + Unpin>(
    socket: &mut R,
    cap: usize,
    patience: Duration,
) -> Result<Frame, End> {
    let mut prefix = [0; PREFIX];
    let got = match socket.read(&mut prefix).await? {
        0 => return Err(End::ClientClosed),
        got => got,
    };
    match timeout(patience, read_growing(socket, prefix, got, cap)).await {
        Ok(frame) => frame,
        Err(_) => Err(End::Refused(Refusal::Slow)),
    }
}

/// The rest of a frame of which `got` bytes of the prefix are there.
async fn read_growing<R: AsyncRead + Unpin>(
    socket: &mut R,
    mut prefix: [u8; PREFIX],
    got: usize,
    cap: usize,
) -> Result<Frame, End> {
    socket.read_exact(prefix.get_mut(got..).unwrap_or_default()).await?;
    let length = frame::length(prefix, cap).map_err(|_| End::Refused(too_long(prefix)))?;
    let mut buffer = BytesMut::with_capacity(PREFIX + length.min(STEP));
    buffer.extend_from_slice(&prefix);
    let total = PREFIX + length;
    while buffer.len() < total {
        if buffer.capacity() == buffer.len() {
            buffer.reserve(buffer.len().min(total - buffer.len()));
        }
        let left = u64::try_from(total - buffer.len()).unwrap_or(u64::MAX);
        if (&mut *socket).take(left).read_buf(&mut buffer).await? == 0 {
            return Err(End::ClientClosed);
        }
    }
    Ok(Frame { whole: buffer.freeze() })
}

/// Why a length is refused. A TLS record of a handshake (type 22, major version 3) would be one of 370 million bytes.
const fn too_long(prefix: [u8; PREFIX]) -> Refusal {
    match prefix {
        [22, 3, ..] => Refusal::Tls,
        _ => Refusal::FrameSize,
    }
}

/// Sends a request to a broker.
pub(crate) async fn write_broker<W: AsyncWrite + Unpin>(socket: &mut W, bytes: &[u8]) -> Result<(), End> {
    socket.write_all(bytes).await.map_err(End::upstream)?;
    socket.flush().await.map_err(End::upstream)
}

/// Reads the length prefix of a broker's answer.
pub(crate) async fn read_prefix<R: AsyncRead + Unpin>(
    socket: &mut R,
    cap: usize,
) -> Result<([u8; PREFIX], usize), End> {
    let mut prefix = [0; PREFIX];
    socket.read_exact(&mut prefix).await.map_err(End::upstream)?;
    match frame::length(prefix, cap) {
        Ok(length) => Ok((prefix, length)),
        Err(WireError::FrameSize { claimed, .. }) => {
            tracing::error!(claimed, cap, "a broker's answer is larger than limits.answer_bytes");
            Err(End::Refused(Refusal::BrokerAnswer))
        }
        Err(_) => Err(End::Refused(Refusal::BrokerAnswer)),
    }
}

/// Reads the rest of a broker's answer into a buffer of that capacity.
pub(crate) async fn read_rest<R: AsyncRead + Unpin>(
    socket: &mut R,
    prefix: [u8; PREFIX],
    length: usize,
    mut buffer: BytesMut,
) -> Result<BytesMut, End> {
    buffer.extend_from_slice(&prefix);
    let total = PREFIX + length;
    let mut limited = socket.take(u64::try_from(length).unwrap_or(u64::MAX));
    while buffer.len() < total {
        if limited.read_buf(&mut buffer).await.map_err(End::upstream)? == 0 {
            return Err(End::UpstreamClosed);
        }
    }
    Ok(buffer)
}

/// So many bytes, or what is left, a client has to take within its patience: memory is held for it meanwhile, which others
/// wait for.
const PACE: usize = 1 << 20;

/// How a client keeps up.
struct Pace {
    patience: Duration,
    until: Instant,
    taken: usize,
}

impl Pace {
    fn new(patience: Duration) -> Self {
        Self { patience, until: Instant::now() + patience, taken: 0 }
    }

    /// Waits for a write, as long as the pace allows.
    async fn step(&mut self, write: impl Future<Output = io::Result<usize>>) -> Result<usize, End> {
        let n = match timeout_at(self.until, write).await {
            Ok(Ok(0)) => return Err(End::ClientClosed),
            Ok(Ok(n)) => n,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(End::Refused(Refusal::Stalled)),
        };
        self.taken += n;
        if self.taken >= PACE {
            *self = Self::new(self.patience);
        }
        Ok(n)
    }
}

/// Writes all of it, or gives up on a client that does not keep the pace.
pub(crate) async fn write_client<W: AsyncWrite + Unpin>(
    socket: &mut W,
    mut bytes: &[u8],
    patience: Duration,
) -> Result<(), End> {
    let mut pace = Pace::new(patience);
    while !bytes.is_empty() {
        let n = pace.step(socket.write(bytes)).await?;
        bytes = bytes.get(n..).unwrap_or_default();
    }
    flush_client(socket, patience).await
}

/// What TLS still holds leaves.
async fn flush_client<W: AsyncWrite + Unpin>(socket: &mut W, patience: Duration) -> Result<(), End> {
    match timeout(patience, socket.flush()).await {
        Ok(flushed) => flushed.map_err(End::from),
        Err(_) => Err(End::Refused(Refusal::Stalled)),
    }
}

/// Writes pieces with as few system calls as may be.
pub(crate) async fn write_pieces<W: AsyncWrite + Unpin>(
    socket: &mut W,
    pieces: Vec<Bytes>,
    patience: Duration,
) -> Result<(), End> {
    let mut pieces = Pieces(pieces.into());
    let mut pace = Pace::new(patience);
    while pieces.has_remaining() {
        pace.step(socket.write_buf(&mut pieces)).await?;
    }
    flush_client(socket, patience).await
}

/// Slices as one [`Buf`] whose vectored view shows them all.
struct Pieces(VecDeque<Bytes>);

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.iter().find(|piece| !piece.is_empty()).map_or(&[], |piece| piece.as_ref())
    }

    fn advance(&mut self, mut n: usize) {
        while n > 0 {
            let Some(first) = self.0.front_mut() else { return };
            if first.len() > n {
                first.advance(n);
                return;
            }
            n -= first.len();
            self.0.pop_front();
        }
        while self.0.front().is_some_and(Bytes::is_empty) {
            self.0.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [io::IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, piece) in out.iter_mut().zip(self.0.iter().filter(|piece| !piece.is_empty())) {
            *slot = io::IoSlice::new(piece);
            filled += 1;
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_that_claims_much_and_sends_little_costs_little() {
        let (mut client, mut hub) = tokio::io::duplex(1024);
        let task = tokio::spawn(async move {
            read_growing(&mut hub, [0; PREFIX], 0, 1 << 30).await.map(|frame| frame.whole.len())
        });
        client.write_all(&(1i32 << 29).to_be_bytes()).await.unwrap();
        client.write_all(&[1; 100]).await.unwrap();
        drop(client);
        assert!(matches!(task.await.unwrap(), Err(End::ClientClosed)));
    }

    #[test]
    fn a_token_is_overwritten_once_it_has_been_read() {
        let mut raw = BytesMut::with_capacity(64);
        raw.extend_from_slice(b"\0\0\0\x05token");
        let frame = Frame { whole: raw.freeze() };
        let read = frame.body();
        assert_eq!(wipe(frame.whole.clone()), None, "others hold it");
        assert_eq!(read, &b"token"[..]);
        drop(read);
        assert_eq!(wipe(frame.whole).unwrap(), &[0; 9][..]);
    }

    #[tokio::test]
    async fn pieces_are_written_in_order() {
        let (mut hub, mut client) = tokio::io::duplex(3);
        let write = tokio::spawn(async move {
            let pieces =
                vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"cdefg"), Bytes::from_static(b"h")];
            write_pieces(&mut hub, pieces, Duration::from_secs(5)).await.map_err(|_| ())
        });
        let mut out = String::new();
        client.read_to_string(&mut out).await.unwrap();
        write.await.unwrap().unwrap();
        assert_eq!(out, "abcdefgh");
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_left() {
        let (mut hub, _client) = tokio::io::duplex(4);
        let end = write_client(&mut hub, b"more than four", Duration::from_millis(30)).await;
        assert!(matches!(end, Err(End::Refused(Refusal::Stalled))));
    }

    #[tokio::test]
    async fn a_client_that_takes_a_byte_now_and_then_is_left() {
        let (mut hub, mut client) = tokio::io::duplex(1);
        tokio::spawn(async move {
            let mut now_and_then = tokio::time::interval(Duration::from_millis(5));
            while client.read_u8().await.is_ok() {
                now_and_then.tick().await;
            }
        });
        let end = write_client(&mut hub, &[7; 4096], Duration::from_millis(60)).await;
        assert!(matches!(end, Err(End::Refused(Refusal::Stalled))), "4 KiB would take 20 seconds");
    }
}

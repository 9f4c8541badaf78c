//! A collector of traces: the least of HTTP/2 (RFC 9113) and gRPC that an OTLP exporter is content with, so that tests
//! see the very bytes that leave a service.
use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Listens on a free port and keeps everything that it is sent.
#[derive(Debug, Clone)]
pub struct Sink {
    port: u16,
    exported: Arc<Mutex<Vec<u8>>>,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self { port: listener.local_addr().unwrap().port(), exported: Arc::default() };
        let exported = Arc::clone(&sink.exported);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&exported)));
            }
        });
        sink
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The exported messages (protobuf, uncompressed), one after the other.
    pub fn bytes(&self) -> Vec<u8> {
        self.exported.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn has(&self, part: &[u8]) -> bool {
        self.bytes().windows(part.len()).any(|window| window == part)
    }
}

async fn answer(mut stream: TcpStream, exported: Arc<Mutex<Vec<u8>>>) -> std::io::Result<()> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await?;
    assert_eq!(preface, PREFACE, "the exporter speaks HTTP/2");
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await?;
        let reply = match kind {
            SETTINGS if flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(PING, ACK, 0, &payload),
            DATA => {
                exported.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&payload);
                let window = length.max(1).to_be_bytes();
                let mut reply = frame(WINDOW_UPDATE, 0, 0, &window);
                if flags & END_STREAM == 0 {
                    reply.extend(frame(WINDOW_UPDATE, 0, id, &window));
                } else {
                    reply.extend(success(id));
                }
                reply
            }
            _ => continue,
        };
        stream.write_all(&reply).await?;
    }
}

/// An empty `ExportTraceServiceResponse` with status OK.
fn success(id: u32) -> Vec<u8> {
    // HPACK (RFC 7541): entry 8 of the static table is `:status: 200`.
    let mut head = vec![0x88];
    head.extend(literal("content-type", "application/grpc"));
    let mut reply = frame(HEADERS, END_HEADERS, id, &head);
    reply.extend(frame(DATA, 0, id, &[0; 5]));
    reply.extend(frame(HEADERS, END_HEADERS | END_STREAM, id, &literal("grpc-status", "0")));
    reply
}

/// A field that is not to be indexed, without Huffman code.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(id.to_be_bytes());
    frame.extend(payload);
    frame
}

//! A client that speaks the protocol by hand, for what stock clients would never send and for timing single bytes.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a tool of tests: what does not hold fails the test where it happens"
)]

use std::{path::Path, time::Duration};

use aws_lc_rs::{
    digest::{SHA512, digest},
    hmac,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tls::{Stream, Trust};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use wire::{
    messages::{
        ApiKey, RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    },
    protocol::{Decodable, Encodable, Request, StrBytes},
};

/// How long an answer or a close may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
#[derive(Debug)]
pub struct Raw {
    /// The socket, with or without TLS.
    pub stream: Stream,
    correlation: i32,
}

/// What the other side did.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// A frame, without prefix.
    Frame(Bytes),
    Closed,
}

impl Raw {
    pub async fn connect(address: &str) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await.unwrap().unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: Stream::Plain(stream), correlation: 0 }
    }

    /// The same inside TLS, with a server that this authority (PEM) vouches for.
    pub async fn secured(address: &str, trust: &Path) -> Self {
        let (host, _) = address.rsplit_once(':').unwrap();
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await.unwrap().unwrap();
        let stream = timeout(PATIENCE, Trust::read(trust).unwrap().connect(host, stream)).await.unwrap().unwrap();
        Self { stream, correlation: 0 }
    }

    /// Connected and logged in.
    pub async fn login(address: &str, login: &str, password: &str) -> Self {
        let mut raw = Self::connect(address).await;
        let error = raw.authenticate(login, password, "n,,", "").await;
        assert_eq!(error, Some(0), "{login} could not log in");
        raw
    }

    /// A SCRAM-SHA-512 exchange; the error code of its last answer, or nothing if the connection was closed.
    pub async fn authenticate(&mut self, login: &str, password: &str, gs2: &str, extensions: &str) -> Option<i16> {
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("SCRAM-SHA-512"));
        let answer = self.call(&handshake, 1).await?;
        if answer.error_code != 0 {
            return Some(answer.error_code);
        }
        let bare = format!("n={login},r=0123456789abcdef{extensions}");
        let step = |text: String| SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(text));
        let first = self.call(&step(format!("{gs2}{bare}")), 2).await?;
        if first.error_code != 0 {
            return Some(first.error_code);
        }
        let server = String::from_utf8(first.auth_bytes.to_vec()).unwrap();
        let field = |name: &str| server.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
        let salt = STANDARD.decode(field("s=")).unwrap();
        let salted = bus::scram::salted_password(password, &salt, field("i=").parse().unwrap());
        let without_proof = format!("c={},r={}", STANDARD.encode(gs2), field("r="));
        let message = format!("{bare},{server},{without_proof}");
        let client_key = mac(&salted, b"Client Key");
        let signature = mac(digest(&SHA512, client_key.as_ref()).as_ref(), message.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign).collect();
        let last = self.call(&step(format!("{without_proof},p={}", STANDARD.encode(proof))), 2).await?;
        Some(last.error_code)
    }

    /// SASL/OAUTHBEARER with this client response; the answer, or nothing if the connection was closed. `version` is that of
    /// SaslAuthenticate.
    pub async fn bear(&mut self, response: &str, version: i16) -> Option<SaslAuthenticateResponse> {
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("OAUTHBEARER"));
        let answer = self.call(&handshake, 1).await?;
        assert_eq!(answer.error_code, 0, "OAUTHBEARER is not offered: {:?}", answer.mechanisms);
        let response = Bytes::from(response.to_owned());
        self.call(&SaslAuthenticateRequest::default().with_auth_bytes(response), version).await
    }

    /// A request and its answer; nothing if the connection was closed.
    pub async fn call<R: Request>(&mut self, request: &R, version: i16) -> Option<R::Response> {
        self.send(request, version).await;
        let Reply::Frame(frame) = self.reply().await else { return None };
        Some(self.read::<R>(frame, version))
    }

    pub async fn send<R: Request>(&mut self, request: &R, version: i16) {
        self.correlation += 1;
        let bytes = encode(request, version, self.correlation);
        self.bytes(&bytes).await;
    }

    pub fn read<R: Request>(&self, mut frame: Bytes, version: i16) -> R::Response {
        let key = ApiKey::try_from(R::KEY).unwrap();
        let header = ResponseHeader::decode(&mut frame, key.response_header_version(version)).unwrap();
        assert_eq!(header.correlation_id, self.correlation);
        let body = R::Response::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "{} bytes are left over", frame.remaining());
        body
    }

    /// Writes bytes; that the other side has closed is no error here.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    pub async fn reply(&mut self) -> Reply {
        timeout(PATIENCE, async {
            let mut prefix = [0; 4];
            if self.stream.read_exact(&mut prefix).await.is_err() {
                return Reply::Closed;
            }
            let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
            match self.stream.read_exact(&mut frame).await {
                Ok(_) => Reply::Frame(frame.into()),
                Err(_) => Reply::Closed,
            }
        })
        .await
        .expect("neither an answer nor a close")
    }
}

/// A whole frame.
pub fn encode<R: Request>(request: &R, version: i16, correlation: i32) -> BytesMut {
    let key = ApiKey::try_from(R::KEY).unwrap();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("raw")));
    let mut out = BytesMut::new();
    out.put_i32(0);
    header.encode(&mut out, key.request_header_version(version)).unwrap();
    request.encode(&mut out, version).unwrap();
    let length = u32::try_from(out.len() - 4).unwrap();
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

fn mac(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key), message)
}

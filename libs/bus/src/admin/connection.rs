//! One connection: frames, correlation, the login.

use std::{collections::HashMap, io, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tls::{Stream, Trust};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use wire::{
    messages::{
        ApiKey, ApiVersionsRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslHandshakeRequest,
    },
    protocol::{Decodable as _, Encodable as _, Request, StrBytes},
};

use super::AdminError;
use crate::scram::Exchange;

/// Answers of administration are short; more than this is not an answer.
const MAX_FRAME: usize = 64 << 20;

/// A logged-in connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    client_id: StrBytes,
    correlation: i32,
    /// Highest version of each API that the broker speaks, and the lowest.
    versions: HashMap<i16, (i16, i16)>,
}

impl Connection {
    pub(crate) async fn open(
        address: &str,
        trust: Option<&Trust>,
        client_id: &str,
        (login, password): (&str, &str),
        timeout: Duration,
    ) -> Result<Self, AdminError> {
        let opening = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let stream = match trust {
                Some(trust) => trust.connect(host_of(address), stream).await?,
                None => Stream::Plain(stream),
            };
            let client_id = StrBytes::from_string(client_id.to_owned());
            let mut connection = Self { stream, client_id, correlation: 0, versions: HashMap::new() };
            connection.negotiate().await?;
            connection.log_in(login, password).await?;
            Ok(connection)
        };
        tokio::time::timeout(timeout, opening).await.map_err(|_| AdminError::Timeout(timeout))?
    }

    async fn negotiate(&mut self) -> Result<(), AdminError> {
        // Version 0 is understood by every broker.
        let answer = self.exchange_at(&ApiVersionsRequest::default(), 0, "ApiVersions").await?;
        AdminError::check(answer.error_code, None, || "asking for API versions".to_owned())?;
        self.versions = answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        Ok(())
    }

    async fn log_in(&mut self, login: &str, password: &str) -> Result<(), AdminError> {
        let refused = |message: Option<&StrBytes>| AdminError::Login {
            login: login.to_owned(),
            message: message.map_or_else(|| "no reason given".to_owned(), ToString::to_string),
        };
        let mut handshake = SaslHandshakeRequest::default();
        handshake.mechanism = StrBytes::from_static_str("SCRAM-SHA-512");
        let answer = self.call(&handshake, "SaslHandshake").await?;
        if answer.error_code != 0 {
            return Err(refused(Some(&StrBytes::from_static_str("the broker does not offer SCRAM-SHA-512"))));
        }
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let exchange = Exchange::new(login, nonce);
        let step = |text: String| {
            let mut request = SaslAuthenticateRequest::default();
            request.auth_bytes = Bytes::from(text);
            request
        };
        let first = self.call(&step(exchange.first()), "SaslAuthenticate").await?;
        if first.error_code != 0 {
            return Err(refused(first.error_message.as_ref()));
        }
        let (proof, expectation) = exchange.last(password, &first.auth_bytes)?;
        let last = self.call(&step(proof), "SaslAuthenticate").await?;
        if last.error_code != 0 {
            return Err(refused(last.error_message.as_ref()));
        }
        Ok(expectation.check(&last.auth_bytes)?)
    }

    /// One request in the highest version that both sides speak.
    pub(crate) async fn call<R: Request>(
        &mut self,
        request: &R,
        name: &'static str,
    ) -> Result<R::Response, AdminError> {
        let known = ApiKey::try_from(R::KEY).map_err(|()| AdminError::Unsupported(name))?.valid_versions();
        let (low, high) = *self.versions.get(&R::KEY).ok_or(AdminError::Unsupported(name))?;
        let version = high.min(known.max);
        if version < low.max(known.min) {
            return Err(AdminError::Unsupported(name));
        }
        self.exchange_at(request, version, name).await
    }

    async fn exchange_at<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        name: &'static str,
    ) -> Result<R::Response, AdminError> {
        let key = ApiKey::try_from(R::KEY).map_err(|()| AdminError::Unsupported(name))?;
        self.correlation = self.correlation.wrapping_add(1);
        let mut header = RequestHeader::default();
        header.request_api_key = R::KEY;
        header.request_api_version = version;
        header.correlation_id = self.correlation;
        header.client_id = Some(self.client_id.clone());
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        header.encode(&mut frame, key.request_header_version(version)).map_err(|_| AdminError::Codec(name))?;
        request.encode(&mut frame, version).map_err(|_| AdminError::Codec(name))?;
        let length = i32::try_from(frame.len() - 4).map_err(|_| AdminError::Codec(name))?;
        if let Some(prefix) = frame.get_mut(..4) {
            prefix.copy_from_slice(&length.to_be_bytes());
        }
        self.stream.write_all(&frame).await?;
        self.stream.flush().await?;

        let mut answer = self.read_frame().await?;
        let header_version = key.response_header_version(version);
        let header = ResponseHeader::decode(&mut answer, header_version).map_err(|_| AdminError::Codec(name))?;
        if header.correlation_id != self.correlation {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is to another request").into());
        }
        <R::Response as wire::protocol::Decodable>::decode(&mut answer, version).map_err(|_| AdminError::Codec(name))
    }

    async fn read_frame(&mut self) -> Result<Bytes, AdminError> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix).await?;
        let length = usize::try_from((&prefix[..]).get_i32()).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long").into());
        }
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame).await?;
        Ok(Bytes::from(frame))
    }
}

/// The host of `host:port`, as a certificate names it.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

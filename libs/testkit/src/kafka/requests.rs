//! What clients asked the broker for, from its own request log ([`KafkaBuilder::request_log`](super::KafkaBuilder)).
//!
//! The second witness beside [`crate::net`]: no connection is too short for it, and it tells logins and APIs apart.
use serde::Deserialize;

use super::Kafka;
use crate::{Error, Result, error::IoContext as _};

const MARK: &str = "Completed request:";

/// One request that reached a broker on the listener for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRequest {
    /// Node that was asked.
    pub node: u16,
    /// `FETCH`, `METADATA`, `SASL_AUTHENTICATE`, …
    pub api: String,
    /// Version of the request.
    pub version: i16,
    /// The client's `client.id`.
    pub client_id: String,
    /// Login after authentication, `ANONYMOUS` before.
    pub login: String,
    /// The client's own port.
    pub from: u16,
    /// What the client calls itself (KIP-511).
    pub software: String,
}

impl Kafka {
    /// Every request so far on the listeners for clients, in the order of each broker's log; empty unless the broker
    /// was started with a request log.
    ///
    /// # Errors
    /// When a log cannot be read or is not understood.
    pub fn requests(&self) -> Result<Vec<BrokerRequest>> {
        let mut requests = Vec::new();
        for node in self.node_ids() {
            let Some(log) = self.log(node) else { continue };
            let text = std::fs::read_to_string(log).at("read", log)?;
            for line in text.lines() {
                let Some((_, json)) = line.split_once(MARK) else { continue };
                requests.extend(parse(node, json)?);
            }
        }
        Ok(requests)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    request_header: Header,
    connection: String,
    principal: String,
    listener: String,
    client_information: Software,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    request_api_key_name: String,
    request_api_version: i16,
    #[serde(default)]
    client_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Software {
    software_name: String,
}

fn parse(node: u16, json: &str) -> Result<Option<BrokerRequest>> {
    let wrong = || Error::Answer { what: "a line of the request log".to_owned(), answer: json.to_owned() };
    let line: Line = serde_json::from_str(json).map_err(|source| Error::Json { text: json.to_owned(), source })?;
    if line.listener != "CLIENT" {
        return Ok(None);
    }
    // `<own address>-<client's address>-<listener>-<count>`
    let client = line.connection.split('-').nth(1).ok_or_else(wrong)?;
    let from = client.rsplit(':').next().and_then(|port| port.parse().ok()).ok_or_else(wrong)?;
    Ok(Some(BrokerRequest {
        node,
        api: line.request_header.request_api_key_name,
        version: line.request_header.request_api_version,
        client_id: line.request_header.client_id.unwrap_or_default(),
        login: line.principal.strip_prefix("User:").unwrap_or(&line.principal).to_owned(),
        from,
        software: line.client_information.software_name,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_understood_and_other_listeners_are_left_out() {
        let line = |listener: &str| {
            format!(
                r#"{{"isForwarded":false,"requestHeader":{{"requestApiKey":1,"requestApiVersion":17,"correlationId":4,
                "clientId":"reader","requestApiKeyName":"FETCH"}},"request":{{}},"response":{{}},
                "connection":"127.0.0.1:20429-127.0.0.1:52638-0-0","totalTimeMs":1.5,"principal":"User:ju-sub-a-1",
                "listener":"{listener}","clientInformation":{{"softwareName":"librdkafka","softwareVersion":"2.16"}}}}"#
            )
        };
        let request = parse(1, &line("CLIENT")).unwrap().unwrap();
        assert_eq!((request.api.as_str(), request.version, request.from), ("FETCH", 17, 52_638));
        assert_eq!((request.login.as_str(), request.software.as_str()), ("ju-sub-a-1", "librdkafka"));
        assert_eq!(parse(1, &line("BROKER")).unwrap(), None);
    }
}

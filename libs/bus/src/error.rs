//! What can go wrong with Kafka.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A client cannot be set up, or has failed for good.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// The password file cannot be used.
    #[error(transparent)]
    Secret(#[from] secret::SecretError),
    /// The trusted certificates cannot be used.
    #[error(transparent)]
    Trust(#[from] tls::TlsError),
    /// librdkafka refused an operation, or ended with a fatal error.
    #[error("{what}: {source}")]
    Kafka { what: &'static str, source: KafkaError },
    /// A blocking call was cut off at shutdown.
    #[error("cut off by the shutdown")]
    CutOff,
}

impl BusError {
    pub(crate) fn kafka(what: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Kafka { what, source }
    }
}

/// Why a record was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    /// The brokers are away, slow or full: sending the same record again later may succeed. Whether the record was
    /// written is unknown when the connection broke after it was sent.
    #[error("the brokers cannot take the record now: {0}")]
    Unavailable(RDKafkaErrorCode),
    /// The record as it is will never be taken: topic unknown or not permitted, too large, ...
    #[error("the brokers refused the record: {0}")]
    Refused(RDKafkaErrorCode),
}

impl ProduceError {
    /// Whether to send again later (HTTP 503), or not at all.
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    pub(crate) fn of(error: &KafkaError) -> Self {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        if is_refusal(code) { Self::Refused(code) } else { Self::Unavailable(code) }
    }
}

/// Codes that repeat for ever when the same record is sent again. The rest are conditions of brokers and network.
const fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::UnsupportedVersion
            | RDKafkaErrorCode::UnsupportedForMessageFormat
            | RDKafkaErrorCode::InvalidArgument
    )
}

//! Why something is refused: one closed list, so that every refusal is counted by its reason.

/// A reason; its text is the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// No policy arrived yet, or the last one expired.
    NoPolicy,
    /// The login is no live credential of a subscription.
    Login,
    /// A rule of the policy is not met by the whole subscription.
    Subscription,
    /// The topic is not granted.
    Topic,
    /// The topic id is unknown, so what it names cannot be decided.
    TopicId,
    /// The topic was made anew under a granted name.
    TopicRecreated,
    /// The group id lacks the subscription's prefix.
    Group,
    /// A subscription by a pattern that the broker would evaluate.
    Regex,
    /// An API (or a version of one) that the table does not hold.
    Api,
    /// An API that needs a login, before there is one.
    Unauthenticated,
    /// A SASL mechanism that is not offered, or another than the one before.
    Mechanism,
    /// A login by delegation token.
    Tokenauth,
    /// Acting as someone else.
    Authzid,
    /// Re-authentication as another login.
    LoginChanged,
    /// Not a SCRAM message where one is due.
    Scram,
    /// No token of the authority where one is due.
    TokenMalformed,
    /// A token that the authority's keys have not signed.
    TokenSignature,
    /// A token of another issuer.
    TokenIssuer,
    /// A token for another service.
    TokenAudience,
    /// A token that has expired.
    TokenExpired,
    /// A token whose credential belongs to another grant now, or is gone.
    TokenBinding,
    /// The token of a live connection expired, and the client did not authenticate again.
    SessionExpired,
    /// The broker refused the login.
    BrokerRefusedLogin,
    /// A frame beyond the cap, or bytes of another protocol.
    FrameSize,
    /// A client that speaks TLS at a door without.
    Tls,
    /// A client that speaks no TLS at a door with it.
    NotTls,
    /// No agreement on TLS: the client does not believe the certificate, as a rule.
    Handshake,
    /// A name in the TLS hello that leads to no broker, or none.
    ServerName,
    /// A frame that does not decode.
    Malformed,
    /// A frame, or the login, took too long to arrive.
    Slow,
    /// A client that does not take its answer.
    Stalled,
    /// Too many connections.
    Crowded,
    /// A produce request.
    Produce,
    /// A fetch as a replica, or of a session that the hub never gave.
    FetchKind,
    /// A transaction's or share group's coordinator was asked for.
    CoordinatorKind,
    /// The disclosure could not be made durable.
    Disclosure,
    /// The schema that records were written by cannot be asked for now.
    Schemas,
    /// The key store does not answer, or a key cannot be unwrapped.
    Keys,
    /// No stop list is known to be whole, or the last one expired.
    NoStopList,
    /// A contact of the answer was restricted while it was prepared.
    Restricted,
    /// The policy changed while an answer was prepared, and asks for another one.
    PolicyChanged,
    /// The broker's answer is not what was asked for.
    BrokerAnswer,
}

impl Refusal {
    /// The label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::NoPolicy => "no_policy",
            Self::Login => "login",
            Self::Subscription => "subscription",
            Self::Topic => "topic",
            Self::TopicId => "topic_id",
            Self::TopicRecreated => "topic_recreated",
            Self::Group => "group",
            Self::Regex => "regex",
            Self::Api => "api",
            Self::Unauthenticated => "unauthenticated",
            Self::Mechanism => "mechanism",
            Self::Tokenauth => "tokenauth",
            Self::Authzid => "authzid",
            Self::LoginChanged => "login_changed",
            Self::Scram => "scram",
            Self::TokenMalformed => "token_malformed",
            Self::TokenSignature => "token_signature",
            Self::TokenIssuer => "token_issuer",
            Self::TokenAudience => "token_audience",
            Self::TokenExpired => "token_expired",
            Self::TokenBinding => "token_binding",
            Self::SessionExpired => "session_expired",
            Self::BrokerRefusedLogin => "broker_refused_login",
            Self::FrameSize => "frame_size",
            Self::Tls => "tls",
            Self::NotTls => "not_tls",
            Self::Handshake => "handshake",
            Self::ServerName => "server_name",
            Self::Malformed => "malformed",
            Self::Slow => "slow",
            Self::Stalled => "stalled",
            Self::Crowded => "crowded",
            Self::Produce => "produce",
            Self::FetchKind => "fetch_kind",
            Self::CoordinatorKind => "coordinator_kind",
            Self::Disclosure => "disclosure",
            Self::Schemas => "schemas",
            Self::Keys => "keys",
            Self::NoStopList => "no_stop_list",
            Self::Restricted => "restricted",
            Self::PolicyChanged => "policy_changed",
            Self::BrokerAnswer => "broker_answer",
        }
    }
}

//! Metadata and DescribeCluster: ungranted topics hidden or refused, broker addresses replaced by the hub's.

use jointuse::KafkaTopicId;
use wire::{
    ResponseError,
    messages::{
        BrokerId, DescribeClusterResponse, MetadataRequest, MetadataResponse,
        metadata_response::{MetadataResponseBroker, MetadataResponseTopic},
    },
    protocol::StrBytes,
};

use super::{Answer, Ask, Due, Step, Told, Trouble, topic_error};
use crate::{
    cluster::{Address, Cluster},
    hub::Hub,
    refusal::Refusal,
};

/// What a Metadata request asked for.
pub(crate) struct Asked {
    /// All topics: what is not granted is hidden. Otherwise it is refused by name.
    all: bool,
    /// Topics already refused.
    refused: Vec<MetadataResponseTopic>,
}

pub(super) fn request(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let mut request: MetadataRequest = ask.decode()?;
    request.allow_auto_topic_creation = false;
    let Some(topics) = request.topics.take() else {
        let asked = Asked { all: true, refused: Vec::new() };
        return ask.forward(&request, Due::Metadata(Box::new(asked)));
    };
    let mut refused = Vec::new();
    let mut kept = Vec::with_capacity(topics.len());
    for topic in topics {
        let answer = MetadataResponseTopic::default().with_topic_id(topic.topic_id);
        let why = match &topic.name {
            Some(name) => ask.permit(name.as_str()).err(),
            None => match ask.hub.cluster.topic_name(KafkaTopicId(*topic.topic_id.as_bytes())) {
                Some(name) => ask.permit(&name).err(),
                None => {
                    ask.refused(Refusal::TopicId);
                    Some(Refusal::TopicId)
                }
            },
        };
        match why {
            None => kept.push(topic),
            Some(why) => refused.push(answer.with_name(topic.name).with_error_code(topic_error(why))),
        }
    }
    request.topics = Some(kept);
    ask.forward(&request, Due::Metadata(Box::new(Asked { all: false, refused })))
}

pub(super) async fn answer(told: &Told<'_>, asked: Asked) -> Result<Answer, Trouble> {
    let mut body: MetadataResponse = told.decode()?;
    for broker in &body.brokers {
        learn(told.hub, broker.node_id, &broker.host, broker.port).await;
    }
    for topic in &body.topics {
        if let Some(name) = &topic.name {
            told.hub.cluster.learn_topic(name.as_str(), KafkaTopicId(*topic.topic_id.as_bytes()));
        }
    }
    body.brokers = brokers(&told.hub.cluster, body.brokers);
    let mut topics = Vec::with_capacity(body.topics.len());
    for topic in body.topics {
        let id = KafkaTopicId(*topic.topic_id.as_bytes());
        let decided = match &topic.name {
            Some(name) => told.permit(name.as_str(), id).map(|_| ()),
            // Without a name it carries only an error about an id that the client gave.
            None if topic.partitions.is_empty() => Ok(()),
            None => Err(Refusal::TopicId),
        };
        match decided {
            Ok(()) => topics.push(topic),
            Err(_) if asked.all => {}
            Err(why) => {
                told.hub.metrics.refused(why, told.api.name);
                topics.push(
                    MetadataResponseTopic::default()
                        .with_name(topic.name)
                        .with_topic_id(topic.topic_id)
                        .with_error_code(topic_error(why)),
                );
            }
        }
    }
    topics.extend(asked.refused);
    // Before version 12 a topic must have a name.
    if told.head.version < 12 {
        topics.retain(|topic| topic.name.is_some());
    }
    body.topics = topics;
    told.respond(&body)
}

/// The brokers as clients are told of them. Never none while any is known: a broker that stops may answer a last time with
/// an empty list, and librdkafka from 2.10 on forgets for good where to ask when it hears that (its issue 5301).
fn brokers(cluster: &Cluster, told: Vec<MetadataResponseBroker>) -> Vec<MetadataResponseBroker> {
    let at = |mut broker: MetadataResponseBroker, host, port| {
        broker.host = StrBytes::from_string(host);
        broker.port = i32::from(port);
        broker
    };
    let brokers: Vec<_> = told
        .into_iter()
        .filter_map(|broker| {
            let (host, port) = cluster.advertise(broker.node_id.0)?;
            Some(at(broker, host, port))
        })
        .collect();
    if !brokers.is_empty() {
        return brokers;
    }
    let known = cluster.advertised().into_iter();
    known
        .map(|(node, host, port)| at(MetadataResponseBroker::default().with_node_id(BrokerId(node)), host, port))
        .collect()
}

pub(super) async fn describe_cluster(told: &Told<'_>) -> Result<Answer, Trouble> {
    let mut body: DescribeClusterResponse = told.decode()?;
    // Endpoint type 2 would be the controllers, which clients have no business with.
    if body.endpoint_type != 1 {
        body = DescribeClusterResponse::default().with_error_code(ResponseError::UnsupportedEndpointType.code());
        return told.respond(&body);
    }
    for broker in &body.brokers {
        learn(told.hub, broker.broker_id, &broker.host, broker.port).await;
    }
    body.brokers = body
        .brokers
        .into_iter()
        .filter_map(|mut broker| {
            let (host, port) = told.hub.cluster.advertise(broker.broker_id.0)?;
            broker.host = StrBytes::from_string(host);
            broker.port = i32::from(port);
            Some(broker)
        })
        .collect();
    told.respond(&body)
}

/// Remembers a broker's address, and opens the hub's door for it if there is none yet.
pub(super) async fn learn(hub: &Hub, node: BrokerId, host: &StrBytes, port: i32) {
    if let Some(address) = Address::of(host.as_str(), port) {
        hub.learn_node(node.0, address).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(node: i32) -> MetadataResponseBroker {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(node))
            .with_host(StrBytes::from_static_str("b"))
            .with_port(1)
    }

    #[test]
    fn clients_are_told_the_hubs_addresses_and_never_that_there_is_no_broker() {
        let cluster = Cluster::new("hub".into(), None, vec![]);
        assert_eq!(brokers(&cluster, vec![broker(1)]), []);
        cluster.bound(1, 9193);
        cluster.bound(2, 9194);
        let at = |node, port| broker(node).with_host(StrBytes::from_static_str("hub")).with_port(port);
        assert_eq!(brokers(&cluster, vec![broker(2), broker(3)]), [at(2, 9194)]);
        assert_eq!(brokers(&cluster, vec![]), [at(1, 9193), at(2, 9194)]);
        assert_eq!(brokers(&cluster, vec![broker(3)]), [at(1, 9193), at(2, 9194)]);
    }
}

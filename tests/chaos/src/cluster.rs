//! Moves the leaders of partitions, by the protocol: the order of replicas is turned, and the first one elected.

use std::time::{Duration, Instant};

use testkit::{kafka::ADMIN, raw::Raw, stack::Stack};
use wire::{
    messages::{
        AlterPartitionReassignmentsRequest, BrokerId, ElectLeadersRequest, MetadataRequest, TopicName,
        alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
        elect_leaders_request::TopicPartitions,
        metadata_request::MetadataRequestTopic,
    },
    protocol::StrBytes,
};

use crate::{bed::TOPICS, decide::Refused};

/// How long brokers may take to do it, with one of them away perhaps.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where brokers are.
#[derive(Debug, Clone)]
pub struct Brokers {
    addresses: Vec<String>,
    password: String,
}

impl Brokers {
    pub fn of(stack: &Stack) -> Self {
        let addresses = stack.kafka.client_ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
        Self { addresses, password: stack.kafka.password(ADMIN).to_owned() }
    }
}

/// The leaders of all partitions move on by so many brokers.
///
/// # Errors
/// When no broker does it in time.
pub async fn move_leaders(brokers: Brokers, by: u16) -> Result<(), Refused> {
    let begun = Instant::now();
    let mut turn = 0;
    loop {
        let address = brokers.addresses[turn % brokers.addresses.len()].clone();
        let password = brokers.password.clone();
        turn += 1;
        // A broker that goes away meanwhile ends the task: its tool takes no excuse.
        let moved = tokio::spawn(async move { moved(&address, &password, usize::from(by)).await }).await;
        match moved {
            Ok(Some(())) => return Ok(()),
            _ if begun.elapsed() > PATIENCE => return Err(Refused("no broker moves the leaders".to_owned())),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn moved(address: &str, password: &str, by: usize) -> Option<()> {
    tokio::net::TcpStream::connect(address).await.ok()?;
    let mut raw = Raw::login(address, ADMIN, password).await;
    let name = |topic: &str| TopicName(StrBytes::from_string(topic.to_owned()));
    let asked = TOPICS.iter().map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic)))).collect();
    let answer = raw.call(&MetadataRequest::default().with_topics(Some(asked)), 9).await?;
    let mut orders = Vec::new();
    let mut elect = Vec::new();
    for topic in answer.topics {
        let topic_name = topic.name?;
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            let mut replicas = partition.replica_nodes.clone();
            replicas.sort();
            let leader = replicas.iter().position(|id| *id == partition.leader_id).unwrap_or(0);
            let places = replicas.len().max(1);
            replicas.rotate_left((leader + by) % places);
            let order: Vec<BrokerId> = replicas;
            let one = ReassignablePartition::default().with_partition_index(partition.partition_index);
            partitions.push(one.with_replicas(Some(order)));
        }
        let indices = topic.partitions.iter().map(|partition| partition.partition_index).collect();
        elect.push(TopicPartitions::default().with_topic(topic_name.clone()).with_partitions(indices));
        orders.push(ReassignableTopic::default().with_name(topic_name).with_partitions(partitions));
    }
    let orders = AlterPartitionReassignmentsRequest::default().with_timeout_ms(10_000).with_topics(orders);
    let ordered = raw.call(&orders, 0).await?;
    let refused = ordered.responses.iter().flat_map(|topic| &topic.partitions).any(|one| one.error_code != 0);
    if ordered.error_code != 0 || refused {
        return None;
    }
    let elect = ElectLeadersRequest::default().with_timeout_ms(10_000).with_topic_partitions(Some(elect));
    let elected = raw.call(&elect, 2).await?;
    let results = elected.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
    // The preferred one may be away, or behind: then the others have moved.
    (elected.error_code == 0 && results.into_iter().any(|one| one.error_code == 0)).then_some(())
}

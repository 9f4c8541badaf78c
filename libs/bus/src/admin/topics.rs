//! Topics and their configurations.

use std::collections::BTreeMap;

use uuid::Uuid;
use wire::{
    messages::{
        CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
        IncrementalAlterConfigsRequest, MetadataRequest, TopicName,
        create_partitions_request::CreatePartitionsTopic,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        delete_topics_request::DeleteTopicState,
        describe_configs_request::DescribeConfigsResource,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        metadata_request::MetadataRequestTopic,
    },
    protocol::StrBytes,
};

use super::{AdminError, Controller};

/// `ConfigResource.Type.TOPIC`
const TOPIC: i8 = 2;
/// `ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG`: set on the topic itself.
const SET_ON_TOPIC: i8 = 1;
const SET: i8 = 0;
const DELETE: i8 = 1;

/// A broker of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub id: i32,
    pub host: String,
    pub port: i32,
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    /// Another one after the topic was deleted and made anew.
    pub id: Uuid,
    pub partitions: i32,
    pub replication: i16,
    /// Made by Kafka for itself.
    pub internal: bool,
}

/// A topic to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    pub partitions: i32,
    pub replication: i16,
    /// `cleanup.policy` and the like.
    pub configs: BTreeMap<String, String>,
}

impl Controller {
    /// The brokers that are alive.
    ///
    /// # Errors
    /// The call failed.
    pub async fn brokers(&self) -> Result<Vec<Broker>, AdminError> {
        let mut request = MetadataRequest::default();
        request.topics = Some(Vec::new());
        let answer = self.call(&request, "Metadata").await?;
        let brokers = answer.brokers.iter();
        Ok(brokers.map(|b| Broker { id: b.node_id.0, host: b.host.to_string(), port: b.port }).collect())
    }

    /// All topics that the login may describe, by name.
    ///
    /// # Errors
    /// The call failed.
    pub async fn topics(&self) -> Result<BTreeMap<String, Topic>, AdminError> {
        self.describe(None).await
    }

    /// One topic, if it exists.
    ///
    /// # Errors
    /// The call failed, or the login may not describe the topic.
    pub async fn topic(&self, name: &str) -> Result<Option<Topic>, AdminError> {
        Ok(self.describe(Some(name)).await?.remove(name))
    }

    async fn describe(&self, name: Option<&str>) -> Result<BTreeMap<String, Topic>, AdminError> {
        let mut request = MetadataRequest::default();
        request.allow_auto_topic_creation = false;
        request.topics = name.map(|name| {
            let mut topic = MetadataRequestTopic::default();
            topic.name = Some(topic_name(name));
            vec![topic]
        });
        let answer = self.call(&request, "Metadata").await?;
        AdminError::check(answer.error_code, None, || "describing topics".to_owned())?;
        let mut topics = BTreeMap::new();
        for topic in &answer.topics {
            let name = topic.name.as_ref().map(|name| name.0.to_string()).unwrap_or_default();
            if topic.error_code == wire::ResponseError::UnknownTopicOrPartition.code() {
                continue;
            }
            AdminError::check(topic.error_code, None, || format!("describing topic {name}"))?;
            let replicas = topic.partitions.first().map_or(0, |partition| partition.replica_nodes.len());
            topics.insert(
                name.clone(),
                Topic {
                    name,
                    id: topic.topic_id,
                    partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
                    replication: i16::try_from(replicas).unwrap_or(i16::MAX),
                    internal: topic.is_internal,
                },
            );
        }
        Ok(topics)
    }

    /// Creates a topic; gives its id.
    ///
    /// # Errors
    /// It exists (`TopicAlreadyExists`), a configuration is wrong, or the call failed.
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<Uuid, AdminError> {
        let mut creation = CreatableTopic::default();
        creation.name = topic_name(&topic.name);
        creation.num_partitions = topic.partitions;
        creation.replication_factor = topic.replication;
        creation.configs = topic
            .configs
            .iter()
            .map(|(name, value)| {
                let mut config = CreatableTopicConfig::default();
                config.name = StrBytes::from_string(name.clone());
                config.value = Some(StrBytes::from_string(value.clone()));
                config
            })
            .collect();
        let mut request = CreateTopicsRequest::default();
        request.topics = vec![creation];
        request.timeout_ms = self.timeout_ms();
        let answer = self.call(&request, "CreateTopics").await?;
        let result = answer.topics.first().ok_or(AdminError::Codec("CreateTopics"))?;
        let what = || format!("creating topic {}", topic.name);
        AdminError::check(result.error_code, result.error_message.as_deref(), what)?;
        Ok(result.topic_id)
    }

    /// Deletes a topic with its records; one that is gone is no error.
    ///
    /// # Errors
    /// The call failed or is not permitted.
    pub async fn delete_topic(&self, name: &str) -> Result<(), AdminError> {
        let mut state = DeleteTopicState::default();
        state.name = Some(topic_name(name));
        let mut request = DeleteTopicsRequest::default();
        request.topics = vec![state];
        request.timeout_ms = self.timeout_ms();
        let answer = self.call(&request, "DeleteTopics").await?;
        for result in &answer.responses {
            if result.error_code != wire::ResponseError::UnknownTopicOrPartition.code() {
                let what = || format!("deleting topic {name}");
                AdminError::check(result.error_code, result.error_message.as_deref(), what)?;
            }
        }
        Ok(())
    }

    /// Raises a topic's number of partitions to `count`. Keys then map to other partitions than before.
    ///
    /// # Errors
    /// `count` is not more than there are (`InvalidPartitions`), or the call failed.
    pub async fn create_partitions(&self, name: &str, count: i32) -> Result<(), AdminError> {
        let mut topic = CreatePartitionsTopic::default();
        topic.name = topic_name(name);
        topic.count = count;
        topic.assignments = None;
        let mut request = CreatePartitionsRequest::default();
        request.topics = vec![topic];
        request.timeout_ms = self.timeout_ms();
        let answer = self.call(&request, "CreatePartitions").await?;
        for result in &answer.results {
            let what = || format!("adding partitions to {name}");
            AdminError::check(result.error_code, result.error_message.as_deref(), what)?;
        }
        Ok(())
    }

    /// The configurations that are set on topics themselves (not defaults of broker or cluster), by topic.
    ///
    /// # Errors
    /// A topic does not exist, or the call failed.
    pub async fn topic_configs(
        &self,
        names: &[&str],
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, AdminError> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut request = DescribeConfigsRequest::default();
        request.resources = names
            .iter()
            .map(|name| {
                let mut resource = DescribeConfigsResource::default();
                resource.resource_type = TOPIC;
                resource.resource_name = StrBytes::from_string((*name).to_owned());
                resource.configuration_keys = None;
                resource
            })
            .collect();
        let answer = self.call(&request, "DescribeConfigs").await?;
        let mut topics = BTreeMap::new();
        for result in &answer.results {
            let what = || format!("reading the configuration of {}", result.resource_name);
            AdminError::check(result.error_code, result.error_message.as_deref(), what)?;
            let own = result.configs.iter().filter(|config| config.config_source == SET_ON_TOPIC);
            let own = own.map(|config| {
                (config.name.to_string(), config.value.as_ref().map(ToString::to_string).unwrap_or_default())
            });
            topics.insert(result.resource_name.to_string(), own.collect());
        }
        Ok(topics)
    }

    /// Sets the configurations that are `Some`, takes back to the default those that are `None`, and leaves the others
    /// as they are (KIP-339).
    ///
    /// # Errors
    /// A value is wrong, or the call failed.
    pub async fn alter_topic_config(
        &self,
        name: &str,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), AdminError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut resource = AlterConfigsResource::default();
        resource.resource_type = TOPIC;
        resource.resource_name = StrBytes::from_string(name.to_owned());
        resource.configs = changes
            .iter()
            .map(|(key, value)| {
                let mut config = AlterableConfig::default();
                config.name = StrBytes::from_string(key.clone());
                config.config_operation = if value.is_some() { SET } else { DELETE };
                config.value = value.clone().map(StrBytes::from_string);
                config
            })
            .collect();
        let mut request = IncrementalAlterConfigsRequest::default();
        request.resources = vec![resource];
        let answer = self.call(&request, "IncrementalAlterConfigs").await?;
        for result in &answer.responses {
            let what = || format!("configuring topic {name}");
            AdminError::check(result.error_code, result.error_message.as_deref(), what)?;
        }
        Ok(())
    }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

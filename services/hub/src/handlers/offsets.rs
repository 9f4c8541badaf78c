//! ListOffsets, OffsetForLeaderEpoch, OffsetCommit, OffsetFetch: per topic, and for the latter two per group.

use jointuse::KafkaTopicId;
use wire::{
    ResponseError,
    messages::{
        ListOffsetsRequest, ListOffsetsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
        OffsetFetchResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
        offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
};

use super::{Answer, Ask, Due, Step, Told, Trouble, topic_error};
use crate::refusal::Refusal;

const NO_ID: KafkaTopicId = KafkaTopicId([0; 16]);

/// Topics already refused.
pub(crate) struct Listed(Vec<ListOffsetsTopicResponse>);

pub(super) fn list(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let mut request: ListOffsetsRequest = ask.decode()?;
    if request.replica_id.0 != -1 {
        return Err(Trouble::Refused(Refusal::FetchKind));
    }
    let mut refused = Vec::new();
    request.topics.retain(|topic| match ask.permit(topic.name.as_str()) {
        Ok(_) => true,
        Err(why) => {
            let partitions = topic
                .partitions
                .iter()
                .map(|p| {
                    ListOffsetsPartitionResponse::default()
                        .with_partition_index(p.partition_index)
                        .with_error_code(topic_error(why))
                })
                .collect();
            refused.push(ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions));
            false
        }
    });
    if request.topics.is_empty() && !refused.is_empty() {
        return ask.respond(&ListOffsetsResponse::default().with_topics(refused));
    }
    ask.forward(&request, Due::ListOffsets(Listed(refused)))
}

pub(super) fn listed(told: &Told<'_>, asked: Listed) -> Result<Answer, Trouble> {
    if asked.0.is_empty() {
        return Ok(Answer::Same);
    }
    let mut body: ListOffsetsResponse = told.decode()?;
    body.topics.extend(asked.0);
    told.respond(&body)
}

/// Topics already refused.
pub(crate) struct Epochs(Vec<OffsetForLeaderTopicResult>);

pub(super) fn leader_epoch(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let mut request: OffsetForLeaderEpochRequest = ask.decode()?;
    // Consumers are -1; version 2 has no such field and the codec's default is the debugging consumer's -2.
    if request.replica_id.0 >= 0 {
        return Err(Trouble::Refused(Refusal::FetchKind));
    }
    let mut refused = Vec::new();
    request.topics.retain(|topic| match ask.permit(topic.topic.as_str()) {
        Ok(_) => true,
        Err(why) => {
            let partitions = topic
                .partitions
                .iter()
                .map(|p| EpochEndOffset::default().with_partition(p.partition).with_error_code(topic_error(why)))
                .collect();
            refused.push(
                OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(partitions),
            );
            false
        }
    });
    if request.topics.is_empty() && !refused.is_empty() {
        return ask.respond(&OffsetForLeaderEpochResponse::default().with_topics(refused));
    }
    ask.forward(&request, Due::LeaderEpoch(Epochs(refused)))
}

pub(super) fn epochs(told: &Told<'_>, asked: Epochs) -> Result<Answer, Trouble> {
    if asked.0.is_empty() {
        return Ok(Answer::Same);
    }
    let mut body: OffsetForLeaderEpochResponse = told.decode()?;
    body.topics.extend(asked.0);
    told.respond(&body)
}

/// Topics already refused.
pub(crate) struct Committed(Vec<OffsetCommitResponseTopic>);

pub(super) fn commit(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let mut request: OffsetCommitRequest = ask.decode()?;
    let owns = ask.guard.owns_group(request.group_id.as_str());
    if !owns {
        ask.refused(Refusal::Group);
    }
    let mut refused = Vec::new();
    request.topics.retain(|topic| {
        let error = match owns.then(|| ask.permit(topic.name.as_str())) {
            Some(Ok(_)) => return true,
            Some(Err(why)) => topic_error(why),
            None => ResponseError::GroupAuthorizationFailed.code(),
        };
        let partitions = topic
            .partitions
            .iter()
            .map(|p| {
                OffsetCommitResponsePartition::default().with_partition_index(p.partition_index).with_error_code(error)
            })
            .collect();
        refused.push(OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions));
        false
    });
    if !owns || (request.topics.is_empty() && !refused.is_empty()) {
        return ask.respond(&OffsetCommitResponse::default().with_topics(refused));
    }
    if refused.is_empty() {
        return Ok(Step::Forward { whole: ask.frame.whole.clone(), due: Due::AsItIs });
    }
    ask.forward(&request, Due::OffsetCommit(Committed(refused)))
}

pub(super) fn committed(told: &Told<'_>, asked: Committed) -> Result<Answer, Trouble> {
    let mut body: OffsetCommitResponse = told.decode()?;
    body.topics.extend(asked.0);
    told.respond(&body)
}

/// Topics (to version 7) or groups (from version 8) already refused.
pub(crate) enum Fetched {
    Topics(Vec<OffsetFetchResponseTopic>),
    Groups { whole: Vec<OffsetFetchResponseGroup>, topics: Vec<(String, Vec<OffsetFetchResponseTopics>)> },
}

pub(super) fn fetch(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let request: OffsetFetchRequest = ask.decode()?;
    if ask.head.version >= 8 { fetch_groups(ask, request) } else { fetch_topics(ask, request) }
}

fn fetch_topics(ask: &Ask<'_>, mut request: OffsetFetchRequest) -> Result<Step, Trouble> {
    let owns = ask.guard.owns_group(request.group_id.as_str());
    let group_error = ResponseError::GroupAuthorizationFailed.code();
    if !owns {
        ask.refused(Refusal::Group);
    }
    let mut refused = Vec::new();
    if let Some(topics) = &mut request.topics {
        topics.retain(|topic| {
            let error = match owns.then(|| ask.permit(topic.name.as_str())) {
                Some(Ok(_)) => return true,
                Some(Err(why)) => topic_error(why),
                None => group_error,
            };
            let partitions = topic
                .partition_indexes
                .iter()
                .map(|index| {
                    OffsetFetchResponsePartition::default()
                        .with_partition_index(*index)
                        .with_committed_offset(-1)
                        .with_error_code(error)
                })
                .collect();
            refused.push(OffsetFetchResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions));
            false
        });
    }
    let emptied = request.topics.as_ref().is_some_and(Vec::is_empty) && !refused.is_empty();
    if !owns || emptied {
        let mut body = OffsetFetchResponse::default().with_topics(refused);
        if !owns && ask.head.version >= 2 {
            body.error_code = group_error;
        }
        return ask.respond(&body);
    }
    ask.forward(&request, Due::OffsetFetch(Fetched::Topics(refused)))
}

fn fetch_groups(ask: &Ask<'_>, mut request: OffsetFetchRequest) -> Result<Step, Trouble> {
    let mut whole = Vec::new();
    let mut taken = Vec::new();
    request.groups.retain_mut(|group| {
        if !ask.guard.owns_group(group.group_id.as_str()) {
            ask.refused(Refusal::Group);
            whole.push(
                OffsetFetchResponseGroup::default()
                    .with_group_id(group.group_id.clone())
                    .with_error_code(ResponseError::GroupAuthorizationFailed.code()),
            );
            return false;
        }
        let mut refused = Vec::new();
        if let Some(topics) = &mut group.topics {
            topics.retain(|topic| match ask.permit(topic.name.as_str()) {
                Ok(_) => true,
                Err(why) => {
                    let partitions = topic
                        .partition_indexes
                        .iter()
                        .map(|index| {
                            OffsetFetchResponsePartitions::default()
                                .with_partition_index(*index)
                                .with_committed_offset(-1)
                                .with_error_code(topic_error(why))
                        })
                        .collect();
                    refused.push(
                        OffsetFetchResponseTopics::default().with_name(topic.name.clone()).with_partitions(partitions),
                    );
                    false
                }
            });
        }
        taken.push((group.group_id.to_string(), refused));
        true
    });
    if request.groups.is_empty() {
        return ask.respond(&OffsetFetchResponse::default().with_groups(whole));
    }
    ask.forward(&request, Due::OffsetFetch(Fetched::Groups { whole, topics: taken }))
}

pub(super) fn fetched(told: &Told<'_>, asked: Fetched) -> Result<Answer, Trouble> {
    let mut body: OffsetFetchResponse = told.decode()?;
    match asked {
        Fetched::Topics(refused) => {
            // "All topics" of an own group may hold one whose grant is gone.
            body.topics.retain(|topic| told.permit(topic.name.as_str(), NO_ID).is_ok());
            body.topics.extend(refused);
        }
        Fetched::Groups { whole, topics } => {
            for group in &mut body.groups {
                group.topics.retain(|topic| told.permit(topic.name.as_str(), NO_ID).is_ok());
            }
            for (id, refused) in topics {
                if let Some(group) = body.groups.iter_mut().find(|group| group.group_id.as_str() == id) {
                    group.topics.extend(refused);
                }
            }
            body.groups.extend(whole);
        }
    }
    told.respond(&body)
}

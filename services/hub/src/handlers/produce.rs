//! Produce is advertised, because librdkafka does not fetch from a broker that does not offer it, and always refused.

use wire::{
    ResponseError,
    messages::{
        ProduceRequest, ProduceResponse,
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
};

use super::{Ask, Step, Trouble};
use crate::refusal::Refusal;

pub(super) fn refuse(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let request: ProduceRequest = ask.decode()?;
    if request.acks == 0 {
        // Such a request has no answer; brokers close, too.
        return Err(Trouble::Refused(Refusal::Produce));
    }
    ask.refused(Refusal::Produce);
    let error = ResponseError::TopicAuthorizationFailed.code();
    let responses = request
        .topic_data
        .into_iter()
        .map(|topic| {
            let partitions = topic
                .partition_data
                .iter()
                .map(|p| {
                    PartitionProduceResponse::default().with_index(p.index).with_error_code(error).with_base_offset(-1)
                })
                .collect();
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partition_responses(partitions)
        })
        .collect();
    ask.respond(&ProduceResponse::default().with_responses(responses))
}

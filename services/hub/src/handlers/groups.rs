//! Consumer groups of both protocols: a subscription may use the groups that begin with `ju.<subscription>.`, and no other.

use wire::{
    ResponseError,
    frame::RequestHead,
    messages::{
        ApiKey, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
        ConsumerGroupHeartbeatResponse, DescribeGroupsRequest, DescribeGroupsResponse, FindCoordinatorRequest,
        FindCoordinatorResponse, GroupId, HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, SyncGroupResponse,
        consumer_group_describe_response, describe_groups_response::DescribedGroup,
        find_coordinator_response::Coordinator,
    },
    protocol::StrBytes,
    read::Reader,
    shape,
};

use super::{Answer, Ask, Due, Step, Told, Trouble, metadata, topic_error};
use crate::refusal::Refusal;

fn group_error() -> i16 {
    ResponseError::GroupAuthorizationFailed.code()
}

/// Coordinators already refused (version 4 and later).
pub(crate) struct Coordinators(Vec<Coordinator>);

pub(super) fn find_coordinator(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let mut request: FindCoordinatorRequest = ask.decode()?;
    let kind = request.key_type;
    let refuse = |key: &str| {
        if kind != 0 {
            ask.refused(Refusal::CoordinatorKind);
            // 1: transactions; 2: share groups.
            return Some(if kind == 1 {
                ResponseError::TransactionalIdAuthorizationFailed.code()
            } else {
                group_error()
            });
        }
        if ask.guard.owns_group(key) {
            return None;
        }
        ask.refused(Refusal::Group);
        Some(group_error())
    };
    if ask.head.version <= 3 {
        return match refuse(request.key.as_str()) {
            None => ask.forward(&request, Due::FindCoordinator(Coordinators(Vec::new()))),
            Some(error) => ask.respond(
                &FindCoordinatorResponse::default().with_error_code(error).with_node_id((-1).into()).with_port(-1),
            ),
        };
    }
    let mut refused = Vec::new();
    request.coordinator_keys.retain(|key| match refuse(key.as_str()) {
        None => true,
        Some(error) => {
            refused.push(nowhere(key.clone(), error));
            false
        }
    });
    if request.coordinator_keys.is_empty() {
        return ask.respond(&FindCoordinatorResponse::default().with_coordinators(refused));
    }
    ask.forward(&request, Due::FindCoordinator(Coordinators(refused)))
}

fn nowhere(key: StrBytes, error: i16) -> Coordinator {
    Coordinator::default().with_key(key).with_node_id((-1).into()).with_port(-1).with_error_code(error)
}

pub(super) async fn coordinators(told: &Told<'_>, asked: Coordinators) -> Result<Answer, Trouble> {
    let mut body: FindCoordinatorResponse = told.decode()?;
    let away = ResponseError::CoordinatorNotAvailable.code();
    if told.head.version <= 3 {
        if body.error_code == 0 {
            metadata::learn(told.hub, body.node_id, &body.host, body.port).await;
            match told.hub.cluster.advertise(body.node_id.0) {
                Some((host, port)) => {
                    body.host = StrBytes::from_string(host);
                    body.port = i32::from(port);
                }
                None => {
                    body = FindCoordinatorResponse::default()
                        .with_error_code(away)
                        .with_node_id((-1).into())
                        .with_port(-1);
                }
            }
        } else {
            body.host = StrBytes::new();
        }
        return told.respond(&body);
    }
    for coordinator in &mut body.coordinators {
        if coordinator.error_code != 0 {
            coordinator.host = StrBytes::new();
            continue;
        }
        metadata::learn(told.hub, coordinator.node_id, &coordinator.host, coordinator.port).await;
        match told.hub.cluster.advertise(coordinator.node_id.0) {
            Some((host, port)) => {
                coordinator.host = StrBytes::from_string(host);
                coordinator.port = i32::from(port);
            }
            None => *coordinator = nowhere(coordinator.key.clone(), away),
        }
    }
    body.coordinators.extend(asked.0);
    told.respond(&body)
}

/// JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the group id is the first field, and the rest is the members' own matter.
pub(super) fn member(ask: Ask<'_>) -> Result<Step, Trouble> {
    let body = ask.frame.body();
    let flexible = ask.api.flexible(ask.head.version);
    let at = RequestHead::body_at(&body, flexible)?;
    shape::check(ask.api, ask.head.version, body.get(at..).unwrap_or_default())?;
    let group = Reader::at(&body, at).text(flexible)?.unwrap_or_default();
    if ask.guard.owns_group(group) {
        return Ok(ask.pass(Due::AsItIs));
    }
    ask.refused(Refusal::Group);
    let error = group_error();
    match ApiKey::try_from(ask.api.key) {
        Ok(ApiKey::JoinGroup) => {
            let mut answer = JoinGroupResponse::default().with_error_code(error).with_generation_id(-1);
            // From version 7 the name may be null, and is then unknown; before it must be a text.
            answer.protocol_name = Some(StrBytes::new());
            ask.respond(&answer)
        }
        Ok(ApiKey::SyncGroup) => ask.respond(&SyncGroupResponse::default().with_error_code(error)),
        Ok(ApiKey::Heartbeat) => ask.respond(&HeartbeatResponse::default().with_error_code(error)),
        Ok(ApiKey::LeaveGroup) => ask.respond(&LeaveGroupResponse::default().with_error_code(error)),
        _ => Err(Trouble::Refused(Refusal::Group)),
    }
}

/// The new protocol's heartbeat: group, every subscribed name.
pub(super) fn heartbeat(ask: Ask<'_>) -> Result<Step, Trouble> {
    let request: ConsumerGroupHeartbeatRequest = ask.decode()?;
    let refuse = |error: i16, says: &'static str| {
        ask.respond(
            &ConsumerGroupHeartbeatResponse::default()
                .with_error_code(error)
                .with_error_message(Some(StrBytes::from_static_str(says))),
        )
    };
    if !ask.guard.owns_group(request.group_id.as_str()) {
        ask.refused(Refusal::Group);
        return refuse(group_error(), "the group does not carry the subscription's prefix");
    }
    if request.subscribed_topic_regex.as_ref().is_some_and(|regex| !regex.is_empty()) {
        ask.refused(Refusal::Regex);
        return refuse(
            ResponseError::InvalidRegularExpression.code(),
            "patterns are not evaluated here: subscribe by name, or let the client match (group.protocol=classic)",
        );
    }
    for topic in request.subscribed_topic_names.iter().flatten() {
        if let Err(why) = ask.permit(topic.as_str()) {
            return refuse(topic_error(why), "a subscribed topic is not granted");
        }
    }
    Ok(ask.pass(Due::AsItIs))
}

/// Descriptions already refused.
pub(crate) enum Described {
    Classic(Vec<DescribedGroup>),
    Consumer(Vec<consumer_group_describe_response::DescribedGroup>),
}

fn split(ask: &Ask<'_>, groups: Vec<GroupId>) -> (Vec<GroupId>, Vec<GroupId>) {
    let (own, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| ask.guard.owns_group(group.as_str()));
    for _ in &others {
        ask.refused(Refusal::Group);
    }
    (own, others)
}

pub(super) fn describe(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let mut request: DescribeGroupsRequest = ask.decode()?;
    let (own, others) = split(ask, std::mem::take(&mut request.groups));
    let refused: Vec<_> = others
        .into_iter()
        .map(|group| DescribedGroup::default().with_group_id(group).with_error_code(group_error()))
        .collect();
    if own.is_empty() {
        return ask.respond(&DescribeGroupsResponse::default().with_groups(refused));
    }
    request.groups = own;
    ask.forward(&request, Due::Describe(Described::Classic(refused)))
}

pub(super) fn describe_consumer(ask: &Ask<'_>) -> Result<Step, Trouble> {
    let mut request: ConsumerGroupDescribeRequest = ask.decode()?;
    let (own, others) = split(ask, std::mem::take(&mut request.group_ids));
    let refused: Vec<_> = others
        .into_iter()
        .map(|group| {
            consumer_group_describe_response::DescribedGroup::default()
                .with_group_id(group)
                .with_error_code(group_error())
        })
        .collect();
    if own.is_empty() {
        return ask.respond(&ConsumerGroupDescribeResponse::default().with_groups(refused));
    }
    request.group_ids = own;
    ask.forward(&request, Due::Describe(Described::Consumer(refused)))
}

pub(super) fn described(told: &Told<'_>, asked: Described) -> Result<Answer, Trouble> {
    match asked {
        Described::Classic(refused) if refused.is_empty() => Ok(Answer::Same),
        Described::Consumer(refused) if refused.is_empty() => Ok(Answer::Same),
        Described::Classic(refused) => {
            let mut body: DescribeGroupsResponse = told.decode()?;
            body.groups.extend(refused);
            told.respond(&body)
        }
        Described::Consumer(refused) => {
            let mut body: ConsumerGroupDescribeResponse = told.decode()?;
            body.groups.extend(refused);
            told.respond(&body)
        }
    }
}

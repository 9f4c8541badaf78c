//! Looking at the cluster and taking steps on it.

use std::collections::{BTreeMap, BTreeSet};

use bus::admin::{AclFilter, AdminError, Controller, NewTopic, ScramCredential};
use jointuse::KafkaTopicId;

use super::{
    plan::{Found, FoundTopic, Step},
    scope::Scope,
    wanted::Wanted,
};

/// Reads what is ours.
pub(super) async fn observe(controller: &Controller, scope: &Scope) -> Result<Found, AdminError> {
    let mut found = Found::default();
    let topics = controller.topics().await?;
    let ours: Vec<_> = topics.into_values().filter(|topic| Scope::owns_topic(&topic.name)).collect();
    let names: Vec<_> = ours.iter().map(|topic| topic.name.as_str()).collect();
    let mut configs = controller.topic_configs(&names).await?;
    for topic in ours {
        let configs = configs.remove(&topic.name).unwrap_or_default();
        found.topics.insert(topic.name, FoundTopic { id: topic.id, partitions: topic.partitions, configs });
    }
    let users = controller.scram_users().await?.into_iter().filter(|user| scope.owns_login(&user.login));
    found.logins = users.map(|user| (user.login, user.iterations)).collect();
    for acl in controller.acls(&AclFilter::default()).await? {
        if scope.owns_acl(&acl) {
            found.acls.insert(acl);
        } else if scope.reaches_us(&acl) {
            found.wide.insert(acl);
        }
    }
    Ok(found)
}

/// What became of the steps.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) done: BTreeSet<Step>,
    /// With the broker's reason.
    pub(super) failed: BTreeMap<Step, String>,
    /// Ids of the topics that were made.
    pub(super) made: BTreeMap<String, KafkaTopicId>,
}

/// Takes the steps in their order. One that fails does not stop the others, unless no broker can be reached any more.
pub(super) async fn apply(controller: &Controller, wanted: &Wanted, steps: &BTreeSet<Step>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rest = steps.iter().peekable();
    while let Some(first) = rest.next() {
        let mut group = vec![first];
        while let Some(next) = rest.next_if(|next| std::mem::discriminant(*next) == std::mem::discriminant(first)) {
            group.push(next);
        }
        // All of a kind in one call; when that is refused, one by one, to know which.
        let together =
            if group.len() > 1 { take(controller, wanted, &group, &mut outcome.made).await } else { Ok(false) };
        match together {
            Ok(true) => {
                outcome.done.extend(group.into_iter().cloned());
                continue;
            }
            Err(error) if lost(&error) => {
                give_up(&mut outcome, group.into_iter().chain(rest), &error);
                return outcome;
            }
            Ok(false) | Err(_) => {}
        }
        let mut singles = group.into_iter();
        while let Some(step) = singles.next() {
            match take(controller, wanted, &[step], &mut outcome.made).await {
                Ok(_) => {
                    outcome.done.insert(step.clone());
                }
                Err(error) if lost(&error) => {
                    give_up(&mut outcome, std::iter::once(step).chain(singles).chain(rest), &error);
                    return outcome;
                }
                Err(error) => {
                    outcome.failed.insert(step.clone(), error.to_string());
                }
            }
        }
    }
    outcome
}

fn lost(error: &AdminError) -> bool {
    matches!(error, AdminError::Unreachable(_) | AdminError::Io(_) | AdminError::Timeout(_) | AdminError::Login { .. })
}

fn give_up<'a>(outcome: &mut Outcome, steps: impl Iterator<Item = &'a Step>, error: &AdminError) {
    outcome.failed.extend(steps.map(|step| (step.clone(), error.to_string())));
}

/// Takes steps of one kind together; `false` when they cannot be taken together.
async fn take(
    controller: &Controller,
    wanted: &Wanted,
    group: &[&Step],
    made: &mut BTreeMap<String, KafkaTopicId>,
) -> Result<bool, AdminError> {
    let (mut remove, mut add, mut logins, mut writes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for step in group {
        match step {
            Step::RemoveAcl(acl) => remove.push(acl.clone()),
            Step::AddAcl(acl) => add.push(acl.clone()),
            Step::RemoveLogin(login) => logins.push(login.as_str()),
            Step::WriteLogin { login, .. } => writes.extend(wanted.logins.get(login).cloned()),
            Step::CreateTopic(_) | Step::AddPartitions { .. } | Step::SetConfig { .. } if group.len() > 1 => {
                return Ok(false);
            }
            Step::CreateTopic(name) => {
                if let Some(id) = create(controller, wanted, name).await? {
                    made.insert(name.clone(), id);
                }
            }
            Step::AddPartitions { topic, to } => controller.create_partitions(topic, *to).await?,
            Step::SetConfig { topic, key, to, .. } => {
                controller.alter_topic_config(topic, &BTreeMap::from([(key.clone(), to.clone())])).await?;
            }
        }
    }
    controller.delete_acls(&remove).await?;
    controller.delete_scram(&logins).await?;
    upsert(controller, &writes).await?;
    controller.create_acls(&add).await?;
    Ok(true)
}

async fn upsert(controller: &Controller, credentials: &[ScramCredential]) -> Result<(), AdminError> {
    if credentials.is_empty() { Ok(()) } else { controller.upsert_scram(credentials).await }
}

async fn create(controller: &Controller, wanted: &Wanted, name: &str) -> Result<Option<KafkaTopicId>, AdminError> {
    let Some(topic) = wanted.topics.get(name) else { return Ok(None) };
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: topic.partitions,
        replication: topic.replication,
        configs: topic.configs.clone(),
    };
    let id = controller.create_topic(&topic).await?;
    Ok(Some(KafkaTopicId(*id.as_bytes())))
}

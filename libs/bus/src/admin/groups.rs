//! Consumer groups.

use wire::{
    ResponseError,
    messages::{DeleteGroupsRequest, GroupId, ListGroupsRequest},
    protocol::StrBytes,
};

use super::{AdminError, Controller};

impl Controller {
    /// The groups that the broker answering coordinates. On a cluster of several brokers each knows its own groups.
    ///
    /// # Errors
    /// The call failed.
    pub async fn groups(&self) -> Result<Vec<String>, AdminError> {
        let answer = self.call(&ListGroupsRequest::default(), "ListGroups").await?;
        AdminError::check(answer.error_code, None, || "listing groups".to_owned())?;
        Ok(answer.groups.iter().map(|group| group.group_id.to_string()).collect())
    }

    /// Deletes a group with its offsets, when the broker answering coordinates it; one that is gone is no error.
    ///
    /// # Errors
    /// The group has members (`NonEmptyGroup`), another broker coordinates it, or the call failed.
    pub async fn delete_group(&self, group: &str) -> Result<(), AdminError> {
        let mut request = DeleteGroupsRequest::default();
        request.groups_names = vec![GroupId(StrBytes::from_string(group.to_owned()))];
        let answer = self.call(&request, "DeleteGroups").await?;
        for result in &answer.results {
            if result.error_code != ResponseError::GroupIdNotFound.code() {
                AdminError::check(result.error_code, None, || format!("deleting group {group}"))?;
            }
        }
        Ok(())
    }
}

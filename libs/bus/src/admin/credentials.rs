//! SCRAM-SHA-512 logins (KIP-554).

use std::{collections::BTreeSet, fmt};

use bytes::Bytes;
use wire::{
    ResponseError,
    messages::{
        AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest,
        alter_user_scram_credentials_request::{ScramCredentialDeletion, ScramCredentialUpsertion},
        describe_user_scram_credentials_request::UserName,
    },
    protocol::StrBytes,
};

use super::{AdminError, Controller};

/// `ScramMechanism.SCRAM_SHA_512`
const SHA_512: i8 = 2;

/// A login as the brokers know it. They do not tell more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScramUser {
    pub login: String,
    /// Of its SCRAM-SHA-512 credential.
    pub iterations: u32,
}

/// A credential as the brokers store it: no password, but what verifies one.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    pub login: String,
    /// Between [`crate::scram::MIN_ITERATIONS`] and [`crate::scram::MAX_ITERATIONS`].
    pub iterations: u32,
    pub salt: Vec<u8>,
    /// See [`crate::scram::salted_password`].
    pub salted_password: Vec<u8>,
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredential").field("login", &self.login).finish_non_exhaustive()
    }
}

impl Controller {
    /// Lists the logins that have a SCRAM-SHA-512 credential.
    ///
    /// # Errors
    /// The call failed, or the login may not describe the cluster.
    pub async fn scram_users(&self) -> Result<BTreeSet<ScramUser>, AdminError> {
        self.describe_scram(None).await
    }

    /// The SCRAM-SHA-512 credential of one login, if it has one.
    ///
    /// # Errors
    /// As [`Controller::scram_users`].
    pub async fn scram_user(&self, login: &str) -> Result<Option<ScramUser>, AdminError> {
        Ok(self.describe_scram(Some(login)).await?.pop_first())
    }

    async fn describe_scram(&self, login: Option<&str>) -> Result<BTreeSet<ScramUser>, AdminError> {
        let mut request = DescribeUserScramCredentialsRequest::default();
        request.users = login.map(|login| {
            let mut name = UserName::default();
            name.name = StrBytes::from_string(login.to_owned());
            vec![name]
        });
        let answer = self.call(&request, "DescribeUserScramCredentials").await?;
        AdminError::check(answer.error_code, answer.error_message.as_deref(), || "listing logins".to_owned())?;
        let mut users = BTreeSet::new();
        for user in &answer.results {
            if user.error_code == ResponseError::ResourceNotFound.code() {
                continue;
            }
            AdminError::check(user.error_code, user.error_message.as_deref(), || format!("login {}", user.user))?;
            let credential = user.credential_infos.iter().find(|credential| credential.mechanism == SHA_512);
            users.extend(credential.map(|credential| ScramUser {
                login: user.user.to_string(),
                iterations: u32::try_from(credential.iterations).unwrap_or(0),
            }));
        }
        Ok(users)
    }

    /// Creates or replaces credentials. Live connections of a login go on; the broker asks only at the next login.
    ///
    /// # Errors
    /// The first refusal, naming its login; others of the same call may have been written.
    pub async fn upsert_scram(&self, credentials: &[ScramCredential]) -> Result<(), AdminError> {
        let mut request = AlterUserScramCredentialsRequest::default();
        request.upsertions = credentials
            .iter()
            .map(|credential| {
                let mut upsertion = ScramCredentialUpsertion::default();
                upsertion.name = StrBytes::from_string(credential.login.clone());
                upsertion.mechanism = SHA_512;
                upsertion.iterations = i32::try_from(credential.iterations).unwrap_or(i32::MAX);
                upsertion.salt = Bytes::from(credential.salt.clone());
                upsertion.salted_password = Bytes::from(credential.salted_password.clone());
                upsertion
            })
            .collect();
        self.alter_scram(request).await
    }

    /// Deletes credentials; a login that has none is no error. Live connections go on: closing them is the hub's job.
    ///
    /// # Errors
    /// The first refusal, naming its login; others of the same call may have been deleted.
    pub async fn delete_scram(&self, logins: &[&str]) -> Result<(), AdminError> {
        let mut request = AlterUserScramCredentialsRequest::default();
        request.deletions = logins
            .iter()
            .map(|login| {
                let mut deletion = ScramCredentialDeletion::default();
                deletion.name = StrBytes::from_string((*login).to_owned());
                deletion.mechanism = SHA_512;
                deletion
            })
            .collect();
        self.alter_scram(request).await
    }

    async fn alter_scram(&self, request: AlterUserScramCredentialsRequest) -> Result<(), AdminError> {
        if request.upsertions.is_empty() && request.deletions.is_empty() {
            return Ok(());
        }
        let answer = self.call(&request, "AlterUserScramCredentials").await?;
        let deleting = request.upsertions.is_empty();
        for result in &answer.results {
            if deleting && result.error_code == ResponseError::ResourceNotFound.code() {
                continue;
            }
            let what = || format!("writing the credential of {}", result.user);
            AdminError::check(result.error_code, result.error_message.as_deref(), what)?;
        }
        Ok(())
    }
}

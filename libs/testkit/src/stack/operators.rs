//! Operators of the stack's authority, and clients signed in as them.
use authority_api::{
    AuthorityClient,
    types::{Role, SignIn},
};

use super::{Name, Stack};
use crate::{
    Error, Result, paths,
    process::{Launch, run},
};

/// A human at Holdings with a password, known to the stack's authority.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Name to sign in with.
    pub name: String,
    /// Password to sign in with.
    pub password: String,
}

impl Stack {
    /// Adds an operator with these roles, unless one of that name was added before.
    ///
    /// # Errors
    /// When the authority's command line refuses.
    pub async fn operator(&self, name: &str, roles: &[Role]) -> Result<Operator> {
        let file = format!("operator-{name}");
        let path = self.secret_file(&file)?;
        let known = path.exists();
        let password = self.secret(&file, crate::kafka::secret)?;
        if !known {
            let mut add = self
                .authority_command(&["operator", "add", "--name", name])?
                .args(["--password-file".to_owned(), path.display().to_string()]);
            for role in roles {
                add = add.args(["--role", role.as_str()]);
            }
            if let Err(refused) = run(&add, "").await {
                // So that the next call tries again.
                let _ = std::fs::remove_file(&path);
                return Err(refused);
            }
        }
        Ok(Operator { name: name.to_owned(), password })
    }

    /// The authority's program for this command, by the stack's configuration.
    ///
    /// # Errors
    /// When it is not built.
    pub fn authority_command(&self, command: &[&str]) -> Result<Launch> {
        let config = self.config_file(Name::Authority).display().to_string();
        Ok(Launch::new(paths::binary("authority")?).args(["--config", &config]).args(command.iter().copied()))
    }

    /// A client of the authority, signed in as an operator.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn signed_in(&self, operator: &Operator) -> Result<AuthorityClient> {
        let failed = |answer: String| Error::Answer { what: format!("sign-in of {}", operator.name), answer };
        let name = operator.name.parse().map_err(|_| failed("not a name".to_owned()))?;
        let mut client = self.authority_client()?;
        let sign_in = SignIn { operator: name, password: operator.password.clone() };
        client.sign_in(&sign_in).await.map_err(|error| failed(error.to_string()))?;
        Ok(client)
    }
}

//! Contacts by e-mail address.

use std::collections::HashMap;

use diesel::{ExpressionMethods as _, QueryDsl as _, RunQueryDsl as _};
use store::{Store, StoreError};
use uuid::Uuid;

use super::schema::published::dsl;
use crate::judge::Id;

/// The contact for each address key; an address that several contacts have is shared and finds none.
///
/// # Errors
/// When the database does not answer.
pub async fn by_email(store: &Store, topic: i16, keys: Vec<Id>) -> Result<HashMap<Id, Id>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let keys: Vec<Uuid> = keys.into_iter().map(Uuid::from_bytes).collect();
    let rows = store
        .read("contacts_by_email", move |conn| {
            let wanted = dsl::email_key.eq_any(&keys);
            let query =
                dsl::published.filter(wanted).filter(dsl::topic.eq(topic)).select((dsl::email_key, dsl::record_id));
            Ok::<_, StoreError>(query.load::<(Option<Uuid>, Uuid)>(conn)?)
        })
        .await?;
    let mut found: HashMap<Id, Option<Id>> = HashMap::new();
    for (key, contact) in rows {
        let Some(key) = key else { continue };
        found.entry(key.into_bytes()).and_modify(|one| *one = None).or_insert(Some(contact.into_bytes()));
    }
    Ok(found.into_iter().filter_map(|(key, contact)| Some((key, contact?))).collect())
}

//! Rows as COPY takes them.

use std::{fmt, io::Write as _};

use chrono::{DateTime, NaiveDate, Utc};
use diesel::{
    AsExpression, Insertable,
    pg::Pg,
    serialize::{IsNull, Output, Result, ToSql},
    sql_types::Jsonb,
};
use uuid::Uuid;

use crate::schema::{contact, interaction, person};

/// JSON text as it is: nothing is parsed on this side.
#[derive(Clone, Copy, AsExpression)]
#[diesel(sql_type = Jsonb)]
pub(super) struct JsonText<'a>(pub(super) &'a str);

impl fmt::Debug for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹personal›")
    }
}

impl ToSql<Jsonb, Pg> for JsonText<'_> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> Result {
        // Version 1 of jsonb's binary form is a byte 1 and the text.
        out.write_all(&[1])?;
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

#[derive(Insertable)]
#[diesel(table_name = contact, treat_none_as_default_value = false)]
pub(super) struct ContactRow<'a> {
    pub(super) id: Uuid,
    pub(super) company: &'a str,
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) record_offset: i64,
    pub(super) occurred_at: DateTime<Utc>,
    pub(super) acquired_by: &'a str,
    pub(super) acquired_on: NaiveDate,
    pub(super) acquired_for: &'a str,
    pub(super) acquired_from: &'a str,
    pub(super) organisation_id: Option<Uuid>,
    pub(super) name_key: &'a str,
    pub(super) name_whole: bool,
    pub(super) email_key: Option<&'a str>,
    pub(super) content: JsonText<'a>,
    pub(super) person_id: Option<Uuid>,
    pub(super) email_link: Option<Uuid>,
    pub(super) number_link: Option<Uuid>,
    pub(super) other_number_link: Option<Uuid>,
}

#[derive(Insertable)]
#[diesel(table_name = interaction, treat_none_as_default_value = false)]
pub(super) struct InteractionRow<'a> {
    pub(super) record_id: Uuid,
    pub(super) contact_id: Uuid,
    pub(super) kind: &'a str,
    pub(super) company: &'a str,
    pub(super) occurred_at: DateTime<Utc>,
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) sequence: i32,
    pub(super) record_offset: i64,
    pub(super) acquired_by: &'a str,
    pub(super) acquired_on: NaiveDate,
    pub(super) acquired_for: &'a str,
    pub(super) acquired_from: &'a str,
    pub(super) organisation_id: Option<Uuid>,
    pub(super) content: JsonText<'a>,
}

/// The rest of its columns have defaults; among them its age, which grows from row to row.
#[derive(Insertable)]
#[diesel(table_name = person, treat_none_as_default_value = false)]
pub(super) struct PersonRow {
    pub(super) id: Uuid,
}

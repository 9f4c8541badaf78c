//! Where every record of a contact stands, for whoever asks later who received it.

use std::collections::HashMap;

use diesel::{ExecuteCopyFromDsl as _, PgConnection, prelude::*};
use store::StoreError;
use uuid::Uuid;

use crate::{record::Incoming, schema::record_position};

#[derive(Debug, Insertable)]
#[diesel(table_name = record_position, treat_none_as_default_value = false)]
struct PositionRow {
    contact_id: Uuid,
    record_offset: i64,
    place: i32,
}

/// Stores the positions of records that were not applied before, whatever became of them. `places` are the numbers of
/// their partitions.
pub(super) fn store<'a>(
    conn: &mut PgConnection,
    records: impl Iterator<Item = (&'a Incoming, &'a str)>,
    places: &HashMap<(&str, i32), i32>,
) -> Result<(), StoreError> {
    let row = |(record, topic): (&Incoming, &str)| {
        let (contact_id, place) = (record.contact?, *places.get(&(topic, record.partition))?);
        Some(PositionRow { contact_id, record_offset: record.offset, place })
    };
    let rows: Vec<PositionRow> = records.filter_map(row).collect();
    if !rows.is_empty() {
        diesel::copy_from(record_position::table).from_insertable(&rows).execute(conn)?;
    }
    Ok(())
}

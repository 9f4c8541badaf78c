//! The tables, as `migrations/` makes them.

diesel::table! {
    contact (id) {
        id -> Uuid,
        company -> Text,
        recorded_at -> Timestamptz,
        record_offset -> BigInt,
        occurred_at -> Timestamptz,
        acquired_by -> Text,
        acquired_on -> Date,
        acquired_for -> Text,
        acquired_from -> Text,
        organisation_id -> Nullable<Uuid>,
        name_key -> Text,
        name_whole -> Bool,
        email_key -> Nullable<Text>,
        content -> Jsonb,
        person_id -> Nullable<Uuid>,
        email_link -> Nullable<Uuid>,
        number_link -> Nullable<Uuid>,
        other_number_link -> Nullable<Uuid>,
    }
}

diesel::table! {
    interaction (record_id, contact_id) {
        record_id -> Uuid,
        contact_id -> Uuid,
        kind -> Text,
        company -> Text,
        occurred_at -> Timestamptz,
        recorded_at -> Timestamptz,
        sequence -> Integer,
        record_offset -> BigInt,
        acquired_by -> Text,
        acquired_on -> Date,
        acquired_for -> Text,
        acquired_from -> Text,
        organisation_id -> Nullable<Uuid>,
        content -> Jsonb,
    }
}

diesel::table! {
    person (id) {
        id -> Uuid,
    }
}

diesel::table! {
    record_position (contact_id, place, record_offset) {
        contact_id -> Uuid,
        record_offset -> BigInt,
        place -> Integer,
    }
}

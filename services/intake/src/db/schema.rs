//! Tables, as the migrations make them.

diesel::table! {
    published (record_id, topic) {
        topic -> SmallInt,
        record_id -> Uuid,
        fingerprint -> Uuid,
        rank -> BigInt,
        filled -> SmallInt,
        import -> BigInt,
        partition -> Integer,
        position -> BigInt,
        email_key -> Nullable<Uuid>,
        contact -> Nullable<Uuid>,
    }
}

diesel::table! {
    superseded (record_id, fingerprint) {
        record_id -> Uuid,
        fingerprint -> Uuid,
    }
}

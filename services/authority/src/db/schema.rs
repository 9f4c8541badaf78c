//! The tables of `migrations/0001_decisions`.

diesel::table! {
    operator (name) {
        name -> Text,
        roles -> Array<Text>,
        password_hash -> Text,
        added_at -> Timestamptz,
        disabled_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    company (id) {
        id -> Text,
        corporate_number -> Text,
        name_ja -> Text,
        name_en -> Text,
        country -> Text,
        foreign_basis -> Nullable<Text>,
        membership -> Text,
        registered_at -> Timestamptz,
        registered_by -> Text,
    }
}

diesel::table! {
    notice (company, version) {
        company -> Text,
        version -> Integer,
        state -> Text,
        url -> Text,
        items -> Array<Text>,
        scope_rule -> Text,
        purposes -> Array<Text>,
        manager_name -> Text,
        manager_address -> Text,
        manager_representative -> Nullable<Text>,
        published_at -> Timestamptz,
        effective_from -> Timestamptz,
        drafted_by -> Text,
        drafted_at -> Timestamptz,
        activated_by -> Nullable<Text>,
        activated_at -> Nullable<Timestamptz>,
        change_decision -> Nullable<Text>,
    }
}

diesel::table! {
    notice_evidence (company, version) {
        company -> Text,
        version -> Integer,
        file_name -> Text,
        sha256 -> Binary,
        content -> Binary,
        recorded_by -> Text,
        recorded_at -> Timestamptz,
    }
}

diesel::table! {
    access_grant (kind, id) {
        kind -> Text,
        id -> Text,
        company -> Text,
        state -> Text,
        topics -> Array<Text>,
        items -> Array<Text>,
        purpose -> Text,
        term_from -> Timestamptz,
        term_until -> Timestamptz,
        requested_by -> Text,
        requested_at -> Timestamptz,
        decided_by -> Nullable<Text>,
        decided_at -> Nullable<Timestamptz>,
        stepped_by -> Text,
        stepped_at -> Timestamptz,
        reason -> Text,
    }
}

diesel::table! {
    credential (login) {
        login -> Text,
        grant_kind -> Text,
        grant_id -> Text,
        ordinal -> Integer,
        salt -> Binary,
        iterations -> Integer,
        salted_password -> Binary,
        issued_by -> Text,
        issued_at -> Timestamptz,
        revoked_by -> Nullable<Text>,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    activity (id) {
        id -> BigInt,
        at -> Timestamptz,
        operator -> Text,
        action -> Text,
        subject -> Text,
        reason -> Text,
    }
}

diesel::table! {
    policy_issue (one) {
        one -> Bool,
        number -> BigInt,
        changed_at -> Timestamptz,
        issued_at -> Nullable<Timestamptz>,
    }
}

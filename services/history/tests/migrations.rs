//! Migrations on tables that are not empty, up and down, against a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use testkit::postgres::Postgres;

const FIRST: &str = include_str!("../migrations/2026-11-23-000001_history/up.sql");
const UP: &str = include_str!("../migrations/2026-11-25-000001_contact_in_one_row/up.sql");
const DOWN: &str = include_str!("../migrations/2026-11-25-000001_contact_in_one_row/down.sql");

const FILL: &str = "
INSERT INTO person (id) VALUES (id(91)), (id(92));
INSERT INTO contact (id, company, recorded_at, record_offset, occurred_at, acquired_by, acquired_on, acquired_for,
                     acquired_from, name_key, name_whole, content)
    SELECT id(n), 'c', now(), n, now(), 'BUSINESS_CARD', '2026-04-01', 'p', 's', 'n', true, '{}' FROM generate_series(1, 3) n;
INSERT INTO person_contact VALUES (id(1), id(91)), (id(2), id(91)), (id(3), id(92));
INSERT INTO contact_link VALUES (id(11), id(1), true), (id(13), id(1), false), (id(12), id(1), false), (id(11), id(2), true);
";

#[tokio::test]
async fn persons_and_links_move_into_the_contact_and_back() {
    let postgres = Postgres::start().await.unwrap();
    postgres.create_role("history", "a-password-of-the-test").await.unwrap();
    postgres.create_database("history", "history").await.unwrap();
    let sql = async |text: &str| postgres.sql("history", text).await.unwrap().trim().to_owned();
    sql("CREATE FUNCTION id(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT lpad(n::text, 32, '0')::uuid $$").await;
    sql(FIRST).await;
    sql(FILL).await;
    let persons = "SELECT * FROM person_contact ORDER BY 1";
    let links = "SELECT * FROM contact_link ORDER BY 1, 2";
    let before = (sql(persons).await, sql(links).await);

    sql(UP).await;
    let number = |column: &str| format!("coalesce(right({column}::text, 2), '-')");
    let columns = ["id", "person_id", "email_link", "number_link", "other_number_link"].map(number).join(", ");
    let contacts = sql(&format!("SELECT {columns} FROM contact ORDER BY id")).await;
    assert_eq!(contacts.lines().collect::<Vec<_>>(), ["01|91|11|12|13", "02|91|11|-|-", "03|92|-|-|-"]);

    sql(DOWN).await;
    assert_eq!((sql(persons).await, sql(links).await), before);
    sql(UP).await;
}

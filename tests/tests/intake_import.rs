//! Imports as companies make them, good and broken, against a real broker, database and authority: exact answers.

mod intake_rig;

use intake_rig::{DEADLINE, Publisher, Rig, acquisition, said};
use jointuse::{Kind, records::Text};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use testkit::stack::{Name, Stack};

const HEADER: &str = "会社名,部署名,役職,姓,名,e-mail,郵便番号,住所,TEL会社,TEL部門,TEL直通,Fax,携帯電話,URL,名刺交換日,Eightでつながっている人,再データ化中の名刺,'?'を含んだデータ";

/// Planted where it must not come out: in answers, logs and metrics.
const CANARY: &str = "かなりあ";

fn eight(rows: &[&str]) -> String {
    format!(
        "このファイルは2026年07月01日 09:00に作成されました。\r\n合計 {} 件\r\n* 注\r\n\r\n{HEADER}\r\n{}\r\n",
        rows.len(),
        rows.join("\r\n")
    )
}

/// CP932 of text that is there in UTF-8, through the clients' Python.
async fn encoded(encoding: &str, text: &str) -> Vec<u8> {
    use testkit::process::{Launch, run};
    let program =
        format!("import sys\nsys.stdout.write(sys.stdin.buffer.read().decode('utf-8').encode('{encoding}').hex())");
    let python = Launch::new(testkit::paths::python().unwrap()).args(["-c".to_owned(), program]);
    let hex = run(&python, text).await.unwrap();
    hex.trim()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn line(organisation: &str, family: &str, given: &str, email: &str, telephone: &str, day: &str) -> String {
    format!("{organisation},,,{family},{given},{email},,,{telephone},,,,,,{day},,,")
}

#[tokio::test(flavor = "multi_thread")]
async fn imports() {
    let mut rig = Rig::start(Stack::builder()).await;
    let career = rig.publisher("persol-career").await;
    json_good_and_bad(&rig, &career).await;
    only_publications_publish(&rig, &career).await;
    eight_is_the_same_however_it_comes(&rig, &career).await;
    duplicates(&rig, &career).await;
    renamed_columns(&rig, &career).await;
    broken_files(&career).await;
    whole_files_are_refused(&rig, &career).await;
    a_dry_run_changes_nothing(&rig, &career).await;
    cards_and_calendars_meet(&rig, &career).await;
    a_file_that_nobody_reads_the_answer_of(&rig, &career).await;
    nothing_planted_comes_out(&mut rig).await;
}

async fn json_good_and_bad(rig: &Rig, career: &Publisher) {
    let good = |reference: &str| json!({"reference": reference, "name": {"full": format!("{CANARY} 太郎")}, "email": format!("{reference}@mihon.example"), "acquisition": acquisition()});
    let mut no_acquisition = good("j-2");
    no_acquisition.as_object_mut().unwrap().remove("acquisition");
    let mut wrong = good("j-3");
    wrong["email"] = format!("{CANARY} at example").into();
    wrong["telephone"] = "=03-0000-0000".into();
    wrong["religion"] = CANARY.into();
    let mut other_purpose = good("j-4");
    other_purpose["acquisition"]["purpose"] = "own-services-guidance".into();
    let body = json!([good("j-1"), no_acquisition, wrong, other_purpose, good("j-5"), "text"]);
    let before = rig.count(Kind::Contact).await;
    let (status, answer) = career.json("contact", "", &body).await;
    assert_eq!(status, 200, "{answer}");
    let rows: Vec<String> = answer["rows"].as_array().unwrap().iter().map(said).collect();
    assert_eq!(
        rows,
        [
            "0 accepted",
            "1 refused acquisition:acquisition-missing",
            "2 refused religion:sensitive email:email telephone:telephone",
            "3 refused acquisition.purpose:purpose-not-covered",
            "4 accepted",
            "5 refused record:type",
        ]
    );
    assert_eq!(answer["summary"]["accepted"], 2);
    let first = &answer["rows"][0];
    assert_eq!(first["topic"], "jointuse.contact");
    assert!(first["partition"].is_i64() && first["offset"].is_i64() && first["id"].as_str().unwrap().len() == 32);
    assert!(answer["rows"][1]["errors"][0]["what_to_do"].as_str().unwrap().contains("acquisition.method"));
    assert!(!answer.to_string().contains(CANARY), "values are never repeated");
    let lying = rig.lying(Kind::Contact).await;
    assert_eq!(lying.len(), before + 2);
    let published = lying.iter().find(|record| record.key == first["id"].as_str().unwrap()).unwrap();
    let published = rig.contact(published, "persol-career").await;
    assert_eq!(published.company.as_str(), "persol-career");
    assert_eq!(published.email.unwrap().expose(), "j-1@mihon.example");
    // The same again.
    let (_, answer) = career.json("contact", "", &body).await;
    assert_eq!((&answer["summary"]["accepted"], &answer["summary"]["unchanged"]), (&json!(0), &json!(2)));
    assert_eq!(rig.count(Kind::Contact).await, before + 2);
    // One object.
    let (status, answer) = career.json("contact", "", &json!({"reference": "j-9"})).await;
    assert_eq!((status, answer["rows"][0]["outcome"].as_str()), (422, Some("refused")));
    let (status, answer) = career
        .json(
            "transaction",
            "",
            &json!({"reference": "t-1", "contact": "j-1", "occurred_at": "2026-01-05T10:00:00+09:00",
        "acquisition": acquisition(), "service": "人材紹介", "amount_jpy": 1000}),
        )
        .await;
    assert_eq!((status, answer["rows"][0]["outcome"].as_str()), (200, Some("accepted")), "{answer}");
    let transactions = rig.lying(Kind::Transaction).await;
    assert_eq!(transactions[0].key, first["id"].as_str().unwrap(), "the transaction hangs on its contact");
}

async fn only_publications_publish(rig: &Rig, career: &Publisher) {
    let body = json!([]);
    let with = |token: &str| Publisher { token: token.to_owned(), ..career.clone() };
    let (status, problem) = with("x").json("contact", "", &body).await;
    assert_eq!((status, problem["type"].as_str()), (401, Some("urn:jointuse:problem:unauthorized")));
    let history = rig.stack.access_token(&career.member.subscription, "history").await.unwrap();
    assert_eq!(with(&history).json("contact", "", &body).await.0, 401);
    assert_eq!(career.json("salary", "", &body).await.0, 404);
    let (status, problem) = career.json("contact", "", &json!("text")).await;
    assert_eq!((status, problem["line"].as_u64()), (400, Some(1)));
    let text = format!("[{{\"reference\": \"{CANARY}\", }}]");
    let broken = career.http.post(format!("{}/v1/records/contact", career.base)).bearer_auth(&career.token).body(text);
    let problem: Value = broken.send().await.unwrap().json().await.unwrap();
    assert_eq!((problem["status"].as_u64(), problem["line"].as_u64()), (Some(400), Some(1)), "{problem}");
    assert!(!problem.to_string().contains(CANARY));
    let presets: Value =
        career.http.get(format!("{}/v1/presets", career.base)).send().await.unwrap().json().await.unwrap();
    assert_eq!(presets[0]["columns"]["会社名"], "organisation");
}

async fn eight_is_the_same_however_it_comes(rig: &Rig, career: &Publisher) {
    let taro = line("株式会社見本", "見本", "太郎", "taro@mihon.example", "03-0000-0000", "2024/02/29");
    let hanako = line("表示ソ十能㈱", "手本", "花子", "", "0466-00-0000", "2025/01/05");
    let nobody = line("株式会社見本", "佐藤", "", "", "", "2025/01/05").replace("株式会社見本", "");
    let wrong = line("見本", "鈴木", "一", "suzuki at mihon", "03-0000", "2025/01/05");
    let question = line("見本?", "?本", "三", "three@mihon.example", "", "2025/01/05");
    let text = eight(&[&taro, &hanako, &nobody, &wrong, &question]);
    let before = rig.count(Kind::Contact).await;
    let sjis = encoded("cp932", &text).await;
    let told = career.import("eight-csv", &sjis).await;
    let expected = [
        "6 accepted",
        "7 accepted",
        "8 refused reference:reference-underivable",
        "9 refused email:email telephone:telephone",
        "10 accepted ~organisation:unrecognised-character ~name.family:unrecognised-character",
    ];
    assert_eq!(told.said(), expected);
    assert_eq!((told.summary["encoding"].as_str(), told.summary["complete"].as_bool()), (Some("CP932"), Some(true)));
    assert_eq!(rig.count(Kind::Contact).await, before + 3);
    // As UTF-8, and in another order: nothing new.
    let ids: std::collections::BTreeSet<_> = told.ids().into_iter().collect();
    let reordered = format!("\u{feff}{}", eight(&[&question, &hanako, &taro]));
    assert_eq!(career.import("eight-csv", &sjis).await.totals(), (0, 3, 2));
    let again = career.import("eight-csv", reordered.as_bytes()).await;
    assert_eq!(again.totals(), (0, 3, 0));
    assert_eq!(again.ids().into_iter().collect::<std::collections::BTreeSet<_>>(), ids);
    // A corrected telephone number is the same contact with new content.
    let corrected_text = eight(&[&taro.replace("03-0000-0000", "03-0000-0009"), &hanako]);
    let corrected = career.import("eight-csv", corrected_text.as_bytes()).await;
    assert_eq!(corrected.said(), ["6 accepted", "7 unchanged"]);
    assert!(ids.contains(&corrected.ids()[0]));
    assert_eq!(career.import("eight-csv", corrected_text.as_bytes()).await.totals(), (0, 2, 0));
    // The older form knows less of a name, and means the same people.
    let older = eight(&[&taro, &hanako])
        .replace(",姓,名,", ",氏名,")
        .replace("見本,太郎", "見本 太郎")
        .replace("手本,花子", "手本　花子");
    let older = career.import("eight-csv", older.as_bytes()).await;
    assert!(older.ids().iter().all(|id| ids.contains(id)), "the older form names the same people");
}

async fn duplicates(rig: &Rig, career: &Publisher) {
    // Two cards of one person: the newer stands, whatever the order, and a re-export publishes nothing.
    let old = line("旧社名", "重複", "一郎", "ichiro@dup.example", "", "2020/01/01");
    let new = line("新社名", "重複", "一郎", "ichiro@dup.example", "", "2024/01/01");
    let same_day = line("別の綴り", "重複", "一郎", "ichiro@dup.example", "", "2024/01/01");
    let told = career.import("eight-csv", eight(&[&new, &old]).as_bytes()).await;
    assert_eq!(told.said(), ["6 accepted", "7 unchanged ~reference:superseded"]);
    let told = career.import("eight-csv", eight(&[&old, &same_day, &new]).as_bytes()).await;
    let after = rig.count(Kind::Contact).await;
    assert_eq!(told.totals().2, 0);
    for order in [[&new, &same_day, &old], [&same_day, &old, &new], [&old, &same_day, &new]] {
        let rows: Vec<&str> = order.into_iter().map(String::as_str).collect();
        assert_eq!(career.import("eight-csv", eight(&rows).as_bytes()).await.totals(), (0, 3, 0));
    }
    assert_eq!(rig.count(Kind::Contact).await, after);
    // A shared address does not mix people.
    let one = line("見本", "共有", "一", "info@shared.example", "", "2024/01/01");
    let two = line("見本", "共有", "二", "info@shared.example", "", "2024/01/01");
    assert_eq!(career.import("eight-csv", eight(&[&one, &two]).as_bytes()).await.totals(), (2, 0, 0));
    // The publisher's own references are unique.
    let row = |name: &str| json!({"reference": "dup-1", "name": {"full": name}, "acquisition": acquisition()});
    let body = json!([row("甲"), row("甲"), row("乙")]);
    for first in ["0 accepted", "0 unchanged"] {
        let (_, answer) = career.json("contact", "", &body).await;
        let rows: Vec<String> = answer["rows"].as_array().unwrap().iter().map(said).collect();
        assert_eq!(rows, [first, "1 unchanged", "2 refused reference:duplicate-reference"]);
    }
}

/// An export of Sansan whose administrator gave columns names of their own.
async fn renamed_columns(rig: &Rig, career: &Publisher) {
    let file = "人物ID;企業名;名字;名;e-mail;FAX;名刺交換日;展示会\r\n\
        p-1;株式会社改名;改名;一;one@renamed.example;=03-0000-0000;2024/02/29;1\r\n\
        p-2;;改名;二;two at renamed;;2024/02/29;\r\n\
        p-3;株式会社改名;改名;三;three@renamed.example;;2024/03/01;\r\n";
    let form = |mapping: Option<&str>| {
        let purpose = json!({"purpose": "group-services-guidance"}).to_string();
        let form = Form::new().text("format", "sansan-csv").text("acquisition", purpose);
        let form = mapping.iter().fold(form, |form, mapping| form.text("mapping", (*mapping).to_owned()));
        form.part("file", Part::text(file).file_name("cards"))
    };
    let names = "'企業名' = 'organisation'\n'名字' = 'name.family'\n";
    let mapping = format!("delimiter = ';'\n[columns]\n{names}'FAX' = 'none'\n");
    let before = rig.count(Kind::Contact).await;
    let told = career.file("", form(Some(&mapping))).await;
    assert_eq!(told.said(), ["2 accepted", "3 refused email:email", "4 accepted"]);
    assert_eq!((&told.summary["ignored_columns"], &told.summary["complete"]), (&json!([8]), &json!(true)));
    let lying = rig.lying(Kind::Contact).await;
    assert_eq!(lying.len(), before + 2);
    let published = lying.iter().find(|record| record.key == told.ids()[0]).unwrap();
    let published = rig.contact(published, "persol-career").await;
    let text = |text: &Text| text.as_ref().map(|text| text.expose().clone());
    let said = [&published.organisation, &published.name.unwrap().family, &published.fax].map(text);
    assert_eq!(said, [Some("株式会社改名".to_owned()), Some("改名".to_owned()), None]);
    assert_eq!(published.acquisition.source, "sansan-csv", "the preset says it");
    // What the mapping does not name means what the preset says, and the reference is the same.
    let mapping = format!("delimiter = ';'\n[columns]\n{names}");
    let told = career.file("", form(Some(&mapping))).await;
    assert_eq!(told.said(), ["2 refused fax:telephone", "3 refused email:email", "4 unchanged"]);
    for (mapping, expected) in [
        (None, (Some("columns"), None)),
        (Some(mapping.replace("'organisation'", "'none'")), (Some("columns"), None)),
        (
            Some(mapping.replace("'organisation'", "'salary'")),
            (None, Some("the mapping's entry 1 names no field of a contact")),
        ),
    ] {
        let (status, problem) = career.refused(form(mapping.as_deref())).await;
        let found = (problem["rule"].as_str(), problem["detail"].as_str().filter(|_| problem["rule"].is_null()));
        assert_eq!((status, found), (422, expected), "{problem}");
    }
    assert_eq!(rig.count(Kind::Contact).await, before + 2);
}

async fn broken_files(career: &Publisher) {
    let taro = line("=1+1", "破損", "一", "one@broken.example", "", "2024/02/29");
    let formula = line("見本", "破損", "二", "=cmd@broken.example", "@03-0000-0000", "2024/02/29");
    let last = line("\"見本", "破損", "三", "three@broken.example", "", "2024/02/29");
    let mut bytes = eight(&[&taro, &formula, &last]).into_bytes();
    // A damaged byte in the first row's name, and the end cut off within the quoted cell.
    let told = career.import("eight-csv", &bytes).await;
    assert_eq!(
        told.said(),
        [
            "6 accepted ~organisation:formula-like",
            "7 refused email:email telephone:telephone",
            "8 refused row:truncated",
        ]
    );
    let at = String::from_utf8(bytes.clone()).unwrap().find("破損,二").unwrap();
    bytes[at] = 0xFF;
    bytes.truncate(bytes.len() - 30);
    let told = career.import("eight-csv", &bytes).await;
    assert_eq!(
        told.said(),
        ["6 unchanged ~organisation:formula-like", "7 refused name.family:encoding", "8 refused row:truncated"]
    );
    let cards = format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{CANARY}\r\nEMAIL:four@broken.example\r\nEND:VCARD\r\nBEGIN:VCARD\r\nVERSION:3.0\r\nFN:切"
    );
    assert_eq!(career.import("vcard", cards.as_bytes()).await.said(), ["1 accepted", "6 refused card:truncated"]);
}

async fn whole_files_are_refused(rig: &Rig, career: &Publisher) {
    let before = rig.count(Kind::Contact).await;
    let row = line("見本", "全部", "一", "one@whole.example", "", "2024/02/29");
    let text = eight(&[&row]);
    let refused = async |format: &str, acquisition: Option<&Value>, bytes: Vec<u8>| {
        let (status, problem) = career.refused(Publisher::form(format, acquisition, bytes)).await;
        assert_eq!(status, 422, "{problem}");
        (problem["rule"].as_str().unwrap().to_owned(), problem)
    };
    let usual = acquisition();
    for (column, rule) in [
        ("宗教", "sensitive"),
        ("健康状態", "sensitive"),
        ("履歴書", "individual-client"),
        ("desired salary", "individual-client"),
    ] {
        let with =
            text.replace("'?'を含んだデータ", &format!("'?'を含んだデータ,{column}")).replace(",,,\r\n", ",,,,\r\n");
        let (found, problem) = refused("eight-csv", Some(&usual), with.into_bytes()).await;
        assert_eq!(
            (found.as_str(), problem["name"].as_str(), problem["column"].as_u64()),
            (rule, Some(column), Some(19))
        );
    }
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(refused("eight-csv", Some(&usual), utf16).await.0, "encoding");
    let (rule, problem) = refused("eight-csv", Some(&usual), encoded("euc_jp", &text).await).await;
    assert_eq!((rule.as_str(), problem["line"].as_u64()), ("encoding", Some(1)), "{problem}");
    assert_eq!(refused("eight-csv", Some(&usual), b"a,b\r\n1,2\r\n".to_vec()).await.0, "columns");
    let (rule, problem) = refused("eight-csv", None, text.clone().into_bytes()).await;
    assert_eq!((rule.as_str(), &problem["fields"]), ("acquisition-missing", &json!(["acquisition.purpose"])));
    let (rule, _) =
        refused("vcard", Some(&json!({"purpose": "group-services-guidance"})), b"BEGIN:VCARD\r\n".to_vec()).await;
    assert_eq!(rule, "acquisition-missing");
    assert_eq!(refused("icalendar", Some(&usual), b"hello".to_vec()).await.0, "not-a-card");
    // A large file that is refused at its head is read to its end: the client gets its answer.
    let large = format!("{HEADER},病歴\r\n{}", format!("{row},\r\n").repeat(200_000));
    assert_eq!(refused("eight-csv", Some(&usual), large.into_bytes()).await.0, "sensitive");
    assert_eq!(career.refused(Publisher::form("excel", Some(&usual), Vec::new())).await.0, 400);
    assert_eq!(rig.count(Kind::Contact).await, before);
}

async fn a_dry_run_changes_nothing(rig: &Rig, career: &Publisher) {
    let rows = [
        line("見本", "試行", "一", "one@dry.example", "", "2024/02/29"),
        line("見本", "試行", "二", "two at dry", "", "2024/02/29"),
    ];
    let text = eight(&[&rows[0], &rows[1]]);
    let before = rig.count(Kind::Contact).await;
    for _ in 0..2 {
        let form = Publisher::form("eight-csv", Some(&acquisition()), text.clone().into_bytes());
        let told = career.file("?dry-run=true", form).await;
        assert_eq!(told.said(), ["6 accepted", "7 refused email:email"]);
        assert_eq!(told.summary["dry_run"], true);
        assert!(told.rows[0]["offset"].is_null(), "nothing was written");
    }
    assert_eq!(rig.count(Kind::Contact).await, before);
    assert_eq!(career.import("eight-csv", text.as_bytes()).await.said(), ["6 accepted", "7 refused email:email"]);
}

async fn cards_and_calendars_meet(rig: &Rig, career: &Publisher) {
    let card = line("見本", "会議", "一", "meeting@meet.example", "", "2024/02/29");
    let contact_id = career.import("eight-csv", eight(&[&card]).as_bytes()).await.ids().remove(0);
    let event = |uid: &str, extra: &str| {
        format!(
            "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART;TZID=Asia/Tokyo:20261001T100000\r\nDTEND;TZID=Asia/Tokyo:20261001T110000\r\nSUMMARY:{CANARY}\r\n\
             ORGANIZER:mailto:sales@persol-career.example\r\nATTENDEE;CN=会議:mailto:Meeting@meet.example\r\nATTENDEE:mailto:other@meet.example\r\n\
             ATTENDEE:mailto:sales@persol-career.example\r\n{extra}END:VEVENT\r\n"
        )
    };
    let calendar = |events: &str| format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n");
    let text = calendar(&[event("m-1", ""), event("m-2", "CLASS:PRIVATE\r\n")].concat());
    let told = career.import("icalendar", text.as_bytes()).await;
    assert_eq!(told.said(), ["1 accepted", "1 accepted ~attendee:contact-unknown", "2 refused CLASS:private-event"]);
    let meetings = rig.lying(Kind::Meeting).await;
    assert_eq!(meetings.len(), 2);
    assert!(meetings.iter().any(|meeting| meeting.key == contact_id), "the attendee is the contact of the card");
    assert_eq!(career.import("icalendar", text.as_bytes()).await.totals(), (0, 2, 1));
    let cancelled = calendar(&event("m-1", "SEQUENCE:1\r\nSTATUS:CANCELLED\r\n"));
    assert_eq!(career.import("icalendar", cancelled.as_bytes()).await.totals(), (2, 0, 0));
    // What was sent before the cancellation does not bring the meeting back.
    let stale = career.import("icalendar", text.as_bytes()).await;
    assert!(stale.said()[0].ends_with("~reference:older-than-published"), "{:?}", stale.said());
    assert_eq!(rig.count(Kind::Meeting).await, 4);
}

/// A client that reads nothing of the answer before it has sent everything must not be waited for for ever.
async fn a_file_that_nobody_reads_the_answer_of(rig: &Rig, career: &Publisher) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = rig.stack.intake_url().replace("http://", "");
    let mut body = Vec::new();
    for (name, value) in [("format", "generic-csv".to_owned()), ("acquisition", acquisition().to_string())] {
        body.extend_from_slice(
            format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
        );
    }
    body.extend_from_slice(
        b"--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nreference,email\n",
    );
    // Refused rows have the longest answers: some 15 MB.
    for number in 0..60_000 {
        body.extend_from_slice(format!("r{number},not an address\n").as_bytes());
    }
    body.extend_from_slice(b"\r\n--xx--\r\n");
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=xx\r\nContent-Length: {}\r\n\r\n",
        career.token,
        body.len()
    );
    let sent = async {
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = tokio::time::timeout(DEADLINE, sent).await.expect("sender and receiver wait for each other");
    assert!(answer.contains("\"refused\":60000"), "{}", &answer[answer.len().saturating_sub(300)..]);
}

async fn nothing_planted_comes_out(rig: &mut Rig) {
    let metrics = rig.stack.metrics(Name::Intake).await.unwrap();
    assert!(metrics.contains("intake_rows_total") && metrics.contains("rule=\"email\""), "{metrics}");
    let log = std::fs::read_to_string(rig.stack.service(Name::Intake).unwrap().log()).unwrap();
    for text in [CANARY, "mihon.example", "broken.example", "見本", "太郎"] {
        assert!(!metrics.contains(text) && !log.contains(text), "{text}");
    }
    let openapi: Value =
        reqwest::get(format!("{}/openapi.json", rig.stack.intake_url())).await.unwrap().json().await.unwrap();
    assert!(openapi["paths"]["/v1/files"]["post"].is_object());
}

//! What the broker's own logs tell of all that was tried.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::hub_rig::{ALPHA, BETA, CONTACT, MEETING, Rig};

/// Of all that was tried, no refused request, name, id, pattern or API is in the broker's log of requests, and of the logins
/// only those that it was to judge are among those that it refused.
pub async fn nothing_reached_the_broker(rig: &Rig) {
    let log = std::fs::read_dir(rig.kafka.log(rig.kafka.node_ids()[0]).unwrap().parent().unwrap())
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect::<String>();
    // What was asked; an answer about "all topics" may name others, which the hub then hides.
    let by = |login: &str| -> Vec<&str> {
        let user = format!("User:{login}");
        log.lines().filter(|line| line.contains(&user)).filter_map(|line| line.split("\"response\":").next()).collect()
    };
    let asked = [by(ALPHA), by(BETA)].concat();
    let id = |bytes: [u8; 16]| URL_SAFE_NO_PAD.encode(bytes);
    // That names, ids and APIs stand there as they are looked for.
    for granted in [CONTACT, &id(rig.topic_id(CONTACT)), "\"FETCH\"", "\"CONSUMER_GROUP_DESCRIBE\""] {
        assert!(
            asked.iter().any(|line| line.contains(granted)),
            "{granted} is not in the request log: it proves nothing"
        );
    }
    let (meeting, nowhere) = (id(rig.topic_id(MEETING)), id([0xee; 16]));
    let refused = [
        MEETING,
        &meeting,
        &nowhere,
        "elsewhere",
        "other.main",
        "ju.beta.main",
        "\"subscribedTopicRegex\":\"",
        "CREATE_TOPICS",
        "\"PRODUCE\"",
        "DESCRIBE_CONFIGS",
    ];
    for line in asked {
        for refused in refused {
            assert!(!line.contains(refused), "{refused} reached the broker: {line}");
        }
    }
    // Who logs in has no name yet, and is in no log of requests; but each login that fails is a line of its own.
    let failed = |line: &&str| line.contains("Failed ") && line.contains("authentication with");
    let failed: Vec<&str> = log.lines().filter(failed).collect();
    assert_eq!(failed.len() as f64, rig.refusals("broker_refused_login").await, "{failed:#?}");
}

//! `hubctl` as operators run it, for people and with `--json`: what it decides is decided, what it shows is so. What other programs
//! of this folder do by `hubctl` (audit, disclosures, restrictions, erasures, keys) is left to them.

mod authority_rig;

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use authority_rig::{DEADLINE, Rig, grant};
use bus::admin::{Acl, AclFilter, Controller, Operation, Pattern, ResourceType};
use contract::schema_text;
use jointuse::{CorporateNumber, Kind};
use serde_json::{Value, json};
use testkit::{
    paths,
    stack::{Name, Stack},
    wait::until,
};

/// An operator at a shell.
struct Shell {
    url: String,
    session: PathBuf,
}

impl Shell {
    fn sign_in(rig: &Rig, name: &str) -> Self {
        let directory = rig.stack.directory();
        let shell = Self { url: rig.stack.authority_url(), session: directory.join(format!("{name}-session.json")) };
        let password = directory.join(format!("secrets/operator-{name}")).display().to_string();
        let said = shell.says(&["sign-in", "--operator", name, "--password-file", &password]);
        assert!(said.contains(name) && said.contains("privacy-officer"), "{said}");
        shell
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(paths::binary("hubctl").unwrap());
        command.args(args).env("AUTHORITY_URL", &self.url).env("HUBCTL_SESSION", &self.session).output().unwrap()
    }

    /// What it prints for people.
    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "hubctl {}: {}", args.join(" "), told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it prints for machines.
    fn json(&self, args: &[&str]) -> Value {
        let said = self.says(&[args, &["--json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("hubctl {}: {said}", args.join(" ")))
    }

    /// Why it failed.
    fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "hubctl {}: {}", args.join(" "), told(&output));
        told(&output)
    }
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_type() {
    // The cluster is compared at the start and at decisions only: what is changed by hand stays until somebody applies.
    let builder = Stack::builder().policy_validity(20, 2);
    let rig = Rig::start(builder.env(Name::Authority, "AUTHORITY__CLUSTER__INTERVAL_SECONDS", "3600")).await;
    let (first, second) = (Shell::sign_in(&rig, "first"), Shell::sign_in(&rig, "second"));
    the_cluster(&rig, &first).await;
    companies(&rig, &first, &second).await;
    grants(&rig, &first, &second, "publication").await;
    grants(&rig, &first, &second, "subscription").await;
    credentials(&rig, &first, &second).await;
    schemas(&rig, &first).await;
    a_long_list(&rig, &first).await;
    companies_leave(&rig, &first).await;
    what_is_shown(&rig, &first, &second).await;
}

async fn the_cluster(rig: &Rig, first: &Shell) {
    until("a cluster as approved", DEADLINE, async || {
        (first.json(&["cluster", "plan"])["changes"] == json!([])).then_some(())
    })
    .await
    .unwrap();
    assert!(first.says(&["cluster", "plan"]).contains("the cluster is as approved; nothing to do"));
    let admin = Controller::new(&Rig::kafka(&rig.stack), "test", Duration::from_secs(10)).unwrap();
    let has = async |acl: &Acl| admin.acls(&AclFilter::default()).await.unwrap().contains(acl);
    let by_hand = Acl::allow("somebody", Operation::Read, ResourceType::Topic, Pattern::Literal, "jointuse.contact");
    admin.create_acls(std::slice::from_ref(&by_hand)).await.unwrap();
    until("the ACL", DEADLINE, async || has(&by_hand).await.then_some(())).await.unwrap();

    let change =
        json!({ "change": "delete", "resource": "acl", "name": "User:somebody", "detail": by_hand.to_string() });
    assert_eq!(first.json(&["cluster", "plan"]), json!({ "changes": [change] }));
    let said = first.says(&["cluster", "plan"]);
    assert!(said.contains("- delete") && said.contains("somebody"), "{said}");
    let said = first.fails(&["cluster", "apply"]);
    assert!(said.contains("- delete") && said.contains("give --yes"), "{said}");
    assert!(has(&by_hand).await, "neither a plan nor an unconfirmed apply changes anything");

    assert_eq!(first.json(&["cluster", "apply", "--yes"]), json!({ "done": [change], "failed": [] }));
    assert!(!has(&by_hand).await);
    let said = first.says(&["cluster", "apply", "--yes"]);
    assert!(said.contains("nothing to do"), "{said}");
    assert_eq!(first.json(&["cluster", "drift"])[0]["applied"]["done"], json!([change]));
    let said = first.says(&["cluster", "drift"]);
    assert!(said.contains("mended") && said.contains("somebody"), "{said}");
    let activity = first.json(&["activity", "--limit", "1"]);
    assert_eq!(
        (&activity[0]["action"], &activity[0]["subject"]),
        (&json!("cluster.apply"), &json!("1 done, 0 failed"))
    );
}

/// Where a company stands, as the authority says.
async fn membership(rig: &Rig, company: &str) -> Value {
    rig.first.get::<Value>(&format!("/v1/companies/{company}")).await.unwrap()["membership"].clone()
}

async fn companies(rig: &Rig, first: &Shell, second: &Shell) {
    let evidence = rig.stack.directory().join("page.pdf");
    std::fs::write(&evidence, b"%PDF").unwrap();
    let evidence = evidence.display().to_string();
    for (id, base) in [("alpha", 1), ("beta", 2)] {
        let number = CorporateNumber::from_base(base).to_string();
        let said = first.says(&["company", "register", id, "--number", &number, "--name-ja", "甲", "--name-en", "A"]);
        assert!(said.contains(id) && said.contains(&number), "{said}");
        let drafted = first.json(&["notice", "draft", id, "--url", "https://member.example/joint-use"]);
        assert_eq!((&drafted["state"], &drafted["version"]), (&json!("drafted"), &json!(1)));
        first.says(&["notice", "evidence", id, "1", &evidence]);
        first.says(&["notice", "notify", id, "1"]);
        first.says(&["notice", "publish", id, "1"]);
        first.says(&["notice", "check", id, "1"]);
    }
    assert!(first.fails(&["notice", "activate", "alpha", "1"]).contains("another operator"));
    second.says(&["notice", "activate", "alpha", "1"]);
    assert_eq!(membership(rig, "alpha").await, "active");

    assert!(first.says(&["notice", "withdraw", "beta", "1", "--reason", "a wrong page"]).contains("withdrawn"));
    assert_eq!(first.json(&["notice", "list", "beta"])[0]["state"], "withdrawn");
    assert_eq!(membership(rig, "beta").await, "none");

    let suspended = first.json(&["company", "suspend", "alpha", "--reason", "under review"]);
    assert_eq!((&suspended["membership"], membership(rig, "alpha").await), (&json!("suspended"), json!("suspended")));
    assert!(first.says(&["company", "resume", "alpha"]).contains("active"));
    assert_eq!(membership(rig, "alpha").await, "active");
    let said = first.says(&["company", "list"]);
    assert!(said.contains("alpha") && said.contains("active") && said.contains("beta"), "{said}");
}

/// All verbs on grants of a kind. One that stands is left, called `one`.
async fn grants(rig: &Rig, first: &Shell, second: &Shell, kind: &str) {
    let state = async |id: &str| {
        rig.first.get::<Value>(&format!("/v1/{kind}s/{id}")).await.unwrap()["state"].as_str().unwrap().to_owned()
    };
    for id in ["one", "two", "three"] {
        let asked = first.json(&[kind, "request", id, "--company", "alpha", "--item", "person.name"]);
        assert_eq!((&asked["state"], &asked["items"]), (&json!("requested"), &json!(["person.name"])));
    }
    assert!(first.fails(&[kind, "approve", "one"]).contains("another operator"));
    for id in ["one", "three"] {
        assert!(second.says(&[kind, "approve", id]).contains("approved"));
    }
    let declined = second.json(&[kind, "decline", "two", "--reason", "no need shown"]);
    assert_eq!((&declined["state"], &declined["reason"]), (&json!("declined"), &json!("no need shown")));
    assert!(first.says(&[kind, "suspend", "one", "--reason", "under review"]).contains("suspended"));
    assert_eq!(state("one").await, "suspended");
    assert_eq!(second.json(&[kind, "resume", "one"])["state"], "approved");
    assert!(first.says(&[kind, "revoke", "three", "--reason", "contract ended"]).contains("revoked"));
    let states = [state("one").await, state("two").await, state("three").await];
    assert_eq!(states, ["approved", "declined", "revoked"]);

    let said = first.says(&[kind, "list"]);
    let listed = first.json(&[kind, "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 3);
    for one in listed.as_array().unwrap() {
        let line = said.lines().find(|line| line.contains(one["id"].as_str().unwrap()));
        assert!(line.is_some_and(|line| line.contains(one["state"].as_str().unwrap())), "{said}");
    }
    assert_eq!(first.json(&[kind, "show", "one"]), listed[0]);
    assert!(first.fails(&[kind, "show", "nothing"]).contains("404"));
}

async fn credentials(rig: &Rig, first: &Shell, second: &Shell) {
    let folder = rig.stack.directory().join("clients");
    let (out, secret) = (folder.display().to_string(), rig.stack.directory().join("one.secret"));
    let secret_file = secret.display().to_string();
    let live = async |login: &str| {
        let all: Value = rig.first.get("/v1/credentials").await.unwrap();
        let found = all.as_array().unwrap().iter().find(|one| one["login"] == login);
        found.unwrap_or_else(|| panic!("{login}: {all}"))["live"].clone()
    };
    let issue = ["credential", "issue", "subscription", "one", "--secret-file", &secret_file, "--out", &out];
    let said = first.says(&issue);
    assert!(said.contains("ju-sub-one-1") && said.contains("one.properties"), "{said}");
    let old = std::fs::read_to_string(&secret).unwrap();
    assert!(!said.contains(&old), "what is in a file is not shown");
    let explain = ["policy", "explain", "--login", "ju-sub-one-1", "--topic", "jointuse.contact"];
    assert!(first.says(&explain).contains("allowed"));

    let rotated = second.json(&["credential", "rotate", "ju-sub-one-1", "--secret-file", &secret_file, "--out", &out]);
    assert_eq!((&rotated["login"], &rotated["secret"]), (&json!("ju-sub-one-2"), &json!("")));
    let new = std::fs::read_to_string(&secret).unwrap();
    assert_ne!(old, new);
    assert!(std::fs::read_to_string(folder.join("one.properties")).unwrap().contains(&new));
    assert_eq!((live("ju-sub-one-1").await, live("ju-sub-one-2").await), (json!(false), json!(true)));
    assert!(first.says(&explain).contains("REFUSED"));

    by_its_own_credential(rig, &folder, &secret_file, &new);
    let said = second.says(&["credential", "revoke", "ju-sub-one-2", "--reason", "lost"]);
    assert!(said.contains("ju-sub-one-2 is revoked"), "{said}");
    assert_eq!(live("ju-sub-one-2").await, false);
    let said = first.says(&["credential", "list"]);
    assert_eq!(
        said.lines().filter(|line| line.contains("ju-sub-one-") && line.contains("revoked")).count(),
        2,
        "{said}"
    );
    assert!(first.fails(&["credential", "revoke", "ju-sub-one-2", "--reason", "again"]).contains("409"));
}

/// A subscriber needs no operator's session for its client configuration.
fn by_its_own_credential(rig: &Rig, folder: &std::path::Path, secret_file: &str, secret: &str) {
    let company = Shell { url: rig.stack.authority_url(), session: folder.join("no-session.json") };
    let own = folder.join("own");
    let out = own.display().to_string();
    assert!(company.fails(&["client-config", "one", "--out", &out]).contains("not signed in"));
    let with = ["--login", "ju-sub-one-2", "--secret-file", secret_file, "--out", &out];
    let config = company.json(&[&["client-config", "one"][..], &with].concat());
    assert_eq!(config["login"], "ju-sub-one-2");
    assert!(std::fs::read_to_string(own.join("one.librdkafka.conf")).unwrap().contains(secret));
    assert!(company.fails(&[&["client-config", "two"][..], &with].concat()).contains("403"));
}

async fn schemas(rig: &Rig, first: &Shell) {
    let subject = "jointuse.contact-value";
    let file = |name: &str, schema: &Value| {
        let path = rig.stack.directory().join(name);
        std::fs::write(&path, schema.to_string()).unwrap();
        path.display().to_string()
    };
    let listed = first.json(&["schema", "list"]);
    let newest = |listed: &Value| {
        let contacts = listed.as_array().unwrap().iter().find(|one| one["subject"] == subject);
        contacts.unwrap()["version"].as_u64().unwrap()
    };
    assert_eq!(newest(&listed), 1);
    let said = first.says(&["schema", "list"]);
    assert!(listed.as_array().unwrap().iter().all(|one| said.contains(one["subject"].as_str().unwrap())), "{said}");
    let shown = first.json(&["schema", "show", subject]);
    assert_eq!(shown, serde_json::from_str::<Value>(schema_text(Kind::Contact)).unwrap());

    let with = |field: Value| {
        let mut schema = shown.clone();
        schema["fields"].as_array_mut().unwrap().push(field);
        schema
    };
    let item =
        json!({ "name": "second_title", "item": "organisation.title", "type": ["null", "string"], "default": null });
    let (mut required, mut outside) = (item.clone(), item.clone());
    required.as_object_mut().unwrap().remove("default");
    outside["item"] = json!("person.religion");
    let (good, broken) = (file("good.avsc", &with(item)), file("broken.avsc", &with(required)));
    assert!(first.says(&["schema", "check", subject, &good]).contains("true"));
    assert_eq!(first.json(&["schema", "check", subject, &good])["is_compatible"], true);
    let said = first.fails(&["schema", "check", subject, &broken]);
    assert!(said.contains("false") && said.contains("cannot follow the newest one"), "{said}");
    assert_eq!(newest(&first.json(&["schema", "list"])), 1, "checking changes nothing");
    let said = first.fails(&["schema", "register", subject, &file("outside.avsc", &with(outside))]);
    assert!(said.contains("422") && said.contains("person.religion"), "{said}");
    let said = first.says(&["schema", "register", subject, &good]);
    assert!(said.contains("is registered with id"), "{said}");
    assert_eq!(newest(&first.json(&["schema", "list"])), 2);
    let latest: Value = rig.first.get(&format!("/registry/subjects/{subject}/versions/latest")).await.unwrap();
    assert!(said.trim().ends_with(&latest["id"].to_string()), "{said}");
    assert_eq!(first.json(&["schema", "register", subject, &good])["id"], latest["id"], "the same again is the same");
}

/// As many restrictions as go into one call; the log commits to each by itself.
async fn a_long_list(rig: &Rig, first: &Shell) {
    let file = rig.stack.directory().join("opted-out.txt");
    let contacts: Vec<String> = (0..5_000).map(|number| format!("{number:032x}")).collect();
    std::fs::write(&file, contacts.join("\n")).unwrap();
    let file = file.display().to_string();
    let import = ["restriction", "import", &file, "--measure", "mail", "--reason", "a list"];
    assert_eq!(first.json(&import), json!({ "contacts": 5000, "made": 5000 }));
    let committed = "SELECT count(*) FROM audit_opening WHERE cardinality(about) = 1";
    assert_eq!(rig.sql(committed).await.unwrap().trim(), "5000");
    let said = first.says(&import);
    assert!(said.contains("5000 contacts had theirs already"), "{said}");
    assert_eq!(rig.sql(committed).await.unwrap().trim(), "5000", "what is in force is not decided again");
}

async fn companies_leave(rig: &Rig, first: &Shell) {
    assert!(first.fails(&["company", "end", "alpha", "--reason", "merged"]).contains("409"), "exit comes first");
    assert_eq!(first.json(&["company", "exit", "alpha", "--reason", "merged"])["membership"], "exiting");
    assert_eq!(membership(rig, "alpha").await, "exiting");
    assert!(first.says(&["company", "end", "alpha", "--reason", "merged"]).contains("ended"));
    assert_eq!(membership(rig, "alpha").await, "ended");
    let late = grant("alpha", "late");
    assert!(rig.first.post::<_, Value>("/v1/publications", &late).await.is_err());
}

async fn what_is_shown(rig: &Rig, first: &Shell, second: &Shell) {
    let policy: Value = rig.first.get("/v1/policy").await.unwrap();
    let (said, shown) = (first.says(&["policy", "show"]), first.json(&["policy", "show"]));
    let numbers = [&policy["number"], &shown["number"]].map(|number| number.as_u64().unwrap());
    assert!(numbers[0] > 1 && numbers[1] >= numbers[0], "{numbers:?}");
    assert!(said.contains("snapshot ") && said.contains(policy["rules"][0]["id"].as_str().unwrap()), "{said}");
    assert_eq!(shown["rules"], policy["rules"]);

    let activity = first.json(&["activity", "--limit", "2"]);
    let actions: Vec<_> = activity.as_array().unwrap().iter().map(|step| step["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["company.end", "company.exit"], "newest first");
    let said = first.says(&["activity"]);
    assert!(said.contains("restriction.add") && said.contains("merged"), "{said}");

    let who = second.json(&["whoami"]);
    assert_eq!((&who["operator"], &who["token"]), (&json!("second"), &json!("")));
    assert!(first.says(&["whoami"]).contains("first"));
    assert_eq!(second.json(&["sign-out"]), json!({ "signed_out": true }));
    assert!(second.fails(&["whoami"]).contains("not signed in"));
    assert!(first.says(&["sign-out"]).contains("signed out"));
    assert!(!first.session.exists() && first.fails(&["activity"]).contains("not signed in"));
}

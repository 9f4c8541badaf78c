//! Holds the dependency table of docs/ARCHITECTURE.md: arrows run one way, and what is called pure is pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, PackageId};

/// Which of our crates may name which others of ours (dev-dependencies apart). `*` stands for all libraries.
const TABLE: &[(&str, &[&str])] = &[
    ("jointuse", &[]),
    ("wire", &[]),
    ("secret", &[]),
    ("tls", &["secret"]),
    ("store", &["secret", "tls"]),
    ("runtime", &["secret", "tls"]),
    ("policy", &["jointuse"]),
    ("contract", &["jointuse"]),
    ("audit", &["jointuse"]),
    ("bus", &["jointuse", "secret", "tls", "wire"]),
    ("seal", &["jointuse", "secret", "store"]),
    ("restriction", &["jointuse"]),
    ("authority-api", &["jointuse", "policy", "restriction", "tls"]),
    ("policy-feed", &["jointuse", "authority-api", "bus", "runtime"]),
    ("disclosure-feed", &["jointuse", "audit", "bus", "store"]),
    ("testkit", &["*"]),
    ("authority", &["*"]),
    ("intake", &["*"]),
    ("hub", &["*"]),
    ("history", &["*"]),
    ("hubctl", &["*"]),
    ("local", &["*", "testkit"]),
    ("bench", &["*", "testkit"]),
    ("chaos", &["*", "testkit"]),
    ("tests", &["*", "testkit", "chaos"]),
];

const LIBRARIES: &[&str] = &[
    "jointuse",
    "policy",
    "contract",
    "audit",
    "wire",
    "secret",
    "tls",
    "bus",
    "store",
    "seal",
    "runtime",
    "restriction",
    "authority-api",
    "policy-feed",
    "disclosure-feed",
];

/// No I/O, no runtime, no database, no server: not even through others.
const PURE: &[&str] = &["jointuse", "policy", "contract", "audit", "wire", "restriction"];
const IMPURE: &[&str] = &["tokio", "rdkafka", "diesel", "axum", "reqwest", "hyper", "mio", "socket2", "r2d2"];

/// Crates that only one or a few of ours may name, so that a change of theirs touches one place.
const BEHIND: &[(&str, &[&str])] = &[
    ("cedar-policy", &["policy"]),
    ("kafka-protocol", &["wire"]),
    ("rdkafka", &["bus"]),
    ("r2d2", &["store"]),
    ("apache-avro", &["contract"]),
    ("opentelemetry-otlp", &["runtime"]),
    ("cryptoki", &["seal"]),
    ("rustls", &["tls"]),
    ("tokio-rustls", &["tls"]),
    ("rcgen", &["testkit"]),
    ("age", &["local"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .other_options(vec!["--locked".into(), format!("--filter-platform={}", host())])
        .exec()
        .expect("cargo metadata")
}

/// The platform that the tests run on: what other platforms would pull in is not what ships.
fn host() -> String {
    let version = std::process::Command::new("rustc").arg("-vV").output().expect("rustc -vV");
    let text = String::from_utf8(version.stdout).expect("text");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host line").to_owned()
}

/// Direct dependencies of every crate of ours, those of tests left out.
fn direct(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let named = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
            (package.name.to_string(), named.map(|d| d.name.clone()).collect())
        })
        .collect()
}

#[test]
fn arrows_run_one_way() {
    let direct = direct(&metadata());
    let ours: BTreeSet<&str> = direct.keys().map(String::as_str).collect();
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (krate, named) in &direct {
        let Some(allowed) = table.get(krate.as_str()) else {
            wrong.push(format!("{krate} is not in the table"));
            continue;
        };
        for other in named.iter().filter(|name| ours.contains(name.as_str())) {
            let library = allowed.contains(&"*") && LIBRARIES.contains(&other.as_str());
            if !library && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{krate} must not depend on {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for library in LIBRARIES {
        assert!(ours.contains(library), "the table names {library}, which does not exist");
    }
}

#[test]
fn pure_crates_reach_no_io() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let edges: BTreeMap<&PackageId, Vec<&PackageId>> = resolve
        .nodes
        .iter()
        .map(|node| {
            let normal = node.deps.iter().filter(|d| d.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal));
            (&node.id, normal.map(|d| &d.pkg).collect())
        })
        .collect();
    let name_of: BTreeMap<&PackageId, String> =
        metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages().into_iter().filter(|p| PURE.contains(&p.name.as_str())) {
        let mut seen = BTreeSet::from([&package.id]);
        let mut queue = VecDeque::from([&package.id]);
        while let Some(id) = queue.pop_front() {
            for next in edges.get(id).into_iter().flatten() {
                if seen.insert(next) {
                    queue.push_back(next);
                }
            }
        }
        assert!(seen.len() > 1, "{} resolves to nothing: the check would be blind", package.name);
        let reached = seen.iter().filter_map(|id| name_of.get(*id)).filter(|name| IMPURE.contains(&name.as_str()));
        wrong.extend(reached.map(|name| format!("{} reaches {name}", package.name)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn heavy_crates_stay_behind_one_of_ours() {
    let direct = direct(&metadata());
    let mut wrong = Vec::new();
    for (heavy, allowed) in BEHIND {
        let users: Vec<&String> = direct.iter().filter(|(_, named)| named.contains(*heavy)).map(|(k, _)| k).collect();
        assert!(!users.is_empty(), "nobody names {heavy}: the table is out of date");
        wrong.extend(
            users.iter().filter(|user| !allowed.contains(&user.as_str())).map(|u| format!("{u} names {heavy}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Two migrations of one version are one migration to the database: the second would never run.
#[test]
fn migrations_have_versions_of_their_own() {
    let root = testkit::paths::root();
    for owner in ["services/authority", "services/hub", "services/intake", "services/history", "libs/seal"] {
        let mut versions = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(root.join(owner).join("migrations")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let version = name.split('_').next().unwrap().replace('-', "");
            assert!(versions.insert(version), "{owner}: the version of {name} is taken");
        }
        assert!(!versions.is_empty(), "{owner}");
    }
}

//! The API's description is kept beside the code: a change of the API is a change of that file.

#[test]
fn the_description_is_the_one_that_is_published() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/history.openapi.json");
    let now = super::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, &now).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        published == now,
        "docs/api/history.openapi.json is not that of the code: UPDATE_GOLDEN=1 cargo test -p history"
    );
}

#[test]
fn nothing_personal_is_asked_for_in_urls() {
    let openapi = serde_json::to_value(super::openapi()).unwrap();
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                let harmless = ["id", "kind", "from", "to", "limit", "cursor"].contains(&name);
                assert!(harmless, "{method} {path} has the parameter {name}");
            }
        }
    }
}

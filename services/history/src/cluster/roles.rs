//! Addresses of roles, not of people.

/// Roles whose name may stand beside a place or a brand: `info-tokyo@`, `shop.sales@`.
const ROLES: &[&str] = &[
    "account",
    "accounting",
    "admin",
    "billing",
    "contact",
    "customer",
    "eigyo",
    "eigyou",
    "generalaffairs",
    "gyomu",
    "hello",
    "help",
    "helpdesk",
    "info",
    "information",
    "inquiry",
    "jimu",
    "jimukyoku",
    "jinji",
    "jinzai",
    "keiri",
    "kikaku",
    "koho",
    "kouhou",
    "koubai",
    "kyujin",
    "madoguchi",
    "marketing",
    "noreply",
    "office",
    "order",
    "otoiawase",
    "postmaster",
    "press",
    "privacy",
    "reception",
    "recruit",
    "recruiting",
    "sales",
    "saiyo",
    "saiyou",
    "security",
    "service",
    "shop",
    "somu",
    "soumu",
    "support",
    "toiawase",
    "uketsuke",
    "webmaster",
];

/// Roles whose name is too short or too common to be looked for inside of an address.
const ROLES_ALONE: &[&str] = &[
    "abuse",
    "all",
    "company",
    "cs",
    "daihyo",
    "daihyou",
    "donotreply",
    "general",
    "ga",
    "group",
    "hr",
    "honsha",
    "honten",
    "hostmaster",
    "ir",
    "it",
    "mail",
    "main",
    "master",
    "members",
    "news",
    "newsletter",
    "no-reply",
    "pr",
    "root",
    "staff",
    "system",
    "team",
    "web",
];

/// Whether the part before the `@` (normalised) names a role: exactly, with a number (`info2`), a tag (`info+jp`) or
/// beside something else (`info-tokyo`, `osaka.sales`).
pub fn is_role(local: &str) -> bool {
    let untagged = local.split('+').next().unwrap_or(local);
    let bare = untagged.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_', '.']);
    if bare.is_empty() || ROLES_ALONE.contains(&bare) {
        return true;
    }
    let joined: String = bare.chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
    ROLES.contains(&joined.as_str()) || {
        let mut parts = bare.split(['-', '_', '.']).map(|part| part.trim_end_matches(|c: char| c.is_ascii_digit()));
        parts.any(|part| ROLES.contains(&part))
    }
}

#[cfg(test)]
mod tests {
    use super::is_role;

    #[test]
    fn roles_are_found_and_people_are_not() {
        for role in
            ["info", "info2", "info-tokyo", "osaka.sales", "info+jp", "general-affairs", "hr", "no-reply", "123"]
        {
            assert!(is_role(role), "{role}");
        }
        for person in ["taro.mihon", "hr.tanaka", "mihon", "pr-suzuki", "t-infoya", "webster", "salesman.k"] {
            assert!(!is_role(person), "{person}");
        }
    }
}

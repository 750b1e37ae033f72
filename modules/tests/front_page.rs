//! What the first page of the documentation says must be so.

/// The features that a user can choose, from the package's own file.
fn features() -> Vec<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let (_, features) = text.split_once("[features]").unwrap();
    let (features, _) = features.split_once("\n[").unwrap();
    features
        .lines()
        .filter_map(|line| line.split_once(" = [")?.0.split_whitespace().next())
        .filter(|name| *name != "default" && !name.starts_with(['_', '#', '"']))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_feature_is_on_the_first_page() {
    let page = include_str!("../src/lib.rs");
    let (_, tables) = page.split_once("//! # Which one").unwrap();
    let (tables, _) = tables.split_once("//! # Rooms").unwrap();
    let features = features();
    assert!(features.len() >= 9, "{features:?}");
    for feature in features {
        assert!(tables.contains(&format!("`{feature}`")), "`{feature}` is missing");
    }
}

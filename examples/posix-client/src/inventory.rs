//! What the device tells of itself: attributes from arguments, and from the programs that the Linux client's inventory is made of.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use log::warn;

use crate::lines::{self, Attribute};
use crate::script::{self, SCRIPT_TIME};

const PREFIX: &str = "mender-inventory-";

/// All attributes of a report but those that the library adds. What a program does wrong is logged, and its part left out.
pub async fn collect(given: &[Attribute], directory: Option<&Path>) -> Vec<Attribute> {
    let mut all = given.to_vec();
    let Some(directory) = directory else {
        return all;
    };
    let programs = programs(directory).unwrap_or_else(|error| {
        warn!("inventory: {}: {error}", directory.display());
        Vec::new()
    });
    // All at once: one that hangs keeps nobody waiting but the report.
    let running: Vec<_> = programs
        .into_iter()
        .map(|program| {
            tokio::spawn(async move {
                let text = script::output(&program, SCRIPT_TIME).await?;
                lines::parse(&text).map_err(|error| format!("{}: {error}", program.display()))
            })
        })
        .collect();
    for program in running {
        match program.await {
            Ok(Ok(attributes)) => merge(&mut all, attributes),
            Ok(Err(error)) => warn!("inventory: {error}"),
            Err(error) => warn!("inventory: {error}"),
        }
    }
    all
}

fn merge(all: &mut Vec<Attribute>, more: Vec<Attribute>) {
    for attribute in more {
        for value in attribute.values {
            lines::add(all, attribute.key.clone(), value);
        }
    }
}

/// The programs of a directory, by name.
fn programs(directory: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_named = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(PREFIX));
        // Through links, which is how packages choose among them.
        let is_program =
            fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0);
        if is_named && is_program {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_key_come_together() {
        let attribute = |key: &str, values: &[&str]| Attribute {
            key: key.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        };
        let mut all = vec![attribute("a", &["1"]), attribute("b", &["2"])];
        merge(&mut all, vec![attribute("a", &["3", "4"]), attribute("c", &["5"])]);
        assert_eq!(
            all,
            vec![
                attribute("a", &["1", "3", "4"]),
                attribute("b", &["2"]),
                attribute("c", &["5"])
            ]
        );
    }
}

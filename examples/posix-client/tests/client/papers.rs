//! What is beside the program: man page, systemd unit, Debian package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mender_posix_client::cli::Arguments;
use mender_posix_client::conf;

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The files of the program know each other as the table in `lib.rs` says, and no two of them each other.
#[test]
fn the_table_of_the_files_is_right() {
    let lib = fs::read_to_string(here("src/lib.rs")).unwrap();
    let mut above: Vec<&str> = Vec::new();
    for row in lib.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        let [name, _, knows] = cells[..] else { panic!("{row}") };
        let name = name.trim_end_matches(".rs`");
        let text = fs::read_to_string(here(&format!("src/{name}.rs"))).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let mut known: Vec<&str> = Vec::new();
        for (at, _) in code.match_indices("crate::") {
            let path = &code[at + "crate::".len()..];
            match path.strip_prefix('{') {
                Some(several) => {
                    let names = several.split('}').next().unwrap().split(',');
                    known.extend(names.map(str::trim).filter(|name| !name.is_empty()));
                }
                None => known.extend(path.split(|c: char| !c.is_ascii_lowercase()).next()),
            }
        }
        known.sort_unstable();
        known.dedup();
        for other in &known {
            assert!(above.contains(other), "{name} knows {other}, which is not above it");
        }
        let said: Vec<&str> = knows.split('`').skip(1).step_by(2).collect();
        assert!(
            said == known || knows == "those above",
            "{name} knows {known:?}, not {said:?}"
        );
        above.push(name);
    }
    let modules: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.split_once("mod "))
        .map(|(_, name)| name)
        .collect();
    assert_eq!(above.len(), modules.len(), "{above:?} {modules:?}");
}

/// The man page is made of what `--help` is made of. `MENDER_WRITE=1` writes it anew.
#[test]
fn the_man_page_is_that_of_the_options() {
    let mut page = Vec::new();
    clap_mangen::Man::new(tool_style::command::<Arguments>())
        .section("1")
        .manual("User Commands")
        .render(&mut page)
        .unwrap();
    let path = here("man/mender-rs.1");
    if std::env::var_os("MENDER_WRITE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == String::from_utf8(page).unwrap(),
        "{} is out of date: MENDER_WRITE=1 cargo test -p mender-posix-client man_page",
        path.display()
    );
    // No option without a word about it.
    for argument in tool_style::command::<Arguments>().get_arguments() {
        assert!(argument.get_help().is_some(), "{}", argument.get_id());
    }
}

#[test]
fn the_package_has_what_it_says() {
    let manifest = fs::read_to_string(here("Cargo.toml")).unwrap();
    let metadata = manifest.split("[package.metadata.deb]").nth(1).unwrap();
    let assets = metadata
        .split("assets = [")
        .nth(1)
        .unwrap()
        .split("\n]")
        .next()
        .unwrap();
    let mut placed = Vec::new();
    for line in assets.lines().filter(|line| line.contains('[')) {
        let parts: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let [from, to, mode] = parts[..] else { panic!("{line}") };
        match from.strip_prefix("target/release/") {
            Some(binary) => assert!(manifest.contains(&format!("[[bin]]\nname = \"{binary}\"")), "{from}"),
            None => assert!(here(from).is_file(), "{from}"),
        }
        assert!(u32::from_str_radix(mode, 8).is_ok(), "{mode}");
        placed.push(format!("/{to}"));
    }
    let conf_files = metadata
        .split("conf-files = [")
        .nth(1)
        .unwrap()
        .split(']')
        .next()
        .unwrap();
    for file in conf_files.split('"').skip(1).step_by(2) {
        assert!(
            placed.iter().any(|place| place == file),
            "{file} is not among {placed:?}"
        );
    }
    let unit = fs::read_to_string(here("debian/mender-rs.service")).unwrap();
    for word in unit
        .lines()
        .filter_map(|line| line.strip_prefix("ExecStart="))
        .flat_map(|line| line.split(' '))
    {
        let is_placed = placed
            .iter()
            .any(|place| place == word || format!("{place}mender-rs") == word);
        assert!(
            !word.starts_with("/etc") && !word.starts_with("/usr/bin") || is_placed,
            "{word}"
        );
    }
}

#[test]
fn the_packages_configuration_is_one() {
    let text = fs::read_to_string(here("debian/mender.conf")).unwrap();
    let read = conf::parse(&text).unwrap();
    assert_eq!(read.ignored, Vec::<String>::new());
    assert_eq!(
        read.server_url.as_deref(),
        Some(mender_posix_client::settings::DEFAULT_SERVER)
    );
    assert_eq!(read.tenant_token, None);
}

/// systemd's own check, where it is installed; and that the options of the unit are the program's.
#[test]
fn the_unit_is_one() {
    let unit = fs::read_to_string(here("debian/mender-rs.service")).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    use clap::Parser as _;
    Arguments::try_parse_from(start.split(' ')).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mender-rs.service");
    // Here the program is elsewhere.
    fs::write(
        &path,
        unit.replace("/usr/bin/mender-rs", env!("CARGO_BIN_EXE_mender-rs")),
    )
    .unwrap();
    match Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
    {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let about_it: Vec<&str> = said.lines().filter(|line| line.contains("mender-rs.service")).collect();
            assert_eq!(about_it, Vec::<&str>::new());
        }
        Err(error) => println!("skipped: systemd-analyze: {error}"),
    }
}

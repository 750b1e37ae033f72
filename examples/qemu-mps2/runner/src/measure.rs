//! The demo twice, with TLS and without, in a time that is counted in instructions; and what it took. Depends on `story`, `bench`.

use std::error::Error;

use crate::bench::{Bench, Setup};
use crate::images::{Bootloader, Image};
use crate::story;

/// For how long the executor may be kept, in microseconds: what README.md states, with TLS and without.
const STATED_MICROS: [u64; 2] = [400_000, 300_000];
/// The same while an image is received.
const STATED_RECEIVING_MICROS: [u64; 2] = [100_000, 20_000];

/// Plays and prints.
///
/// # Errors
///
/// As the demo's, and if the executor was kept for longer than is stated.
pub fn run() -> Result<(), Box<dyn Error>> {
    for tls in [true, false] {
        let setup = Setup {
            bootloader: Bootloader::EmbassyBoot,
            tls,
            measures: true,
            counts: true,
            quiet: true,
        };
        let bench = story::tell(&setup)?;
        print(&bench, tls);
        check(&bench, tls)?;
    }
    Ok(())
}

/// Whether the executor was kept for no longer than is stated, in each phase.
fn check(bench: &Bench, tls: bool) -> Result<(), String> {
    const RECEIVE: &str = "phase receive";
    let worst = &bench.watch.worst;
    if !worst.contains_key(RECEIVE) {
        return Err(format!("the board has told nothing of {RECEIVE}"));
    }
    for (of, figures) in worst.iter().filter(|(of, _)| of.starts_with("phase ")) {
        let [with_tls, without] = if of == RECEIVE {
            STATED_RECEIVING_MICROS
        } else {
            STATED_MICROS
        };
        let stated = if tls { with_tls } else { without };
        let longest = *figures
            .get("longest")
            .ok_or_else(|| format!("{of}: the board does not tell for how long the executor was kept"))?;
        if longest > stated {
            return Err(format!(
                "{of}: the executor was kept for {longest} us, stated are {stated}"
            ));
        }
    }
    Ok(())
}

fn print(bench: &Bench, tls: bool) {
    let worst = |of: &str, figure: &str| {
        bench
            .watch
            .worst
            .get(of)
            .and_then(|figures| figures.get(figure))
            .copied()
    };
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let millis = |value: Option<u64>| {
        value.map_or_else(
            || "-".to_owned(),
            |value| format!("{}.{:01}", value / 1000, value % 1000 / 100),
        )
    };
    let line = |text: String| bench.terminal.line(text);
    let name = if tls { "TLS 1.3" } else { "plain HTTP" };
    line(format!(
        "\n## {name}\n\n| program | text | data | bss | deepest stack |\n|---|---|---|---|---|"
    ));
    let size = |what: &str, image: &Image, stack: Option<u64>| {
        let Image { text, data, bss, .. } = image;
        line(format!("| {what} | {text} | {data} | {bss} | {} |", number(stack)));
    };
    size("bootloader", &bench.images.bootloader, worst("bootloader", "stack"));
    let stack = bench
        .watch
        .worst
        .iter()
        .filter(|(of, _)| of.starts_with("phase"))
        .filter_map(|(_, f)| f.get("stack"));
    size("firmware", &bench.images.releases[1], stack.max().copied());

    line("\n| what | milliseconds |\n|---|---|".to_owned());
    for (what, of) in [
        ("connecting to the server, worst", "connected server"),
        ("connecting to the artifact's host, worst", "connected artifact-host"),
        ("download of an image", "phase receive"),
        ("swap of the images, from reset to jump", "bootloader"),
        ("SHA-256 of 64 KiB of flash", "took hash"),
        ("a signature", "took sign"),
        ("verifying one", "took verify"),
    ] {
        line(format!("| {what} | {} |", millis(worst(of, "micros"))));
    }

    line("\n| phase | latest beat, ms | longest round of the executor, ms |\n|---|---|---|".to_owned());
    for (of, figures) in &bench.watch.worst {
        if let Some(phase) = of.strip_prefix("phase ") {
            let figure = |name| millis(figures.get(name).copied());
            line(format!("| {phase} | {} | {} |", figure("late"), figure("longest")));
        }
    }
}

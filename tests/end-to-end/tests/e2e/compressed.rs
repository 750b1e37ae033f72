//! Artifacts compressed with gzip: unpacked as they come, whatever the connection does; refused by name where there is no window.

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{DeploymentId, Effect, Ending, Fault, Mode, Status};

use crate::support::{Bench, DAY, DEVICE_TYPE, Ended, HOUR, Site, Sizes, small_file};

/// What can be packed only with a window that is longer than 4096 bytes: a part is there twice.
fn content() -> Vec<u8> {
    let numbers: Vec<u8> = (0..3000_u16)
        .flat_map(|at| [0x80 | (at >> 7) as u8, (at & 0x7f) as u8])
        .collect();
    [&numbers[..], &numbers[..500], &small_file(40_000)].concat()
}

fn release() -> ArtifactWriter {
    ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("app")
        .file("app.bin", &content())
        .file("more.bin", &small_file(3000))
}

fn deployed(sizes: Sizes) -> (Bench, DeploymentId) {
    let mut bench = Bench::accepted(Mode::Oss);
    bench.sizes = sizes;
    let deployment = bench.deploy(release().gzip().write());
    (bench, deployment)
}

fn assert_installed(bench: &Bench, deployment: &DeploymentId, what: &str) {
    assert_eq!(bench.status(deployment), Some(Status::Success), "{what}");
    let expected = [
        ("app.bin".to_owned(), content()),
        ("more.bin".to_owned(), small_file(3000)),
    ];
    assert!(bench.script().files == expected, "{what}: other files");
    bench.assert_clean();
}

#[test]
fn a_compressed_artifact_is_installed() {
    let (mut bench, deployment) = deployed(Sizes::Window32768);
    bench.run_to_end();
    assert_installed(&bench, &deployment, "whole");
    assert!(release().gzip().write().len() < release().write().len());
}

#[test]
fn a_broken_connection_is_resumed_in_the_compressed_bytes() {
    let len = release().gzip().write().len();
    for cut in (0..len).step_by(97).chain([len - 1025, len - 1]) {
        let (mut bench, deployment) = deployed(Sizes::Window32768);
        let ending = if cut % 2 == 0 { Ending::Close } else { Ending::Reset };
        bench.inject(Fault::new(Effect::CutBody { len: cut, ending }).on_downloads());
        bench.run_to_end();
        assert_installed(&bench, &deployment, &format!("cut after {cut}"));
        let ranges: Vec<_> = bench.downloads().into_iter().map(|request| request.range).collect();
        let rest = (cut > 0).then(|| format!("bytes={cut}-"));
        assert_eq!(ranges, [None, rest], "cut after {cut}");
    }
}

#[test]
fn a_connection_that_breaks_all_the_time_gets_there() {
    let (mut bench, deployment) = deployed(Sizes::Window32768);
    let cut = Effect::CutBody {
        len: 700,
        ending: Ending::Reset,
    };
    bench.inject(Fault::new(cut).on_downloads().always());
    assert_eq!(bench.run(DAY, Site::over), Ended::Reached);
    assert_installed(&bench, &deployment, "700 bytes each");
}

#[test]
fn without_a_window_it_is_refused_by_name() {
    let (mut bench, deployment) = deployed(Sizes::Usual);
    assert_eq!(bench.run(HOUR, Site::over), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
    let log = bench.log(&deployment);
    assert!(log.iter().any(|line| line.contains("gzip compression")), "{log:?}");
    assert!(bench.script().files.is_empty());
}

#[test]
fn a_window_that_is_too_short_is_named_with_the_length_it_takes() {
    let (mut bench, deployment) = deployed(Sizes::Window4096);
    assert_eq!(bench.run(HOUR, Site::over), Ended::Reached);
    assert_eq!(bench.status(&deployment), Some(Status::Failure));
    let log = bench.log(&deployment);
    let expected = "(WINDOW): 4096 allowed, 8192 needed";
    assert!(log.iter().any(|line| line.contains(expected)), "{log:?}");
}

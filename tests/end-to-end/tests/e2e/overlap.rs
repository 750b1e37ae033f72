//! Network and flash work at the same time: a download takes as long as the slower of the two.

use std::time::Duration;

use mender_testkit::artifact::ArtifactWriter;
use mender_testkit::server::{Mode, Status};

use crate::support::{Bench, DEVICE_TYPE, Ended, Flash, HOUR, Site, small_file};

const LEN: usize = 200_000;
/// The client's block, and a packet of these networks.
const BLOCK: usize = 512;

/// What a download took, and what its parts take alone.
struct Took {
    link: Duration,
    flash: Duration,
    total: Duration,
}

impl Took {
    /// How much longer than the slower of the two.
    fn factor(&self) -> f64 {
        self.total.as_secs_f64() / self.link.max(self.flash).as_secs_f64()
    }

    fn print(&self, what: &str) {
        println!(
            "{what:40} link {:7.3} s, flash {:7.3} s, total {:7.3} s: {:.3} of the slower one, {:.3} of both",
            self.link.as_secs_f64(),
            self.flash.as_secs_f64(),
            self.total.as_secs_f64(),
            self.factor(),
            self.total.as_secs_f64() / (self.link + self.flash).as_secs_f64(),
        );
    }
}

/// A download over a network with `pace` for each packet of `packet_len`, into a flash with these times.
fn download(pace: Duration, packet_len: usize, window: usize, write: Duration, erase: Duration) -> Took {
    let mut bench = Bench::accepted(Mode::Oss);
    let artifact = ArtifactWriter::new("release-2", DEVICE_TYPE)
        .payload_type("app")
        .file("app.bin", &small_file(LEN))
        .write();
    let packets = artifact.len().div_ceil(packet_len) as u32;
    let deployment = bench.deploy(artifact);
    let mut flash = Flash {
        clock: bench.clock.clone(),
        write,
        erase,
        written: 0,
    };
    let alone = flash.clone().time(LEN);
    flash.written = 0;
    bench.script().flash = Some(flash);
    bench.network.set_latency(Duration::from_millis(1));
    bench.network.set_packet_len(packet_len);
    bench.network.set_window(window);
    // From the artifact's request on.
    let began = std::cell::Cell::new(None);
    let ended = bench.run(HOUR, |site: &Site| {
        if began.get().is_none() && !site.downloads().is_empty() {
            began.set(Some(site.clock.elapsed()));
            site.network.set_pace(pace);
        }
        site.has_event("Entered(Install)")
    });
    assert_eq!(ended, Ended::Reached);
    let total = bench.clock.elapsed() - began.get().unwrap();
    bench.network.set_pace(Duration::ZERO);
    assert!(bench.script().files[0].1 == small_file(LEN));
    assert_eq!(bench.statuses(&deployment)[0], Status::Downloading);
    Took {
        link: pace * packets,
        flash: alone,
        total,
    }
}

const RATIOS: [f64; 7] = [4.0, 2.0, 1.1, 1.0, 0.9, 0.5, 0.25];

#[test]
fn a_download_takes_as_long_as_the_slower_of_network_and_flash() {
    // 512 bytes in 20 ms.
    let write = Duration::from_micros(40);
    for ratio in RATIOS {
        let pace = (write * BLOCK as u32).div_f64(ratio);
        let took = download(pace, BLOCK, 0, write, Duration::ZERO);
        took.print(&format!("link {ratio} times as fast"));
        assert!(took.factor() <= 1.1, "{ratio}");
    }
}

#[test]
fn a_flash_that_erases_in_bursts_is_filled_as_fast() {
    // A sector of 4 KiB: 45 ms to erase it, 8 ms to write it.
    let (erase, write) = (Duration::from_millis(45), Duration::from_micros(2));
    let sector = erase + write * 4096;
    // While a sector is erased, all that is to follow arrives only if somebody keeps it: the socket, up to its window. The
    // client itself has no more than its two blocks.
    for window in [0, 1460, 2920, 4096, 5840] {
        for ratio in RATIOS {
            let pace = (sector / 8).div_f64(ratio);
            let took = download(pace, BLOCK, window, write, erase);
            took.print(&format!("link {ratio} times as fast, window {window}"));
            let most = match window {
                4096.. => 1.1,
                2920.. => 1.15,
                1460.. => 1.5,
                _ => 1.75,
            };
            assert!(took.factor() <= most, "{ratio} {window}");
        }
    }
}

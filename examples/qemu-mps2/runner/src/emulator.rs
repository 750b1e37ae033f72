//! QEMU, and what the board says on its serial port. Depends on `factory`.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::factory::Flash;

const QEMU: &str = "qemu-system-arm";

/// Whether there is a QEMU; else what to do.
///
/// # Errors
///
/// What to install.
pub fn find() -> Result<(), String> {
    let found = Command::new(QEMU)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => Err(format!("{QEMU} is missing: on Debian 'apt-get install {QEMU}'")),
    }
}

/// A board that is switched on. Dropping it is a loss of power.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    lines: Receiver<String>,
}

impl Emulator {
    /// Switches the board on. Its time is that of this machine, or `counts` its instructions: 62.5 million of them are a second.
    ///
    /// # Errors
    ///
    /// QEMU cannot be started.
    pub fn start(flash: &Flash, bootloader: &Path, counts: bool) -> io::Result<Emulator> {
        let file = flash.path().display();
        let clock: &[&str] = if counts { &["-icount", "shift=4"] } else { &[] };
        let mut child = Command::new(QEMU)
            .args(clock)
            .args(["-M", "mps2-an386,memory-backend=flash", "-m", "16M"])
            .args([
                "-object",
                &format!("memory-backend-file,id=flash,share=on,size=16M,mem-path={file}"),
            ])
            .args(["-display", "none", "-monitor", "none", "-nic", "user"])
            // The console, and what plays a generator of random numbers.
            .args([
                "-serial",
                "stdio",
                "-chardev",
                "pipe,id=random,path=/dev/urandom",
                "-serial",
                "chardev:random",
            ])
            .arg("-kernel")
            .arg(bootloader)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(errors) = child.stderr.take() {
            thread::spawn(move || {
                // A frame for a board that is just being reset is lost, which is no news.
                let lines = BufReader::new(errors).lines().map_while(Result::ok);
                for line in lines.filter(|line| !line.contains("Slirp: Failed to send packet")) {
                    eprintln!("{line}");
                }
            });
        }
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            // A board that loses power stops in the middle of a line.
            while matches!(output.read_until(b'\n', &mut line), Ok(1..)) && line.pop() == Some(b'\n') {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        Ok(Emulator { child, lines })
    }

    /// The next line, if one comes in this time.
    ///
    /// # Errors
    ///
    /// QEMU has ended.
    pub fn line(&mut self, patience: Duration) -> Result<Option<String>, String> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err("QEMU has ended by itself".to_owned()),
        }
    }

    /// Power off, at once: SIGKILL. What the board has said before is still there to be read.
    pub fn cut(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.cut();
    }
}

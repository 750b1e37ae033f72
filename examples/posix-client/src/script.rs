//! Runs a program of the device's maker, with a time limit.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// How long an identity or inventory script may take. Those of the Linux client have no limit, and can hang it.
pub const SCRIPT_TIME: Duration = Duration::from_secs(10);

/// More output than this is none of a script's.
const OUTPUT_MAX_LEN: u64 = 1 << 20;

/// What a program prints. It is ended when it takes too long; its standard error is this process's.
///
/// # Errors
///
/// What went wrong, with the program's path.
pub async fn output(program: &Path, limit: Duration) -> Result<String, String> {
    let failed = |what: &dyn std::fmt::Display| format!("{}: {what}", program.display());
    let mut child = Command::new(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&format_args!("cannot be started: {error}")))?;
    let mut bytes = Vec::new();
    let run = async {
        if let Some(stdout) = child.stdout.take() {
            stdout.take(OUTPUT_MAX_LEN + 1).read_to_end(&mut bytes).await?;
        }
        child.wait().await
    };
    let status = tokio::time::timeout(limit, run)
        .await
        .map_err(|_| failed(&format_args!("took longer than {} s, and was ended", limit.as_secs())))?
        .map_err(|error| failed(&error))?;
    if bytes.len() as u64 > OUTPUT_MAX_LEN {
        return Err(failed(&"prints more than 1 MiB"));
    }
    if !status.success() {
        return Err(failed(&format_args!("failed: {status}")));
    }
    String::from_utf8(bytes).map_err(|_| failed(&"prints what is no UTF-8"))
}

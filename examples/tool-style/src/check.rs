//! Holds a tool to the style: for tests. A tool's test gives its name and its program (`env!("CARGO_BIN_EXE_NAME")`), and its own cases.

use std::process::{Command, Output, Stdio};

/// A tool.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// What it calls itself.
    pub name: &'static str,
    /// Where it is.
    pub program: &'static str,
}

/// The shells that there are completions for.
const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

impl Tool {
    fn start(&self, arguments: &[&str], stdout: Stdio) -> Output {
        Command::new(self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program))
    }

    fn prints(&self, arguments: &[&str]) -> String {
        let output = self.start(arguments, Stdio::piped());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert_eq!(said, "", "{arguments:?}");
        String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// What does not depend on what the tool is for: help, version, completions, a wrong flag.
    ///
    /// # Panics
    ///
    /// The tool does not keep to the style.
    pub fn has_the_style(&self) {
        let help = self.prints(&["--help"]);
        assert!(help.contains("Exit status:"), "{help}");
        for flag in ["--completions <SHELL>", "--version"] {
            assert!(help.contains(flag), "{flag}: {help}");
        }
        let version = self.prints(&["--version"]);
        assert_eq!(
            version.trim_end(),
            format!("{} {}", self.name, env!("CARGO_PKG_VERSION"))
        );
        for shell in SHELLS {
            let script = self.prints(&["--completions", shell]);
            assert_eq!(script, self.prints(&[&format!("--completions={shell}")]));
            assert!(script.contains(self.name), "{shell}: {script}");
            assert!(script.contains("completions"), "{shell}: {script}");
        }
        for wrong in [
            &["--no-such-flag"][..],
            &["--completions"],
            &["--completions", "cmd"],
            &["--completions", "bash", "more"],
        ] {
            self.fails(2, wrong, &["error: ", "--help"]);
        }
        self.cannot_print(&["--completions", "bash"]);
    }

    /// The tool fails with this status, and says all of these parts; in one line, unless what is wrong is the command line as such.
    ///
    /// # Panics
    ///
    /// It does not.
    pub fn fails(&self, status: i32, arguments: &[&str], parts: &[&str]) {
        let output = self.start(arguments, Stdio::piped());
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        self.said(&output, status, arguments, parts);
    }

    /// The tool says so if what it prints cannot be written.
    ///
    /// # Panics
    ///
    /// It does not.
    pub fn cannot_print(&self, arguments: &[&str]) {
        // A device without room, which Linux has.
        let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else {
            return;
        };
        let output = self.start(arguments, full.into());
        self.said(&output, 1, arguments, &["standard output: cannot be written: "]);
    }

    fn said(&self, output: &Output, status: i32, arguments: &[&str], parts: &[&str]) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{arguments:?}: `{part}` is not in: {said}");
        }
        let is_of_clap = status == 2 && said.starts_with("error: ");
        if !is_of_clap {
            assert!(said.starts_with(&format!("{}: ", self.name)), "{arguments:?}: {said}");
            assert!(
                said.ends_with('\n') && said.lines().count() == 1,
                "{arguments:?}: {said}"
            );
        }
    }
}

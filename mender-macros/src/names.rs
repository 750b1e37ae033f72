//! The names the attribute knows: its arguments and the states, and the nearest one to a name it does not know.

/// The ten states of a deployment in which a module is called, in the order of mender-mcu.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Download,
    Install,
    Reboot,
    VerifyReboot,
    Commit,
    Cleanup,
    Rollback,
    RollbackReboot,
    RollbackVerifyReboot,
    Failure,
}

impl State {
    pub const ALL: [State; 10] = [
        State::Download,
        State::Install,
        State::Reboot,
        State::VerifyReboot,
        State::Commit,
        State::Cleanup,
        State::Rollback,
        State::RollbackReboot,
        State::RollbackVerifyReboot,
        State::Failure,
    ];

    /// As written in `on(...)`.
    pub fn name(self) -> &'static str {
        match self {
            State::Download => "download",
            State::Install => "install",
            State::Reboot => "reboot",
            State::VerifyReboot => "verify_reboot",
            State::Commit => "commit",
            State::Cleanup => "cleanup",
            State::Rollback => "rollback",
            State::RollbackReboot => "rollback_reboot",
            State::RollbackVerifyReboot => "rollback_verify_reboot",
            State::Failure => "failure",
        }
    }

    /// The variant of `mender::update_module::CallbackState`; `download` has none, as it is a method of its own.
    pub fn variant(self) -> Option<&'static str> {
        match self {
            State::Download => None,
            State::Install => Some("Install"),
            State::Reboot => Some("Reboot"),
            State::VerifyReboot => Some("VerifyReboot"),
            State::Commit => Some("Commit"),
            State::Cleanup => Some("Cleanup"),
            State::Rollback => Some("Rollback"),
            State::RollbackReboot => Some("RollbackReboot"),
            State::RollbackVerifyReboot => Some("RollbackVerifyReboot"),
            State::Failure => Some("Failure"),
        }
    }

    /// Whether only modules with `requires_reboot` are called in it.
    pub fn needs_reboot(self) -> bool {
        match self {
            State::Reboot | State::VerifyReboot | State::RollbackReboot | State::RollbackVerifyReboot => true,
            State::Download | State::Install | State::Commit | State::Cleanup | State::Rollback | State::Failure => {
                false
            }
        }
    }

    /// Whether only modules with `supports_rollback` are called in it.
    pub fn needs_rollback(self) -> bool {
        match self {
            State::Rollback | State::RollbackReboot | State::RollbackVerifyReboot => true,
            State::Download
            | State::Install
            | State::Reboot
            | State::VerifyReboot
            | State::Commit
            | State::Cleanup
            | State::Failure => false,
        }
    }

    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    pub fn nearest(name: &str) -> Option<State> {
        nearest(name, State::ALL, State::name)
    }
}

/// The arguments of the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    ArtifactType,
    RequiresReboot,
    SupportsRollback,
    NoPayload,
    Crate,
    On,
}

impl Argument {
    pub const ALL: [Argument; 6] = [
        Argument::ArtifactType,
        Argument::RequiresReboot,
        Argument::SupportsRollback,
        Argument::NoPayload,
        Argument::Crate,
        Argument::On,
    ];

    /// As written in the attribute.
    pub fn name(self) -> &'static str {
        match self {
            Argument::ArtifactType => "artifact_type",
            Argument::RequiresReboot => "requires_reboot",
            Argument::SupportsRollback => "supports_rollback",
            Argument::NoPayload => "no_payload",
            Argument::Crate => "crate",
            Argument::On => "on",
        }
    }

    /// What to write, for messages.
    pub fn syntax(self) -> &'static str {
        match self {
            Argument::ArtifactType => "artifact_type = \"...\"",
            Argument::RequiresReboot => "requires_reboot",
            Argument::SupportsRollback => "supports_rollback",
            Argument::NoPayload => "no_payload",
            Argument::Crate => "crate = path::to::mender",
            Argument::On => "on(state = method, ...)",
        }
    }

    pub fn from_name(name: &str) -> Option<Argument> {
        Argument::ALL.into_iter().find(|argument| argument.name() == name)
    }

    pub fn nearest(name: &str) -> Option<Argument> {
        nearest(name, Argument::ALL, Argument::name)
    }
}

/// The names of all, as a list for a message.
pub fn list<T>(all: impl IntoIterator<Item = T>, name: fn(T) -> &'static str) -> String {
    let quoted: Vec<String> = all.into_iter().map(|one| format!("`{}`", name(one))).collect();
    quoted.join(", ")
}

/// The known name that was most probably meant: the same words in another order or case, with the prefix that Mender's
/// shell modules use (`ArtifactInstall`), or at most a third of the letters wrong.
fn nearest<T: Copy, const N: usize>(name: &str, all: [T; N], known: fn(T) -> &'static str) -> Option<T> {
    let name = snake_case(name);
    let bare = name.strip_prefix("artifact_").unwrap_or(&name);
    if let Some(same) = all
        .into_iter()
        .find(|one| words(known(*one)) == words(&name) || words(known(*one)) == words(bare))
    {
        return Some(same);
    }
    all.into_iter()
        .map(|one| (distance(&name, known(one)), one))
        .filter(|(distance, one)| distance * 3 <= known(*one).len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, one)| one)
}

fn words(name: &str) -> Vec<&str> {
    let mut words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    let mut after_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && after_lower {
            snake.push('_');
        }
        after_lower = c.is_lowercase();
        snake.extend(c.to_lowercase());
    }
    snake
}

/// Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

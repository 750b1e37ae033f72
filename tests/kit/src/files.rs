//! Files on the simulated board: what a small file system gives a module, with its power cuts.
//!
//! Depends on [`flash`](crate::flash) for the power supply only; the content is in memory.

use std::fmt;

use crate::flash::{FileContents, PowerSupply, SimFlash};

/// Files that survive a restart. Cloning gives another handle onto the same files.
///
/// They stand in for a file system such as littlefs, and for modules whose payload goes elsewhere than into flash. Each
/// change is one operation of the chip's power supply: power can be cut before, within and after it. What a cut
/// *within* leaves: of a [`write`](Files::write) the first part of the new content, of a [`rename`](Files::rename) or
/// [`remove`](Files::remove) all or nothing, as a journalling file system promises.
///
/// No call returns after the power was lost, and none fails otherwise.
#[derive(Clone, Debug)]
pub struct Files {
    power: PowerSupply,
}

/// There is no file of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound(pub String);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no file `{}`", self.0)
    }
}

impl std::error::Error for NotFound {}

/// Files of their own, beside no board, for calling a module's methods one by one: their power never fails.
impl Default for Files {
    fn default() -> Files {
        Files::new(SimFlash::<1, 1>::new(1).power_supply())
    }
}

impl Files {
    /// The files on this power supply.
    pub(crate) fn new(power: PowerSupply) -> Files {
        Files { power }
    }

    /// The same files on another power supply, apart from these from now on.
    pub(crate) fn fork(&self, power: PowerSupply) -> Files {
        power.set_files(self.content());
        Files { power }
    }

    fn content(&self) -> FileContents {
        self.power.files()
    }

    /// What is in a file, or `None` if there is none of that name.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.content().remove(name)
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.content().into_keys().collect()
    }

    /// Writes a file, in place of an earlier one of that name.
    pub async fn write(&self, name: &str, bytes: &[u8]) {
        self.change(|content, reached| {
            let len = bytes.len() * usize::from(reached) / usize::from(u8::MAX);
            content.insert(name.to_owned(), bytes[..len].to_vec());
        })
        .await;
    }

    /// Gives a file another name, in place of an earlier one of that name.
    ///
    /// # Errors
    ///
    /// [`NotFound`]: there is none of the old name.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), NotFound> {
        if self.read(from).is_none() {
            return Err(NotFound(from.to_owned()));
        }
        self.change(|content, reached| {
            if reached > u8::MAX / 2
                && let Some(bytes) = content.remove(from)
            {
                content.insert(to.to_owned(), bytes);
            }
        })
        .await;
        Ok(())
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// [`NotFound`]: there is none of this name.
    pub async fn remove(&self, name: &str) -> Result<(), NotFound> {
        if self.read(name).is_none() {
            return Err(NotFound(name.to_owned()));
        }
        self.change(|content, reached| {
            if reached > u8::MAX / 2 {
                content.remove(name);
            }
        })
        .await;
        Ok(())
    }

    /// One operation; the closure is told how far it gets, `u8::MAX` for all of it.
    async fn change(&self, change: impl Fn(&mut FileContents, u8)) {
        if !self.power.change_files(change) {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::flash::{CutAt, Operation, PowerCut, SimFlash};

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn each_change_is_an_operation_that_can_be_cut() {
        let chip = SimFlash::<4, 64>::new(1);
        let files = Files::new(chip.power_supply());
        assert_eq!(poll(files.write("a", b"first")), Poll::Ready(()));
        assert_eq!(poll(files.rename("b", "c")), Poll::Ready(Err(NotFound("b".into()))));
        assert_eq!(chip.operations(), 1);

        let cut = |at| chip.cut_power(PowerCut { operation: 1, at });
        cut(CutAt::Before);
        assert_eq!(poll(files.write("a", b"second")), Poll::Pending);
        assert_eq!(poll(files.remove("a")), Poll::Pending);
        assert_eq!(files.read("a").as_deref(), Some(&b"first"[..]));
        assert_eq!(chip.cut_operation(), Some(Operation::Other));

        chip.restore_power();
        cut(CutAt::After);
        assert_eq!(poll(files.rename("a", "b")), Poll::Pending);
        assert_eq!(files.names(), ["b"]);

        let mut remains = std::collections::BTreeSet::new();
        for seed in 0..50 {
            chip.restore_power();
            cut(CutAt::Within { seed });
            assert_eq!(poll(files.write("b", b"third")), Poll::Pending);
            remains.insert(files.read("b").expect("it is there, if perhaps empty"));
        }
        assert!(remains.len() > 3 && remains.iter().all(|some| b"third".starts_with(some)));
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let files = Files::new(SimFlash::<4, 64>::new(1).power_supply());
        assert_eq!(poll(files.write("a", b"1")), Poll::Ready(()));
        let fork = files.fork(SimFlash::<4, 64>::new(1).power_supply());
        assert_eq!(poll(fork.remove("a")), Poll::Ready(Ok(())));
        assert_eq!((files.names().len(), fork.names().len()), (1, 0));
    }
}

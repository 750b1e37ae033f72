use mender::update_module::{Failure, ModuleSet};

use super::*;
use CallbackState::{Cleanup, Commit, Failure as Failed, Install, Rollback};

/// A directory of the test's own, with the greeting `Hello`; removed at the end.
struct Device {
    directory: PathBuf,
    modules: (Greeting,),
}

impl Device {
    fn new(test: &str) -> Device {
        let directory = std::env::temp_dir().join(format!("custom-module-{test}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("temporary directory");
        let file = directory.join("greeting.txt");
        fs::write(&file, "Hello").expect("writable");
        Device {
            directory,
            modules: (Greeting { file },),
        }
    }

    fn deploy(&mut self, text: &str, states: &[CallbackState]) -> Result<(), Failure> {
        client::deploy(&mut self.modules, text, states)
    }

    fn call(&mut self, state: CallbackState) -> Result<(), Failure> {
        let module = <(Greeting,)>::find("greeting").expect("registered");
        pollster::block_on(self.modules.call(module, state))
    }

    fn greeting(&self) -> String {
        fs::read_to_string(&self.modules.0.file).expect("a greeting")
    }

    fn files(&self) -> usize {
        fs::read_dir(&self.directory).expect("directory").count()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn nothing_becomes_active_before_install() {
    let mut device = Device::new("download");
    assert_eq!(device.deploy("Good morning", &[]), Ok(()));
    assert_eq!(device.greeting(), "Hello");
}

#[test]
fn a_committed_greeting_stays_and_leaves_nothing_behind() {
    let mut device = Device::new("success");
    assert_eq!(device.deploy("Good morning", &[Install, Commit, Cleanup]), Ok(()));
    assert_eq!(device.greeting(), "Good morning");
    assert_eq!(device.files(), 1);
}

#[test]
fn a_rollback_brings_the_old_greeting_back_also_when_it_runs_again() {
    let mut device = Device::new("rollback");
    let states = [Install, Commit, Rollback, Rollback, Failed, Failed, Cleanup, Cleanup];
    assert_eq!(device.deploy("Go away", &states), Ok(()));
    assert_eq!(device.greeting(), "Hello");
    assert_eq!(device.files(), 1);
}

#[test]
fn an_install_that_fails_half_way_is_undone_in_failure() {
    let mut device = Device::new("half-way");
    // Nothing was downloaded: the second half of `install` fails, and `failure` follows without a rollback.
    assert!(device.call(Install).is_err());
    assert!(!device.modules.0.file.exists());
    assert_eq!(device.call(Failed), Ok(()));
    assert_eq!(device.greeting(), "Hello");
    assert_eq!(device.files(), 1);
}

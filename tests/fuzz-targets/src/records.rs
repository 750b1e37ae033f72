//! Records, whatever is in them: read, written again, and made into each other.

use mender::__fuzz as doors;
use mender::deployment::record::{DeploymentNumber, DeploymentRecord, InstalledRecord, StateRecord, stored};
use mender::deployment::{Machine, Traits};
use mender::provides::{Provides, ProvidesBuf, pattern_matches};

/// One record, read as each kind of them.
pub fn records(bytes: &[u8]) {
    let state = StateRecord::decode(bytes);
    if let Ok(state) = state {
        assert_eq!(state.encode(), bytes, "a state record has one form");
        let stored = stored(state.number, DeploymentNumber::new(0), Some(Ok(state)));
        for flags in 0..4 {
            let traits = Traits {
                requires_reboot: flags & 1 == 1,
                supports_rollback: flags & 2 == 2,
            };
            if let Some(machine) = Machine::resume(stored, traits, 28) {
                assert!(!format!("{:?} {:?}", machine.action(), machine.state()).is_empty());
            }
        }
    }
    if let Ok(installed) = InstalledRecord::decode(bytes) {
        again(bytes, |memory| installed.encode(memory).ok());
        list(installed.provides);
    }
    if let Ok(deployment) = DeploymentRecord::decode(bytes) {
        again(bytes, |memory| deployment.encode(memory).ok());
        list(deployment.provides);
        committed(bytes, &deployment);
    }
    mark(bytes);
    log(bytes);
}

/// What was read is written as it was, and not beyond the end of the memory.
fn again(bytes: &[u8], encode: impl Fn(&mut [u8]) -> Option<usize>) {
    let mut memory = vec![0xee; bytes.len() + 8];
    assert_eq!(encode(&mut memory), Some(bytes.len()));
    assert_eq!(&memory[..bytes.len()], bytes);
    for room in 0..bytes.len() {
        assert_eq!(encode(&mut memory[..room]), None, "there is no room");
    }
}

fn list(provides: Provides<'_>) {
    let mut memory = vec![0; provides.as_bytes().len()];
    let copy = ProvidesBuf::copy_of(provides, &mut memory).expect("there is room");
    assert_eq!(copy.as_provides(), provides);
    for (key, value) in provides {
        assert_eq!(provides.get(key), Some(value));
        assert!(pattern_matches(key, key) || key.contains('*'), "{key}");
    }
    let mut memory = vec![0; provides.as_bytes().len() + 64];
    let mut list = ProvidesBuf::copy_of(provides, &mut memory).expect("there is room");
    let keys: Vec<&str> = provides.iter().map(|(key, _)| key).collect();
    if let [first, .., last] = keys[..] {
        list.set(first, "another value").ok();
        list.clear(last);
        assert_eq!(list.as_provides().get(last), None, "it was cleared");
        Provides::from_bytes(list.as_provides().as_bytes()).expect("a list is one");
    }
}

fn committed(bytes: &[u8], deployment: &DeploymentRecord<'_>) {
    let mut memory = bytes.to_vec();
    memory.resize(bytes.len() + 4, 0xee);
    let len = doors::commit(&mut memory, bytes.len(), deployment.number).expect("it is one");
    let installed = InstalledRecord::decode(&memory[..len]).expect("it is one");
    assert_eq!(
        (installed.committed_by, installed.provides),
        (deployment.number, deployment.provides)
    );
    let mut memory = bytes.to_vec();
    assert_eq!(
        doors::commit(&mut memory, bytes.len(), deployment.number.next()),
        None,
        "it is another's"
    );
}

/// What is marked is an installed record, if it was one.
fn mark(bytes: &[u8]) {
    for more in [0, 8, 300] {
        let mut memory = bytes.to_vec();
        memory.resize(bytes.len() + more, 0xee);
        let number = DeploymentNumber::new(7);
        let Some(len) = doors::mark(&mut memory, bytes.len(), number) else {
            continue;
        };
        let marked = InstalledRecord::decode(&memory[..len]).expect("it is one");
        let name = marked.provides.artifact_name().unwrap_or_default();
        assert!(
            name.ends_with("_INCONSISTENT") && marked.committed_by == number,
            "{name}"
        );
        // Once more changes nothing.
        assert_eq!(doors::mark(&mut memory, len, number), Some(len));
    }
}

/// The bytes as the records of all slots, 40 bytes each.
fn log(bytes: &[u8]) {
    let records: Vec<&[u8]> = bytes.chunks(40).take(16).collect();
    let number = records
        .first()
        .and_then(|record| record.get(1..5))
        .and_then(|number| number.try_into().ok());
    let mut entries = 0;
    doors::log(
        DeploymentNumber::from_le_bytes(number.unwrap_or_default()),
        &records,
        |_, text| {
            entries += 1;
            assert!(text.len() <= 40);
        },
    );
    assert!(entries <= 16);
}

use core::marker::PhantomData;
use mender::update_module;
use mender::update_module::{Failure, ModuleSet, Payload};

trait Mode {
    const TYPE: &'static str;
    const REVERTS: bool;
    const REBOOTS: bool;
}

macro_rules! mode {
    ($name:ident, $type:literal, $reverts:literal, $reboots:literal) => {
        struct $name;

        impl Mode for $name {
            const TYPE: &'static str = $type;
            const REVERTS: bool = $reverts;
            const REBOOTS: bool = $reboots;
        }
    };
}

mode!(Test, "test", true, true);
mode!(Permanent, "permanent", false, true);
mode!(Direct, "direct", true, false);

// Complete whatever the mode says about rollbacks.
#[update_module(
    artifact_type = M::TYPE,
    requires_reboot,
    supports_rollback = M::REVERTS,
    on(download = write, reboot = act, verify_reboot = act)
)]
struct Forward<M: Mode>(PhantomData<M>);

impl<M: Mode> Forward<M> {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn act(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

#[update_module(
    artifact_type = M::TYPE,
    requires_reboot = M::REBOOTS && M::REVERTS,
    supports_rollback = M::REVERTS,
    on(download = write, rollback = act)
)]
struct Back<M: Mode>(PhantomData<M>);

impl<M: Mode> Back<M> {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn act(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {
    // The assertions look at the modes that are used, and only at those: `Forward<Test>` would be rejected.
    let descriptors = <(Forward<Permanent>, Back<Direct>)>::DESCRIPTORS;
    assert_eq!(descriptors[0].artifact_type, "permanent");
    assert!(descriptors[0].requires_reboot && !descriptors[0].supports_rollback);
    assert_eq!(descriptors[1].artifact_type, "direct");
    assert!(!descriptors[1].requires_reboot && descriptors[1].supports_rollback);
    let _ = PhantomData::<Test>;
}

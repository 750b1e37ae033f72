fn main() {
    use mender::update_module::{Failure, ModuleSet, Payload};

    const REBOOTS: bool = false;

    #[mender::update_module(artifact_type = "a", requires_reboot = REBOOTS, on(download = write))]
    struct Local;

    impl Local {
        async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
    }

    let _ = <(Local,)>::find("a");
}

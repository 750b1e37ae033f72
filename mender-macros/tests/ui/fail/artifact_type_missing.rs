use mender::update_module;

#[update_module(on(download = write))]
struct Module;

fn main() {
    // The stand-in keeps the module's use free of further errors.
    fn client(_: impl mender::update_module::ModuleSet) {}
    client((Module,));
}

use mender::update_module::ModuleSet;

fn client(_modules: impl ModuleSet) {}

fn main() {
    client(());
}

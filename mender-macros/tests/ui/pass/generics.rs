use core::fmt::Debug;
use mender::update_module;
use mender::update_module::{Failure, Payload};

#[update_module(artifact_type = "named", on(download = write))]
struct Named<'a, F: Debug + 'a, const N: usize = 4>
where
    F: Clone,
{
    field: &'a mut [F; N],
}

impl<'a, F: Debug + Clone, const N: usize> Named<'a, F, N> {
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        let _ = self.field.clone();
        Ok(())
    }
}

#[update_module(artifact_type = "tuple", on(download = write))]
struct Tuple<F: ?Sized, G = std::vec::IntoIter<Option<String>>>(G, Box<F>)
where
    F: Debug,
    G: Iterator<Item = Option<F::Owned>>,
    F: ToOwned;

impl<F: ?Sized, G> Tuple<F, G>
where
    F: Debug,
    G: Iterator<Item = Option<F::Owned>>,
    F: ToOwned,
{
    async fn write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {
    fn client(_: impl mender::update_module::ModuleSet) {}
    client((
        Named {
            field: &mut ["a", "b"],
        },
        Tuple::<str, _>([Some(String::new())].into_iter(), "".into()),
    ));
}

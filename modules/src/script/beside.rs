//! Two sets of modules as one.

use std::vec::Vec;

use mender::update_module::{CallbackState, Descriptor, Failure, Late, ModuleIndex, ModuleSet, Payload, Traits};

/// Two sets of modules as one, for example a tuple of modules and the programs of a folder. Where both have a module for a payload type,
/// the first set's is taken.
#[derive(Debug)]
pub struct Beside<A, B> {
    first: A,
    second: B,
    places: Vec<Place>,
    table: &'static [Descriptor],
}

/// Where a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First(ModuleIndex),
    Second(ModuleIndex),
}

impl<A: ModuleSet, B: ModuleSet> Beside<A, B> {
    /// All modules of `first` and `second`.
    pub fn new(first: A, second: B) -> Beside<A, B> {
        Beside {
            first,
            second,
            places: Vec::new(),
            table: &[],
        }
    }

    fn place(&self, module: ModuleIndex) -> Result<Place, Failure> {
        let place = self.places.get(usize::from(module.get()));
        place.copied().ok_or_else(|| Failure::of("no such update module"))
    }
}

impl<A: ModuleSet, B: ModuleSet> ModuleSet for Beside<A, B> {
    fn descriptors(&mut self) -> &'static [Descriptor] {
        let known = self.places.len();
        let mut table = Vec::from(self.table);
        let tables = [
            (Place::First as fn(ModuleIndex) -> Place, self.first.descriptors()),
            (Place::Second, self.second.descriptors()),
        ];
        for (place, descriptors) in tables {
            for (index, descriptor) in (0_u8..=u8::MAX).zip(descriptors) {
                let place = place(ModuleIndex::new(index));
                if !self.places.contains(&place) {
                    self.places.push(place);
                    table.push(*descriptor);
                }
            }
        }
        if self.places.len() > known {
            self.table = table.leak();
        }
        self.table
    }

    async fn download(&mut self, module: ModuleIndex, payload: &mut Payload<'_>) -> Result<Option<Traits>, Failure> {
        match self.place(module)? {
            Place::First(module) => self.first.download(module, payload).await,
            Place::Second(module) => self.second.download(module, payload).await,
        }
    }

    async fn call(&mut self, module: ModuleIndex, state: CallbackState) -> Result<Option<Late>, Failure> {
        match self.place(module)? {
            Place::First(module) => self.first.call(module, state).await,
            Place::Second(module) => self.second.call(module, state).await,
        }
    }
}

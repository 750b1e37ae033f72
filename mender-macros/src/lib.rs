//! The `#[update_module]` attribute of the `mender` crate.

use proc_macro::TokenStream;

/// Turns an annotated struct into an update module.
#[proc_macro_attribute]
pub fn update_module(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    item
}

//! The `#[update_module]` attribute of the `mender` crate.
#![forbid(unsafe_code)]

mod args;
mod check;
mod errors;
mod expand;
mod names;
mod parse;

use proc_macro::TokenStream;

/// Turns an annotated struct into an update module.
#[proc_macro_attribute]
pub fn update_module(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(arguments.into(), item.into()).into()
}

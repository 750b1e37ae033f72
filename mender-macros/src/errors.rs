//! The errors of one definition, collected so that all are reported at once.

use proc_macro2::{Span, TokenStream};

/// Every error found so far. Each points at the offending token, never at the whole attribute.
#[derive(Default)]
pub struct Errors(Option<syn::Error>);

impl Errors {
    /// Adds an error at `span`.
    pub fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Adds an error of `syn`'s.
    pub fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// One `compile_error!` for each error.
    pub fn into_compile_errors(self) -> TokenStream {
        self.0.map(|all| all.into_compile_error()).unwrap_or_default()
    }

    /// The messages, in the order found.
    #[cfg(test)]
    pub fn messages(self) -> Vec<String> {
        self.0
            .map(|all| all.into_iter().map(|error| error.to_string()).collect())
            .unwrap_or_default()
    }
}

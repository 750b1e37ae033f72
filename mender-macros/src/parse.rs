//! The annotated item: only its head is read, so every body that rustc accepts is accepted.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{Attribute, GenericParam, Generics, Ident, Token, Visibility, WhereClause};

use crate::errors::Errors;

/// What an implementation for the item needs to know.
pub struct Item {
    /// What the generated implementation needs before it: the item's `#[cfg(...)]`, so that both exist or neither, and
    /// no warning that a deprecated item is used, as nobody but the attribute uses it there.
    pub attributes: Vec<Attribute>,
    pub name: Ident,
    pub generics: Generics,
    /// False for an enum or a union: rejected, but an implementation of the right shape avoids follow-up errors.
    pub is_struct: bool,
    /// Parameters of the type that are there on a condition: rejected, and no implementation can have the right shape.
    pub conditional: bool,
}

impl Item {
    /// The item's head, or `None` (and an error) if nothing can be implemented for it.
    pub fn parse(item: TokenStream, errors: &mut Errors) -> Option<Item> {
        match parse.parse2(item) {
            Ok(Found::Type { item, wrong }) => {
                if let Some(error) = wrong {
                    errors.push(error);
                }
                Some(item)
            }
            Ok(Found::Other(error)) | Err(error) => {
                errors.push(error);
                None
            }
        }
    }
}

enum Found {
    Type { item: Item, wrong: Option<syn::Error> },
    Other(syn::Error),
}

fn parse(input: ParseStream) -> syn::Result<Found> {
    let attributes = input.call(Attribute::parse_outer)?;
    input.parse::<Visibility>()?;
    let keyword: Ident = match input.fork().call(Ident::parse_any) {
        Ok(keyword) => keyword,
        Err(_) => return other(input),
    };
    let is_struct = keyword == "struct";
    let is_union = keyword == "union" && input.peek2(Ident);
    if !(is_struct || is_union || keyword == "enum") {
        return other(input);
    }
    input.call(Ident::parse_any)?;
    let name: Ident = input.parse()?;
    let mut generics: Generics = input.parse()?;
    generics.where_clause = where_clause(input)?;
    let conditional = conditional_parameters(&generics);
    // The body, and what follows: rustc has parsed them already.
    input.parse::<TokenStream>()?;
    let is_conditional = conditional.is_some();
    let wrong = if is_struct {
        conditional
    } else {
        Some(syn::Error::new(
            keyword.span(),
            format!("`#[update_module]` goes on a struct, found the {keyword} `{name}`: put it into a struct's field"),
        ))
    };
    let deprecated = attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("deprecated"));
    let mut attributes: Vec<Attribute> = attributes
        .into_iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .collect();
    if deprecated {
        attributes.push(syn::parse_quote!(#[allow(deprecated)]));
    }
    Ok(Found::Type {
        item: Item {
            attributes,
            name,
            generics,
            is_struct,
            conditional: is_conditional,
        },
        wrong,
    })
}

/// The error for parameters under a condition. What the condition is in this build the attribute cannot know: rustc tells
/// that only to derives.
fn conditional_parameters(generics: &Generics) -> Option<syn::Error> {
    let mut errors: Option<syn::Error> = None;
    for parameter in &generics.params {
        let (attributes, kind, name) = match parameter {
            GenericParam::Lifetime(one) => (&one.attrs, "lifetime", one.lifetime.to_string()),
            GenericParam::Type(one) => (&one.attrs, "type", one.ident.to_string()),
            GenericParam::Const(one) => (&one.attrs, "const", one.ident.to_string()),
        };
        let condition = attributes.iter().find(|attribute| attribute.path().is_ident("cfg"));
        let Some(condition) = condition else { continue };
        let error = syn::Error::new(
            condition.path().span(),
            format!(
                "`#[cfg]` at the {kind} parameter `{name}`: write the struct twice, with `{name}` and without, each with its own \
                 `#[cfg]` and `#[update_module]`"
            ),
        );
        match &mut errors {
            Some(all) => all.combine(error),
            None => errors = Some(error),
        }
    }
    errors
}

/// The where clause: before a body in braces, after one in parentheses.
fn where_clause(input: ParseStream) -> syn::Result<Option<WhereClause>> {
    if input.peek(syn::token::Paren) {
        input.parse::<TokenTree>()?;
    }
    if input.peek(Token![where]) {
        return input.parse().map(Some);
    }
    Ok(None)
}

/// The error for something that is no type at all. It points at the word that says what it is.
fn other(input: ParseStream) -> syn::Result<Found> {
    let tokens: Vec<TokenTree> = input.parse::<TokenStream>()?.into_iter().collect();
    let first = tokens.first().map_or_else(Span::call_site, TokenTree::span);
    let keyword = tokens.iter().find_map(|token| match token {
        TokenTree::Ident(word) if word == "impl" || word == "fn" => Some((word.to_string(), word.span())),
        TokenTree::Ident(_) | TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    });
    let (span, message) = match keyword {
        Some((word, span)) if word == "impl" => (
            span,
            "`#[update_module]` goes on a struct, found an impl block: move it to the struct's definition",
        ),
        Some((_, span)) => (
            span,
            "`#[update_module]` goes on a struct, found a function: name the method in the struct's \
             `#[update_module(on(state = method))]`",
        ),
        None => (
            first,
            "`#[update_module]` goes on a struct: move it to the definition of the struct that is the update module",
        ),
    };
    Ok(Found::Other(syn::Error::new(span, message)))
}

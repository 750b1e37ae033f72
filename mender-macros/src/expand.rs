//! From the attribute and its item to the generated code: the item as it was, and `impl UpdateModule`.
//!
//! Works on `proc_macro2` only, so that tests call it without a compiler. Whatever the generated code refers to goes
//! through the absolute path `::mender::__private`, as every other name may mean something else where it ends up; for
//! the same reason its own names begin with `__`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned as _;

use crate::args::{Args, ArtifactType};
use crate::check::{Assertion, Table, Value, check, local};
use crate::errors::Errors;
use crate::names::State;
use crate::parse::Item;

/// What the attribute puts in the place of `item`.
pub fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Args::parse(args, &mut errors);
    let mut output = item.clone();
    if let Some(item) = Item::parse(item, &mut errors) {
        let private = match &args.crate_path {
            Some(path) => quote!(#path::__private),
            None => quote!(::mender::__private),
        };
        let table = if item.is_struct {
            check(&args, &item, &mut errors)
        } else {
            None
        };
        output.extend(match table {
            _ if item.conditional => TokenStream::new(),
            Some(table) => implementation(&private, &item, &table),
            None => stand_in(&private, &item, &args),
        });
    }
    output.extend(errors.into_compile_errors());
    output
}

fn implementation(private: &TokenStream, item: &Item, table: &Table) -> TokenStream {
    let descriptor = descriptor(private, table);
    let download = download(private, table);
    let calls = table.calls.iter().map(|(method, states)| {
        let states = variants(private, states);
        let callback = if *method == "call" {
            "callback_named_call"
        } else {
            "callback"
        };
        let call = on_token(private, method, callback, &["self", "__state"]);
        quote!(#(#states)|* => #call,)
    });
    let unlisted = (!table.unlisted.is_empty()).then(|| {
        let states = variants(private, &table.unlisted);
        quote!(#(#states)|* => #private::Ok(()),)
    });
    let call = quote! {
        match __state {
            #(#calls)*
            #unlisted
        }
    };
    let mut implementation = with_head(private, item, &descriptor, &download, &call);
    if let Some(Assertion { span, .. }) = table.assertions.first()
        && item.generics.params.is_empty()
    {
        // Without parameters the assertions can be made where the module is defined, not only where it is used.
        let Item { attributes, name, .. } = item;
        let span = span.resolved_at(Span::call_site());
        let private = respan(private.clone(), span);
        implementation.extend(quote_spanned! {span=>
            #(#attributes)*
            const _: #private::Descriptor = <#name as #private::UpdateModule>::DESCRIPTOR;
        });
    }
    implementation
}

fn with_head(
    private: &TokenStream,
    item: &Item,
    descriptor: &TokenStream,
    download: &TokenStream,
    call: &TokenStream,
) -> TokenStream {
    let Item {
        attributes,
        name,
        generics,
        ..
    } = item;
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    // Whether the futures are `Send` follows from the struct: at the attribute there is nothing to be done about it.
    quote! {
        #(#attributes)*
        #[automatically_derived]
        #[allow(clippy::future_not_send)]
        impl #impl_generics #private::UpdateModule for #name #type_generics #where_clause {
            const DESCRIPTOR: #private::Descriptor = #descriptor;

            async fn download(
                &mut self,
                __payload: &mut #private::Payload<'_>,
            ) -> #private::Result<(), #private::Failure> {
                #download
            }

            async fn call(
                &mut self,
                __state: #private::CallbackState,
            ) -> #private::Result<(), #private::Failure> {
                #call
            }
        }
    }
}

fn descriptor(private: &TokenStream, table: &Table) -> TokenStream {
    let mut bindings = TokenStream::new();
    let mut value = |name: &str, value: &Value, text: bool| match value {
        Value::Text(text) => quote!(#text),
        Value::Bool(value) => quote!(#value),
        Value::Const(expression) => {
            let name = local(name);
            // A constant of another type is reported at the expression.
            let span = expression.span().resolved_at(Span::call_site());
            let private = respan(private.clone(), span);
            let of = if text {
                quote_spanned!(span=> &'static #private::primitive::str)
            } else {
                quote_spanned!(span=> #private::primitive::bool)
            };
            bindings.extend(quote!(let #name: #of = #expression;));
            quote!(#name)
        }
    };
    let artifact_type = value("artifact_type", &table.artifact_type, true);
    let requires_reboot = value("requires_reboot", &table.requires_reboot, false);
    let supports_rollback = value("supports_rollback", &table.supports_rollback, false);
    let mut listed: Vec<State> = table.calls.iter().flat_map(|(_, states)| states.clone()).collect();
    listed.sort_unstable();
    let states = variants(private, &listed);
    // A flag that is a const expression may rule states out: they are listed, but not in the table.
    let is_const = |value: &Value| matches!(value, Value::Const(_));
    let with = listed.iter().zip(&states).map(|(state, variant)| {
        let mut conditions = Vec::new();
        if state.needs_reboot() && is_const(&table.requires_reboot) {
            conditions.push(local("requires_reboot"));
        }
        if state.needs_rollback() && is_const(&table.supports_rollback) {
            conditions.push(local("supports_rollback"));
        }
        if conditions.is_empty() {
            quote!(.with(#variant))
        } else {
            quote!(.with_if(#variant, #(#conditions)&&*))
        }
    });
    let assertions = table.assertions.iter().map(
        |Assertion {
             span,
             condition,
             message,
         }| {
            // A failed assertion is reported where its tokens come from: at the user's.
            let private = respan(private.clone(), *span);
            quote_spanned!(*span=> #private::assert!(#condition, #message);)
        },
    );
    let descriptor = quote! {
        #private::Descriptor {
            artifact_type: #artifact_type,
            other_types: &[],
            requires_reboot: #requires_reboot,
            supports_rollback: #supports_rollback,
            states: #private::States::NONE #(#with)*,
        }
    };
    if bindings.is_empty() {
        descriptor
    } else {
        quote!({ #bindings #(#assertions)* #descriptor })
    }
}

fn download(private: &TokenStream, table: &Table) -> TokenStream {
    let method = table
        .download
        .map(|method| on_token(private, method, "download", &["self", "__payload"]));
    match (table.no_payload, method) {
        (false, Some(method)) => method,
        (true, None) => quote!(#private::no_payload(__payload).await),
        (true, Some(method)) => quote! {
            #private::no_payload(__payload).await?;
            #method
        },
        // Ruled out by the check; were it not, the user's own error would be the better one.
        (false, None) => quote!(#private::no_payload(__payload).await),
    }
}

/// What stands in for the implementation beside errors, so that the module's use causes no further ones.
fn stand_in(private: &TokenStream, item: &Item, args: &Args) -> TokenStream {
    let artifact_type = match &args.artifact_type {
        ArtifactType::Literal(text) if !text.value().is_empty() => text.value(),
        // Not empty, and hardly that of another module: two equal ones in a tuple would be an error of their own.
        ArtifactType::Literal(_) | ArtifactType::Const(_) | ArtifactType::Missing | ArtifactType::Broken => {
            item.name.to_string()
        }
    };
    let descriptor = quote! {
        #private::Descriptor {
            artifact_type: #artifact_type,
            other_types: &[],
            requires_reboot: false,
            supports_rollback: false,
            states: #private::States::NONE,
        }
    };
    let body = quote!(#private::unreachable!());
    with_head(private, item, &descriptor, &body, &body)
}

fn variants<'a>(private: &'a TokenStream, states: &'a [State]) -> Vec<TokenStream> {
    states
        .iter()
        .filter_map(|state| state.variant())
        .map(|variant| {
            let variant = Ident::new(variant, Span::call_site());
            quote!(#private::CallbackState::#variant)
        })
        .collect()
}

/// The call of a method. All of it is reported at the method's name in the attribute, as that is where errors in its
/// type, or its absence, have to show up.
fn on_token(private: &TokenStream, method: &Ident, call: &str, arguments: &[&str]) -> TokenStream {
    let span = method.span().resolved_at(Span::call_site());
    let private = respan(private.clone(), span);
    let call = Ident::new(call, span);
    let arguments = arguments.iter().map(|argument| Ident::new(argument, span));
    // A binding of its own, of the user's own token: only of such a one rustc says which type parameter it cannot infer.
    let named = quote_spanned!(method.span()=> Self::#method);
    let method = Ident::new("__method", span);
    quote_spanned! {span=> {
        let #method = #named;
        #private::#call(#method, #(#arguments),*).await.map_err(|__error| {
            use #private::{Described as _, Displayed as _};
            (&#private::Reason(&__error)).__failure()
        })
    }}
}

/// The path with every token at `span`.
fn respan(path: TokenStream, span: Span) -> TokenStream {
    path.into_iter()
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}

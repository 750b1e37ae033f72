//! The attribute `update_module` on any tokens: it answers with tokens, the item among them, or with errors, and never panics.

use proc_macro2::{TokenStream, TokenTree};

use crate::expand::expand;

/// The arguments, a line feed, the item; both as text.
pub fn tokens(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let (arguments, item) = text.split_once('\n').unwrap_or((text, "struct Module;"));
    // The compiler refuses to nest deeper before it calls an attribute.
    if [arguments, item].iter().any(|text| depth(text) > 100) {
        return;
    }
    let (Ok(arguments), Ok(item)) = (arguments.parse::<TokenStream>(), item.parse::<TokenStream>()) else {
        return;
    };
    let given: Vec<String> = item.clone().into_iter().map(|token| token.to_string()).collect();
    let mut output = expand(arguments, item).into_iter();
    for token in given {
        assert_eq!(
            output.next().map(|token| token.to_string()),
            Some(token),
            "the item stays as it is"
        );
    }
    let added: Vec<TokenTree> = output.collect();
    assert!(!added.is_empty(), "an implementation, or an error");
    // What is added are items.
    let added: TokenStream = added.into_iter().collect();
    if let Err(error) = syn::parse2::<syn::File>(added.clone()) {
        panic!("{error}: {added}");
    }
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' | b'<' | b'!' | b'-' | b'&' | b'*' => depth += 1,
            b')' | b']' | b'}' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
